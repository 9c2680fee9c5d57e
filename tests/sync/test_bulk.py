"""Bulk syncs: one at a time, so many mailboxes at once, and none that nobody goes on with (CONTRACT §6)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from app.config import Config, RunSettings, SyncSettings
from app.database.queries import query
from app.database.types import Pool
from app.errors import Conflict, NotFound
from app.provisioning import runs
from app.provisioning.runs import ActiveRun, start_sync
from app.sync.housekeeping import Housekeeper, working_types
from providers.contract import Refused
from tests.clock import SettableClock
from tests.fakes import Call
from tests.sync.world import INSTANCE, World, event

MAILBOXES = 24
"""More than twice as many as are visited at once."""


@pytest.fixture
async def campus(world: World) -> World:
    """Many people who have everything; the next resync is hours away."""
    for number in range(MAILBOXES):
        world.adapter.add_mailbox(f"u{number}@uni.example")
        await world.publish(f"u{number}", event("a"))
        await world.link(f"u{number}", f"u{number}@uni.example")
    await world.work()
    for number in range(MAILBOXES):
        await world.publish(f"u{number}", event("a", title="Changed"))
    # As if nobody had heard of that, so that only the bulk sync makes them due.
    await world.pool.execute("UPDATE mailboxes SET due_at = $1", world.clock() + timedelta(hours=6))
    world.adapter.calls.clear()
    return world


@asynccontextmanager
async def working(world: World, workers: int) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(world.worker().run(stop)) for _ in range(workers)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def ended(world: World, run: int) -> None:
    while await world.pool.fetchval(query("runs.is_active"), run):
        await asyncio.sleep(0.02)


async def visiting(pool: Pool) -> int:
    found: int = await pool.fetchval(
        "SELECT count(*) FROM run_mailboxes WHERE wake IS NOT NULL AND done_at IS NULL"
    )
    return found


async def test_three_workers_visit_no_more_than_ten_at_once(campus: World) -> None:
    at_once, most, ten = 0, 0, asyncio.Event()

    async def count(call: Call) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if at_once == 10:
            ten.set()
        await ten.wait()
        # Long enough for every slot of the three workers to be filled, if they were let.
        await asyncio.sleep(0.05)
        at_once -= 1

    campus.adapter.before = count
    async with working(campus, 3):
        run = await start_sync(campus.pool, campus.clock)
        await ended(campus, run)
    assert campus.adapter.count("update") == MAILBOXES
    assert most == 10
    found = await runs.find(campus.pool, run, campus.clock())
    assert (found.state, found.counts.total, found.counts.done) == ("done", MAILBOXES, MAILBOXES)


async def test_whenever_one_was_visited_the_next_is_woken(campus: World) -> None:
    run = await start_sync(campus.pool, campus.clock, at_once=3)
    assert await visiting(campus.pool) == 3
    due = "SELECT count(*) FROM mailboxes WHERE due_at <= $1"
    assert await campus.pool.fetchval(due, campus.clock()) == 3
    campus.config = Config(instance=INSTANCE, sync=SyncSettings(bulk_concurrency=3))
    await campus.work()
    assert (await campus.run_state(run))[0] == "done"
    assert campus.adapter.count("update") == MAILBOXES


async def test_a_mailbox_that_fails_does_not_keep_the_others_waiting(campus: World) -> None:
    refused = Refused(code="x", reason="No access to this mailbox.", scope="mailbox")
    campus.adapter.fail("update", refused, times=None, mailbox="u0@uni.example")
    run = await start_sync(campus.pool, campus.clock, at_once=1)
    campus.config = Config(instance=INSTANCE, sync=SyncSettings(bulk_concurrency=1))
    await campus.work()
    found = await runs.find(campus.pool, run, campus.clock())
    assert (found.state, found.counts.done) == ("done", MAILBOXES)
    assert [(error.address, error.detail) for error in found.errors] == [("u0@uni.example", refused.reason)]


async def test_types_that_nobody_works_for_are_left_out(campus: World) -> None:
    run = await start_sync(campus.pool, campus.clock, known_types=["o365"])
    assert (await campus.run_state(run))[0] == "done"


class TestOrphans:
    async def test_a_worker_goes_on_with_a_run_that_was_only_begun(self, campus: World) -> None:
        """The server died after it had committed the run, before it looked for the mailboxes."""
        run = await campus.pool.fetchval(query("runs.start_sync"), campus.clock())
        await campus.pool.execute(query("runs.choose"), run, None, ["u1", "u2"], None, None)
        with pytest.raises(ActiveRun):
            await start_sync(campus.pool, campus.clock)
        async with working(campus, 1):
            await ended(campus, run)
        found = await runs.find(campus.pool, run, campus.clock())
        assert (found.state, found.counts.total) == ("done", 2)
        assert await start_sync(campus.pool, campus.clock) > run

    async def test_a_worker_wakes_the_next_mailboxes_where_nobody_did(self, campus: World) -> None:
        run = await start_sync(campus.pool, campus.clock)
        await campus.pool.execute("UPDATE run_mailboxes SET wake = NULL")
        await campus.pool.execute("UPDATE mailboxes SET due_at = NULL")
        async with working(campus, 1):
            await ended(campus, run)
        assert campus.adapter.count("update") == MAILBOXES

    async def test_it_is_gone_on_with_once_however_many_do_it(self, campus: World) -> None:
        run = await start_sync(campus.pool, campus.clock, at_once=4)
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(runs.continue_active(campus.pool, 4, campus.clock()))
        assert await visiting(campus.pool) == 4
        assert (await runs.find(campus.pool, run, campus.clock())).counts.total == MAILBOXES

    async def test_a_mailbox_that_somebody_holds_is_left_for_later(self, campus: World) -> None:
        """Or two workers that end their visits at once could wait for each other for ever."""
        first = await campus.pool.fetchval("SELECT min(id) FROM mailboxes")
        async with campus.pool.acquire() as connection, connection.transaction():
            await connection.fetchval("SELECT id FROM mailboxes WHERE id = $1 FOR SHARE", first)
            await asyncio.wait_for(start_sync(campus.pool, campus.clock, at_once=3), 60)
            assert await visiting(campus.pool) == 3
            left = "SELECT wake IS NULL FROM run_mailboxes WHERE mailbox_id = $1"
            assert await campus.pool.fetchval(left, first)


class TestCancel:
    async def test_what_was_not_visited_is_struck_off(self, campus: World) -> None:
        run = await start_sync(campus.pool, campus.clock, at_once=3)
        cancelled = await runs.cancel(campus.pool, run, campus.clock())
        assert (cancelled.state, cancelled.finished_at) == ("cancelled", campus.clock())
        await campus.work()
        assert campus.adapter.count("update") == 3  # those that were woken already
        assert (await runs.cancel(campus.pool, run, campus.clock())).state == "cancelled"
        assert await start_sync(campus.pool, campus.clock) > run

    async def test_one_that_was_only_begun_stays_cancelled(self, campus: World) -> None:
        run = await campus.pool.fetchval(query("runs.start_sync"), campus.clock())
        await campus.pool.execute(query("runs.choose"), run, None, None, None, None)
        await runs.cancel(campus.pool, run, campus.clock())
        async with campus.pool.acquire() as connection:
            await runs.continue_sync(connection, run, 10, campus.clock())
        assert await campus.pool.fetchval("SELECT count(*) FROM run_mailboxes") == 0
        assert (await campus.run_state(run))[0] == "cancelled"

    async def test_an_unlinking_is_a_promise(self, campus: World) -> None:
        run = await campus.unlink("CLEANUP", username="u1")
        with pytest.raises(Conflict, match="promise"):
            await runs.cancel(campus.pool, run, campus.clock())
        assert (await campus.run_state(run))[0] == "active"

    async def test_what_is_over_is_over(self, campus: World) -> None:
        run = await start_sync(campus.pool, campus.clock, usernames=["nobody"])
        with pytest.raises(Conflict, match="nothing left to cancel"):
            await runs.cancel(campus.pool, run, campus.clock())


class TestProgress:
    async def test_the_end_is_estimated_from_the_pace_so_far(self, campus: World) -> None:
        run = await start_sync(campus.pool, campus.clock)
        assert (await runs.find(campus.pool, run, campus.clock())).estimated_end is None
        await campus.pool.execute("UPDATE runs SET done = $1", MAILBOXES // 4)
        now = campus.clock.advance(minutes=5)
        found = await runs.find(campus.pool, run, now)
        assert found.progress == 0.25
        assert found.estimated_end == now + timedelta(minutes=15)

    async def test_an_unlinkings_progress_is_that_of_its_events(self, world: World) -> None:
        await world.publish("alice", *(event(f"e{number}") for number in range(60)))
        synchronization = await world.link("alice", "alice@uni.example")
        await world.work()
        run = await world.unlink("DELETE_ALL_EVENTS", synchronization)
        assert (await runs.find(world.pool, run, world.clock())).progress == 0
        seen = []

        async def look(call: Call) -> None:
            if call.operation == "apply":
                seen.append((await runs.find(world.pool, run, world.clock())).progress)

        world.adapter.before = look
        await world.work()
        assert seen == [0, 0.3333, 0.6667]
        assert (await runs.find(world.pool, run, world.clock())).progress == 1


class TestHousekeeping:
    def housekeeper(self, world: World) -> Housekeeper:
        config = Config(instance=INSTANCE, runs=RunSettings(keep_days=30))
        return Housekeeper(world.pool, world.worker().id, ["ews"], config, world.clock)

    async def test_what_is_older_than_is_kept_goes(self, world: World, clock: SettableClock) -> None:
        synchronization = await world.link("alice", "alice@uni.example")
        await world.publish("alice", event("a"), event("b"))
        await world.work()
        old = await start_sync(world.pool, clock)
        await world.work()
        clock.advance(days=20)
        unlinking = await world.unlink("DELETE_FUTURE_EVENTS", synchronization)
        await world.work()
        recent = await start_sync(world.pool, clock, usernames=["nobody"])
        clock.advance(days=11)
        await self.housekeeper(world).prune()
        with pytest.raises(NotFound):
            await runs.find(world.pool, old, clock())
        for kept in (unlinking, recent):
            await runs.find(world.pool, kept, clock())
        assert await world.pool.fetchval("SELECT count(*) FROM run_mailboxes") == 0
        assert await world.pool.fetchval("SELECT count(*) FROM history") == 0
        clock.advance(days=20)
        await self.housekeeper(world).prune()
        assert await world.pool.fetchval("SELECT count(*) FROM runs") == 0
        assert await world.pool.fetchval("SELECT count(*) FROM unlinks") == 0

    async def test_what_goes_on_stays_however_old_it_is(self, campus: World, clock: SettableClock) -> None:
        run = await start_sync(campus.pool, clock)
        clock.advance(days=400)
        await self.housekeeper(campus).prune()
        assert (await runs.find(campus.pool, run, clock())).state == "active"

    async def test_a_worker_says_that_it_is_there_and_says_goodbye(self, world: World) -> None:
        assert await working_types(world.pool) == []
        async with working(world, 1):
            while await working_types(world.pool) != ["ews"]:
                await asyncio.sleep(0.02)
        assert await working_types(world.pool) == []

    async def test_one_that_was_not_heard_of_for_long_is_not_there(self, world: World) -> None:
        await self.housekeeper(world).tick()
        assert await working_types(world.pool) == ["ews"]
        await world.pool.execute("UPDATE workers SET seen_at = seen_at - interval '1 minute'")
        assert await working_types(world.pool) == []
        await self.housekeeper(world).prune()
        assert await world.pool.fetchval("SELECT count(*) FROM workers") == 0
