"""What the values of a preference may be, by its description."""

from typing import Any

from app.preferences.builtin import SYNTAX
from app.preferences.document import DescriptionDocument, PreferenceDescription
from app.timetables.event import check_text

__all__ = ["MAX_ITEMS", "check_item", "check_number", "check_value"]

MAX_NUMBER = 2**53 - 1
"""The largest number that every JSON library reads as it is written (RFC 7493 section 2.2)."""
MAX_TEXT = 10_000
"""Characters of a text, whatever its description allows."""
MAX_ITEMS = 1000
"""Of a list, whatever its description allows."""
MAX_ITEM = 1000
"""Characters of an item of a list."""


def check_value(description: DescriptionDocument, value: Any) -> str | None:
    """What is wrong with a value of the preference, in a sentence, or None. null is no value."""
    detail = _check_type(description, value) or _check_limits(description, value)
    if detail is None and isinstance(description, PreferenceDescription) and description.is_builtin:
        syntax = SYNTAX.get(f"{description.section}.{description.key}")
        return syntax(value) if syntax else None
    return detail


def _check_type(description: DescriptionDocument, value: Any) -> str | None:
    match description.value_type:
        case "number":
            return check_number(value)
        case "text":
            return _check_text(value, MAX_TEXT)
        case "bool":
            return None if isinstance(value, bool) else "Expected true or false."
        case "list":
            if not isinstance(value, list | tuple):
                return "Expected a list of texts."
            if len(value) > MAX_ITEMS:
                return f"More than {MAX_ITEMS} items."
            wrong = (_at(position, check_item(item)) for position, item in enumerate(value, 1))
            return next(filter(None, wrong), None)


def check_number(value: Any) -> str | None:
    """What is wrong with a number, in a sentence, or None."""
    # bool is an int to Python. NaN is not less than anything.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "Expected a number."
    return None if abs(value) <= MAX_NUMBER else f"Not between -{MAX_NUMBER} and {MAX_NUMBER}."


def check_item(value: Any) -> str | None:
    """What is wrong with an item of a list, in a sentence, or None."""
    return _check_text(value, MAX_ITEM)


def _check_text(value: Any, limit: int) -> str | None:
    return check_text(value, limit, lines=True) if isinstance(value, str) else "Expected a text."


def _at(position: int, detail: str | None) -> str | None:
    return detail and f"Item {position}: {detail}"


def _check_limits(description: DescriptionDocument, value: Any) -> str | None:
    of = {"number": "", "text": " characters", "bool": "", "list": " items"}[description.value_type]
    size = len(value) if description.value_type in ("text", "list") else value
    if description.min_value is not None and size < description.min_value:
        return f"Less than {_plain(description.min_value)}{of}."
    if description.max_value is not None and size > description.max_value:
        return f"More than {_plain(description.max_value)}{of}."
    if description.allowed_values is not None:
        values = value if description.value_type == "list" else (value,)
        if any(item not in description.allowed_values for item in values):
            return f"Expected one of {', '.join(map(str, description.allowed_values))}."
    return None


def _plain(number: float) -> str:
    return str(int(number) if number == int(number) else number)
