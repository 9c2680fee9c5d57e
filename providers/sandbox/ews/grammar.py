"""The structure of requests: which element may hold which, in which order, with which attributes.

Exchange checks every request against its schema before anything else. This is the part of that schema
that calendars need, written as regular expressions over the names of an element's children. Direct
children of the request are in the namespace of messages, everything below in that of types.
"""

import re

import msgspec
from lxml import etree

from providers.sandbox.ews.properties import BY_URI, PROPERTIES
from providers.sandbox.ews.rules import ELEMENTS, TEXTS
from providers.sandbox.ews.soap import MESSAGES, TYPES, SoapFault, line_of, local

__all__ = ["OPERATIONS", "check_header", "check_request"]

OPERATIONS = (
    "ConvertId", "CopyItem", "CreateFolder", "CreateItem", "CreateUserConfiguration", "DeleteFolder",
    "DeleteItem", "DeleteUserConfiguration", "FindFolder", "FindItem", "GetFolder", "GetItem",
    "GetServerTimeZones", "GetUserConfiguration", "MoveItem", "ResolveNames", "SyncFolderHierarchy",
    "SyncFolderItems", "UpdateFolder", "UpdateItem", "UpdateUserConfiguration",
)  # fmt: skip

_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_BY_KIND = {"boolean": "=bool", "integer": "=int", "datetime": "=datetime", "strings": "String*",
            "attendees": "Attendee+", "text": "=any"}  # fmt: skip


class _Rule(msgspec.Struct, frozen=True):
    children: re.Pattern[str] | None
    text: str | None
    """The kind of text, or None where only elements are allowed."""
    attributes: dict[str, str]
    required: tuple[str, ...]
    open: bool


def _rule(source: str) -> _Rule:
    if source == "...":
        return _Rule(None, None, {}, (), True)
    words = source.split(" @")
    model = words.pop(0)
    if model.startswith("@"):
        words.insert(0, model[1:])
        model = ""
    attributes = dict(word.strip().split(":") for word in words)
    required = tuple(name[:-1] for name in attributes if name.endswith("!"))
    names = {name.rstrip("!"): kind for name, kind in attributes.items()}
    if model.startswith("="):
        return _Rule(None, model[1:], names, required, False)
    pattern = re.sub(r"(\w+)|\s+", lambda match: f"(?:{match[1]} )" if match[1] else "", model)
    return _Rule(re.compile(pattern), None, names, required, False)


def _rules() -> dict[str, _Rule]:
    grammar = dict(ELEMENTS)
    for prop in PROPERTIES:
        if prop.element not in grammar:
            choices = "|".join(prop.choices)
            grammar[prop.element] = f"={choices}" if choices else _BY_KIND.get(prop.kind, "...")
    return {name: _rule(source) for name, source in grammar.items()}


_RULES = _rules()
_LEAF_ENUMS = {
    rule.text: re.compile(rule.text) for rule in _RULES.values() if rule.text and rule.text not in TEXTS
}


def check_request(body: etree._Element) -> None:
    """Check the body of a request. Raises ``SoapFault`` ErrorSchemaValidation."""
    name = local(body)
    if name not in OPERATIONS or body.tag != f"{{{MESSAGES}}}{name}":
        raise _fault(body, f"The element '{name}' is not a request that this server knows.")
    _check(body, name, MESSAGES)


def check_header(block: etree._Element) -> None:
    """Check a header block that Exchange reads; others are left alone."""
    name = local(block)
    if name in ("RequestServerVersion", "ExchangeImpersonation", "TimeZoneContext"):
        if block.tag != f"{{{TYPES}}}{name}":
            raise _fault(block, f"The header '{name}' has to be in the namespace {TYPES}.")
        _check(block, name, TYPES)


def _fault(element: etree._Element, text: str) -> SoapFault:
    return SoapFault(
        "ErrorSchemaValidation",
        f"The request failed schema validation: {text}",
        violation=text,
        line=line_of(element),
    )


def _namespace(tag: str) -> str:
    return tag[1:].partition("}")[0]


def _attributes(element: etree._Element) -> dict[str, str]:
    return {str(name): str(value) for name, value in element.attrib.items()}


def _check(element: etree._Element, name: str, namespace: str) -> None:
    rule = _RULES[name]
    if rule.open:
        return
    for attribute, value in _attributes(element).items():
        kind = rule.attributes.get(attribute)
        if kind is None:
            if attribute.startswith("{"):
                continue
            raise _fault(element, f"The '{attribute}' attribute is not declared for the '{name}' element.")
        if not _matches(kind, value):
            raise _fault(element, f"The '{attribute}' attribute of '{name}' has an invalid value.")
    for attribute in rule.required:
        if element.get(attribute) is None:
            raise _fault(element, f"The required attribute '{attribute}' of '{name}' is missing.")
    if rule.text is not None:
        if len(element):
            raise _fault(element, f"The element '{name}' cannot contain child elements.")
        if not _matches(rule.text, element.text or ""):
            raise _fault(element, f"The '{name}' element has an invalid value.")
        return
    if (element.text or "").strip():
        raise _fault(element, f"The element '{name}' cannot contain text.")
    prefix = f"{{{namespace}}}"
    names = []
    for child in element:
        tag = str(child.tag)
        if not tag.startswith(prefix) or (child.tail or "").strip():
            raise _fault(
                child,
                f"The element '{name}' has invalid content: '{local(child)}' in {_namespace(tag)}.",
            )
        names.append(tag[len(prefix) :])
    if name == "DictionaryValue" and not names and element.get(_NIL) in ("true", "1"):
        return
    assert rule.children is not None
    if rule.children.fullmatch("".join(f"{one} " for one in names)) is None:
        given = ", ".join(names) or "none"
        raise _fault(
            element, f"The element '{name}' has child elements that the schema does not allow there: {given}."
        )
    for child, child_name in zip(element, names, strict=True):
        _check(child, child_name, TYPES)
    if name == "FieldURI":
        _check_uri(element)


def _check_uri(element: etree._Element) -> None:
    uri = str(element.get("FieldURI"))
    prefix = uri.partition(":")[0]
    if uri not in BY_URI and prefix in ("item", "calendar"):
        raise _fault(element, "The 'FieldURI' attribute has an invalid value: there is no such property.")


def _matches(kind: str, value: str) -> bool:
    pattern = TEXTS[kind] if kind in TEXTS else _LEAF_ENUMS[kind]
    return pattern is None or pattern.fullmatch(value) is not None
