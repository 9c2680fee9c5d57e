"""The workers of a run: so many requests at a time, however deeply resources depend on each other."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

__all__ = ["Crew"]

Item = TypeVar("Item")


class Crew:
    """So many workers, for everything in a run together.

    A worker who comes to a list within the work (objects that further resources depend on) goes on with that,
    and whoever is free helps. So what is under way, and in memory, is at most the size of the crew for each
    level, whatever the width of the levels.
    """

    def __init__(self, size: int) -> None:
        self._free = size - 1  # whoever calls is one

    async def each(self, items: Iterable[Item], work: Callable[[Item], Awaitable[None]]) -> None:
        """Do the work for each item, begun in their order. The first error ends all, and is raised."""
        waiting = deque(items)

        async def worker() -> None:
            while waiting:
                item = waiting.popleft()
                for _ in range(min(self._free, len(waiting))):
                    self._free -= 1
                    group.create_task(worker()).add_done_callback(self._is_free)
                await work(item)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(worker())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    def _is_free(self, _: object) -> None:
        self._free += 1
