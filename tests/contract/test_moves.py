"""Moving events to another calendar: all that is in them goes along, and they are never nowhere."""

from typing import Any
from uuid import uuid4

import msgspec
import pytest

from providers.adapter import Adapter
from providers.contract import Create, Done, Gone, Mailbox, Move, Outcome, Refused, Throttled, Unknown
from providers.sandbox.server import Sandbox
from providers.texts import plain
from tests.contract.following import Followed
from tests.contract.harness import (
    INSTANCE,
    Control,
    all_done,
    at,
    create,
    delete,
    lecture,
    put,
    seen,
    shown,
    update,
    within,
)

NOTES = "Sit with Bob."


async def another(adapter: Adapter, mailbox: Mailbox, name: str = "Timetable") -> str:
    """Another calendar of ours; its id."""
    return (await adapter.make_calendar(mailbox, INSTANCE, name)).id


def move(adapter: Adapter, done: Done, created: Create, calendar: str | None) -> Move:
    """The move of what was created; a copy has an attempt of its own."""
    attempt = uuid4() if adapter.moves_by_copying else created.marker.attempt
    marker = msgspec.structs.replace(created.marker, attempt=attempt)
    return Move(id=done.id, calendar=calendar, marker=marker, time_zone=created.event.time_zone)


async def moved(adapter: Adapter, mailbox: Mailbox, *moves: Move) -> list[Done]:
    return all_done(await adapter.apply(mailbox, moves))


@pytest.mark.parametrize(
    "event",
    [
        lecture(description="Bring a book.", location="Zaal 2.01", categories=("Lecture",), show_as="free"),
        lecture(
            start=at("2026-11-23T00:00", "Europe/Amsterdam"),
            end=at("2026-11-25T00:00", "Europe/Amsterdam"),
            all_day=True,
        ),
        lecture(
            start=at("2026-10-25T02:30*", "Europe/Amsterdam"), end=at("2026-10-25T04:00", "Europe/Amsterdam")
        ),
        lecture(time_zone="Asia/Kathmandu", privacy="private", reminder=30),
        lecture(reminder="none", status="tentative", url="https://uni.example/algebra"),
    ],
    ids=["all fields", "all day", "as clocks go back", "private", "no reminder"],
)
async def test_an_event_is_the_same_in_the_other_calendar(
    adapter: Adapter, mailbox: Mailbox, control: Control, event: Any
) -> None:
    calendar, operation = await another(adapter, mailbox), create(event)
    (done,) = await put(adapter, mailbox, operation)
    before = await control.event(mailbox.address)
    wanted = move(adapter, done, operation, calendar)
    (there,) = await moved(adapter, mailbox, wanted)
    after = await control.event(mailbox.address)
    assert (after["id"], after["calendar"]) == (there.id, calendar)
    assert seen(after) == seen(before) == shown(event)
    assert (after["timeZone"], after["privacy"]) == (before["timeZone"], before["privacy"])
    if event.reminder is not None:  # Else it is the default one, which Google has for each calendar.
        assert after["reminderMinutes"] == before["reminderMinutes"]
    assert after["marker"] == before["marker"] | {"attempt": wanted.marker.attempt.hex}
    assert there.version is None


async def test_what_the_person_added_goes_along(adapter: Adapter, mailbox: Mailbox, control: Control) -> None:
    calendar = await another(adapter, mailbox)
    operation = create(lecture(description="Bring a book.", categories=("Lecture",)))
    (done,) = await put(adapter, mailbox, operation)
    theirs = {
        "description": f"Bring a book.\n{NOTES}",
        "categories": ["Lecture", "Mine"],
        "reminderMinutes": 5,
    }
    await control.person_changes(mailbox.address, done.id, **theirs, title="My title")
    before = await control.event(mailbox.address)
    wanted = move(adapter, done, operation, calendar)
    (there,) = await moved(adapter, mailbox, wanted)
    after = await control.event(mailbox.address)
    for event in (before, after):
        event["description"] = plain(event["description"])
        for name in ("id", "version", "calendar", "marker"):
            del event[name]
    assert after == before
    # And stays, when the timetable changes it there.
    held = Create(event=operation.event, marker=wanted.marker)
    all_done(
        await adapter.apply(
            within(mailbox, calendar),
            [update(there, held, lecture(description="Bring two books.", categories=("Seminar",)))],
        )
    )
    event = await control.event(mailbox.address)
    assert NOTES in event["description"]
    assert "Bring two books." in event["description"]
    assert set(event["categories"]) == {"Seminar", "Mine"}
    assert event["reminderMinutes"] == 5


