"""Change tracking of Microsoft 365 and its window, beyond which Graph tells everything as removed."""

from typing import Any

import pytest

from providers.adapter import Adapter
from providers.contract import Changes, Mailbox
from tests.contract.harness import INSTANCE, Control, at, create, lecture, put

pytestmark = pytest.mark.parametrize("type", ["o365"])

LONG_AGO: dict[str, Any] = {
    "start": at("2016-05-04T09:00", "Europe/Amsterdam"),
    "end": at("2016-05-04T10:00", "Europe/Amsterdam"),
}


async def ask(adapter: Adapter, mailbox: Mailbox, state: str | None) -> Changes:
    (told,) = [page async for page in adapter.changes(mailbox, INSTANCE, state)]
    return told


@pytest.mark.parametrize("count", [1, 30])
async def test_events_outside_the_window_are_followed_too(
    adapter: Adapter, mailbox: Mailbox, control: Control, count: int
) -> None:
    creates = [create(lecture(n, **LONG_AGO)) for n in range(count)]
    done = {each.id for each in await put(adapter, mailbox, *creates)}
    told = await ask(adapter, mailbox, None)
    assert {event.id for event in told.events} == done
    for id in done:
        await control.person_changes(mailbox.address, id, title="Mine")
    told = await ask(adapter, mailbox, told.state)
    assert {(event.id, event.content.title) for event in told.events} == {(id, "Mine") for id in done}
    assert told.removed == ()
    for id in done:
        await control.person_deletes(mailbox.address, id)
    told = await ask(adapter, mailbox, told.state)
    assert (told.events, set(told.removed)) == ((), done)


async def test_an_event_outside_the_window_that_is_moved_to_another_calendar_is_removed(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    (done,) = await put(adapter, mailbox, create(lecture(**LONG_AGO)))
    told = await ask(adapter, mailbox, None)
    theirs = await control.person_makes_calendar(mailbox.address, "Archive")
    await control.person_changes(mailbox.address, done.id, calendar=theirs["id"])
    told = await ask(adapter, mailbox, told.state)
    assert (told.events, told.removed) == ((), (done.id,))


@pytest.mark.parametrize(
    ("changes", "requests"), [(0, 1), (1, 2), (4, 2), (5, 2), (300, 2)], ids=lambda value: str(value)
)
async def test_how_many_requests_changes_take(
    adapter: Adapter, mailbox: Mailbox, control: Control, changes: int, requests: int
) -> None:
    done = await put(adapter, mailbox, *(create(lecture(n)) for n in range(300)))
    await control.forget()
    told = await ask(adapter, mailbox, None)
    assert await control.requests() == 2
    for each in done[:changes]:
        await control.person_changes(mailbox.address, each.id, title="Mine")
    await control.forget()
    told = await ask(adapter, mailbox, told.state)
    assert len(told.events) == changes
    assert await control.requests() == requests
