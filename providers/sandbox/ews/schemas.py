"""Checks requests and answers against Microsoft's own XML schemas, where the sandbox was given them."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from lxml import etree

from providers.sandbox.ews.soap import MESSAGES, SOAP, Envelope

__all__ = ["Schemas", "declared", "load"]

_GET_CONFIGURATION = f"{{{MESSAGES}}}GetUserConfigurationResponse"


class Schemas:
    """The schemas of EWS. ``violations`` gives what they have against an element, a sentence each."""

    def __init__(self, schema: etree.XMLSchema) -> None:
        self._schema = schema

    def violations(self, element: etree._Element) -> list[str]:
        """What is wrong with a header block or the body of a message; empty if nothing is."""
        if self._schema.validate(element):
            return []
        log: Any = self._schema.error_log
        return [f"line {error.line}: {error.message}" for error in log]

    def request_violations(self, request: Envelope) -> list[str]:
        """What is wrong with a request: its body, and the header blocks that are a contract."""
        blocks = (request.headers.get(name) for name in ("ExchangeImpersonation", "TimeZoneContext"))
        parts = [request.body, *(block for block in blocks if block is not None)]
        return [violation for part in parts for violation in self.violations(part)]

    def answer_violations(self, answer: str) -> list[str]:
        """What is wrong with a whole answer; SOAP's own elements are not checked, nor is a fault."""
        root = etree.fromstring(answer.encode())
        body = root.find(f"{{{SOAP}}}Body")
        assert body is not None
        if body[0].tag == f"{{{SOAP}}}Fault":
            return []
        return self.violations(declared(body[0]))


def declared(body: etree._Element) -> etree._Element:
    """The body of an answer as these schemas declare it, to be checked by them.

    That is the body itself but for GetUserConfigurationResponse: it holds a response message like all
    others ([MS-OXWSUSRCFG] 4.3), where the published schema declares it to be such a message.
    """
    if body.tag != _GET_CONFIGURATION:
        return body
    message = deepcopy(body[0][0])
    message.tag = _GET_CONFIGURATION
    return message


@cache
def load(folder: Path) -> Schemas | None:
    """The schemas in ``folder``/ews/messages-all.xsd, or None if that file is not there."""
    path = folder / "ews" / "messages-all.xsd"
    if not path.is_file():
        return None
    return Schemas(etree.XMLSchema(etree.parse(path)))
