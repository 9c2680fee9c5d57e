"""What preferences, calendars of our own and readings come to where they meet other things."""

from datetime import timedelta
from typing import Any

import pytest

from app.provisioning import synchronizations
from app.provisioning.unlink import preview
from app.sync.rebuild import rebuild_mailbox
from app.sync.shaping import shape_wanted
from app.sync.wake import wake_mailboxes
from providers.contract import Unknown
from tests.fakes import NO_ACCESS
from tests.sync.world import INSTANCE, World, event

ALICE = "alice@uni.example"
OWN = {"calendar.name": "Timetable"}
NO_ANSWER = Unknown(code="dropped", reason="No answer came.")


async def linked(world: World, preferences: dict[str, Any], *uids: str) -> int:
    """Alice, with preferences of hers, and all pushed."""
    await world.publish("alice", *(event(uid) for uid in uids))
    id = await world.link("alice", ALICE)
    await world.prefer(id, preferences)
    await world.work()
    return id


def placed(world: World) -> list[tuple[str, str | None]]:
    """Each event of ours, and the name of the calendar that it is in; None: the default one."""
    mailbox = world.mailbox(ALICE)
    return sorted(
        (e.marker.event, mailbox.calendars[e.calendar].name if e.calendar else None)
        for e in world.pushed(ALICE)
        if e.marker
    )


async def test_what_is_published_while_events_are_shaped_is_not_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await linked(world, {"presentation.showAs": "free"}, "a")

    async def publish_after(*arguments: Any) -> int:
        wake = await shape_wanted(*arguments)
        monkeypatch.undo()
        await world.publish("alice", event("a"), event("b"), event("c"))
        return wake

    monkeypatch.setattr("app.sync.run.shape_wanted", publish_after)
    async with world.pool.acquire() as connection:
        mailbox = await connection.fetchval("SELECT id FROM mailboxes WHERE identity = 'ews-mailbox-1'")
        await wake_mailboxes(connection, [mailbox], world.clock())
    await world.work()
    assert world.uids(ALICE) == {"a": 1, "b": 1, "c": 1}
    assert (await synchronizations.details(world.pool, id, world.clock())).status == "OK"


async def test_nothing_is_taken_out_before_the_calendar_that_it_is_to_be_in_is_there(world: World) -> None:
    id = await linked(world, {}, "a", "b")
    world.adapter.fail("make_calendar", NO_ACCESS, times=None)
    await world.prefer(id, OWN)
    await world.publish("alice", event("a", title="Changed"), event("b"))
    await world.settle()
    assert placed(world) == [("a", None), ("b", None)]
    assert await world.status(id) == "PERMISSION_DENIED"
    # What needs no calendar goes on.
    assert sorted(e.event.title for e in world.pushed(ALICE)) == ["Changed", "Lecture b"]
    world.adapter.recover()
    await world.settle()
    assert placed(world) == [("a", "Timetable"), ("b", "Timetable")]
    assert await world.status(id) == "OK"


async def test_a_calendar_that_cannot_be_made_does_not_block_an_unlinking(world: World) -> None:
    await world.publish("bob", event("b"))
    bob = await world.link("bob", ALICE)
    await linked(world, {}, "a")
    world.adapter.fail("make_calendar", NO_ACCESS, times=None)
    await world.prefer(bob, OWN)
    removal = await world.unlink("DELETE_ALL_EVENTS", username="alice")
    await world.work()
    assert await world.run_state(removal) == ("done", 1)
    assert placed(world) == [("b", None)]


async def test_a_past_event_stays_in_its_calendar(world: World) -> None:
    now = world.clock()
    id = await linked(world, {}, "a")
    await world.publish("alice", event("a"), event("old", now - timedelta(days=9)))
    await world.work()
    await world.prefer(id, OWN | {"selection.daysBack": 7})
    await world.settle()
    assert placed(world) == [("a", "Timetable"), ("old", None)]
    details = await synchronizations.details(world.pool, id, world.clock())
    assert (details.status, details.backlog) == ("OK", 0)


