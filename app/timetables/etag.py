"""Entity tags (RFC 9110 section 8.8.3): a revision, and a tag for each representation of it."""

import re

__all__ = ["ICALENDAR", "etag", "expected_revisions", "matches"]

TAG = re.compile(r'(W/)?"([^"]*)"')
ICALENDAR = "ics"
"""The representation of a timetable as iCalendar."""


def etag(revision: int, representation: str = "") -> str:
    """The strong tag of a revision, as JSON or in another representation (``ics``, a language)."""
    return f'"{revision}-{representation}"' if representation else f'"{revision}"'


def expected_revisions(if_match: str | None) -> frozenset[int] | None:
    """The revisions that If-Match allows; None: any (``*``, or no such header).

    A weak tag never matches (RFC 9110 section 13.1.1), nor does one that is none of ours.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    revisions = set()
    for weak, text in TAG.findall(if_match):
        number = text.partition("-")[0]
        if not weak and number.isascii() and number.isdecimal():
            revisions.add(int(number))
    return frozenset(revisions)


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether If-None-Match names the tag, so that 304 is the answer (weak comparison)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or any(f'"{text}"' == tag for _, text in TAG.findall(if_none_match))
