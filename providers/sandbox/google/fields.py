"""Partial answers: the ``fields`` parameter.

https://developers.google.com/workspace/calendar/api/guides/performance#partial-response
"""

import re
from typing import Any

from providers.sandbox.google.errors import ApiError

__all__ = ["select"]

_TOKEN = re.compile(r"[(),/]|[^(),/\s]+")

_Selection = dict[str, "_Selection"]
"""What is wanted by name; nothing inside means all of it."""


def select(value: Any, fields: str) -> Any:
    """Only those parts of an answer that ``fields`` names. Raises ``ApiError`` 400 if it cannot be read."""
    tokens = _TOKEN.findall(fields)
    selection = _selection(tokens)
    if tokens or not selection:
        raise _bad(fields)
    return _apply(value, selection)


def _bad(fields: str) -> ApiError:
    return ApiError(400, "invalidParameter", f"Invalid field selection {fields}", location="fields")


def _selection(tokens: list[str]) -> _Selection:
    """Read ``a,b/c,d(e,f)`` up to its end or a closing bracket; takes what it reads off ``tokens``."""
    wanted: _Selection = {}
    while tokens and tokens[0] not in "(),/":
        level = wanted.setdefault(tokens.pop(0), {})
        while tokens and tokens[0] == "/":
            tokens.pop(0)
            if not tokens or tokens[0] in "(),/":
                raise _bad("")
            level = level.setdefault(tokens.pop(0), {})
        if tokens and tokens[0] == "(":
            tokens.pop(0)
            level.update(_selection(tokens))
            if not tokens or tokens.pop(0) != ")":
                raise _bad("")
        if tokens and tokens[0] == ",":
            tokens.pop(0)
        else:
            break
    return wanted


def _apply(value: Any, selection: _Selection) -> Any:
    if not selection:
        return value
    if isinstance(value, list):
        return [_apply(item, selection) for item in value]
    if not isinstance(value, dict):
        return value
    if "*" in selection:
        return {name: _apply(item, selection["*"]) for name, item in value.items()}
    return {name: _apply(item, selection[name]) for name, item in value.items() if name in selection}
