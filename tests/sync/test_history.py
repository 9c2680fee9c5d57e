"""An event's history: what came of every operation, and what it comes to in plain words (CONTRACT §6)."""

from datetime import timedelta

import pytest

from app.errors import NotFound
from app.provisioning import synchronizations
from app.provisioning.event_history import EventHistory
from app.provisioning.explain import explain, of_user
from app.sync.settle import LOOK_AGAIN
from providers.contract import Refused, Throttled
from tests.fakes import DOWN
from tests.sync.world import World, event

ALICE = "alice@uni.example"


async def history(world: World, synchronization: int, uid: str) -> EventHistory:
    return await explain(world.pool, synchronization, uid, world.config.timetables, world.clock)


def outcomes(found: EventHistory) -> list[tuple[str, str, int]]:
    """What was tried, the oldest first."""
    return [(one.operation, one.outcome, one.times) for one in reversed(found.tries)]


def told(found: EventHistory, *phrases: str) -> bool:
    """Whether the sentences say all this."""
    text = " ".join(found.explanation)
    missing = [phrase for phrase in phrases if phrase not in text]
    assert missing == [], text
    return True


async def test_of_an_event_that_is_there(world: World) -> None:
    begun = world.clock()
    await world.publish("alice", event("a"))
    synchronization = await world.link("alice", ALICE)
    await world.work()
    changed = world.clock.advance(hours=1)
    await world.publish("alice", event("a", title="Moved"))
    await world.work()
    found = await history(world, synchronization, "a")
    [pushed] = world.pushed(ALICE)
    assert (found.status, found.state, found.remote_id) == ("present", "present", pushed.id)
    assert (found.wanted_since, found.changed_at, found.pushed_at) == (begun, changed, changed)
    assert outcomes(found) == [("create", "done", 1), ("update", "done", 1)]
    assert (found.waiting, found.refused, found.removed) == (None, None, None)
    assert told(found, f"with the id {pushed.id}", "as published", "wanted since 2026-09-01 08:00:00 UTC")


async def test_it_holds_no_title(world: World) -> None:
    await world.publish("alice", event("a", title="Very secret"))
    synchronization = await world.link("alice", ALICE)
    await world.work()
    assert "secret" not in repr(await history(world, synchronization, "a"))
    rows = await world.pool.fetch("SELECT to_jsonb(history)::text AS row FROM history")
    assert rows
    assert all("secret" not in row["row"] for row in rows)


async def test_of_one_that_waits_for_a_worker(world: World) -> None:
    await world.publish("alice", event("a"))
    synchronization = await world.link("alice", ALICE)
    found = await history(world, synchronization, "a")
    assert found.status == "waiting"
    assert found.waiting is not None
    assert found.waiting.code == "worker"
    assert told(found, "not in the mailbox yet")


async def test_of_a_refused_one_and_the_refusals_are_counted(world: World) -> None:
    world.adapter.fail("create", Refused(code="E1", reason="Too long.", permanent=False), times=2)
    world.adapter.fail("create", Refused(code="E2", reason="No."))
    await world.publish("alice", event("a"))
    synchronization = await world.link("alice", ALICE)
    await world.work()
    found = await history(world, synchronization, "a")
    assert found.status == "waiting"
    assert found.waiting is not None
    assert found.waiting.code == "retry"
    assert found.waiting.until is not None
    assert found.waiting.until > world.clock()
    await world.settle(hours=1)
    found = await history(world, synchronization, "a")
    assert found.status == "refused"
    assert found.refused is not None
    assert (found.refused.code, found.refused.reason, found.refused.retry_at) == ("E2", "No.", None)
    assert outcomes(found) == [("create", "refused", 2), ("create", "refused", 1)]
    assert told(found, "2 times from", "Too long.", "The provider refuses it")


async def test_of_one_that_waits_until_the_provider_listens_again(world: World) -> None:
    until = world.clock() + timedelta(minutes=7)
    world.adapter.fail("create", Throttled(until=until, scope="mailbox"))
    await world.publish("alice", event("a"))
    synchronization = await world.link("alice", ALICE)
    await world.work()
    found = await history(world, synchronization, "a")
    assert found.waiting is not None
    assert (found.waiting.code, found.waiting.until) == ("throttled", until)
    assert outcomes(found) == [("create", "throttled", 1)]


async def test_of_one_whose_provider_is_down(world: World) -> None:
    await world.publish("alice", event("a"))
    synchronization = await world.link("alice", ALICE)
    world.adapter.down = DOWN
    down_since = world.clock()
    await world.work()
    await world.settle(hours=1)
    found = await history(world, synchronization, "a")
    assert found.waiting is not None
    assert (found.waiting.code, found.waiting.since) == ("provider_down", down_since)
    assert told(found, "Since 2026-09-01 08:00:00 UTC it cannot be written", DOWN.reason)
    world.adapter.recover()
    await world.settle(hours=1)
    assert (await history(world, synchronization, "a")).status == "present"
    assert await world.pool.fetchval("SELECT failing_since FROM synchronizations") is None


