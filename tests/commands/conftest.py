"""The commands that start work: on the test's database, with workers of the test where there are any."""

import os
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from app.database.types import Pool
from tests.clock import SettableClock
from tests.fakes import FakeAdapter
from tests.forked import fork
from tests.sync.world import World


class Ended(msgspec.Struct, frozen=True):
    """What a command has left behind."""

    status: int
    out: str
    err: str


Command = Callable[..., Awaitable[Ended]]


@pytest.fixture
def world(pool: Pool, clock: SettableClock) -> World:
    adapter = FakeAdapter("ews")
    adapter.add_mailbox("alice@uni.example")
    adapter.add_mailbox("bob@uni.example")
    return World(pool, clock, adapter)


@pytest.fixture
def command(database: str, tmp_path: Path) -> Command:
    """Run ``rooster`` as people do, in a process of its own; Exchange is configured, and never asked."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ROOSTER_")},
        "ROOSTER_DATABASE__URL": database,
        "ROOSTER_INSTANCE": "uni.example",
        "ROOSTER_PROVIDERS__EWS__SERVICE_ENDPOINT": "https://mail.uni.example/EWS/Exchange.asmx",
        "ROOSTER_PROVIDERS__EWS__USERNAME": "svc",
        "ROOSTER_PROVIDERS__EWS__PASSWORD": "hunter2",
    }

    async def run(*arguments: str, input: str = "") -> Ended:
        process = await fork(*arguments, cwd=tmp_path, env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        out, err = await process.communicate(input.encode())
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())

    return run
