"""Reading what Exchange answers: one ``Answer`` for each thing that was asked, or a ``Fault``.

exchangelib's own reader raises in the middle of a batch for many codes and loses the ids of what was
done before; it drops BackOffMilliseconds inside items and the codes that it does not know. So its
services write our requests, and this file reads the answers.
"""

from collections.abc import Iterator

import msgspec
from exchangelib.util import ENS, MNS, SOAPNS, TNS
from lxml import etree

__all__ = ["MNS", "TNS", "Answer", "Fault", "Malformed", "read"]

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)


class Fault(Exception):
    """A SOAP fault: Exchange refused the request as a whole; nothing in it was carried out."""

    def __init__(self, code: str, back_off: float | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.back_off = back_off
        """Seconds that Exchange asks to wait, if it says so."""


class Malformed(Exception):
    """An answer that is not what EWS answers; nobody can say what was carried out."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The response message to one item of a request."""

    code: str
    """``NoError``, or Exchange's response code."""

    back_off: float | None
    """Seconds that Exchange asks to wait, if it says so."""

    message: etree._Element
    """The element itself, for what else it holds."""

    @property
    def ok(self) -> bool:
        """Whether it was carried out; with a warning, where there is an item to show for it."""
        return self.code == "NoError" or (
            self.message.get("ResponseClass") == "Warning" and self.item_id is not None
        )

    @property
    def item(self) -> etree._Element:
        """The item in it. Raises ``Malformed`` if there is none."""
        element = self.message.find(f"{{{MNS}}}Items/*")
        if element is None:
            raise Malformed("an answer without an item")
        return element

    @property
    def item_id(self) -> tuple[str, str | None] | None:
        """The id and ChangeKey of the item in it, if there is one."""
        element = self.message.find(f"{{{MNS}}}Items/*/{{{TNS}}}ItemId")
        if element is None or not element.get("Id"):
            return None
        return element.get("Id", ""), element.get("ChangeKey")


def read(content: bytes, operation: str, expected: int | None = None) -> list[Answer]:
    """The answers in a response to ``operation``, in the order of the request.

    Raises ``Fault``, or ``Malformed`` if this is no complete answer with ``expected`` messages.
    """
    try:
        root = etree.fromstring(content, _PARSER)
    except etree.XMLSyntaxError as error:
        raise Malformed("the answer is not XML") from error
    if root.getroottree().docinfo.doctype:  # type: ignore[union-attr]
        raise Malformed("SOAP has no document type declarations (SOAP 1.1, section 3)")
    body = root.find(f"{{{SOAPNS}}}Body")
    if body is None:
        raise Malformed("the answer has no SOAP body")
    fault = body.find(f"{{{SOAPNS}}}Fault")
    if fault is not None:
        raise _fault(fault)
    messages = body.findall(f"{{{MNS}}}{operation}Response/{{{MNS}}}ResponseMessages/*")
    if not messages or (expected is not None and len(messages) != expected):
        raise Malformed(f"{len(messages)} response messages instead of {expected}")
    return [_answer(message) for message in messages]


def _answer(message: etree._Element) -> Answer:
    code = (message.findtext(f"{{{MNS}}}ResponseCode") or "").strip()
    if not code:
        raise Malformed("a response message has no code")
    details = message.find(f"{{{MNS}}}MessageXml")
    values = dict(_values(details))
    if code == "ErrorInternalServerError":
        code = values.get("InnerErrorResponseCode") or code
    return Answer(code=code, back_off=_seconds(values), message=message)


def _fault(fault: etree._Element) -> Fault:
    detail = fault.find("detail")
    code = "" if detail is None else (detail.findtext(f"{{{ENS}}}ResponseCode") or "").strip()
    # Without details, the fault code itself is all there is: "a:ErrorImpersonateUserDenied".
    code = code or (fault.findtext("faultcode") or "").rpartition(":")[2].strip() or "Fault"
    details = None if detail is None else detail.find(f"{{{TNS}}}MessageXml")
    return Fault(code, _seconds(dict(_values(details))))


def _values(details: etree._Element | None) -> Iterator[tuple[str, str]]:
    if details is not None:
        for value in details.iter(f"{{{TNS}}}Value"):
            yield value.get("Name", ""), (value.text or "").strip()


def _seconds(values: dict[str, str]) -> float | None:
    try:
        return max(0.0, int(values["BackOffMilliseconds"]) / 1000)
    except (KeyError, ValueError):
        return None
