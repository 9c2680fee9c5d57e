"""What preferences, calendars of our own and readings come to where they meet other things."""

from datetime import timedelta
from typing import Any

import pytest

from app.provisioning import synchronizations
from app.provisioning.unlink import preview
from app.sync import run
from app.sync.wake import wake_mailboxes
from providers.contract import Unknown
from tests.fakes import NO_ACCESS
from tests.sync.world import World, event

ALICE = "alice@uni.example"
OWN = {"calendar.name": "Timetable"}
NO_ANSWER = Unknown(code="dropped", reason="No answer came.")


async def linked(world: World, preferences: dict[str, object], *uids: str) -> int:
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
    shape_wanted = run.shape_wanted

    async def publish_after(*arguments: Any) -> int:
        wake = await shape_wanted(*arguments)
        monkeypatch.undo()
        await world.publish("alice", event("a"), event("b"), event("c"))
        return wake

    monkeypatch.setattr(run, "shape_wanted", publish_after)
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


async def test_the_preview_knows_what_was_sent_and_not_answered(world: World) -> None:
    await world.publish("alice", event("a"))
    id = await world.link("alice", ALICE)
    world.adapter.fail("create", NO_ANSWER, committed=True)
    await world.work()
    seen = await preview(world.pool, "DELETE_FUTURE_EVENTS", world.clock, id=id, username=None, type=None)
    removal = await world.unlink("DELETE_FUTURE_EVENTS", id)
    await world.settle()
    assert (await world.run_state(removal))[1] == seen.counts.remove
