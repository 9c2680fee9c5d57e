"""Migrations: each exactly once, from however many machines, and never on a database of another version."""

import asyncio

import asyncpg
import pytest

from app.database import migrate as subject
from app.database.migrate import Migration, SchemaError, check, migrate, migrations, pending
from app.database.types import Pool

EXTRA = Migration(9999, "extra", "CREATE TABLE extra (id integer)")
BROKEN = Migration(9999, "broken", "CREATE TABLE extra (id integer); SELECT 1 / 0")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[Migration]:
    """The migrations of "this version", to be changed by the test."""
    known = list(migrations())
    monkeypatch.setattr(subject, "migrations", lambda: tuple(known))
    return known


def test_the_migrations_are_numbered_without_gaps() -> None:
    assert [migration.version for migration in migrations()] == list(range(1, len(migrations()) + 1))


async def test_a_migrated_database_is_at_this_version(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await check(connection)
        assert await migrate(connection) == []


async def test_an_empty_database_lacks_everything(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        assert await pending(connection) == list(migrations())
        with pytest.raises(SchemaError, match=r"Run: rooster migrate"):
            await check(connection)


async def test_an_older_database_is_refused_until_migrated(pool: Pool, known: list[Migration]) -> None:
    known.append(EXTRA)
    async with pool.acquire() as connection:
        with pytest.raises(
            SchemaError, match=r"lacks 1 migration .*9999_extra.* Run: rooster migrate"
        ) as caught:
            await check(connection)
        assert caught.value.code == "schema_too_old"
        assert await migrate(connection) == [EXTRA]
        await check(connection)
        assert await connection.fetchval("SELECT count(*) FROM extra") == 0


async def test_a_newer_database_is_refused(pool: Pool, known: list[Migration]) -> None:
    async with pool.acquire() as connection:
        known.append(EXTRA)
        await migrate(connection)
        known.remove(EXTRA)
        for refuse in (check, migrate):
            with pytest.raises(SchemaError, match="Upgrade this one") as caught:
                await refuse(connection)
            assert caught.value.code == "schema_too_new"


async def test_a_migration_that_was_changed_afterwards_is_noticed(pool: Pool, known: list[Migration]) -> None:
    known[0] = known[0]._replace(sql=known[0].sql + "-- changed")
    async with pool.acquire() as connection:
        with pytest.raises(SchemaError) as caught:
            await check(connection)
    assert caught.value.code == "schema_differs"


async def test_a_migration_that_fails_leaves_nothing_behind(pool: Pool, known: list[Migration]) -> None:
    known.append(BROKEN)
    async with pool.acquire() as connection:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrate(connection)
        assert await connection.fetchval("SELECT to_regclass('extra')") is None
        assert await pending(connection) == [BROKEN]
        known[-1] = EXTRA
        assert await migrate(connection) == [EXTRA]


async def test_several_machines_at_once_apply_a_migration_once(pool: Pool, known: list[Migration]) -> None:
    known.append(EXTRA)

    async def machine() -> list[Migration]:
        async with pool.acquire() as connection:
            return await migrate(connection)

    applied = await asyncio.gather(*(machine() for _ in range(5)))
    assert sorted(map(len, applied)) == [0, 0, 0, 0, 1]
