"""What ``Adapter.find`` and ``Adapter.list`` say that an event holds: is it still as we wrote it?"""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given

from providers.adapter import Adapter
from providers.contract import Content, Create, Event, Mailbox
from tests.contract.harness import INSTANCE, Control, at, create, lecture, put
from tests.contract.test_content import FULL, events
from tests.properties import examples

ALL_DAY = msgspec.structs.replace(
    FULL,
    all_day=True,
    start=at("2026-10-25T00:00", "Europe/Amsterdam"),
    end=at("2026-10-27T00:00", "Europe/Amsterdam"),
)


async def read(adapter: Adapter, mailbox: Mailbox, operation: Create) -> Content:
    """What the event of this create holds, by ``find``; ``list`` has to say the same."""
    (found,) = await adapter.find(mailbox, INSTANCE, [operation.marker.attempt])
    (listed,) = [
        event
        async for event in adapter.list(mailbox, INSTANCE)
        if event.marker.attempt == operation.marker.attempt
    ]
    assert listed == found
    return found.content


@pytest.mark.parametrize(
    "event",
    [
        lecture(),
        FULL,
        ALL_DAY,
        msgspec.structs.replace(ALL_DAY, end=ALL_DAY.start),
        lecture(time_zone="Antarctica/Troll"),
        lecture(
            start=at("2026-10-25T02:30*", "Europe/Amsterdam"), end=at("2026-10-25T03:00", "Europe/Amsterdam")
        ),
        lecture(title="", location="", categories=()),
        lecture(show_as="free", description="<b>not bold</b> &amp; \t  spaced\n\n\n- dash"),
        lecture(title="x" * 255, location="y" * 255),
        lecture(title="🐓" * 255, categories=("🐓" * 100,)),
        lecture(description="\n".join(f"{n}. a line of the programme" for n in range(500))),
    ],
    ids=[
        "plain",
        "full",
        "all day",
        "all day without an end",
        "zone",
        "twice",
        "empty",
        "markup",
        "long",
        "long, two units a character",
        "500 lines",
    ],
)
async def test_an_event_that_nobody_touched_is_as_we_wrote_it(
    adapter: Adapter, mailbox: Mailbox, control: Control, event: Event
) -> None:
    operation = create(event)
    await put(adapter, mailbox, operation)
    content = await read(adapter, mailbox, operation)
    assert content.holds(event), content
    assert content.start.utcoffset() == content.end.utcoffset() == timedelta(0)


@examples(30)
@given(event=events())
async def test_whatever_the_timetable_holds_is_read_back(
    adapter: Adapter, mailbox: Mailbox, control: Control, event: Event
) -> None:
    operation = create(event)
    (done,) = await put(adapter, mailbox, operation)
    (found,) = await adapter.find(mailbox, INSTANCE, [operation.marker.attempt])
    await control.person_deletes(mailbox.address, done.id)
    assert found.content.holds(event), found.content


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Mine"},
        {"start": "2026-11-23T07:00:00Z"},
        {"end": "2026-11-23T10:00:00Z"},
        {"location": "Elsewhere"},
        {"description": "Neem je boek mee"},
        {"description": ""},
        {"categories": ["Lecture", "Mine"]},
        {"categories": []},
        {"showAs": "free"},
        {"allDay": True, "start": "2026-11-23", "end": "2026-11-24"},
    ],
    ids=lambda change: "+".join(change),
)
async def test_an_event_that_the_person_changed_is_not_as_we_wrote_it(
    adapter: Adapter, mailbox: Mailbox, control: Control, change: dict[str, Any]
) -> None:
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(mailbox.address, done.id, **change)
    content = await read(adapter, mailbox, operation)
    assert not content.holds(FULL), content


async def test_an_all_day_event_that_the_person_moved_is_not_as_we_wrote_it(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(ALL_DAY)
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(mailbox.address, done.id, start="2026-10-26", end="2026-10-28")
    assert not (await read(adapter, mailbox, operation)).holds(ALL_DAY)


@pytest.mark.parametrize(
    "addition",
    [
        {"description": f"Naast Bob zitten.\n\n{FULL.body}"},
        {"description": f"{FULL.body}\n\nNaast Bob zitten."},
        {"categories": ["Mine", *FULL.categories]},
        {"reminderMinutes": 45},
    ],
    ids=["note before", "note after", "category", "reminder"],
)
async def test_what_the_person_adds_is_no_change(
    adapter: Adapter, mailbox: Mailbox, control: Control, addition: dict[str, Any]
) -> None:
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(mailbox.address, done.id, **addition)
    content = await read(adapter, mailbox, operation)
    assert content.holds(FULL), content


async def test_an_event_of_several_paragraphs_is_read_in_full(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """Searches of some providers cut texts short: here the change is at the very end."""
    event = lecture(description="A line of the programme.\n" * 400 + "The end")
    operation = create(event)
    (done,) = await put(adapter, mailbox, operation)
    assert (await read(adapter, mailbox, operation)).holds(event)
    await control.person_changes(mailbox.address, done.id, description=event.body[:-1])
    assert not (await read(adapter, mailbox, operation)).holds(event)


async def test_many_are_read_each_with_its_own_content(adapter: Adapter, mailbox: Mailbox) -> None:
    creates = {operation.marker.attempt: operation for operation in (create(lecture(n)) for n in range(25))}
    await put(adapter, mailbox, *creates.values())
    found = await adapter.find(mailbox, INSTANCE, list(creates))
    listed = [event async for event in adapter.list(mailbox, INSTANCE)]
    for events_read in (found, listed):
        assert {event.marker.attempt for event in events_read} == creates.keys()
        for event in events_read:
            assert event.content.holds(creates[event.marker.attempt].event)