async def test_of_one_that_a_disabled_synchronization_does_not_write(world: World) -> None:
    synchronization = await world.link("alice", ALICE)
    await world.work()
    await synchronizations.enable(world.pool, synchronization, False, world.clock())
    await world.publish("alice", event("a"))
    found = await history(world, synchronization, "a")
    assert found.waiting is not None
    assert found.waiting.code == "disabled"


async def test_of_one_that_is_held_back(world: World) -> None:
    events = [event(f"e{number}") for number in range(60)]
    synchronization = await world.link("alice", ALICE)
    await world.publish("alice", *events)
    await world.work()
    await world.pool.execute("DELETE FROM timetable_events WHERE uid <> 'e0'")
    await world.pool.execute("UPDATE users SET confirmed_revision = NULL")
    await world.pool.execute("UPDATE mailboxes SET due_at = $1", world.clock())
    await world.work()
    found = await history(world, synchronization, "e1")
    assert (found.status, found.wanted) == ("removing", False)
    assert found.waiting is not None
    assert found.waiting.code == "held"
    assert told(found, "Approve that by POST")


async def test_of_one_that_the_timetable_took_out(world: World) -> None:
    synchronization = await world.link("alice", ALICE)
    await world.publish("alice", event("a"), event("b"))
    await world.work()
    [id] = [e.id for e in world.pushed(ALICE) if e.marker and e.marker.event == "a"]
    gone = world.clock.advance(hours=1)
    await world.publish("alice", event("b"))
    await world.work()
    found = await history(world, synchronization, "a")
    assert found.status == "removed"
    assert found.removed is not None
    assert (found.removed.at, found.removed.by, found.removed.run) == (gone, "timetable", None)
    assert found.removed.remote_id == id
    assert told(
        found, "no event with this uid is in the timetable", "2026-09-01 09:00:00 UTC, by the timetable"
    )


async def test_of_one_that_an_unlinking_took_out(world: World) -> None:
    synchronization = await world.link("alice", ALICE)
    await world.publish("alice", event("a"))
    await world.work()
    run = await world.unlink("DELETE_ALL_EVENTS", synchronization)
    going = await history(world, synchronization, "a")
    await world.work()
    found = await history(world, synchronization, "a")
    assert found.status == "removed"
    assert found.removed is not None
    assert (found.removed.by, found.removed.run) == ("unlinking", run)
    assert told(found, f"ended at 2026-09-01 08:00:00 UTC by run {run}", f"by run {run}, an unlinking")
    assert going.removed is None


async def test_of_one_that_an_unlinking_left(world: World) -> None:
    synchronization = await world.link("alice", ALICE)
    await world.publish("alice", event("a"))
    await world.work()
    await world.unlink("UNLINK_ONLY", synchronization)
    assert (await history(world, synchronization, "a")).status == "left_behind"
    assert await of_user(world.pool, "alice") == [synchronization]
    later = await world.link("alice", ALICE)
    await world.work()
    assert await of_user(world.pool, "alice") == [later]
    assert (await history(world, synchronization, "a")).status == "adopted"
    found = await history(world, later, "a")
    assert found.status == "present"
    assert [one.synchronization for one in found.tries] == [synchronization]


async def test_of_one_that_comes_back(world: World) -> None:
    synchronization = await world.link("alice", ALICE)
    await world.publish("alice", event("a"))
    await world.work()
    await world.publish("alice")
    await world.work()
    again = world.clock.advance(days=1)
    await world.publish("alice", event("a"))
    found = await history(world, synchronization, "a")
    assert (found.status, found.wanted_since) == ("waiting", again)
    assert told(found, "It was taken out", "wanted again")


async def test_of_a_cancelled_one(world: World) -> None:
    synchronization = await world.link("alice", ALICE)
    await world.publish("alice", event("a", status="cancelled"))
    await world.work()
    found = await history(world, synchronization, "a")
    assert (found.status, found.wanted) == ("cancelled", False)
    assert told(found, "The timetable says that it is cancelled", "never was")
    back = world.clock.advance(hours=1)
    await world.publish("alice", event("a"))
    assert (await history(world, synchronization, "a")).wanted_since == back


@pytest.mark.parametrize("uid", ["never", "", "a/b", "\x00", "\ud800", "x" * 5000, "é%"])
async def test_of_one_that_nobody_ever_published(world: World, uid: str) -> None:
    synchronization = await world.link("alice", ALICE)
    found = await history(world, synchronization, uid)
    assert told(found, "no timetable of its user was published yet")
    await world.publish("alice", event("a"))
    found = await history(world, synchronization, uid)
    assert (found.status, found.published_at) == ("not_published", world.clock())
    assert found.uid == uid.replace("\ud800", "?")
    assert told(
        found,
        "as last published at 2026-09-01 08:00:00 UTC (revision 1)",
        "Of a recurring event in iCalendar, occurrences outside the window (30 days back to 400 ahead)",
    )


