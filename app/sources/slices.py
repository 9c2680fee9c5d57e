"""Long lists in small parts, so that whatever else this process does has its turn in between."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TypeVar

__all__ = ["SLICE", "TURN", "slices", "unhurried"]

Item = TypeVar("Item")

SLICE = 500
"""Records of a page that are checked and stored together: a transaction of some hundredths of a second."""

TURN = 100
"""Records that are mapped at a stretch: some milliseconds of the event loop."""


def slices(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The items, at most ``SLICE`` at a time."""
    for start in range(0, len(items), SLICE):
        yield items[start : start + SLICE]


async def unhurried(items: Iterable[Item]) -> AsyncIterator[Item]:
    """The items one by one; after every ``TURN`` of them, the event loop goes round once."""
    for number, item in enumerate(items, 1):
        yield item
        if number % TURN == 0:
            await asyncio.sleep(0)
