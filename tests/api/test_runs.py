"""``/api/v1/runs``: followed live, and cancelled (CONTRACT §6)."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from httpx import AsyncClient
from litestar import Litestar

from app.api import runs as run_api
from app.api.app import create_app
from app.config import Config
from app.database.queries import query
from app.database.types import Pool
from app.tokens import Role
from tests.api.conftest import Client, to_form
from tests.api.test_server import Server, connected, serving
from tests.clock import SettableClock
from tests.fakes import FakeAdapter

SYNC = "/api/v1/synchronizations/sync"


async def begin(client: Client) -> int:
    """A sync of two mailboxes; no worker is there."""
    for username in ("alice", "bob"):
        await client.put(f"/api/v0/users/{username}")
        form = to_form(username, "ews", f"{username}@uni.example")
        assert (await client.put("/api/v0/synchronizations", data=form)).status_code == 200
    found: int = (await client.post(SYNC, json={"all": True})).json()["run"]
    return found


@pytest.fixture
async def run(client: Client) -> int:
    return await begin(client)


async def visit(pool: Pool, clock: SettableClock) -> None:
    """As a worker does with the next mailbox of a bulk sync."""
    row = await pool.fetchrow("SELECT mailbox_id, wake FROM run_mailboxes WHERE done_at IS NULL LIMIT 1")
    assert row is not None
    await pool.execute(query("runs.visited"), row["mailbox_id"], row["wake"], clock(), None)


async def events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The server-sent events of a stream (WHATWG HTML section 9.2), comments as events of the type ``:``.

    A client hears of an event when there is a line of data, be it an empty one.
    """
    name, data = "message", []
    async for line in lines:
        if line.startswith(":"):
            yield ":", {}
        elif line:
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            else:
                assert field == "data"
                data.append(value)
        else:
            if data:
                yield name, json.loads("\n".join(data))
            name, data = "message", []


class TestLive:
    @pytest.fixture
    async def server(self, app: Litestar) -> AsyncIterator[Server]:
        async with serving(app) as server:
            yield server

    @pytest.fixture
    async def admin(self, server: Server, tokens: dict[Role, str]) -> AsyncIterator[AsyncClient]:
        """Over a real socket, as a stream is."""
        headers = {"apiToken": tokens["admin"]}
        async with connected(server, headers) as client:
            yield client

    @pytest.fixture
    async def run(self, admin: AsyncClient) -> int:
        return await begin(admin)

    async def test_each_step_until_the_end(
        self, admin: AsyncClient, run: int, pool: Pool, clock: SettableClock
    ) -> None:
        async with admin.stream("GET", f"/api/v1/runs/{run}/events") as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            seen = []
            async for name, data in events(answer.aiter_lines()):
                seen.append((name, data["state"], data["counts"]["done"]))
                if data["state"] == "active":
                    await visit(pool, clock)
        assert seen == [("run", "active", 0), ("run", "active", 1), ("run", "done", 2)]

    async def test_a_sign_of_life_while_nothing_happens(
        self, admin: AsyncClient, run: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(run_api, "HEARTBEAT_SECONDS", 0.01)
        async with admin.stream("GET", f"/api/v1/runs/{run}/events") as answer:
            seen = []
            async for name, _ in events(answer.aiter_lines()):
                seen.append(name)
                if len(seen) == 3:
                    assert (await admin.delete(f"/api/v1/runs/{run}")).status_code == 200
        assert seen[:3] == ["run", ":", ":"]
        assert seen[-1] == "run"

    async def test_one_that_is_over_is_told_once(self, admin: AsyncClient, run: int) -> None:
        await admin.delete(f"/api/v1/runs/{run}")
        answer = await admin.get(f"/api/v1/runs/{run}/events")
        assert answer.text.count("event: run") == 1
        assert '"state":"cancelled"' in answer.text

    async def test_of_no_run(self, admin: AsyncClient) -> None:
        assert (await admin.get("/api/v1/runs/999/events")).status_code == 404

    async def test_nobody_who_follows_keeps_the_server_from_its_end(
        self, server: Server, admin: AsyncClient, run: int
    ) -> None:
        async with admin.stream("GET", f"/api/v1/runs/{run}/events") as answer:
            found = events(answer.aiter_lines())
            await anext(found)
            server.stop.set()
            assert [name async for name, _ in found] == []
            await asyncio.wait_for(asyncio.shield(server.task), 30)


class TestCancel:
    async def test_a_sync(self, client: Client, run: int) -> None:
        answer = await client.delete(f"/api/v1/runs/{run}")
        assert answer.status_code == 200
        assert answer.json()["state"] == "cancelled"
        assert answer.json()["finishedAt"] == "2026-09-01T08:00:00Z"
        assert (await client.post(SYNC, json={"all": True})).status_code == 202

    async def test_an_unlinking_cannot_be(self, client: Client, synchronization: dict[str, Any]) -> None:
        path = f"/api/v0/synchronizations/{synchronization['id']}?unlinkMode=DELETE_ALL_EVENTS"
        location = (await client.delete(path)).headers["Operation-Location"]
        answer = await client.delete(location)
        assert (answer.status_code, answer.json()["code"]) == (409, "unlink_not_cancellable")
        assert (await client.get(location)).json()["state"] == "active"

    async def test_one_that_is_over_cannot_be(self, client: Client, alice: str) -> None:
        run = (await client.post(SYNC, json={"all": True})).json()["run"]
        answer = await client.delete(f"/api/v1/runs/{run}")
        assert (answer.status_code, answer.json()["code"]) == (409, "run_ended")

    async def test_no_run(self, client: Client) -> None:
        assert (await client.delete("/api/v1/runs/999")).status_code == 404


class TestBusy:
    """409 at once, whatever the other server is busy with."""

    @pytest.fixture
    async def other(
        self, database: str, ews: FakeAdapter, config: Config, clock: SettableClock
    ) -> AsyncIterator[Litestar]:
        """Another server on the same database."""
        async with asyncpg.create_pool(database, min_size=1, max_size=5) as pool:
            yield create_app(pool, {"ews": ews}, config, clock)

    async def test_the_active_run_is_told_at_once_though_its_mailboxes_are_still_looked_for(
        self, app: Litestar, other: Litestar, tokens: dict[Role, str], pool: Pool
    ) -> None:
        headers = {"apiToken": tokens["admin"]}
        async with (
            serving(app) as first_server,
            serving(other) as second_server,
            connected(first_server, headers) as first,
            connected(second_server, headers) as second,
        ):
            assert (await first.delete(f"/api/v1/runs/{await begin(first)}")).status_code == 200
            async with pool.acquire() as connection, connection.transaction():
                # Nobody can enlist mailboxes now, as if there were a million of them.
                await connection.execute("LOCK TABLE run_mailboxes IN EXCLUSIVE MODE")
                starting = asyncio.create_task(first.post(SYNC, json={"all": True}))
                while not (run := await pool.fetchval(query("runs.active_sync"))):
                    await asyncio.sleep(0.01)
                answer = await second.post(SYNC, json={"all": True})
                assert not starting.done()
            assert (await starting).json() == {"run": run}
        assert (answer.status_code, answer.json()["code"], answer.json()["run"]) == (409, "sync_active", run)
