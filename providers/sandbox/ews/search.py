"""Restrictions and sort orders of FindItem, as functions over native items ([MS-OXWSSRCH] 2.2.4)."""

from collections.abc import Callable
from datetime import datetime

from lxml import etree

from providers.sandbox.ews import timezones
from providers.sandbox.ews.paths import is_number, is_number_text, path_of
from providers.sandbox.ews.properties import BY_URI, Property, value_of
from providers.sandbox.ews.soap import TYPES, ResponseError, local
from providers.sandbox.state import Native, SandboxMailbox

__all__ = ["Test", "restriction", "sorted_items"]

Test = Callable[[Native], bool]
Value = str | bool | int | float | list[str] | None
_Read = Callable[[Native], Value]

_T = f"{{{TYPES}}}"
_COMPARE: dict[str, Callable[[int], bool]] = {
    "IsEqualTo": lambda order: order == 0,
    "IsNotEqualTo": lambda order: order != 0,
    "IsGreaterThan": lambda order: order > 0,
    "IsGreaterThanOrEqualTo": lambda order: order >= 0,
    "IsLessThan": lambda order: order < 0,
    "IsLessThanOrEqualTo": lambda order: order <= 0,
}


def restriction(element: etree._Element, mailbox: SandboxMailbox) -> Test:
    """The test that a search expression describes.

    Strings are compared without case, as the store does. Raises ``ResponseError`` for a property that
    cannot be searched by.
    """
    name = local(element)
    if name in ("And", "Or"):
        tests = [restriction(child, mailbox) for child in element]
        if name == "And":
            return lambda native: all(test(native) for test in tests)
        return lambda native: any(test(native) for test in tests)
    if name == "Not":
        test = restriction(element[0], mailbox)
        return lambda native: not test(native)
    read, prop = _reader(element[0], mailbox, "ErrorUnsupportedPathForQuery")
    if name == "Exists":
        return lambda native: read(native) is not None
    if name == "Contains":
        return _contains(element, read)
    if name == "Excludes":
        text = str(element[1].get("Value"))
        mask = int(text, 16 if text[:2].lower() == "0x" else 10)
        return lambda native: isinstance(value := read(native), int) and not value & mask
    return _comparison(name, element[1][0], read, prop, mailbox)


def _reader(path: etree._Element, mailbox: SandboxMailbox, refusal: str) -> tuple[_Read, Property | None]:
    key = path_of(path)
    if path.tag == f"{_T}ExtendedFieldURI":
        if is_number(key):
            return lambda native: _number(native["extended"].get(key)), None
        return lambda native: native["extended"].get(key), None
    prop = BY_URI.get(key)
    if prop is None or not prop.find or key in ("item:ItemId", "item:ParentFolderId", "calendar:UID"):
        raise ResponseError(refusal, "The property can not be used for a query or an order.")
    return lambda native: value_of(prop, native, mailbox), prop


def _comparison(
    name: str, operand: etree._Element, read: _Read, prop: Property | None, mailbox: SandboxMailbox
) -> Test:
    accept = _COMPARE[name]
    if operand.tag == f"{_T}Constant":
        constant = _constant(str(operand.get("Value")), prop)

        def against_constant(native: Native) -> bool:
            order = _order(read(native), constant)
            return order is not None and accept(order)

        return against_constant
    other, _ = _reader(operand, mailbox, "ErrorUnsupportedPathForQuery")

    def against_other(native: Native) -> bool:
        order = _order(read(native), other(native))
        return order is not None and accept(order)

    return against_other


def _constant(text: str, prop: Property | None) -> Value:
    """A constant in the form in which the property's values are kept."""
    kind = "text" if prop is None else prop.kind
    if kind == "boolean" or (kind == "computed" and text in ("true", "false")):
        return text in ("true", "1")
    if kind == "integer":
        return int(text)
    if kind == "datetime" or (kind == "computed" and "T" in text and _is_time(text)):
        return timezones.text_time(timezones.to_utc(text, "UTC"))
    return text


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, str) else None


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _order(left: Value, right: Value) -> int | None:
    """-1, 0 or 1; None where they cannot be compared or one is missing."""
    if left is None or right is None:
        return None
    if isinstance(left, list):
        folded = [one.casefold() for one in left]
        return 0 if str(right).casefold() in folded else 1
    if isinstance(left, float) and isinstance(right, str):
        return _order(left, float(right)) if is_number_text(right) else None
    if isinstance(left, str) or isinstance(right, str):
        one, two = str(left).casefold(), str(right).casefold()
        return (one > two) - (one < two)
    if isinstance(right, list):
        return None
    return (left > right) - (left < right)


def _contains(element: etree._Element, read: _Read) -> Test:
    mode = element.get("ContainmentMode", "FullString")
    exact = element.get("ContainmentComparison", "Exact") == "Exact"
    wanted = str(element[1].get("Value"))
    wanted = wanted if exact else wanted.casefold()

    def holds(text: str) -> bool:
        text = text if exact else text.casefold()
        if mode == "FullString":
            return text == wanted
        if mode == "Prefixed":
            return text.startswith(wanted)
        if mode == "PrefixOnWords":
            return any(word.startswith(wanted) for word in text.split())
        return wanted in text

    def test(native: Native) -> bool:
        value = read(native)
        if isinstance(value, list):
            return any(holds(one) for one in value)
        return value is not None and holds(str(value))

    return test


def sorted_items(items: list[Native], order: etree._Element | None, mailbox: SandboxMailbox) -> list[Native]:
    """The items in the wanted order; those without a value come first. Raises ``ResponseError``.

    Exchange shows times in whole seconds, and keeps them finer: of equal ones, what was made first is first.
    """
    if order is None:
        return items
    items = sorted(items, key=lambda native: native.get("made", 0))
    for field in reversed(order):
        read, _ = _reader(field[0], mailbox, "ErrorUnsupportedPathForSortGroup")

        def key(native: Native, read: _Read = read) -> tuple[bool, str]:
            value = read(native)
            text = f"{value:020}" if isinstance(value, int) else str(value or "").casefold()
            return value is not None, text

        items = sorted(items, key=key, reverse=field.get("Order") == "Descending")
    return items
