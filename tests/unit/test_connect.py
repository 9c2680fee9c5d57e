"""Opening the database: the configured one, or the embedded one, or one clear line."""

from pathlib import Path

import asyncpg
import pytest

from app.config import Config, DatabaseSettings
from app.database import connect
from app.database.connect import DatabaseUnavailable, open_database, session_settings
from app.database.migrate import SchemaError, check, migrate


async def test_the_configured_database_is_left_as_it_is(database: str) -> None:
    config = Config(database=DatabaseSettings(url=database))
    async with open_database(config) as pool:
        await pool.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    async with open_database(config) as pool, pool.acquire() as connection:
        assert await connection.fetchval("SHOW application_name") == "rooster"
        with pytest.raises(SchemaError, match="rooster migrate"):
            await check(connection)


async def test_without_one_the_embedded_database_is_migrated(tmp_path: Path) -> None:
    config = Config(data_dir=str(tmp_path))
    async with open_database(config) as pool, pool.acquire() as connection:
        await check(connection)


async def test_the_embedded_database_can_be_opened_as_it_is(tmp_path: Path) -> None:
    config = Config(data_dir=str(tmp_path))
    async with open_database(config, migrate_embedded=False) as pool, pool.acquire() as connection:
        with pytest.raises(SchemaError):
            await check(connection)


async def test_jsonb_travels_as_its_text(database: str) -> None:
    async with open_database(Config(database=DatabaseSettings(url=database))) as pool:
        assert await pool.fetchval("""SELECT '{"a":1}'::jsonb""") == '{"a": 1}'


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "postgresql://rooster:hunter2@127.0.0.1:1/rooster",
            r"at 127\.0\.0\.1:1/rooster cannot be reached \(",
        ),
        ("postgresql://rooster:hunter2@127.0.0.1:port/rooster", "the URL is not valid"),
        ("postgresql://rooster:hunter2@[::/rooster", "the URL is not valid"),
        (
            "postgresql:///rooster?host=/nowhere&password=hunter2",
            "at the local socket/rooster cannot be reached",
        ),
    ],
)
async def test_a_database_that_cannot_be_reached_is_one_line_without_the_password(
    url: str, message: str
) -> None:
    with pytest.raises(DatabaseUnavailable, match=message) as caught:
        async with open_database(Config(database=DatabaseSettings(url=url))):
            pass
    assert "hunter2" not in caught.value.message
    assert "\n" not in caught.value.message


async def test_a_process_that_stands_still_between_two_messages_holds_its_locks_for_a_while_only(
    database: str,
) -> None:
    """What it has sent is a statement to prepare, and nothing yet that ends it."""
    other = await asyncpg.connect(database)
    version = other.get_server_version().major
    if version < 17:
        pytest.skip("PostgreSQL before 17 has no transaction_timeout")
    frozen = await asyncpg.connect(database, server_settings=session_settings(version, 1))
    try:
        await frozen.execute("BEGIN; LOCK TABLE users")
        # Parse and Flush, of the extended query protocol.
        for kind, body in ((b"P", b"\0SELECT 1\0\0\0"), (b"H", b"")):
            frozen._transport.write(kind + (len(body) + 4).to_bytes(4, "big") + body)
        await other.execute("BEGIN; LOCK TABLE users; COMMIT", timeout=60)
    finally:
        frozen.terminate()
        await other.close()


async def test_no_session_holds_its_locks_for_ever_and_a_migration_takes_the_time_it_needs(
    database: str,
) -> None:
    limits = "SELECT name, setting::int / 1000 FROM pg_settings WHERE name = ANY ($1)"
    async with open_database(Config(database=DatabaseSettings(url=database))) as pool:
        async with pool.acquire() as connection:
            names = list(session_settings(connection.get_server_version().major))
            expected = dict.fromkeys(names, 300) | {"idle_in_transaction_session_timeout": 15}
            assert dict(await connection.fetch(limits, names)) == expected
            await migrate(connection)
            unlimited = expected | dict.fromkeys(names[1:], 0)
            assert dict(await connection.fetch(limits, names)) == unlimited
        # That was for the migration alone.
        async with pool.acquire() as connection:
            assert dict(await connection.fetch(limits, names)) == expected
    assert list(session_settings(16)) == ["idle_in_transaction_session_timeout"]


async def test_a_database_that_is_not_there_is_named(database: str) -> None:
    other = database.replace("rooster_test_", "nowhere_")
    with pytest.raises(DatabaseUnavailable, match=r'database "nowhere_\w+" does not exist'):
        async with open_database(Config(database=DatabaseSettings(url=other))):
            pass


async def test_a_server_that_is_too_old_is_refused(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "MINIMUM_VERSION", 99)
    with pytest.raises(DatabaseUnavailable, match="Rooster needs 99 or later"):
        async with open_database(Config(database=DatabaseSettings(url=database))):
            pass
