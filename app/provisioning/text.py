"""Which texts can be stored and compared at all."""

__all__ = ["MAX_TEXT_LENGTH", "is_text", "is_username"]

MAX_USERNAME_LENGTH = 255
MAX_TEXT_LENGTH = 1000
"""Characters of a display name, a locale, a role, an attribute's name or value."""


def is_text(text: str, max_length: int = MAX_TEXT_LENGTH) -> bool:
    """Whether PostgreSQL can store the text and people can read it: no control characters, valid Unicode.

    Python holds bytes that were not UTF-8 as lone surrogates; those are not valid either.
    """
    return len(text) <= max_length and not any(
        c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in text
    )


def is_username(text: str) -> bool:
    """Whether somebody can have this name. It is opaque otherwise, and compared exactly."""
    return text != "" and is_text(text, MAX_USERNAME_LENGTH)
