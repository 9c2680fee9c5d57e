"""What only the Google adapter promises of changes; the rest is in tests/contract."""

from typing import Any
from uuid import uuid4

import msgspec
import pytest

from providers.adapter import Adapter
from providers.contract import Changes, Delete, Gone, ProviderError, StartOver, Unknown
from providers.sandbox.google import dialect
from tests.sandbox.google import INSTANCE, TYPE, create, lecture

LISTING = "providers.sandbox.google.listing.list_events"


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr("providers.googlecalendar.changes.LARGEST_PAGE", 2)


async def read(adapter: Adapter, mailbox: Any, since: str | None = None) -> list[Changes]:
    return [page async for page in adapter.changes(mailbox, INSTANCE, since)]


async def put(adapter: Adapter, mailbox: Any, count: int) -> list[str]:
    """The ids of new events of ours."""
    creates = [create(lecture(number)) for number in range(count)]
    for start in range(0, count, adapter.batch):
        await adapter.apply(mailbox, creates[start : start + adapter.batch])
    return [operation.marker.attempt.hex for operation in creates]


def attempts(events: Any) -> list[tuple[str, str]]:
    """Each event's id, and that of its original."""
    return [(event.id, event.marker.attempt.hex) for event in events]


async def test_a_thousand_events_are_one_request_and_a_change_is_another(sandbox, adapter, mailbox):
    sandbox.state.quotas = False
    ids = await put(adapter, mailbox, 1000)
    sandbox.state.stats.reset()
    (page,) = await read(adapter, mailbox)
    assert sorted(event.id for event in page.events) == sorted(ids)
    assert sum(sandbox.state.stats.requests.values()) == 1
    await adapter.apply(mailbox, [Delete(id=ids[7], version=None)])
    sandbox.state.stats.reset()
    assert [(page.events, page.removed) for page in await read(adapter, mailbox, page.state)] == [
        ((), (ids[7],))
    ]
    assert sum(sandbox.state.stats.requests.values()) == 1


async def test_the_list_of_a_thousand_events_is_one_request(sandbox, adapter, mailbox):
    sandbox.state.quotas = False
    await put(adapter, mailbox, 1000)
    sandbox.state.stats.reset()
    assert len([event async for event in adapter.list(mailbox, INSTANCE)]) == 1000
    assert sum(sandbox.state.stats.requests.values()) == 1


async def test_copies_come_after_their_originals_over_all_pages(
    stored, adapter, mailbox, small_pages, monkeypatch
):
    """Google does not say in which order it lists events."""
    ids = await put(adapter, mailbox, 3)
    copies = [dialect().copy(stored, stored.events[id])["id"] for id in ids]
    stored.events = dict(reversed(stored.events.items()))
    pages = await read(adapter, mailbox)
    assert len(pages) == 3
    told = attempts(event for page in pages for event in page.events)
    assert told == [(id, id) for id in reversed(ids)] + list(zip(copies, ids, strict=True))[::-1]


async def test_a_copy_that_is_told_of_twice_is_as_told_last(stored, adapter, mailbox, monkeypatch):
    """It waits for its original, and is deleted while the pages are read."""
    (page,) = await read(adapter, mailbox)
    (id,) = await put(adapter, mailbox, 1)
    copy = dialect().copy(stored, stored.events[id])
    pages = [
        {"items": [copy], "nextPageToken": "more"},
        {"items": [stored.events[id], {"id": copy["id"], "status": "cancelled"}], "nextSyncToken": "next"},
    ]
    monkeypatch.setattr(LISTING, lambda *_: pages.pop(0))
    first, last = await read(adapter, mailbox, page.state)
    assert (first.events, first.removed) == ((), ())
    assert (attempts(last.events), last.removed) == ([(id, id)], (copy["id"],))


async def test_an_event_that_lost_its_marker_is_there_no_more(stored, adapter, mailbox):
    (id,) = await put(adapter, mailbox, 1)
    (page,) = await read(adapter, mailbox)
    del stored.events[id]["extendedProperties"]
    dialect().change(stored, stored.events[id], {"title": "Mine"})
    (page,) = await read(adapter, mailbox, page.state)
    assert (page.events, page.removed) == ((), (id,))


