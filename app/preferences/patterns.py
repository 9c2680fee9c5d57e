"""Patterns for titles: regular expressions of RE2, whose time is linear in the text whatever they say.

Syntax: https://github.com/google/re2/wiki/Syntax. There are no look-arounds and no back references. A pattern
is found anywhere in the title (``^`` and ``$`` tie it down), and minds upper and lower case unless it begins
with ``(?i)``.
"""

from collections.abc import Sequence
from functools import lru_cache

import re2

__all__ = ["MAX_PATTERN_LENGTH", "Patterns", "check_patterns"]

MAX_PATTERN_LENGTH = 500
"""Characters of one pattern."""

MEMORY = 1 << 19
"""Bytes for a list of patterns and the automaton made of it. It bounds the time for each character too."""


class Patterns:
    """A list of patterns, made into one, so that a title is read once however many they are."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Raises ValueError, in a sentence that names the pattern by its position."""
        if not patterns:
            raise ValueError("There is no pattern.")
        for position, pattern in enumerate(patterns, 1):
            if len(pattern) > MAX_PATTERN_LENGTH:
                raise ValueError(f"Pattern {position} is longer than {MAX_PATTERN_LENGTH} characters.")
            try:
                _compile(pattern)
            except (re2.error, UnicodeEncodeError) as error:
                raise ValueError(f"Pattern {position} is not one of RE2: {_reason(error)}.") from error
        try:
            self._all = _compile("|".join(f"(?:{pattern})" for pattern in patterns))
        except re2.error as error:
            raise ValueError(f"The patterns are too large together: {_reason(error)}.") from error

    def match(self, title: str) -> bool:
        """Whether one of the patterns is found in the title."""
        return self._all.search(title) is not None


def _compile(pattern: str) -> "re2._Regexp":
    options = re2.Options()
    options.max_mem = MEMORY
    options.never_capture = True  # nobody asks for groups, and two patterns may use the same name
    options.log_errors = False
    return re2.compile(pattern, options)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "it holds a lone surrogate"
    message = error.args[0]
    return message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)


@lru_cache(maxsize=256)
def patterns(of: tuple[str, ...]) -> Patterns:
    """The patterns, compiled once for all who use the same. Raises ValueError."""
    return Patterns(of)


def check_patterns(of: Sequence[str]) -> str | None:
    """What is wrong with a list of patterns, in a sentence, or None."""
    try:
        patterns(tuple(of)) if of else None
    except ValueError as error:
        return str(error)
    return None