async def test_what_changes_after_its_calendar_was_removed_comes_back_at_once(world: World) -> None:
    id = await linked(world, OWN | {"sync.people": "respect"}, "a", "b")
    (calendar,) = world.mailbox(ALICE).calendars
    world.mailbox(ALICE).remove_calendar(calendar)
    await world.refresh(id)
    assert placed(world) == []
    await world.publish("alice", event("a"), event("b", title="Changed"))
    await world.work()
    assert placed(world) == [("b", "Timetable")]


async def test_a_calendar_that_comes_back_is_read_as_a_whole(world: World) -> None:
    id = await linked(world, OWN | {"sync.people": "respect"}, "a", "b")
    held = world.mailbox(ALICE)
    await world.refresh(id)
    (calendar,) = held.calendars
    kept, events = held.calendars[calendar], dict(held.events)
    # Into Deleted Items, and out of it again.
    held.calendars.clear()
    held.events.clear()
    await world.publish("alice", event("b"))
    await world.work()
    await world.refresh(id)
    held.calendars[calendar] = kept
    held.events.update(events)
    await world.publish("alice", event("b"), event("c"))
    await world.work()
    drift = await world.refresh(id)
    assert (drift.events, drift.missing) == (3, 0)


async def test_rebuild_with_two_calendars_of_one_name(world: World) -> None:
    """What was asked for and never answered was made so late that it was asked for again."""
    await linked(world, OWN, "a", "b")
    held = world.mailbox(ALICE)
    (first,) = held.calendars
    second = held.make_calendar("Timetable", INSTANCE)
    held.calendars = {second: held.calendars[second], first: held.calendars[first]}
    mailbox = await world.pool.fetchval("SELECT mailbox_id FROM synchronizations")
    await rebuild_mailbox(world.pool, world.adapter, world.config, world.clock, mailbox, 1)
    await world.settle()
    assert placed(world) == [("a", "Timetable"), ("b", "Timetable")]
    await world.assert_true(ALICE, [event("a"), event("b")])


async def test_what_the_person_wrote_before_the_timetable_did_is_no_change(world: World) -> None:
    id = await linked(world, {"sync.people": "respect"}, "a")
    (held,) = world.pushed(ALICE)
    world.mailbox(ALICE).change(held.id, title="Changed")
    assert (await world.refresh(id)).changed == 1
    await world.publish("alice", event("a", title="Changed"))
    # The provider has nothing to write, so nothing has changed for it: the event holds it all.
    version = world.mailbox(ALICE).events[held.id].version
    await world.work()
    world.mailbox(ALICE).events[held.id].version = version
    assert (await world.refresh(id)).total == 0


async def test_two_mailboxes_that_turn_out_to_be_one_keep_their_calendars(world: World) -> None:
    await world.publish("bob", event("b"))
    await linked(world, OWN, "a")
    held = world.mailbox(ALICE)
    ids = set(held.events)
    # The provider calls it by another name, and somebody else was linked to it by that.
    held.identity = "moved"
    other = await world.link("bob", "a.lice@uni.example")
    await world.work()
    await world.link("alice", ALICE)
    await world.settle()
    assert placed(world) == [("a", "Timetable"), ("b", None)]
    assert ids <= set(held.events)
    removal = await world.unlink("CLEANUP", other)
    await world.unlink("CLEANUP", username="alice")
    await world.settle()
    assert await world.run_state(removal) == ("done", 2)
    assert (held.events, held.calendars) == ({}, {})


async def test_the_preview_knows_what_was_sent_and_not_answered(world: World) -> None:
    await world.publish("alice", event("a"))
    id = await world.link("alice", ALICE)
    world.adapter.fail("create", NO_ANSWER, committed=True)
    await world.work()
    seen = await preview(world.pool, "DELETE_FUTURE_EVENTS", world.clock, id=id, username=None, type=None)
    removal = await world.unlink("DELETE_FUTURE_EVENTS", id)
    await world.settle()
    assert (await world.run_state(removal))[1] == seen.counts.remove
