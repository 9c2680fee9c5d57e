"""The API as its callers see it: over HTTP, on a real database, with a provider in memory."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from functools import cache
from typing import Any, cast

import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar

from app.api.app import create_app, furnish
from app.config import Config, SyncSettings
from app.database.types import Pool
from app.sources.settings import SourceSettings
from app.tokens import Role, create_token
from tests.clock import SettableClock
from tests.fakes import FakeAdapter

Client = AsyncClient

ENCRYPTION_KEY = b64encode(bytes(32)).decode()


@pytest.fixture
def config() -> Config:
    return Config(
        instance="test.example",
        sync=SyncSettings(probe_timeout_seconds=1),
        sources=SourceSettings(encryption_key=ENCRYPTION_KEY),
    )


@pytest.fixture
def ews() -> FakeAdapter:
    """Exchange, with a mailbox for Alice that has two addresses, and one for Bob."""
    adapter = FakeAdapter("ews")
    adapter.add_mailbox("alice@uni.example", aliases=["a.liddell@uni.example"])
    adapter.add_mailbox("bob@uni.example")
    return adapter


@pytest.fixture
def o365() -> FakeAdapter:
    adapter = FakeAdapter("o365")
    adapter.add_mailbox("alice@uni.example")
    return adapter


@cache
def application() -> Litestar:
    """One for all tests of a process, each of which furnishes it: to make one takes longer than a test."""
    return create_app(cast(Any, None), {}, Config(), SettableClock())


@pytest.fixture
def app(pool: Pool, ews: FakeAdapter, o365: FakeAdapter, config: Config, clock: SettableClock) -> Litestar:
    furnish(application(), pool, {"ews": ews, "o365": o365}, config, clock)
    return application()


@pytest.fixture
async def tokens(pool: Pool) -> dict[Role, str]:
    roles: tuple[Role, ...] = ("admin", "frontend", "reader")
    async with pool.acquire() as connection:
        return {role: await create_token(connection, role, role) for role in roles}


@pytest.fixture
async def anonymous(app: Litestar) -> AsyncIterator[Client]:
    """A client without a token, in the test's own event loop (Litestar's test client has one of its own)."""
    started, over = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        # In a task of its own: a fixture's two halves are not run by the same one.
        async with app.lifespan():
            started.set()
            await over.wait()

    life = asyncio.create_task(live())
    await started.wait()
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client
    over.set()
    await life


@pytest.fixture
async def client(anonymous: Client, tokens: dict[Role, str]) -> Client:
    """A client with an admin's token."""
    anonymous.headers["apiToken"] = tokens["admin"]
    return anonymous


@pytest.fixture
async def alice(client: Client) -> str:
    """A user with nothing."""
    await client.put("/api/v0/users/alice")
    return "alice"


@pytest.fixture
async def synchronization(client: Client, alice: str) -> dict[str, Any]:
    """Alice's synchronization of her Exchange mailbox."""
    answer = await client.put("/api/v0/synchronizations", data=to_form(alice, "ews", "alice@uni.example"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["synchronization"]
    return found


def to_form(username: str, type: str, address: str) -> dict[str, str]:
    """The body of PUT /synchronizations."""
    return {"username": username, "type": type, "provisioning_smtpAddress": address}
