"""Long lists as JSON, written page by page: no more than a page of rows is ever in memory."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from litestar.response import Stream

__all__ = ["PAGE", "json_list", "stream_list"]

PAGE = 1000
"""Rows read at a time."""


async def stream_list(key: str, pages: AsyncIterator[Sequence[Any]]) -> Stream:
    """The answer ``{key: [everything in the pages]}``.

    The first page is read before the answer begins, so that a database that is down is a proper error.
    """
    first = await anext(pages, None)
    return Stream(json_list(key, first or [], pages), media_type="application/json")


async def json_list(
    key: str, first: Sequence[Any], pages: AsyncIterator[Sequence[Any]]
) -> AsyncIterator[bytes]:
    """``{key: […]}`` in pieces, one for each page."""
    yield b'{"%s":[' % key.encode() + _items(first)
    async for page in pages:
        yield b"," + _items(page)
    yield b"]}"


def _items(page: Sequence[Any]) -> bytes:
    return msgspec.json.encode(page)[1:-1]
