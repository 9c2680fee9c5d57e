"""Lists page by page: the cursor of a page is the number of the last row of the page before it."""

from collections.abc import Sequence

from asyncpg import Record

from app.errors import BadRequest

__all__ = ["LAST_NUMBER", "next_cursor", "parse_cursor"]

LAST_NUMBER = 2**63 - 1
"""The greatest number of a row: a list that begins with the latest begins before it."""

MAX_DIGITS = 18
"""All numbers of so many digits are ones that the database can hold."""


def parse_cursor(cursor: str | None, first: int = 0) -> int:
    """The number that a page begins behind; ``first`` for no cursor. Raises BadRequest for what is none."""
    if cursor is None:
        return first
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= MAX_DIGITS):
        raise BadRequest("invalid_cursor", "cursor: expected the `next` of the page before.")
    return int(cursor)


def next_cursor(rows: Sequence[Record], limit: int, column: str) -> str | None:
    """The cursor of the page after the first ``limit`` rows, if there are more; ``column`` numbers them."""
    return str(rows[limit - 1][column]) if len(rows) > limit else None