async def test_it_is_found_there_and_here_no_more(adapter: Adapter, mailbox: Mailbox) -> None:
    calendar, operation = await another(adapter, mailbox), create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    wanted = move(adapter, done, operation, calendar)
    (there,) = await moved(adapter, mailbox, wanted)
    attempts = [operation.marker.attempt, wanted.marker.attempt]
    assert await adapter.find(mailbox, INSTANCE, attempts) == []
    (found,) = await adapter.find(within(mailbox, calendar), INSTANCE, attempts)
    assert (found.id, found.marker) == (there.id, wanted.marker)


async def test_there_and_back_again(adapter: Adapter, mailbox: Mailbox, control: Control) -> None:
    calendar, operation = await another(adapter, mailbox), create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    for _ in range(2):
        (done,) = await moved(adapter, mailbox, move(adapter, done, operation, calendar))
        (done,) = await moved(adapter, within(mailbox, calendar), move(adapter, done, operation, None))
    event = await control.event(mailbox.address)
    assert (event["id"], event["calendar"], seen(event)) == (done.id, None, shown(operation.event))


async def test_what_went_and_came_back_between_two_readings_is_there(
    adapter: Adapter, mailbox: Mailbox
) -> None:
    calendar, operation = await another(adapter, mailbox), create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    places = [Followed(adapter, place) for place in (mailbox, within(mailbox, calendar))]
    for place in places:
        await place.ask()
    for _ in range(2):
        (done,) = await moved(adapter, mailbox, move(adapter, done, operation, calendar))
        (done,) = await moved(adapter, within(mailbox, calendar), move(adapter, done, operation, None))
    for place in places:
        await place.ask()
    assert [list(place.events) for place in places] == [[done.id], []]