@pytest.mark.parametrize(("drift", "done"), [("missing", "deleted"), ("changed", "changed")])
async def test_of_one_that_the_person_changed(world: World, drift: str, done: str) -> None:
    synchronization = await world.link("alice", ALICE)
    await world.publish("alice", event("a"))
    await world.work()
    await world.pool.execute("UPDATE ledger SET drift = $1", drift)
    found = await history(world, synchronization, "a")
    assert found.status == f"{done}_there"
    assert told(found, f"when the mailbox was last read, somebody else had {done} it there")


async def test_of_one_whose_answer_never_came(world: World) -> None:
    synchronization = await world.link("alice", ALICE)
    world.adapter.fail("create", DOWN, committed=True)
    world.adapter.fail("find", DOWN)
    await world.publish("alice", event("a"))
    await world.work()
    assert outcomes(await history(world, synchronization, "a")) == [("create", "unknown", 1)]
    await world.settle(hours=1)
    found = await history(world, synchronization, "a")
    [pushed] = world.pushed(ALICE)
    assert outcomes(found) == [("create", "unknown", 1), ("create", "done", 1)]
    assert found.tries[0].remote_id == pushed.id
    assert told(found, "a look into the mailbox showed that it had been carried out")


async def test_of_one_that_was_lost_on_the_way(world: World) -> None:
    synchronization = await world.link("alice", ALICE)
    world.adapter.fail("create", DOWN, late=True)
    await world.publish("alice", event("a"))
    await world.settle(hours=LOOK_AGAIN.total_seconds() / 3600 / 2)
    found = await history(world, synchronization, "a")
    assert outcomes(found) == [("create", "unknown", 1), ("create", "lost", 1), ("create", "done", 1)]


async def test_an_unknown_synchronization_is_the_only_one_without(world: World) -> None:
    for id in (0, -1, 999, 2**63):
        with pytest.raises(NotFound):
            await history(world, id, "a")


LEFT_OUT = {
    "selection.includeCategories": ["Exam"],
    "selection.excludeCategories": ["Lecture"],
    "selection.includeTitles": ["^Exam"],
    "selection.excludeTitles": ["(?i)^lecture"],
    "selection.daysAhead": 3,
}


@pytest.mark.parametrize("preference", LEFT_OUT)
async def test_of_one_that_a_preference_leaves_out(world: World, preference: str) -> None:
    await world.publish("alice", event("a", categories=("Lecture",)))
    synchronization = await world.link("alice", ALICE)
    await world.work()
    await world.prefer(synchronization, {preference: LEFT_OUT[preference]})
    await world.work()
    found = await history(world, synchronization, "a")
    assert (found.status, found.wanted, found.left_out_by) == ("left_out", False, preference)
    assert told(
        found,
        "It is in the timetable since",
        f"filtered by the preference {preference}: ",
        "It was taken out of the mailbox at",
        "since it was not wanted any more",
    )
    assert (await synchronizations.details(world.pool, synchronization, world.clock())).backlog == 0
    await world.prefer(synchronization, {})
    await world.work()
    found = await history(world, synchronization, "a")
    assert (found.status, found.left_out_by) == ("present", None)


async def test_of_one_that_was_too_long_ago(world: World) -> None:
    old = event("a", world.clock() - timedelta(days=9))
    await world.publish("alice", old)
    synchronization = await world.link("alice", ALICE)
    await world.prefer(synchronization, {"selection.daysBack": 7})
    await world.work()
    found = await history(world, synchronization, "a")
    assert (found.status, found.left_out_by) == ("left_out", "selection.daysBack")
    assert told(found, "outside the window", "never was")
    assert (await synchronizations.details(world.pool, synchronization, world.clock())).backlog == 0
    # One that is there already stays, and is wanted.
    await world.prefer(synchronization, {})
    await world.work()
    await world.prefer(synchronization, {"selection.daysBack": 7})
    await world.work()
    found = await history(world, synchronization, "a")
    assert (found.status, found.left_out_by) == ("present", None)


async def test_it_names_the_calendar_and_says_what_a_reading_found(world: World) -> None:
    world.let_people("respect")
    await world.publish("alice", event("a"), event("b"))
    synchronization = await world.link("alice", ALICE)
    await world.prefer(synchronization, {"calendar.name": "Timetable"})
    await world.work()
    world.mailbox(ALICE).remove(next(e.id for e in world.pushed(ALICE) if e.event.uid == "a"))
    await world.refresh(synchronization)
    found = await history(world, synchronization, "a")
    assert (found.status, found.calendar) == ("deleted_there", "Timetable")
    assert outcomes(found) == [("create", "done", 1), ("read", "gone", 1)]
    assert told(found, "in the calendar Timetable", "respected until the timetable changes it")


async def test_the_time_between_comparisons_can_be_preferred(world: World) -> None:
    await world.publish("alice", event("a"))
    synchronization = await world.link("alice", ALICE)
    await world.prefer(synchronization, {"sync.resyncMinutes": 30})
    await world.work()
    due_at = await world.pool.fetchval("SELECT due_at FROM mailboxes")
    assert timedelta(minutes=26) < due_at - world.clock() < timedelta(minutes=34)
