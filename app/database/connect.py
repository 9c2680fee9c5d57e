"""Opens the database that the configuration names, or the embedded one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from app.config import Config
from app.database.embedded import embedded_database
from app.database.migrate import migrate
from app.database.types import Pool
from app.errors import RoosterError

__all__ = [
    "DATABASE_GONE",
    "MINIMUM_VERSION",
    "DatabaseUnavailable",
    "open_database",
    "session_settings",
]

MINIMUM_VERSION = 14
"""Of PostgreSQL: the first that knows SQL-standard function bodies."""

DATABASE_GONE: tuple[type[Exception], ...] = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.InterfaceError,
    # What asyncpg says if the server has ended a session that was waiting for us.
    asyncpg.InternalClientError,
)
"""What is raised while the database is down, restarting, or has ended our session: try again later."""

CONNECT_SECONDS = 15
CLOSE_SECONDS = 10
IDLE_IN_TRANSACTION_SECONDS = 15
TRANSACTION_SECONDS = 300
"""Longer than any transaction of ours takes, migrations aside."""


def session_settings(version: int, transaction_seconds: int = TRANSACTION_SECONDS) -> dict[str, str]:
    """How a session with a server of this major version begins, so that none holds its locks for ever.

    That of a process that was stopped in the middle of a transaction would. Where it was stopped between
    preparing a statement and executing it, it does not count as idle: only PostgreSQL 17 and later end it.
    """
    settings = {"idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s"}
    if version >= 17:
        settings["transaction_timeout"] = f"{transaction_seconds}s"
    return settings


class DatabaseUnavailable(RoosterError):
    """The database cannot be reached or is too old; the message names it without its password."""

    status = 503

    def __init__(self, message: str) -> None:
        super().__init__("database_unavailable", message)


@asynccontextmanager
async def open_database(
    config: Config, *, migrate_embedded: bool = True, max_size: int = 20
) -> AsyncIterator[Pool]:
    """A pool of at most ``max_size`` connections; jsonb travels as its text.

    The embedded database is started if nobody runs it, and brought to this version unless
    ``migrate_embedded`` is False; an external one is left as it is (see ``app.database.migrate.check``).
    Raises DatabaseUnavailable, EmbeddedDatabaseError or SchemaError.
    """
    if config.database.url is not None:
        async with _pool(config.database.url, max_size) as pool:
            yield pool
        return
    async with embedded_database(config.data_path) as dsn, _pool(dsn, max_size) as pool:
        if migrate_embedded:
            async with pool.acquire() as connection:
                await migrate(connection)
        yield pool


@asynccontextmanager
async def _pool(dsn: str, max_size: int) -> AsyncIterator[Pool]:
    pool = await _connect(dsn, max_size)
    try:
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), CLOSE_SECONDS)
        except TimeoutError:
            pool.terminate()


async def _connect(dsn: str, max_size: int) -> Pool:
    try:
        version = await _server_version(dsn)
        if version < MINIMUM_VERSION:
            raise DatabaseUnavailable(
                f"The database at {_place(dsn)} is PostgreSQL {version};"
                f" Rooster needs {MINIMUM_VERSION} or later."
            )
        return await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=max_size,
            timeout=CONNECT_SECONDS,
            server_settings={"application_name": "rooster"} | session_settings(version),
        )
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnavailable(
            f"The database at {_place(dsn)} cannot be reached ({_why(error)})."
            " Check database.url and that PostgreSQL runs."
        ) from None


async def _server_version(dsn: str) -> int:
    connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS)
    try:
        return connection.get_server_version().major
    finally:
        await connection.close()


def _place(dsn: str) -> str:
    """Host, port and database of a DSN, without user and password."""
    try:
        parts = urlsplit(dsn)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "database.url"
    return f"{parts.hostname or 'the local socket'}{port}{parts.path}"


def _why(error: Exception) -> str:
    """The reason in words; a wrong URL's own message would quote the URL, password included."""
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS} seconds"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, asyncpg.PostgresError):
        return str(error).splitlines()[0]
    return "the URL is not valid"