async def test_many_go_to_several_calendars_among_other_operations(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    calendars = [await another(adapter, mailbox, name) for name in ("Lectures", "Exams")]
    creates = [create(lecture(n)) for n in range(8)]
    done = await put(adapter, mailbox, *creates)
    operations = [
        *(move(adapter, done[n], creates[n], calendars[n % 2]) for n in range(6)),
        update(done[6], creates[6], lecture(6, location="B")),
        delete(done[7]),
        create(lecture(9)),
    ]
    all_done(await adapter.apply(mailbox, operations))
    places = {event["title"]: event["calendar"] for event in await control.events(mailbox.address)}
    assert places == {
        **{f"Algebra {n}": calendars[n % 2] for n in range(6)},
        "Algebra 6": None,
        "Algebra 9": None,
    }


async def test_copies_of_the_persons_stay_where_they_are(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    calendar, operation = await another(adapter, mailbox), create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    copy = await control.person_copies(mailbox.address, done.id)
    (there,) = await moved(adapter, mailbox, move(adapter, done, operation, calendar))
    events = {event["id"]: event for event in await control.events(mailbox.address)}
    assert events.keys() == {there.id, copy["id"]}
    assert {k: events[copy["id"]][k] for k in copy} == copy


async def test_a_copy_of_the_persons_is_not_taken_for_the_event_that_comes_back(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """Where a move was not answered, what is found first under its attempt is the event: it is older."""
    calendar, operation = await another(adapter, mailbox), create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    copy = await control.person_copies(mailbox.address, done.id)
    (there,) = await moved(adapter, mailbox, move(adapter, done, operation, calendar))
    back = move(adapter, there, operation, None)
    (here,) = await moved(adapter, within(mailbox, calendar), back)
    found = [event.id for event in await adapter.find(mailbox, INSTANCE, [back.marker.attempt])]
    assert found[0] == here.id != copy["id"]


@pytest.mark.parametrize("count", [1, 3])
async def test_an_event_that_is_not_there_is_gone(
    adapter: Adapter, mailbox: Mailbox, control: Control, count: int
) -> None:
    """The person has deleted it, or it was moved before."""
    calendar = await another(adapter, mailbox)
    creates = [create(lecture(n)) for n in range(2 * count)]
    done = await put(adapter, mailbox, *creates)
    for one in done[:count]:
        await control.person_deletes(mailbox.address, one.id)
    moves = [move(adapter, d, c, calendar) for d, c in zip(done, creates, strict=True)]
    await moved(adapter, mailbox, *moves[count:])
    outcomes = await adapter.apply(mailbox, moves)
    assert [outcome.what for outcome in outcomes if isinstance(outcome, Gone)] == ["event"] * 2 * count
    assert len(await control.events(mailbox.address)) == count


@pytest.mark.parametrize("count", [1, 3])
async def test_without_the_other_calendar_it_stays(
    adapter: Adapter, mailbox: Mailbox, control: Control, count: int
) -> None:
    calendar = await another(adapter, mailbox)
    creates = [create(lecture(n)) for n in range(count + 1)]
    done = await put(adapter, mailbox, *creates)
    await control.person_deletes_calendar(mailbox.address, calendar)
    moves = [move(adapter, d, c, calendar) for d, c in zip(done[1:], creates[1:], strict=True)]
    for outcome in await adapter.apply(mailbox, moves):
        assert isinstance(outcome, Gone), outcome
        assert outcome.what == "calendar"
    assert {event["calendar"] for event in await control.events(mailbox.address)} == {None}
    assert len(await control.events(mailbox.address)) == count + 1


async def test_what_is_gone_with_its_calendar_is_gone(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    calendar, operation = await another(adapter, mailbox), create(lecture())
    there = within(mailbox, calendar)
    (done,) = await put(adapter, there, operation)
    await control.person_deletes_calendar(mailbox.address, calendar)
    (outcome,) = await adapter.apply(there, [move(adapter, done, operation, None)])
    assert isinstance(outcome, Gone)
    assert outcome.what == "event"
    assert await control.events(mailbox.address) == []


# What goes wrong

WRITES = {"ews": ["move"], "o365": ["create", "delete"], "googlecalendar": ["update"]}
"""What a move is made of, in the sandbox's words."""

FAULTS = ("throttle", "unavailable", "commit_then_503", "commit_then_drop", "partial", "truncated", "deny")


async def truth(control: Control, mailbox: Mailbox, moves: list[Move]) -> list[str]:
    """Where each event is: "here", "there", or "both"."""
    told = []
    events = await control.events(mailbox.address)
    for one in moves:
        copies = [e["marker"]["event"] == one.marker.event and e["calendar"] == one.calendar for e in events]
        here = [e["marker"]["event"] == one.marker.event and e["calendar"] is None for e in events]
        assert any(copies) or any(here), "the event is nowhere"
        told.append("both" if any(copies) and any(here) else "there" if any(copies) else "here")
    return told


def no_lie(outcome: Outcome, where: str) -> None:
    if isinstance(outcome, Done):
        assert where == "there"
    elif not isinstance(outcome, Unknown):
        assert where == "here", outcome


@pytest.mark.parametrize("count", [1, 5], ids=["alone", "in a batch"])
@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_is_said_that_is_not_so_and_nothing_is_lost(
    adapter: Adapter, mailbox: Mailbox, control: Control, fault: str, nth: int, count: int
) -> None:
    calendar = await another(adapter, mailbox)
    for start, operation in enumerate(WRITES[adapter.type]):
        creates = [create(lecture(count * start + n)) for n in range(count)]
        done = await put(adapter, mailbox, *creates)
        await control.forget()
        moves = [move(adapter, d, c, calendar) for d, c in zip(done, creates, strict=True)]
        await control.fault(fault, operation=operation, nth=nth, retryAfter=30)
        outcomes = await adapter.apply(mailbox, moves)
        for outcome, where in zip(outcomes, await truth(control, mailbox, moves), strict=True):
            no_lie(outcome, where)
        await control.forget()
        # What came of those that are unknown can be found out.
        for one, outcome, where in zip(moves, outcomes, await truth(control, mailbox, moves), strict=True):
            if isinstance(outcome, Unknown):
                found = await adapter.find(within(mailbox, calendar), INSTANCE, [one.marker.attempt])
                assert bool(found) == (where != "here")


@pytest.mark.parametrize("nth", [1, 2])
async def test_it_is_never_nowhere_if_the_permit_is_withdrawn(
    adapter: Adapter, mailbox: Mailbox, control: Control, nth: int
) -> None:
    calendar = await another(adapter, mailbox)
    creates = [create(lecture(n)) for n in range(3)]
    done = await put(adapter, mailbox, *creates)
    moves = [move(adapter, d, c, calendar) for d, c in zip(done, creates, strict=True)]
    asked = 0

    def permit() -> None:
        nonlocal asked
        asked += 1
        if asked == nth:
            raise InterruptedError

    writes = len(WRITES[adapter.type])
    if nth > writes:
        await adapter.apply(mailbox, moves, permit)
        assert asked == writes
        return
    with pytest.raises(InterruptedError):
        await adapter.apply(mailbox, moves, permit)
    assert await truth(control, mailbox, moves) == ["here" if nth == 1 else "both"] * 3


# Microsoft Graph, which can only copy


@pytest.mark.parametrize("type", ["o365"], indirect=True)
@pytest.mark.parametrize(
    "fields",
    [
        {"attendees": [{"emailAddress": {"address": "bob@uni.example"}, "type": "required"}]},
        {"isOnlineMeeting": True},
        {"hasAttachments": True},
        {"body": {"contentType": "html", "content": '<p>See <img src="cid:picture"></p>'}},
        {
            "recurrence": {
                "pattern": {"type": "daily", "interval": 1},
                "range": {"type": "numbered", "startDate": "2026-11-23", "numberOfOccurrences": 3},
            }
        },
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_what_a_copy_cannot_take_along_stays(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control, fields: dict[str, Any]
) -> None:
    calendar, creates = await another(adapter, mailbox), [create(lecture(n)) for n in range(2)]
    done = await put(adapter, mailbox, *creates)
    held = sandbox.state.mailbox("o365", mailbox.address)
    assert held is not None
    held.events[done[0].id] |= fields
    moves = [move(adapter, d, c, calendar) for d, c in zip(done, creates, strict=True)]
    refused, other = await adapter.apply(mailbox, moves)
    assert isinstance(refused, Refused)
    assert (refused.scope, refused.permanent, refused.code) == ("event", True, "not_to_be_copied")
    assert isinstance(other, Done)
    assert await truth(control, mailbox, moves) == ["here", "there"]


@pytest.mark.parametrize("type", ["o365"], indirect=True)
async def test_a_text_keeps_its_format(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    calendar, operation = await another(adapter, mailbox), create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    held = sandbox.state.mailbox("o365", mailbox.address)
    assert held is not None
    body = {"contentType": "html", "content": "<html><body><p>Bring <b>a book</b>.</p></body></html>"}
    held.events[done.id]["body"] = body
    (there,) = await moved(adapter, mailbox, move(adapter, done, operation, calendar))
    assert held.events[there.id]["body"] == body


@pytest.mark.parametrize("type", ["o365"], indirect=True)
async def test_half_a_move_tells_how_long_to_wait(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    calendar, creates = await another(adapter, mailbox), [create(lecture(n)) for n in range(2)]
    done = await put(adapter, mailbox, *creates)
    moves = [move(adapter, d, c, calendar) for d, c in zip(done, creates, strict=True)]
    await control.fault("throttle", operation="delete", retryAfter=30)
    outcomes = await adapter.apply(mailbox, moves)
    assert await truth(control, mailbox, moves) == ["both"] * 2
    assert all(isinstance(one, Unknown) and isinstance(one.wait, Throttled) for one in outcomes)
