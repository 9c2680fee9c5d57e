"""Workers that run sync jobs: lost, stopped, cancelled, and several at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from app.database.queries import query
from app.sources import runs
from app.sources.contract import Page, RecordError
from app.sources.runner import SourceRunner
from app.sources.runs import JobRun
from app.sources.staging import Recalled, RunLost, Staging, claimed_run
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

    async def test_one_that_was_cancelled_meanwhile_ends(self, world: World, job: Any) -> None:
        run = await self.lost(world, job)
        await runs.cancel(world.pool, run.id, world.clock())
        await world.runner().run_until_idle()
        assert ((await find(world, run)).state, world.source.calls) == ("cancelled", [])


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
