"""The guard against emptying calendars, on the reconciling side."""

from datetime import UTC, datetime, timedelta

from app.provisioning.synchronizations import approve
from app.timetables.store import patch
from providers.contract import Event
from tests.sync.world import World, event

ALICE = "alice@uni.example"
FUTURE = [event(f"e{n:02}", datetime(2026, 10, 1, 9, tzinfo=UTC) + timedelta(days=n)) for n in range(30)]


async def shrink(world: World, *groups: list[Event]) -> None:
    """Take events out bit by bit, each time few enough not to need a confirmation."""
    for group in groups:
        await patch(world.pool, "alice", [], [e.uid for e in group], world.config.timetables, world.clock())


async def held(world: World) -> int:
    """Alice's calendar of 30, of which 24 would go by steps that were each small enough."""
    await world.publish("alice", *FUTURE)
    await world.pool.execute("UPDATE users SET confirmed_revision = NULL")
    id = await world.link("alice", ALICE)
    await world.work()
    await shrink(world, FUTURE[:14], FUTURE[14:24])
    await world.work()
    return id


async def test_too_many_removals_at_once_are_held(world: World) -> None:
    id = await held(world)
    assert await world.status(id) == "HELD"
    assert "24 of 30 future events" in str(await world.error(id))
    assert len(world.pushed(ALICE)) == 30
    # It stays like that, and asks the provider nothing.
    world.adapter.calls.clear()
    await world.settle(hours=24)
    assert await world.status(id) == "HELD"
    assert world.adapter.calls == []


async def test_an_approval_lets_them_go_once(world: World) -> None:
    id = await held(world)
    await approve(world.pool, id, world.clock)
    await world.work()
    await world.assert_true(ALICE, FUTURE[24:])
    assert await world.status(id) == "OK"
    approved = await world.pool.fetchval("SELECT approved FROM synchronizations WHERE id = $1", id)
    assert approved is False


async def test_publishing_the_timetable_anew_frees_it(world: World) -> None:
    id = await held(world)
    changed = [event(e.uid, e.start, title="New title") for e in FUTURE]
    await world.publish("alice", *changed)
    await world.work()
    assert await world.status(id) == "OK"
    await world.assert_true(ALICE, changed)


async def test_what_was_confirmed_when_it_was_published_is_not_held(world: World) -> None:
    await world.publish("alice", *FUTURE)
    id = await world.link("alice", ALICE)
    await world.work()
    await world.publish("alice")
    await world.work()
    assert world.pushed(ALICE) == []
    assert await world.status(id) == "OK"


async def test_unlinking_a_held_synchronization_does_what_it_says(world: World) -> None:
    id = await held(world)
    run = await world.unlink("DELETE_ALL_EVENTS", id)
    await world.settle()
    assert world.pushed(ALICE) == []
    assert await world.run_state(run) == ("done", 30)


async def test_few_removals_and_past_events_are_no_reason_to_hold(world: World) -> None:
    past = [event(f"p{n:02}", datetime(2026, 8, 1, 9, tzinfo=UTC) + timedelta(days=n)) for n in range(25)]
    await world.publish("alice", *past, *FUTURE[:22])
    await world.pool.execute("UPDATE users SET confirmed_revision = NULL")
    id = await world.link("alice", ALICE)
    await world.work()
    await shrink(world, past, FUTURE[:10], FUTURE[10:20])
    await world.work()
    assert await world.status(id) == "OK"
    await world.assert_true(ALICE, FUTURE[20:22])
