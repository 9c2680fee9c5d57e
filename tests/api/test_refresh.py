"""``POST /synchronizations/{id}/refresh`` and ``…/approve`` (CONTRACT §6)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest

from app.config import Config
from app.database.types import Pool
from app.sync.worker import Worker
from app.tokens import Role
from tests.api.conftest import Client
from tests.clock import SettableClock
from tests.fakes import DOWN, NO_ACCESS, Call, FakeAdapter

FUTURE = datetime(2026, 10, 1, 9, tzinfo=UTC)


@pytest.fixture
def seconds() -> int:
    """How long a call waits: long enough for a worker on a slow machine."""
    return 30


@pytest.fixture
def config(config: Config, seconds: int) -> Config:
    sync = msgspec.structs.replace(config.sync, refresh_wait_seconds=seconds)
    return msgspec.structs.replace(config, sync=sync)


@pytest.fixture
def path(synchronization: dict[str, Any]) -> str:
    return f"/api/v1/synchronizations/{synchronization['id']}"


@pytest.fixture
def worker(pool: Pool, ews: FakeAdapter, config: Config, clock: SettableClock) -> Worker:
    return Worker(pool, {"ews": ews}, config, clock, random=Random(7))


@pytest.fixture
async def working(worker: Worker) -> AsyncIterator[None]:
    """A worker is there, as in ``rooster serve``."""
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    yield
    stop.set()
    await task


async def publish(client: Client, *uids: str) -> None:
    events = [
        {
            "uid": uid,
            "title": f"Title of {uid}",
            "start": (FUTURE + timedelta(days=day)).isoformat(),
            "end": (FUTURE + timedelta(days=day, hours=1)).isoformat(),
        }
        for day, uid in enumerate(uids)
    ]
    answer = await client.put("/api/v1/users/alice/timetable?confirm=true", json={"events": events})
    assert answer.status_code == 200, answer.text


class TestRefresh:
    @pytest.mark.usefixtures("working")
    async def test_it_is_0_when_it_was_done_within_the_call(
        self, client: Client, path: str, ews: FakeAdapter
    ) -> None:
        answer = await client.post(f"{path}/refresh")
        assert (answer.status_code, answer.json()) == (200, 0)
        assert ews.count("changes") == 1

    @pytest.mark.parametrize("seconds", [1])
    async def test_it_is_the_run_when_it_was_not(
        self, client: Client, path: str, worker: Worker, ews: FakeAdapter
    ) -> None:
        await publish(client, "a", "b", "c")
        await worker.run_until_idle()
        mailbox = ews.mailbox("alice@uni.example")
        assert mailbox is not None
        first, second, _ = mailbox.events
        mailbox.remove(first)
        mailbox.change(second, location="My room")
        mailbox.copy(second)
        answer = await client.post(f"{path}/refresh", json={})
        assert answer.status_code == 200
        number = answer.json()
        assert isinstance(number, int)
        run = (await client.get(f"/api/v1/runs/{number}")).json()
        assert (run["kind"], run["state"], run["progress"], run["drift"]) == ("refresh", "active", 0.0, None)
        await worker.run_until_idle()
        run = (await client.get(f"/api/v1/runs/{number}")).json()
        assert (run["state"], run["progress"], run["errors"]) == ("done", 1.0, [])
        assert run["counts"] == {"total": 1, "done": 1, "removed": 0}
        assert run["drift"] == {
            "events": 3,
            "missing": 1,
            "changed": 1,
            "moved": 0,
            "quarantined": 0,
            "copied": 1,
            "foreign": 0,
            "duplicate": 0,
        }

    @pytest.mark.usefixtures("working")
    @pytest.mark.parametrize("seconds", [1])
    async def test_a_reading_that_goes_on_is_the_run(
        self, client: Client, path: str, ews: FakeAdapter
    ) -> None:
        """Also where the worker is in the middle of it."""
        release = asyncio.Event()

        async def hold(call: Call) -> None:
            if call.operation == "changes":
                await release.wait()

        ews.before = hold
        number = (await client.post(f"{path}/refresh")).json()
        assert number > 0
        release.set()

    @pytest.mark.usefixtures("working")
    async def test_one_that_failed_is_the_run_which_says_why(
        self, client: Client, path: str, ews: FakeAdapter
    ) -> None:
        ews.fail("changes", NO_ACCESS)
        number = (await client.post(f"{path}/refresh")).json()
        run = (await client.get(f"/api/v1/runs/{number}")).json()
        assert (run["state"], run["errors"][0]["detail"]) == ("failed", NO_ACCESS.reason)

    @pytest.mark.parametrize("seconds", [1])
    async def test_why_it_takes_long_can_be_seen(
        self, client: Client, path: str, worker: Worker, ews: FakeAdapter
    ) -> None:
        ews.fail("changes", DOWN)
        number = (await client.post(f"{path}/refresh")).json()
        await worker.run_until_idle()
        run = (await client.get(f"/api/v1/runs/{number}")).json()
        assert (run["state"], run["errors"][0]["detail"]) == ("active", DOWN.reason)

    @pytest.mark.parametrize("seconds", [1])
    async def test_a_cancelled_one_is_not_done(
        self, client: Client, path: str, worker: Worker, ews: FakeAdapter
    ) -> None:
        number = (await client.post(f"{path}/refresh")).json()
        assert (await client.delete(f"/api/v1/runs/{number}")).status_code in (200, 204)
        await worker.run_until_idle()
        assert ews.count("changes") == 0

    @pytest.mark.usefixtures("working")
    async def test_the_own_calendar_can_be_named(self, client: Client, path: str) -> None:
        answer = await client.post(f"{path}/refresh", json={"calendars": ["Alice@uni.example"]})
        assert (answer.status_code, answer.json()) == (200, 0)
        assert (await client.post(f"{path}/refresh", json={"calendars": None})).json() == 0

    @pytest.mark.usefixtures("working")
    async def test_a_run_for_a_calendar_that_is_not_there_fails_and_names_it(
        self, client: Client, path: str
    ) -> None:
        body = {"calendars": ["alice@uni.example", "Birthdays"]}
        number = (await client.post(f"{path}/refresh", json=body)).json()
        run = (await client.get(f"/api/v1/runs/{number}")).json()
        assert (run["state"], run["errors"][0]["detail"]) == (
            "failed",
            "The mailbox has no calendar named Birthdays.",
        )

    @pytest.mark.parametrize("calendars", [[], [""], ["alice@uni.example", " "]])
    async def test_no_calendar_at_all(
        self, client: Client, pool: Pool, path: str, calendars: list[str]
    ) -> None:
        answer = await client.post(f"{path}/refresh", json={"calendars": calendars})
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "no_calendars"
        assert await pool.fetchval("SELECT count(*) FROM runs") == 0

    @pytest.mark.parametrize("body", ["[1]", "{", '{"calendars": "x"}', '{"calendars": [1]}'])
    async def test_a_body_that_cannot_be_understood(self, client: Client, path: str, body: str) -> None:
        answer = await client.post(
            f"{path}/refresh", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 400

    @pytest.mark.parametrize("id", [999, 2**63])
    async def test_an_unknown_synchronization(self, client: Client, id: int) -> None:
        answer = await client.post(f"/api/v1/synchronizations/{id}/refresh")
        assert (answer.status_code, answer.json()["code"]) == (404, "synchronization_not_found")


class TestApprove:
    async def test_what_is_held_goes_on(
        self, client: Client, path: str, pool: Pool, worker: Worker, ews: FakeAdapter
    ) -> None:
        uids = [f"e{n:02}" for n in range(30)]
        await publish(client, *uids)
        await pool.execute("UPDATE users SET confirmed_revision = NULL")
        await worker.run_until_idle()
        for some in (uids[:14], uids[14:24]):
            await client.patch("/api/v1/users/alice/timetable", json={"delete": some})
        await worker.run_until_idle()
        assert (await client.get(path)).json()["status"] == "HELD"
        for _ in range(2):
            answer = await client.post(f"{path}/approve")
            assert (answer.status_code, answer.content) == (204, b"")
        assert (await client.get(path)).json()["status"] == "PENDING"
        await worker.run_until_idle()
        mailbox = ews.mailbox("alice@uni.example")
        assert mailbox is not None
        assert len(mailbox.events) == 6

    async def test_nothing_held_is_nothing_done(self, client: Client, path: str) -> None:
        before = (await client.get(path)).json()
        assert (await client.post(f"{path}/approve")).status_code == 204
        assert (await client.get(path)).json() == before

    @pytest.mark.parametrize("id", [999, 2**63])
    async def test_an_unknown_synchronization(self, client: Client, id: int) -> None:
        answer = await client.post(f"/api/v1/synchronizations/{id}/approve")
        assert (answer.status_code, answer.json()["code"]) == (404, "synchronization_not_found")


@pytest.mark.parametrize(
    ("role", "requested", "action"),
    [
        ("reader", "alice", "refresh"),
        ("reader", "alice", "approve"),
        ("frontend", "alice", "approve"),
        ("frontend", "bob", "refresh"),
    ],
)
async def test_who_may_not(
    client: Client, path: str, tokens: dict[Role, str], role: Role, requested: str, action: str
) -> None:
    headers = {"apiToken": tokens[role], "requestedAuth": requested}
    answer = await client.post(f"{path}/{action}", headers=headers)
    assert answer.status_code == 403
