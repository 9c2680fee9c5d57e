"""Workers that run sync jobs: lost, stopped, cancelled, and several at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from structlog.testing import capture_logs

from app.database.queries import query
from app.database.types import Connection
from app.sources import apply, runs, triggers
from app.sources.contract import Page, RecordError
from app.sources.runner import SourceRunner
from app.sources.runs import JobRun
from app.sources.staging import Recalled, RunLost, Staging, claimed_run
from app.sync.metrics import SYNC_JOB_RUNS
from tests.sources.world import World, lecture, page, thing

PATIENCE = 60
"""Seconds after which a thing that was waited for does not come any more."""


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            await asyncio.sleep(0.01)


class Gate:
    """A step at which a source's answer stands still."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self.open.wait()


@asynccontextmanager
async def working(runner: SourceRunner) -> AsyncIterator[None]:
    """A worker that works meanwhile, and is stopped in the end."""
    stop = asyncio.Event()
    task = asyncio.create_task(runner.run(stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE):
            await task


@pytest.fixture
async def job(world: World) -> Any:
    """A job of Alice's timetable, and an account."""
    await world.add_users("alice")
    world.source.give("alice", page(lecture("alice", "a")))
    return await world.job(), await world.account()


async def begin(world: World, job: Any) -> JobRun:
    return await world.begin(*job, args={"users": ["alice"]})


async def find(world: World, run: JobRun) -> JobRun:
    return await runs.find(world.pool, run.id)


async def lose_lease(world: World) -> None:
    """As if the worker had not been heard of for the length of its lease."""
    await world.pool.execute("UPDATE sync_job_runs SET lease_until = now() - interval '1 second'")


def has(world: World, run: JobRun, state: str) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return (await find(world, run)).state == state

    return holds


async def test_a_run_is_begun_as_soon_as_it_is_made(world: World, job: Any) -> None:
    async with working(world.runner()):
        run = await begin(world, job)
        await until(has(world, run, "done"))


async def test_of_many_workers_one_runs_it(world: World, job: Any) -> None:
    gate = Gate()
    world.source.give("alice", gate, page(lecture("alice", "a")))
    async with working(world.runner()), working(world.runner()), working(world.runner()):
        run = await begin(world, job)
        await gate.reached.wait()
        gate.open.set()
        await until(has(world, run, "done"))
    assert (len(world.source.calls), (await find(world, run)).attempts) == (1, 1)


class TestLost:
    """kill -9: nothing is given back, and the lease runs out."""

    async def lost(self, world: World, job: Any, times: int = 1) -> JobRun:
        run = await begin(world, job)
        for _ in range(times):
            row = await world.pool.fetchrow(query("sync_job_runs.claim"), uuid4(), 1, world.clock(), 60.0)
            assert row is not None
            staging = Staging(world.pool, claimed_run(row))
            await staging.begin()
            await staging.add("timetable", [lecture("alice", "of the lost attempt")])
            await staging.add_errors("read", [RecordError(place="timetable", detail="Of the lost attempt.")])
            await lose_lease(world)
        return run

    async def test_another_worker_begins_it_anew(self, world: World, job: Any) -> None:
        run = await self.lost(world, job)
        await world.runner().run_until_idle()
        ended = await find(world, run)
        assert (ended.state, ended.attempts, ended.errors) == ("done", 2, [])
        assert await world.uids("alice") == ["a"]
        assert world.hook.attempts == [2]

    async def test_a_worker_that_waits_notices_when_the_lease_runs_out(self, world: World, job: Any) -> None:
        run = await self.lost(world, job)
        await world.pool.execute("UPDATE sync_job_runs SET lease_until = now() + interval '0.3 seconds'")
        async with working(world.runner()):
            await until(has(world, run, "done"))

    async def test_nobody_takes_it_before_that(self, world: World, job: Any) -> None:
        run = await self.lost(world, job)
        await world.pool.execute("UPDATE sync_job_runs SET lease_until = now() + interval '1 hour'")
        await world.runner().run_until_idle()
        assert (await find(world, run)).state == "running"

    async def test_one_that_takes_its_workers_along_fails_in_the_end(self, world: World, job: Any) -> None:
        run = await self.lost(world, job, times=3)
        await world.runner().run_until_idle()
        ended = await find(world, run)
        assert (ended.state, ended.detail) == ("failed", "It was lost with its worker 3 times.")
        assert world.source.calls == []
        assert world.hook.names() == ["failed"]

    async def test_one_that_was_cancelled_meanwhile_ends(self, world: World, job: Any) -> None:
        run = await self.lost(world, job)
        await runs.cancel(world.pool, run.id, world.clock())
        await world.runner().run_until_idle()
        assert ((await find(world, run)).state, world.source.calls) == ("cancelled", [])
        assert world.hook.names() == ["failed"]


class TestFencing:
    """A worker that was only slow cannot write any more once another one has the run."""

    @pytest.fixture
    async def slow(self, world: World, job: Any) -> Staging:
        await begin(world, job)
        row = await world.pool.fetchrow(query("sync_job_runs.claim"), uuid4(), 1, world.clock(), 60.0)
        assert row is not None
        staging = Staging(world.pool, claimed_run(row))
        await lose_lease(world)
        return staging

    @pytest.mark.parametrize("taken_over", [True, False])
    async def test_it_writes_nothing(self, world: World, slow: Staging, taken_over: bool) -> None:
        if taken_over:
            await world.pool.fetchrow(query("sync_job_runs.claim"), uuid4(), 1, world.clock(), 60.0)
        writes: list[Callable[[], Awaitable[object]]] = [
            lambda: slow.add("timetable", [lecture("alice", "late")]),
            lambda: slow.keep("timetable", ["alice"], Recalled("key", {}, 1)),
            lambda: slow.expect(["alice"]),
            lambda: slow.remember("timetable", ["alice"], {"key": {"etag": "late"}}),
        ]
        for write in writes:
            with pytest.raises(RunLost):
                await write()
        for table in ("source_records", "sync_job_run_users", "source_validators"):
            assert await world.pool.fetchval(f"SELECT count(*) FROM {table}") == 0

    async def test_it_does_not_end_the_run_of_another(self, world: World, slow: Staging) -> None:
        await world.pool.fetchrow(query("sync_job_runs.claim"), uuid4(), 1, world.clock(), 60.0)
        with pytest.raises(RunLost):
            await slow.finish("done", world.clock())

    async def test_it_applies_nothing(self, world: World, job: Any) -> None:
        gate = Gate()
        world.source.give("alice", page(lecture("alice", "late")), gate)
        run = await begin(world, job)
        first = asyncio.create_task(world.runner().run_until_idle())
        await gate.reached.wait()
        await lose_lease(world)
        world.source.give("alice", page(lecture("alice", "in time")))
        await world.runner().run_until_idle()
        gate.open.set()
        await first
        assert await world.uids("alice") == ["in time"]
        assert ((await find(world, run)).state, (await find(world, run)).attempts) == ("done", 2)

    async def test_nobody_takes_it_over_in_the_middle_of_a_users_timetable(
        self, world: World, job: Any
    ) -> None:
        """What was read would be published after what the other one has read, which is newer."""
        slow = world.runner()
        slow._lease_seconds = 1
        run = await begin(world, job)
        async with world.pool.acquire() as busy, busy.transaction():
            await busy.execute("SELECT FROM users WHERE username = 'alice' FOR UPDATE")
            first = asyncio.create_task(slow.run_until_idle())

            async def waits_and_is_over() -> bool:
                waiting = await world.pool.fetchval(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                    " AND query LIKE '%FROM users%'"
                )
                over = "SELECT lease_until < clock_timestamp() FROM sync_job_runs"
                return bool(waiting) and bool(await world.pool.fetchval(over))

            await until(waits_and_is_over)
            row = await world.pool.fetchrow(query("sync_job_runs.claim"), uuid4(), 1, world.clock(), 60.0)
            assert row is None
        await first
        assert (await find(world, run)).attempts == 1
        assert await world.uids("alice") == ["a"]


class TestCancelled:
    async def test_one_that_a_worker_has_ends_soon_and_nothing_is_applied(
        self, world: World, job: Any
    ) -> None:
        gate = Gate()
        world.source.give("alice", page(lecture("alice", "a")), gate)
        async with working(world.runner()):
            run = await begin(world, job)
            await gate.reached.wait()
            assert (await runs.cancel(world.pool, run.id, world.clock())).state == "running"
            await until(has(world, run, "cancelled"))
        assert await world.uids("alice") == []
        assert world.hook.names() == ["started", "failed"]
        assert world.hook.data("failed")[0]["detail"] == "It was cancelled."

    @pytest.mark.parametrize("place", ["between two users", "in the midst of a user"])
    async def test_while_it_applies_what_was_applied_stays_and_nobody_has_half_a_timetable(
        self, world: World, job: Any, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        users = ["alice", "bob", "carol"]
        await world.add_users("bob", "carol")
        for user in users:
            world.source.give(user, page(lecture(user, f"{user} 1"), lecture(user, f"{user} 2")))
        await world.run(*job, args={"users": users})
        for user in users:
            world.source.give(user, page(lecture(user, f"{user} 2", title="new"), lecture(user, f"{user} 3")))
        world.hook.events.clear()
        monkeypatch.setattr(apply, "BATCH_USERS", 1)
        gate = Gate()
        progress, change_locked = Staging.progress, apply.change_locked

        async def stop_after_alice(staging: Staging, detail: str | None = None) -> None:
            await progress(staging, detail)
            if staging.counts.users_applied == 1:
                await gate()

        async def stop_within_bob(connection: Connection, timetables: Any, *more: Any, **options: Any) -> Any:
            results = await change_locked(connection, timetables, *more, **options)
            if "bob" in timetables:
                await gate()
            return results

        runner = world.runner()
        async with working(runner):
            if place == "between two users":
                monkeypatch.setattr(Staging, "progress", stop_after_alice)
            else:
                monkeypatch.setattr(apply, "change_locked", stop_within_bob)
            run = await world.begin(*job, args={"users": users})
            await gate.reached.wait()
            if place == "between two users":
                await runs.cancel(world.pool, run.id, world.clock())
            else:
                # The worker was told just before; the run's row is held meanwhile.
                running = runner._running[run.id]
                assert running.task is not None
                running.cancelled = True
                running.task.cancel()
            await until(has(world, run, "cancelled"))
        assert [await world.uids(user) for user in users] == [
            ["alice 2", "alice 3"],
            ["bob 1", "bob 2"],
            ["carol 1", "carol 2"],
        ]
        assert (await find(world, run)).counts.users_applied == 1
        assert world.hook.names()[-1] == "failed"
        [last] = world.hook.data("failed")
        assert (last["detail"], last["counts"]["users_applied"]) == ("It was cancelled.", 1)

    async def test_others_go_on(self, world: World, job: Any) -> None:
        gate = Gate()
        world.source.script("a", gate, page(thing("1")))
        other = await world.job({"resource": "a"}, args_schema={}), job[1]
        async with working(world.runner()):
            first = await world.begin(*other)
            await gate.reached.wait()
            stuck = Gate()
            world.source.give("alice", stuck)
            second = await begin(world, job)
            await stuck.reached.wait()
            await runs.cancel(world.pool, second.id, world.clock())
            await until(has(world, second, "cancelled"))
            gate.open.set()
            await until(has(world, first, "done"))


class TestTooLong:
    """A run that never ends would keep every later one of its job and account from beginning."""

    async def test_it_has_failed_and_nothing_was_applied(self, world: World, job: Any) -> None:
        world.config = msgspec.structs.replace(
            world.config, sources=msgspec.structs.replace(world.config.sources, max_run_seconds=1)
        )
        world.source.give("alice", page(lecture("alice", "a")), Gate())
        run = await world.run(*job, args={"users": ["alice"]})
        assert (run.state, run.detail) == (
            "failed",
            "It took longer than 1 seconds (sources.max_run_seconds): nothing more is read or applied.",
        )
        assert await world.uids("alice") == []
        assert world.hook.names() == ["started", "failed"]


class TestStopped:
    async def test_what_was_running_waits_for_the_next_worker(self, world: World, job: Any) -> None:
        gate = Gate()
        world.source.give("alice", page(lecture("alice", "a")), gate)
        async with working(world.runner()):
            run = await begin(world, job)
            await gate.reached.wait()
        given_back = await find(world, run)
        assert (given_back.state, given_back.attempts) == ("queued", 0)
        world.source.give("alice", page(lecture("alice", "b")))
        await world.runner().run_until_idle()
        assert (await find(world, run)).state == "done"
        assert await world.uids("alice") == ["b"]
        assert world.hook.attempts == [1, 1]
        assert len(set(world.hook.fences)) == 2, "the webhook can tell what it hears anew from repetitions"


async def test_one_that_cannot_be_read_fails_and_those_claimed_with_it_go_on(world: World, job: Any) -> None:
    other = await world.begin(await world.job(), job[1], args={"users": ["alice"]})
    broken = await begin(world, job)
    third = await world.begin(await world.job(), job[1], args={"users": ["alice"]})
    await world.pool.execute(
        """UPDATE sync_job_runs SET resources = '[{"made": "later"}]' WHERE id = $1""", broken.id
    )
    with capture_logs() as logs:
        await world.runner().run_until_idle()
    ended = await find(world, broken)
    assert (ended.state, ended.attempts) == ("failed", 1)
    assert ended.detail is not None
    assert ended.detail.startswith("What is stored of this run cannot be read")
    assert [log["run"] for log in logs if log["event"] == "sync_job_run_unreadable"] == [str(broken.id)]
    assert [(await find(world, run)).state for run in (other, third)] == ["done", "done"]


async def test_one_that_has_just_ended_is_not_lost(
    world: World, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end rings the bell, and the worker looks before the run itself has heard that it is written."""
    runner, finish = world.runner(), Staging.finish

    async def finish_and_look(staging: Staging, *args: Any, **options: Any) -> None:
        await finish(staging, *args, **options)
        await runner._keep()
        await asyncio.sleep(0)  # where it would be cancelled

    monkeypatch.setattr(Staging, "finish", finish_and_look)
    before = {ending: SYNC_JOB_RUNS.labels(ending)._value.get() for ending in ("done", "lost")}
    run = await begin(world, job)
    with capture_logs() as logs:
        await runner.run_until_idle()
    assert (await find(world, run)).state == "done"
    assert [log["state"] for log in logs if log["event"] == "sync_job_run_ended"] == ["done"]
    assert SYNC_JOB_RUNS.labels("done")._value.get() == before["done"] + 1
    assert SYNC_JOB_RUNS.labels("lost")._value.get() == before["lost"]


async def test_a_trigger_that_waits_fires_as_soon_as_another_process_has_ended_the_run(
    world: World, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.sources.runner.LONGEST_SLEEP", 3_600)
    body = {
        "sync_job_id": str(job[0]),
        "integrated_account_id": str(job[1]),
        "cron_expression": "30 5 * * *",
        "args": {"users": ["alice"]},
    }
    trigger = await triggers.create(world.pool, body, world.sources.integrations, "UTC", world.clock())
    await begin(world, job)
    row = await world.pool.fetchrow(query("sync_job_runs.claim"), uuid4(), 1, world.clock(), 3_600.0)
    assert row is not None
    world.clock.advance(days=1)
    runner = world.runner()
    asleep = asyncio.Event()
    seconds = runner._seconds

    async def falls_asleep() -> float:
        found = await seconds()
        asleep.set()
        return found

    monkeypatch.setattr(runner, "_seconds", falls_asleep)
    async with working(runner):
        await asleep.wait()
        await Staging(world.pool, claimed_run(row)).finish("done", world.clock())

        async def fired() -> bool:
            made = (await triggers.find(world.pool, trigger.id)).last_run_id
            return made is not None and (await runs.find(world.pool, made)).state == "done"

        await until(fired)


async def test_the_lease_of_a_long_run_is_kept(world: World, job: Any) -> None:
    gate = Gate()
    world.source.give("alice", gate)
    runner = world.runner()
    runner._lease_seconds = 3
    async with working(runner):
        run = await begin(world, job)
        await gate.reached.wait()
        first = await world.pool.fetchval("SELECT lease_until FROM sync_job_runs")

        async def extended_often() -> bool:
            lease = await world.pool.fetchval("SELECT lease_until FROM sync_job_runs")
            return (lease - first).total_seconds() > 1.5

        await until(extended_often)
        gate.open.set()
        await until(has(world, run, "done"))
    assert (await find(world, run)).attempts == 1


async def test_how_far_it_is_can_be_seen_meanwhile(world: World, job: Any) -> None:
    gate = Gate()

    async def second_page() -> Page:
        await gate()
        return page()

    world.source.give("alice", page(lecture("alice", "a")), second_page)
    async with working(world.runner()):
        run = await begin(world, job)
        await gate.reached.wait()
        seen = (await find(world, run)).counts
        gate.open.set()
        await until(has(world, run, "done"))
    assert (seen.requests, seen.pages, seen.records) == (1, 1, 1)


async def test_what_ended_long_ago_is_forgotten_but_not_what_the_next_run_goes_on_from(
    world: World, job: Any
) -> None:
    old = [await world.run(*job, args={"users": ["alice"]}) for _ in range(3)]
    world.clock.advance(days=91)
    await world.runner().run_until_idle()
    left = (await runs.page(world.pool, 10, None)).sync_job_runs
    assert [run.id for run in left] == [old[-1].id]
