"""Find and list by EWS: page by page, complete, and each event with what it holds."""

from collections.abc import Callable
from uuid import UUID

import pytest
from lxml import etree

from providers.contract import ProviderError, Refused, RemoteEvent, Throttled, Unknown
from providers.ews.adapter import EwsAdapter
from providers.ews.reading import read_item
from providers.ews.session import NoAnswer
from tests.unit.providers.ews_server import (
    ALICE,
    M,
    T,
    envelope,
    error,
    event,
    fault,
    found,
    get_any,
    got,
    held,
    marker,
    page,
    response,
    scripted,
    success,
)


def remote(id: str, number: int) -> RemoteEvent:
    content = read_item(etree.fromstring(envelope(held(id, event(number), marker(number))))[0][0]).content
    return RemoteEvent(id=id, version=f"ck-{id}", marker=marker(number), content=content)


async def test_find_gives_copies_too_and_nothing_that_exchange_merely_thinks_alike():
    other = marker(1, instance="UNI.example")
    items = [found("a", marker(1)), found("copy", marker(1)), found("b", other), found("c", None)]
    async with scripted(page(items, total=4, next_offset=4, last=True), get_any) as (adapter, endpoint):
        events = await adapter.find(ALICE, "uni.example", [UUID(int=1)])

    assert events == [remote("a", 1), remote("copy", 1)]
    (constant,) = endpoint.requests[0].iter(f"{T}Constant")
    assert constant.get("Value") == UUID(int=1).hex


async def test_find_of_many_attempts_asks_in_portions():
    empty = page([], total=0, next_offset=0, last=True)
    async with scripted(empty, empty, empty) as (adapter, endpoint):
        assert await adapter.find(ALICE, "uni.example", [UUID(int=i) for i in range(120)]) == []

    assert [len(request.findall(f".//{T}Constant")) for request in endpoint.requests] == [50, 50, 20]


async def test_find_of_nothing_asks_nothing():
    async with scripted() as (adapter, _):
        assert await adapter.find(ALICE, "uni.example", []) == []


async def test_a_find_that_fails_on_a_later_page_is_no_answer():
    first = page([found("a", marker(1))], total=2, next_offset=1, last=False)
    async with scripted(first, fault("ErrorServerBusy")) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await adapter.find(ALICE, "uni.example", [UUID(int=1)])

    assert isinstance(caught.value.outcome, Throttled)


def paged(*pages: tuple[list[int], int]) -> Callable[[etree._Element], bytes]:
    """A calendar of which the next request sees the next state: (numbers that are there, page size)."""
    states = iter(pages)

    def answer(request: etree._Element) -> bytes:
        numbers, size = next(states)
        offset = int(request.find(f"{M}IndexedPageItemView").get("Offset"))
        shown = numbers[offset : offset + size]
        return page(
            [found(f"id-{number}", marker(number)) for number in shown],
            total=len(numbers),
            next_offset=offset + len(shown),
            last=offset + size >= len(numbers),
        )

    return answer


async def listed(adapter: EwsAdapter) -> list[int]:
    return [int(one.id.removeprefix("id-")) async for one in adapter.list(ALICE, "uni.example")]


async def test_list_goes_page_by_page():
    calendar = list(range(1, 6))
    answer = paged((calendar, 2), (calendar, 2), (calendar, 2))
    async with scripted(answer, answer, answer, get_any) as (adapter, endpoint):
        assert await listed(adapter) == [1, 2, 3, 4, 5]

    views = [request.find(f"{M}IndexedPageItemView") for request in endpoint.requests[:3]]
    assert [view.get("Offset") for view in views] == ["0", "2", "4"]
    assert {view.get("MaxEntriesReturned") for view in views} == {"250"}


async def test_list_reads_what_two_pages_found_in_one_request():
    calendar = list(range(1_000))
    answer = paged(*[(calendar, 250)] * 4)
    async with scripted(*[answer, answer, get_any] * 2) as (adapter, _):
        assert await listed(adapter) == calendar


async def test_list_misses_nothing_when_events_vanish_between_the_pages():
    # 1 goes after the first page, so that 3 slips to where the list has been already.
    before, after = [1, 2, 3, 4, 5], [2, 3, 4, 5]
    answer = paged((before, 2), (after, 2), (after, 2), (after, 2))
    async with scripted(answer, answer, get_any, answer, answer, get_any) as (adapter, _):
        assert sorted(await listed(adapter)) == [1, 2, 3, 4, 5]


async def test_list_of_a_calendar_that_never_holds_still_is_no_answer():
    def restless(request: etree._Element) -> bytes:
        return page([found("id-1", marker(1))], total=2, next_offset=1, last=True)

    async with scripted(restless, get_any, *[restless] * 19) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await listed(adapter)

    assert isinstance(caught.value.outcome, Unknown)


async def test_list_ends_where_the_offset_does_not_move():
    stuck = page([found("id-1", marker(1))], total=1, next_offset=0, last=False)
    async with scripted(stuck, get_any) as (adapter, _):
        assert await listed(adapter) == [1]


def two_on_a_page(request: etree._Element) -> bytes:
    return page([found("id-1", marker(1)), found("id-2", marker(2))], total=2, next_offset=2, last=True)


async def test_an_event_that_vanishes_while_it_is_read_is_looked_for_once_more():
    one = page([found("id-1", marker(1))], total=1, next_offset=1, last=True)
    half = got(held("id-1", event(1), marker(1)), error("ErrorItemNotFound"))
    async with scripted(two_on_a_page, half, one) as (adapter, _):
        assert await listed(adapter) == [1]


async def test_events_that_may_not_be_read_any_more_are_no_empty_calendar():
    gone = got(error("ErrorItemNotFound"), error("ErrorItemNotFound"))
    async with scripted(two_on_a_page, gone, response("FindItem", error("ErrorAccessDenied"))) as (
        adapter,
        _,
    ):
        with pytest.raises(ProviderError) as caught:
            await listed(adapter)

    assert isinstance(caught.value.outcome, Refused)


@pytest.mark.parametrize(
    "answer",
    [
        got(held("id-1", event(1), marker(1)), error("ErrorServerBusy")),
        response("GetItem", success("id-1"), success("id-2")),
        NoAnswer("dropped"),
    ],
)
async def test_a_page_of_which_not_all_can_be_read_is_no_answer(answer: bytes | Exception):
    async with scripted(two_on_a_page, answer) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await listed(adapter)

    assert isinstance(caught.value.outcome, Throttled | Unknown)
