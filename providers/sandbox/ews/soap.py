"""The SOAP 1.1 envelope of EWS: what came in, and the text of what goes out.

Answers are put together as text, because building trees would cost more than all the rest.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape as escape_text
from xml.sax.saxutils import quoteattr

import msgspec
from lxml import etree

__all__ = [
    "ERRORS",
    "MESSAGES",
    "SOAP",
    "TYPES",
    "Envelope",
    "ResponseError",
    "SoapFault",
    "attribute",
    "escape",
    "line_of",
    "local",
    "parse",
    "render_fault",
    "render_response",
    "response_message",
]

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"

SERVER_VERSION = (
    '<h:ServerVersionInfo MajorVersion="15" MinorVersion="1" MajorBuildNumber="2507" MinorBuildNumber="39"'
    f' Version="V2017_07_11" xmlns:h="{TYPES}"/>'
)
"""Exchange Server 2016, cumulative update 23."""

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)


class SoapFault(Exception):
    """The whole request is refused with HTTP 500 and a SOAP fault.

    ``code`` is one of the ResponseCodeType of [MS-OXWSCDATA] 2.2.5.24. ``values`` are what Exchange
    adds for programs in MessageXml, such as ``BackOffMilliseconds``; ``violation`` is the detail of a
    schema violation with its line.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        values: Mapping[str, str] | None = None,
        violation: str | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.values = dict(values or {})
        self.violation = violation
        self.line = line


class ResponseError(Exception):
    """One item of a request is refused: a response message of class Error, within HTTP 200."""

    def __init__(self, code: str, message: str, *, xml: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.xml = xml
        """What MessageXml holds, in the namespace ``t``: the property that is at fault, or values."""


class Envelope(msgspec.Struct, frozen=True):
    """A request: its header blocks by local name, and its one body element."""

    headers: dict[str, etree._Element]
    body: etree._Element


def local(element: etree._Element) -> str:
    """The name of an element without its namespace."""
    tag = str(element.tag)
    return tag[tag.index("}") + 1 :] if "}" in tag else tag


def line_of(element: etree._Element) -> int | None:
    """The line of the request on which an element begins, if it is known."""
    line: Any = element.sourceline
    return None if line is None else int(line)


def parse(data: bytes) -> Envelope:
    """Read a request. Raises ``SoapFault`` ErrorSchemaValidation for anything but a SOAP envelope."""
    try:
        root = etree.fromstring(data, _PARSER)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _violation(f"The request is not well-formed XML: {error}", 1) from error
    document: Any = root.getroottree().docinfo
    if document.doctype:
        raise _violation("A document type is not allowed in SOAP.", 1)
    if root.tag != f"{{{SOAP}}}Envelope":
        raise _violation(f"The root element has to be Envelope in {SOAP}.", 1)
    body = root.find(f"{{{SOAP}}}Body")
    if body is None or len(body) != 1:
        raise _violation("The Body has to hold exactly one element.", line_of(root))
    header = root.find(f"{{{SOAP}}}Header")
    blocks = {} if header is None else {local(block): block for block in header}
    return Envelope(blocks, body[0])


def _violation(text: str, line: int | None) -> SoapFault:
    return SoapFault(
        "ErrorSchemaValidation", f"The request failed schema validation: {text}", violation=text, line=line
    )


def escape(value: str) -> str:
    """Text for an element's content. A carriage return would not survive parsing as it is."""
    return escape_text(value, {"\r": "&#xD;"})


def attribute(value: str) -> str:
    """A quoted attribute value; line ends and tabs keep their meaning."""
    return quoteattr(value, {"\r": "&#xD;"})


def render_fault(fault: SoapFault) -> str:
    """The answer to a request that was refused as a whole."""
    detail = ""
    if fault.violation is not None:
        detail = (
            f"<t:LineNumber>{fault.line or 0}</t:LineNumber><t:LinePosition>0</t:LinePosition>"
            f"<t:Violation>{escape(fault.violation)}</t:Violation>"
        )
    detail += "".join(
        f"<t:Value Name={attribute(name)}>{escape(value)}</t:Value>" for name, value in fault.values.items()
    )
    message_xml = f'<t:MessageXml xmlns:t="{TYPES}">{detail}</t:MessageXml>' if detail else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body><s:Fault>'
        f'<faultcode xmlns:a="{TYPES}">a:{fault.code}</faultcode>'
        f'<faultstring xml:lang="en-US">{escape(fault.message)}</faultstring>'
        f'<detail><e:ResponseCode xmlns:e="{ERRORS}">{fault.code}</e:ResponseCode>'
        f'<e:Message xmlns:e="{ERRORS}">{escape(fault.message)}</e:Message>{message_xml}</detail>'
        "</s:Fault></s:Body></s:Envelope>"
    )


def render_response(operation: str, messages: Iterable[str]) -> str:
    """The answer to ``operation`` with its response messages, one for each item."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<s:Envelope xmlns:s="{SOAP}"><s:Header>{SERVER_VERSION}</s:Header><s:Body>'
        f'<m:{operation}Response xmlns:m="{MESSAGES}" xmlns:t="{TYPES}">'
        f"<m:ResponseMessages>{''.join(messages)}</m:ResponseMessages>"
        f"</m:{operation}Response></s:Body></s:Envelope>"
    )


def response_message(operation: str, content: str | ResponseError, empty: str = "") -> str:
    """One response message: ``content`` after the code, or the error.

    ``empty`` is what the message's schema type requires after the code even of an error.
    """
    if isinstance(content, str):
        return (
            f'<m:{operation}ResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>'
            f"{content}</m:{operation}ResponseMessage>"
        )
    xml = f"<m:MessageXml>{content.xml}</m:MessageXml>" if content.xml else ""
    return (
        f'<m:{operation}ResponseMessage ResponseClass="Error">'
        f"<m:MessageText>{escape(content.message)}</m:MessageText>"
        f"<m:ResponseCode>{content.code}</m:ResponseCode>"
        f"<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>{xml}{empty}</m:{operation}ResponseMessage>"
    )
