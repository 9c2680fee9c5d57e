"""Calendars besides the default one: listed, made, known again as ours, filled, and removed when empty."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from providers.adapter import Adapter
from providers.contract import (
    Calendar,
    Done,
    Gone,
    Mailbox,
    ProviderError,
    Refused,
    RemoteEvent,
    Throttled,
    Unknown,
)
from tests.contract.harness import (
    INSTANCE,
    Control,
    all_done,
    create,
    delete,
    lecture,
    put,
    seen,
    shown,
    update,
    within,
)

NAME = "Timetable"
OTHER_INSTANCE = "other.example"


class Withdrawn(Exception):
    """What a permit raises."""


def refuse() -> None:
    """The permit that is never given."""
    raise Withdrawn


async def secondary(adapter: Adapter, mailbox: Mailbox, instance: str = INSTANCE) -> list[Calendar]:
    """The calendars besides the default one, as the adapter lists them."""
    default, *others = await adapter.calendars(mailbox, instance)
    assert default.is_default
    return others


async def names(control: Control, mailbox: Mailbox) -> list[str]:
    """What the person sees their calendars called, the default one aside."""
    return [calendar["name"] for calendar in await control.calendars(mailbox.address) if calendar["id"]]


async def listed(adapter: Adapter, mailbox: Mailbox) -> list[RemoteEvent]:
    return [event async for event in adapter.list(mailbox, INSTANCE)]


async def test_a_mailbox_has_a_default_calendar_that_nobody_made(adapter: Adapter, mailbox: Mailbox) -> None:
    (default,) = await adapter.calendars(mailbox, INSTANCE)
    assert (default.is_default, default.ours) == (True, False)
    assert default.id
    assert default.name


async def test_the_default_calendar_can_be_meant_by_its_id(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    (default,) = await adapter.calendars(mailbox, INSTANCE)
    operation = create(lecture())
    (done,) = await put(adapter, within(mailbox, default), operation)
    assert (await control.event(mailbox.address))["calendar"] is None
    assert [event.id for event in await listed(adapter, mailbox)] == [done.id]
    assert [event.id for event in await listed(adapter, within(mailbox, default))] == [done.id]


async def test_the_persons_own_calendars_are_listed_and_not_ours(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    made = [await control.person_makes_calendar(mailbox.address, name) for name in ("Sport", NAME)]
    assert {calendar.id: calendar for calendar in await secondary(adapter, mailbox)} == {
        one["id"]: Calendar(id=one["id"], name=one["name"], is_default=False, ours=False) for one in made
    }


async def test_the_calendar_that_we_made_is_there_and_ours(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    made = await adapter.make_calendar(mailbox, INSTANCE, NAME)
    assert made == Calendar(id=made.id, name=NAME, is_default=False, ours=True)
    assert await secondary(adapter, mailbox) == [made]
    (_, there) = await control.calendars(mailbox.address)
    assert there == {"id": made.id, "name": NAME, "isDefault": False, "events": 0}


@pytest.mark.parametrize("name", ["Lesrooster '26/'27 (voorlopig) & <meer>", "時間割 é", 'a "b": {c}'])
async def test_any_name_is_known_again(
    adapter: Adapter, mailbox: Mailbox, control: Control, name: str
) -> None:
    made = await adapter.make_calendar(mailbox, INSTANCE, name)
    assert await names(control, mailbox) == [name]
    assert await secondary(adapter, mailbox) == [made]
    assert made.name == name


async def test_a_calendar_that_another_instance_made_is_not_ours(adapter: Adapter, mailbox: Mailbox) -> None:
    made = await adapter.make_calendar(mailbox, OTHER_INSTANCE, NAME)
    assert await secondary(adapter, mailbox) == [msgspec.structs.replace(made, ours=False)]
    assert await secondary(adapter, mailbox, OTHER_INSTANCE) == [made]


async def test_a_calendar_of_ours_is_known_by_the_name_it_was_made_with(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    made = await adapter.make_calendar(mailbox, INSTANCE, NAME)
    await control.person_renames_calendar(mailbox.address, made.id, "Lectures")
    assert await names(control, mailbox) == ["Lectures"]
    assert await secondary(adapter, mailbox) == [made]


async def test_a_calendar_of_the_persons_with_that_name_is_left_alone(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    theirs = await control.person_makes_calendar(mailbox.address, NAME)
    made = await adapter.make_calendar(mailbox, INSTANCE, NAME)
    assert made.id != theirs["id"]
    assert made.name == NAME
    assert {calendar.id: calendar.ours for calendar in await secondary(adapter, mailbox)} == {
        theirs["id"]: False,
        made.id: True,
    }
    assert theirs in await control.calendars(mailbox.address)


async def test_two_calendars_of_ours_have_two_names(adapter: Adapter, mailbox: Mailbox) -> None:
    made = [await adapter.make_calendar(mailbox, INSTANCE, name) for name in ("Lectures", "Exams")]
    assert sorted(await secondary(adapter, mailbox), key=lambda one: one.name) == made[::-1]


# Events in them


async def test_an_event_lives_its_life_in_the_calendar_that_is_meant(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    calendar = await adapter.make_calendar(mailbox, INSTANCE, NAME)
    there = within(mailbox, calendar)
    operations = [create(lecture(n)) for n in range(3)]
    done = await put(adapter, there, *operations)
    assert {event["calendar"] for event in await control.events(mailbox.address)} == {calendar.id}
    moved = lecture(0, location="Zaal 2.01")
    all_done(await adapter.apply(there, [update(done[0], operations[0], moved), delete(done[1])]))
    found = {event["id"]: event for event in await control.events(mailbox.address)}
    assert {id: seen(event) for id, event in found.items()} == {
        done[0].id: shown(moved),
        done[2].id: shown(operations[2].event),
    }
    assert {event["calendar"] for event in found.values()} == {calendar.id}


async def test_events_are_read_from_the_calendar_that_is_meant(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    there = within(mailbox, await adapter.make_calendar(mailbox, INSTANCE, NAME))
    here_operation, there_operation = create(lecture(0)), create(lecture(1))
    (in_default,) = await put(adapter, mailbox, here_operation)
    (in_ours,) = await put(adapter, there, there_operation)
    attempts = [operation.marker.attempt for operation in (here_operation, there_operation)]
    for place, done in ((mailbox, in_default), (there, in_ours)):
        assert [event.id for event in await listed(adapter, place)] == [done.id]
        assert [event.id for event in await adapter.find(place, INSTANCE, attempts)] == [done.id]


async def test_what_the_person_moves_to_another_calendar_is_there_and_here_no_more(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    there = within(mailbox, await adapter.make_calendar(mailbox, INSTANCE, NAME))
    operation = create(lecture())
    (done,) = await put(adapter, there, operation)
    await control.person_changes(mailbox.address, done.id, calendar=None)
    assert await listed(adapter, there) == []
    assert [event.marker for event in await listed(adapter, mailbox)] == [operation.marker]


@pytest.mark.parametrize("count", [1, 3])
async def test_nothing_can_be_created_in_a_calendar_that_is_gone(
    adapter: Adapter, mailbox: Mailbox, control: Control, count: int
) -> None:
    calendar = await adapter.make_calendar(mailbox, INSTANCE, NAME)
    await control.person_deletes_calendar(mailbox.address, calendar.id)
    outcomes = await adapter.apply(within(mailbox, calendar), [create(lecture(n)) for n in range(count)])
    for outcome in outcomes:
        assert isinstance(outcome, Gone), outcome
        assert outcome.what == "calendar"
    assert await control.events(mailbox.address) == []


async def test_a_calendar_that_is_gone_is_not_an_empty_one(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    calendar = await adapter.make_calendar(mailbox, INSTANCE, NAME)
    there = within(mailbox, calendar)
    operation = create(lecture())
    await put(adapter, there, operation)
    await control.person_deletes_calendar(mailbox.address, calendar.id)
    for read in (listed(adapter, there), adapter.find(there, INSTANCE, [operation.marker.attempt])):
        with pytest.raises(ProviderError) as caught:
            await read
        assert isinstance(caught.value.outcome, Gone)
        assert caught.value.outcome.what == "calendar"


# Removing


async def test_an_empty_calendar_of_ours_is_removed(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    theirs = await control.person_makes_calendar(mailbox.address, NAME)
    calendar = await adapter.make_calendar(mailbox, INSTANCE, NAME)
    there = within(mailbox, calendar)
    (done,) = await put(adapter, there, create(lecture()))
    all_done(await adapter.apply(there, [delete(done)]))
    assert await adapter.remove_calendar(there, INSTANCE) is True
    assert [one["id"] for one in await control.calendars(mailbox.address)] == [None, theirs["id"]]
    assert [one.id for one in await secondary(adapter, mailbox)] == [theirs["id"]]


async def test_it_is_removed_by_whatever_name_the_person_calls_it(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    calendar = await adapter.make_calendar(mailbox, INSTANCE, NAME)
    await control.person_renames_calendar(mailbox.address, calendar.id, "Lectures")
    assert await adapter.remove_calendar(within(mailbox, calendar), INSTANCE) is True
    assert await names(control, mailbox) == []


async def test_a_calendar_that_was_not_there_is_gone(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    there = within(mailbox, await adapter.make_calendar(mailbox, INSTANCE, NAME))
    for _ in range(2):
        assert await adapter.remove_calendar(there, INSTANCE) is True


async def default(adapter: Adapter, mailbox: Mailbox, control: Control) -> str | None:
    return None


async def default_by_id(adapter: Adapter, mailbox: Mailbox, control: Control) -> str | None:
    return (await adapter.calendars(mailbox, INSTANCE))[0].id


async def the_persons(adapter: Adapter, mailbox: Mailbox, control: Control) -> str | None:
    return str((await control.person_makes_calendar(mailbox.address, NAME))["id"])


async def another_instances(adapter: Adapter, mailbox: Mailbox, control: Control) -> str | None:
    return (await adapter.make_calendar(mailbox, OTHER_INSTANCE, NAME)).id


async def with_an_event_of_the_person(adapter: Adapter, mailbox: Mailbox, control: Control) -> str | None:
    calendar = await adapter.make_calendar(mailbox, INSTANCE, NAME)
    await control.person_adds(mailbox.address, calendar=calendar.id)
    return calendar.id


async def with_an_event_of_ours(adapter: Adapter, mailbox: Mailbox, control: Control) -> str | None:
    calendar = await adapter.make_calendar(mailbox, INSTANCE, NAME)
    await put(adapter, within(mailbox, calendar), create(lecture()))
    return calendar.id


@pytest.mark.parametrize(
    "make",
    [
        default,
        default_by_id,
        the_persons,
        another_instances,
        with_an_event_of_the_person,
        with_an_event_of_ours,
    ],
    ids=lambda make: make.__name__,
)
async def test_any_other_calendar_stays(
    adapter: Adapter,
    mailbox: Mailbox,
    control: Control,
    make: Callable[[Adapter, Mailbox, Control], Awaitable[str | None]],
) -> None:
    id = await make(adapter, mailbox, control)
    before = await control.calendars(mailbox.address), await control.events(mailbox.address)
    assert await adapter.remove_calendar(msgspec.structs.replace(mailbox, calendar=id), INSTANCE) is False
    assert (await control.calendars(mailbox.address), await control.events(mailbox.address)) == before


# When things go wrong


async def test_without_a_permit_no_calendar_is_made_or_removed(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    with pytest.raises(Withdrawn):
        await adapter.make_calendar(mailbox, INSTANCE, NAME, refuse)
    assert await names(control, mailbox) == []
    there = within(mailbox, await adapter.make_calendar(mailbox, INSTANCE, NAME))
    with pytest.raises(Withdrawn):
        await adapter.remove_calendar(there, INSTANCE, refuse)
    assert await names(control, mailbox) == [NAME]


Call = Callable[[Adapter, Mailbox], Awaitable[object]]


def list_calendars(adapter: Adapter, mailbox: Mailbox) -> Awaitable[object]:
    return adapter.calendars(msgspec.structs.replace(mailbox, calendar=None), INSTANCE)


def make_another(adapter: Adapter, mailbox: Mailbox) -> Awaitable[object]:
    return adapter.make_calendar(msgspec.structs.replace(mailbox, calendar=None), INSTANCE, "Another")


def remove(adapter: Adapter, mailbox: Mailbox) -> Awaitable[object]:
    return adapter.remove_calendar(mailbox, INSTANCE)


CALLS = pytest.mark.parametrize(
    "call", [list_calendars, make_another, remove], ids=lambda call: call.__name__
)


@CALLS
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("throttle", Throttled),
        ("unavailable", Unknown),
        ("commit_then_drop", Unknown),
        ("commit_then_503", Unknown),
        ("partial", Unknown),
    ],
)
async def test_a_failure_is_neither_an_answer_nor_a_refusal(
    adapter: Adapter, mailbox: Mailbox, control: Control, call: Call, fault: str, kind: type
) -> None:
    there = within(mailbox, await adapter.make_calendar(mailbox, INSTANCE, NAME))
    await control.fault(fault)
    with pytest.raises(ProviderError) as caught:
        await call(adapter, there)
    # A provider may say the same 503 of both.
    assert isinstance(caught.value.outcome, kind | Throttled)
    await control.forget()
    found = {calendar.id for calendar in await secondary(adapter, mailbox)}
    assert found == {one["id"] for one in await control.calendars(mailbox.address) if one["id"]}


@CALLS
async def test_without_access_there_are_no_calendars(
    adapter: Adapter, mailbox: Mailbox, control: Control, call: Call
) -> None:
    there = within(mailbox, await adapter.make_calendar(mailbox, INSTANCE, NAME))
    await control.make(mailbox.address, access=False)
    with pytest.raises(ProviderError) as caught:
        await call(adapter, there)
    assert isinstance(caught.value.outcome, Refused)
    assert caught.value.outcome.scope == "mailbox"
    await control.make(mailbox.address, access=True)
    assert await names(control, mailbox) == [NAME]


@pytest.mark.parametrize("call", [list_calendars, make_another], ids=lambda call: call.__name__)
async def test_a_mailbox_that_was_deleted_is_gone(
    adapter: Adapter, mailbox: Mailbox, control: Control, call: Call
) -> None:
    await control.remove(mailbox.address)
    with pytest.raises(ProviderError) as caught:
        await call(adapter, mailbox)
    assert isinstance(caught.value.outcome, Gone)


async def test_reasons_hold_no_name_of_a_calendar(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    await adapter.make_calendar(mailbox, INSTANCE, NAME)
    for fault in ("throttle", "unavailable", "commit_then_drop", "deny"):
        await control.fault(fault)
        with pytest.raises(ProviderError) as caught:
            await adapter.make_calendar(mailbox, INSTANCE, "Disciplinary")
        await control.forget()
        assert "Disciplinary" not in repr(caught.value.outcome)


async def test_done_without_a_version_is_no_obstacle_there(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """An update that has to read first, and a delete, in a calendar of ours."""
    there = within(mailbox, await adapter.make_calendar(mailbox, INSTANCE, NAME))
    operation = create(lecture(description="Bring a book."))
    (done,) = await put(adapter, there, operation)
    await control.person_changes(mailbox.address, done.id, description="Bring a book.\nSit with Bob.")
    (changed,) = all_done(
        await adapter.apply(
            there, [update(Done(done.id), operation, lecture(description="Bring two books."))]
        )
    )
    assert "Sit with Bob." in (await control.event(mailbox.address))["description"]
    all_done(await adapter.apply(there, [delete(changed)]))
    assert await control.events(mailbox.address) == []
