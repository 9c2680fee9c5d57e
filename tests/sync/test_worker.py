"""The worker's own life: the bell, its slots, a database that goes away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from structlog.testing import capture_logs

from app.clock import system_clock
from app.sync import worker as worker_module
from app.sync.endings import Ending
from app.sync.run import Run
from app.sync.worker import Worker
from providers.contract import Refused
from tests.fakes import Call, FakeAdapter
from tests.sync.world import World, event

ALICE = "alice@uni.example"


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[None]:
    """The worker works meanwhile, and stops cleanly at the end."""
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def until_pushed(world: World, uid: str) -> None:
    async with asyncio.timeout(60):
        while uid not in world.uids(ALICE):
            await asyncio.sleep(0.02)


@pytest.fixture
def sleepy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that nobody wakes sleeps for longer than any test waits."""
    monkeypatch.setattr(worker_module, "LONGEST_SLEEP", 3600.0)


@pytest.mark.usefixtures("sleepy")
async def test_the_bell_wakes_a_worker_that_has_nothing_to_do(world: World) -> None:
    world.clock.set(system_clock())
    await world.publish("alice", event("a"))
    await world.link("alice", ALICE)
    async with running(world.worker()):
        await until_pushed(world, "a")
        await world.publish("alice", event("a"), event("b"))
        await until_pushed(world, "b")


async def test_a_worker_outlives_a_database_that_goes_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "DATABASE_RETRY", 0.05)
    await world.publish("alice", event("a"))
    await world.link("alice", ALICE)
    async with running(world.worker()):
        await until_pushed(world, "a")
        for uid in ("b", "c"):
            # What a restart of the server does to all sessions, the listening one included.
            await world.pool.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await world.publish("alice", event("a"), event(uid))
            await until_pushed(world, uid)


@pytest.mark.parametrize(
    "bug", [ZeroDivisionError("a bug"), asyncpg.DataError("invalid input for query argument $1")]
)
async def test_a_bug_of_ours_is_told_ends_one_run_alone_and_that_one_is_tried_again(
    world: World, bug: Exception
) -> None:
    """A value that the database does not take is one, and no database that has gone."""
    for name in ("alice", "bob"):
        await world.publish(name, event("a"))
        await world.link(name, f"{name}@uni.example")

    async def break_down(call: Call) -> None:
        if call.operation == "apply" and call.address == ALICE:
            raise bug

    world.adapter.before = break_down
    with capture_logs() as logs:
        await world.work()
    assert [entry["event"] for entry in logs].count("run_crashed") == 1
    assert (world.uids(ALICE), world.uids("bob@uni.example")) == ({}, {"a": 1})
    status = "SELECT status, last_error FROM synchronizations ORDER BY username"
    alice, bob = await world.pool.fetch(status)
    assert (alice["status"], bob["status"]) == ("ERROR", "OK")
    assert "unexpected" in alice["last_error"]
    assert "bug" not in alice["last_error"]

    world.adapter.before = None
    await world.settle()
    assert world.uids(ALICE) == {"a": 1}
    assert [row["status"] for row in await world.pool.fetch(status)] == ["OK", "OK"]


async def test_one_slow_mailbox_holds_up_no_other_and_one_provider_none_of_the_others(world: World) -> None:
    google = FakeAdapter("googlecalendar")
    google.add_mailbox(ALICE)
    release = asyncio.Event()

    async def hold(call: Call) -> None:
        if call.operation == "apply":
            await release.wait()

    world.adapter.before = hold
    people = [f"p{n}" for n in range(30)]
    for name in people:
        world.adapter.add_mailbox(f"{name}@uni.example")
        await world.publish(name, event("a"))
        await world.link(name, f"{name}@uni.example")
    other = World(world.pool, world.clock, google)
    await other.publish("alice", event("a"))
    await other.link("alice", ALICE)
    async with running(world.worker(world.adapter, google)):
        await until_pushed(other, "a")
        assert all(world.pushed(f"{name}@uni.example") == [] for name in people)
        # No more at once than there are slots for this provider.
        assert world.adapter.count("apply") <= world.config.sync.concurrency.ews
        release.set()
        async with asyncio.timeout(60):
            while not all(world.pushed(f"{name}@uni.example") for name in people):
                await asyncio.sleep(0.02)


async def test_the_log_names_synchronizations_runs_and_refused_events_by_their_ids(world: World) -> None:
    world.adapter.fail("create", Refused(code="ErrorInvalidProperty", reason="The provider says no."))
    with capture_logs() as logs:
        await world.publish("alice", event("a"))
        id = await world.link("alice", ALICE)
        await world.work()
        run = await world.unlink("DELETE_ALL_EVENTS", id)
        await world.work()
    refused = [entry for entry in logs if entry["event"] == "event_refused"]
    assert [(entry["synchronization"], entry["uid"]) for entry in refused] == [(id, "a")]
    runs = [entry for entry in logs if entry["event"] == "mailbox_run"]
    assert [entry["synchronizations"] for entry in runs] == [[id], []]
    assert [entry["runs"] for entry in runs] == [[], [run]]


@pytest.mark.usefixtures("sleepy")
async def test_a_mailbox_that_is_asked_for_while_its_run_ends_is_not_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker leaves it out, as it is running, when it asks what is due next; and it ends meanwhile."""
    await world.publish("alice", event("a"))
    await world.link("alice", ALICE)
    worker = world.worker()
    asked, end = asyncio.Event(), asyncio.Event()
    complete = Run._complete

    async def last_step(run: Run) -> Ending:
        ending = await complete(run)
        if not asked.is_set():
            await world.publish("alice", event("a"), event("b"))
            asked.set()
            worker._bell.set()
            await end.wait()
        return ending

    async def next_due(*arguments: object) -> object:
        due_at = await world.pool.fetchval(*arguments)
        # The bell has rung for what was published, and the worker has looked: it is asleep, but for this.
        if asked.is_set() and not end.is_set() and worker._running and not worker._bell.is_set():
            end.set()
            async with asyncio.timeout(60):
                while worker._running:
                    await asyncio.sleep(0.02)
        return due_at

    monkeypatch.setattr(Run, "_complete", last_step)
    monkeypatch.setattr(worker, "_pool", Wrapped(world.pool, fetchval=next_due))
    async with running(worker):
        await until_pushed(world, "b")


class Wrapped:
    """Something, with some of its methods replaced."""

    def __init__(self, inner: object, **methods: object) -> None:
        self.__dict__ |= methods
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)
