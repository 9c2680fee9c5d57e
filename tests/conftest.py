"""What every test can ask for.

- ``database``: the DSN (str) of a fresh, migrated database, dropped after the test.
- ``pool``: an ``asyncpg.Pool`` on that database, closed after the test.
- ``clock``: a ``tests.clock.SettableClock``, at 2026-09-01 08:00 UTC: ``clock()`` gives the present,
  ``clock.set(moment)`` and ``clock.advance(minutes=5)`` move it.

The server is the embedded PostgreSQL, one for each xdist worker, or the one that the environment's
``ROOSTER_TEST_DATABASE_URL`` names (a superuser's URL: databases are created and dropped there).

Tests under tests/unit have no network at all (Unix sockets aside, and a database named by the environment);
all others, and those marked ``enable_socket``, reach this machine only.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
from pytest_socket import disable_socket, enable_socket, socket_allow_hosts

from app.database.embedded import embedded_database
from app.database.migrate import migrate
from app.database.types import Pool
from tests.clock import SettableClock
from tests.introspection import know, learn
from tests.keys import trust_private_keys

pytest.register_assert_rewrite("tests.sync.machine")
trust_private_keys()

LOOPBACK = ["127.0.0.1", "::1", "localhost"]
UNIT = Path(__file__).parent / "unit"
NOT_DURABLE = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
}
ENOUGH_MEMORY = 2 * 1024**3
"""Bytes, for the databases of one process."""


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: tests also wait, for processes, leases and the database."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that say that they take long come first, or else the last one would run for minutes by itself."""

    def allowed(item: pytest.Item) -> float:
        marker = item.get_closest_marker("timeout")
        return float(marker.args[0]) if marker else 0.0

    items.sort(key=allowed, reverse=True)


@pytest.fixture(autouse=True)
def _network(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep unit tests off the network, and every other test on this machine."""
    if UNIT not in request.path.parents or request.node.get_closest_marker("enable_socket"):
        socket_allow_hosts(LOOPBACK, allow_unix_socket=True)
    elif "database" in request.fixturenames and "ROOSTER_TEST_DATABASE_URL" in os.environ:
        host = urlsplit(os.environ["ROOSTER_TEST_DATABASE_URL"]).hostname
        socket_allow_hosts([host] if host else [], allow_unix_socket=True)
    else:
        disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture
def clock() -> SettableClock:
    """A clock that the test moves."""
    return SettableClock()


def in_database(dsn: str, database: str) -> str:
    """The same server's DSN with another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


async def execute(dsn: str, statement: str) -> None:
    """One statement on a connection of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def in_memory() -> Path | None:
    """A folder whose files are in memory, if there is one with enough room; None: the usual one.

    To make and drop a database there takes half the CPU or less.
    """
    folder = Path("/dev/shm")
    return folder if os.access(folder, os.W_OK) and disk_usage(folder).free > ENOUGH_MEMORY else None


@pytest.fixture(scope="session")
def database_server() -> Iterator[str]:
    """The DSN of a server in which databases can be created."""
    if url := os.environ.get("ROOSTER_TEST_DATABASE_URL"):
        yield url
        return
    # A loop of its own, so that the tests' loops stay theirs.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        stack = AsyncExitStack()
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="rooster-", dir=in_memory())))
        yield runner.run(stack.enter_async_context(embedded_database(folder, settings=NOT_DURABLE)))
        runner.run(stack.aclose())


@pytest.fixture(scope="session")
def database_template(database_server: str) -> Iterator[str]:
    """The name of a migrated database to copy."""
    name = f"rooster_template_{uuid4().hex}"

    async def make() -> None:
        await execute(database_server, f"CREATE DATABASE {name}")
        connection = await asyncpg.connect(in_database(database_server, name))
        try:
            await migrate(connection)
            know(await learn(connection))
        finally:
            await connection.close()

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(make())
        yield name
        runner.run(execute(database_server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def database(database_server: str, database_template: str) -> AsyncIterator[str]:
    """The DSN of a fresh, migrated database."""
    name = f"rooster_test_{uuid4().hex}"
    await execute(database_server, f"CREATE DATABASE {name} TEMPLATE {database_template} STRATEGY FILE_COPY")
    yield in_database(database_server, name)
    await execute(database_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    """A pool on the test's own database."""
    async with asyncpg.create_pool(database, min_size=1, max_size=10) as pool:
        yield pool
