"""What several requests at once come to: nothing twice, nothing lost."""

import asyncio
from typing import Any

import pytest

from app.database.queries import query
from app.database.types import Pool
from app.errors import NotFound, RoosterError
from app.provisioning import synchronizations, users
from app.provisioning.provision import provision
from app.provisioning.runs import ActiveRun, start_sync
from app.provisioning.synchronizations import Synchronization
from app.provisioning.unlink import delete_user, unlink_one, unlink_user
from tests.clock import SettableClock
from tests.fakes import FakeAdapter


@pytest.fixture
def ews() -> FakeAdapter:
    adapter = FakeAdapter("ews")
    adapter.add_mailbox("alice@uni.example", aliases=["a.liddell@uni.example"])
    return adapter


async def link(
    pool: Pool, ews: FakeAdapter, clock: SettableClock, address: str = "alice@uni.example"
) -> Synchronization:
    return await provision(
        pool, {"ews": ews}, clock, username="alice", type="ews", address=address, probe_seconds=10
    )


@pytest.fixture
async def synchronization(pool: Pool, ews: FakeAdapter, clock: SettableClock) -> Synchronization:
    await users.ensure(pool, "alice", clock)
    return await link(pool, ews, clock)


async def test_of_two_deletes_at_once_one_ends_it(
    pool: Pool, clock: SettableClock, synchronization: Synchronization
) -> None:
    results = await asyncio.gather(
        *(unlink_one(pool, synchronization.id, "CLEANUP", clock) for _ in range(6)), return_exceptions=True
    )
    assert all(isinstance(result, int | NotFound) for result in results)
    assert await pool.fetchval("SELECT count(*) FROM unlinks") == 1


async def test_a_user_who_is_deleted_while_they_are_provisioned_has_nothing(
    pool: Pool, ews: FakeAdapter, clock: SettableClock, synchronization: Synchronization
) -> None:
    async def attempt(work: Any) -> None:
        try:
            await work
        except RoosterError as error:
            assert error.code in ("unknown_user", "user_not_found")  # noqa: PT017 - either is right

    addresses = ("alice@uni.example", "a.liddell@uni.example")
    await asyncio.gather(
        *(attempt(link(pool, ews, clock, address)) for address in addresses * 3),
        attempt(delete_user(pool, "alice", "DELETE_ALL_EVENTS", clock)),
        *(attempt(link(pool, ews, clock, address)) for address in addresses * 3),
    )
    assert await pool.fetchval("SELECT count(*) FROM current_synchronizations") == 0


async def test_linking_and_unlinking_at_once_leaves_at_most_one(
    pool: Pool, ews: FakeAdapter, clock: SettableClock, synchronization: Synchronization
) -> None:
    await asyncio.gather(
        *(link(pool, ews, clock) for _ in range(4)),
        *(unlink_user(pool, "alice", "UNLINK_ONLY", clock) for _ in range(4)),
        *(link(pool, ews, clock, "a.liddell@uni.example") for _ in range(4)),
    )
    assert await pool.fetchval("SELECT count(*) FROM current_synchronizations") <= 1


async def test_of_two_syncs_at_once_one_is_started(
    pool: Pool, clock: SettableClock, synchronization: Synchronization
) -> None:
    results = await asyncio.gather(*(start_sync(pool, clock) for _ in range(6)), return_exceptions=True)
    [started] = [result for result in results if isinstance(result, int)]
    refused = [result for result in results if isinstance(result, ActiveRun)]
    assert len(refused) == 5
    assert {error.run for error in refused} == {started}


async def test_of_two_workers_that_finish_the_last_two_pieces_at_once_one_ends_the_run(
    pool: Pool, ews: FakeAdapter, clock: SettableClock, synchronization: Synchronization
) -> None:
    ews.add_mailbox("second@uni.example")
    await link(pool, ews, clock, "second@uni.example")
    run = await unlink_user(pool, "alice", "DELETE_ALL_EVENTS", clock)
    done, finish = "UPDATE unlinks SET done_at = $1 WHERE id = $2", query("runs.finish_if_done")
    [one, other] = [row["id"] for row in await pool.fetch("SELECT id FROM unlinks ORDER BY id")]
    async with pool.acquire() as first, pool.acquire() as second:
        ending_first, ending_second = first.transaction(), second.transaction()
        await ending_first.start()
        await ending_second.start()
        await first.execute(done, clock(), one)
        await second.execute(done, clock(), other)
        await first.execute(finish, run, clock())
        later = asyncio.create_task(second.execute(finish, run, clock()))
        while not await pool.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database())"
        ):
            assert not later.done()
        await ending_first.commit()
        await later
        await ending_second.commit()
    row = await pool.fetchrow("SELECT state, total, done, finished_at FROM runs WHERE id = $1", run)
    assert row is not None
    assert tuple(row) == ("done", 2, 2, clock())


async def test_nothing_is_done_before_everything_is(
    pool: Pool, ews: FakeAdapter, clock: SettableClock, synchronization: Synchronization
) -> None:
    ews.add_mailbox("second@uni.example")
    await link(pool, ews, clock, "second@uni.example")
    run = await unlink_user(pool, "alice", "DELETE_ALL_EVENTS", clock)
    await pool.execute("UPDATE unlinks SET done_at = $1 WHERE id = (SELECT min(id) FROM unlinks)", clock())
    await pool.execute(query("runs.finish_if_done"), run, clock())
    row = await pool.fetchrow("SELECT state, total, done, finished_at FROM runs WHERE id = $1", run)
    assert row is not None
    assert tuple(row) == ("active", 2, 1, None)


async def test_the_moment_of_acceptance_is_the_clocks(
    pool: Pool, clock: SettableClock, synchronization: Synchronization
) -> None:
    accepted = clock.advance(days=3)
    await unlink_one(pool, synchronization.id, "DELETE_FUTURE_EVENTS", clock)
    clock.advance(days=3)
    row = await pool.fetchrow("SELECT accepted_at, synchronization_id FROM unlinks")
    assert row is not None
    assert tuple(row) == (accepted, synchronization.id)
    with pytest.raises(NotFound):
        await synchronizations.find(pool, synchronization.id)
