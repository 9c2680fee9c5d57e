"""``Prefer: wait``: a DELETE that answers when the events are out (CONTRACT §4, RFC 7240)."""

import asyncio
from typing import Any

import asyncpg
import pytest
from httpx import Response
from litestar import Litestar

from app.database.queries import query
from app.database.types import Pool
from app.provisioning.watching import RunWatcher
from tests.api.conftest import Client
from tests.clock import SettableClock


def delete(client: Client, synchronization: dict[str, Any], prefer: str) -> "asyncio.Task[Response]":
    return asyncio.create_task(
        client.delete(
            f"/api/v0/synchronizations/{synchronization['id']}?unlinkMode=DELETE_ALL_EVENTS",
            headers={"Prefer": prefer},
        )
    )


async def accepted(pool: Pool) -> int:
    """The run, as soon as the request was accepted."""
    while True:
        run: int | None = await pool.fetchval("SELECT id FROM runs")
        if run is not None:
            return run


async def finish(pool: Pool, run: int, clock: SettableClock) -> None:
    """As a worker does at the end of an unlinking."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE unlinks SET done_at = $1 WHERE run_id = $2", clock(), run)
        await connection.execute(query("runs.finish_if_done"), run, clock())


async def listening(pool: Pool) -> None:
    """Until somebody has listened and then looked whether the run is over."""
    while not await pool.fetchval(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        " AND datname = current_database())"
    ):
        pass


async def test_the_answer_is_held_until_the_events_are_out(
    client: Client, synchronization: dict[str, Any], pool: Pool, clock: SettableClock
) -> None:
    waiting = delete(client, synchronization, "wait=60")
    run = await accepted(pool)
    await listening(pool)
    assert not waiting.done()
    await finish(pool, run, clock)
    answer = await waiting
    assert answer.status_code == 204
    assert answer.headers["Preference-Applied"] == "wait=60"
    assert answer.headers["Operation-Location"] == f"/api/v1/runs/{run}"
    assert (await client.get(f"/api/v1/runs/{run}")).json()["state"] == "done"


async def test_the_answer_comes_when_time_is_up(
    client: Client, synchronization: dict[str, Any], pool: Pool
) -> None:
    answer = await delete(client, synchronization, "wait=1")
    assert answer.status_code == 204
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert (await client.get(answer.headers["Operation-Location"])).json()["state"] == "active"


@pytest.mark.parametrize("prefer", ["respond-async", "wait", "wait=-1", "wait=x", "wait=\u0661", "", ",;="])
async def test_other_preferences_are_ignored(
    client: Client, synchronization: dict[str, Any], prefer: str
) -> None:
    answer = await client.delete(
        f"/api/v0/synchronizations/{synchronization['id']}?unlinkMode=DELETE_ALL_EVENTS",
        headers={"Prefer": prefer.encode()},
    )
    assert answer.status_code == 204
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=9", "wait=9"),
        ("respond-async, wait=9", "wait=9"),
        ('Wait = "9"; x=y, respond-async', "wait=9"),
        ("wait=100000", "wait=300"),
    ],
)
async def test_what_is_done_already_is_answered_at_once(
    client: Client, synchronization: dict[str, Any], prefer: str, applied: str
) -> None:
    answer = await client.delete(
        f"/api/v0/synchronizations/{synchronization['id']}?unlinkMode=UNLINK_ONLY", headers={"Prefer": prefer}
    )
    assert answer.headers["Preference-Applied"] == applied


async def test_many_wait_over_one_connection(
    client: Client, synchronization: dict[str, Any], pool: Pool, clock: SettableClock
) -> None:
    watcher = RunWatcher(pool)
    run = await pool.fetchval(query("runs.create"), "unlink", clock())
    waiting = [asyncio.create_task(watcher.wait(run, 60)) for _ in range(50)]
    await listening(pool)
    listeners = await pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    )
    assert listeners == 1
    await pool.execute(query("runs.finish_if_done"), run, clock())
    assert await asyncio.gather(*waiting) == [True] * 50
    await watcher.close()


async def test_a_broken_connection_is_replaced(
    synchronization: dict[str, Any], pool: Pool, clock: SettableClock
) -> None:
    watcher = RunWatcher(pool)
    run = await pool.fetchval(query("runs.create"), "unlink", clock())
    waiting = asyncio.create_task(watcher.wait(run, 60))
    await listening(pool)
    broken = await pool.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    )
    assert broken == 1
    await listening(pool)
    assert not waiting.done()
    await pool.execute(query("runs.finish_if_done"), run, clock())
    assert await waiting
    await watcher.close()


async def test_a_connection_that_breaks_before_it_listens_is_replaced(
    synchronization: dict[str, Any], pool: Pool, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = asyncpg.Connection.add_listener
    broken: list[Any] = []

    async def broken_once(self: Any, *arguments: Any) -> None:
        if not broken:
            broken.append(self)
            self.terminate()
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        await listen(self, *arguments)

    monkeypatch.setattr(asyncpg.Connection, "add_listener", broken_once)
    watcher = RunWatcher(pool)
    run = await pool.fetchval(query("runs.create"), "unlink", clock())
    waiting = asyncio.create_task(watcher.wait(run, 60))
    async with asyncio.timeout(60):
        await listening(pool)
    await pool.execute(query("runs.finish_if_done"), run, clock())
    assert await waiting
    assert broken
    await watcher.close()


async def test_who_stops_waiting_before_it_listens_gives_the_connection_back(
    synchronization: dict[str, Any], pool: Pool, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*_: object) -> None:
        await asyncio.Event().wait()

    watcher = RunWatcher(pool)
    run = await pool.fetchval(query("runs.create"), "unlink", clock())
    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "add_listener", slow)
        assert not await watcher.wait(run, 0.01)
    assert pool.get_idle_size() == pool.get_size()
    await pool.execute(query("runs.finish_if_done"), run, clock())
    assert await watcher.wait(run, 60)
    await watcher.close()


async def test_nobody_waits_when_the_process_ends(app: Litestar, pool: Pool, clock: SettableClock) -> None:
    watcher: RunWatcher = app.state.watcher
    run = await pool.fetchval(query("runs.create"), "unlink", clock())
    waiting = asyncio.create_task(watcher.wait(run, 300))
    await listening(pool)
    await watcher.close()
    assert not await waiting