@pytest.mark.parametrize(
    "state",
    [
        "",
        "CPDAlvWDx70CEPDAlvWDx70CGAU=",
        '[0,"primary","c2VyaWFsIDA="]',
        '[1,"primary"]',
        '[1,"primary","made up"]',
        '[1,"c_1@group.calendar.google.com","c2VyaWFsIDA="]',
    ],
)
async def test_a_state_that_is_none_means_to_start_over(adapter, mailbox, state):
    with pytest.raises(StartOver):
        await read(adapter, mailbox, state)


async def test_a_state_is_good_for_its_calendar_alone(adapter, mailbox):
    (page,) = await read(adapter, mailbox)
    made = await adapter.make_calendar(mailbox, INSTANCE, "Timetable")
    with pytest.raises(StartOver):
        await read(adapter, msgspec.structs.replace(mailbox, calendar=made.id), page.state)


@pytest.mark.parametrize("fault", [{"fault": "expired_state"}, {"fault": "gone", "status": 410}])
async def test_a_token_that_expires_between_two_pages_means_to_start_over(
    control, adapter, mailbox, small_pages, fault
):
    (page,) = await read(adapter, mailbox)
    await put(adapter, mailbox, 3)
    reading = adapter.changes(mailbox, INSTANCE, page.state)
    await anext(reading)
    await control.fault(type=TYPE, operation="read", **fault)
    with pytest.raises(StartOver):
        await anext(reading)


async def test_without_a_token_there_is_nothing_to_start_over_from(control, adapter, mailbox):
    """The caller would read in vain, over and over."""
    await control.fault(type=TYPE, operation="read", fault="gone", status=400, reason="badRequest")
    with pytest.raises(ProviderError):
        await read(adapter, mailbox)


async def test_a_last_page_without_a_token_is_no_answer(adapter, mailbox, monkeypatch):
    monkeypatch.setattr(LISTING, lambda *_: {"items": []})
    with pytest.raises(ProviderError) as caught:
        await read(adapter, mailbox)
    assert isinstance(caught.value.outcome, Unknown)


@pytest.mark.parametrize("nth", [1, 2])
async def test_a_cut_page_is_no_answer(control, adapter, mailbox, small_pages, nth):
    await put(adapter, mailbox, 3)
    await control.fault(type=TYPE, operation="read", fault="partial", nth=nth)
    with pytest.raises(ProviderError) as caught:
        await read(adapter, mailbox)
    assert isinstance(caught.value.outcome, Unknown)


async def test_a_calendar_that_is_gone_is_gone_and_no_reason_to_start_over(sandbox, adapter, mailbox):
    made = await adapter.make_calendar(mailbox, INSTANCE, "Timetable")
    there = msgspec.structs.replace(mailbox, calendar=made.id)
    (page,) = await read(adapter, there)
    assert await adapter.remove_calendar(there, INSTANCE) is True
    for since in (None, page.state):
        with pytest.raises(ProviderError) as caught:
            await read(adapter, there, since)
        assert isinstance(caught.value.outcome, Gone)
        assert caught.value.outcome.what == "calendar"


async def test_events_of_others_are_passed_over(sandbox, control, adapter, mailbox):
    marker = msgspec.structs.replace(create(lecture()).marker, instance="other.example", attempt=uuid4())
    state = (await read(adapter, mailbox))[-1].state
    await adapter.apply(mailbox, [msgspec.structs.replace(create(lecture()), marker=marker)])
    own = await control.add(
        TYPE, mailbox.address, title="Dentist", start="2026-12-01T08:00:00Z", end="2026-12-01T09:00:00Z"
    )
    (page,) = await read(adapter, mailbox, state)
    assert page.events == ()
    assert set(page.removed) == {marker.attempt.hex, own["id"]}
    (page,) = await read(adapter, mailbox)
    assert (page.events, page.removed) == ((), ())
