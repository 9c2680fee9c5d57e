"""The workers of a run: never more than there are, never idle while there is work, and no error is lost."""

import asyncio

import pytest

from app.sources.crew import Crew

SIZE = 4


class Work:
    """Counts what is under way at a time: all items, and ``leaves``, those without a list of their own."""

    def __init__(self) -> None:
        self.crew = Crew(SIZE)
        self.begun: list[object] = []
        self.items = self.most_items = 0
        self.leaves = self.most_leaves = 0

    async def tree(self, width: int, depth: int) -> None:
        """A list of so many items, each with a list of its own, to this depth."""

        async def item(number: int) -> None:
            self.begun.append(number)
            self.items += 1
            self.most_items = max(self.most_items, self.items)
            await (self.tree(width, depth - 1) if depth > 1 else self.leaf())
            self.items -= 1

        await self.crew.each(range(width), item)

    async def leaf(self) -> None:
        self.leaves += 1
        self.most_leaves = max(self.most_leaves, self.leaves)
        for _ in range(3):
            await asyncio.sleep(0)
        self.leaves -= 1


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.mark.parametrize(("width", "depth"), [(3, 1), (20, 1), (6, 4), (2, 7)])
async def test_each_item_is_worked_on_once_and_never_more_than_the_crew_for_each_level(
    work: Work, width: int, depth: int
) -> None:
    await work.tree(width, depth)
    assert len(work.begun) == sum(width**level for level in range(1, depth + 1))
    assert work.most_leaves == min(SIZE, width**depth)
    assert work.most_items <= SIZE * depth
    await work.tree(width, depth)
    assert work.most_leaves == min(SIZE, width**depth)


async def test_items_are_begun_in_their_order(work: Work) -> None:
    await work.tree(20, 1)
    assert work.begun == list(range(20))


async def test_whoever_becomes_free_helps_where_there_is_work_left(work: Work) -> None:
    """One long list within the first of two items: it is not worked on by one alone."""

    async def item(number: int) -> None:
        await (work.tree(100, 1) if number == 0 else asyncio.sleep(0))

    await work.crew.each(range(2), item)
    assert work.most_leaves == SIZE


async def test_the_first_error_ends_everything_and_is_raised_as_it_is(work: Work) -> None:
    begun, ended = [], []

    async def item(number: int) -> None:
        if number == 2:
            raise ZeroDivisionError
        begun.append(number)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    async def parent(_: int) -> None:
        await work.crew.each(range(10), item)

    with pytest.raises(ZeroDivisionError):
        await work.crew.each(range(1), parent)
    assert begun[:2] == [0, 1]
    assert sorted(ended) == begun
    await work.tree(20, 1)
    assert work.most_leaves == SIZE


async def test_nothing_goes_on_once_it_is_cancelled(work: Work) -> None:
    running = asyncio.create_task(work.tree(20, 3))
    while not work.leaves:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    begun = len(work.begun)
    await asyncio.sleep(0)
    assert len(work.begun) == begun
