"""Brings the database to this version: the files of sql/migrations, in order, each exactly once."""

import re
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

from app.database.queries import query
from app.database.types import Connection
from app.errors import RoosterError

__all__ = ["Migration", "SchemaError", "check", "migrate", "migrations", "pending"]

FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


class SchemaError(RoosterError):
    """The database is not at this version; the message says what to do."""


class Migration(NamedTuple):
    """A file of sql/migrations, ``VERSION_NAME.sql``. Once released, it never changes."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> bytes:
        """SHA-256 of the text."""
        return sha256(self.sql.encode()).digest()


@cache
def migrations() -> tuple[Migration, ...]:
    """All migrations of this version of Rooster, in order."""
    found = [
        Migration(int(match[1]), match[2], file.read_text(encoding="utf-8"))
        for file in files("sql").joinpath("migrations").iterdir()
        if (match := FILE_NAME.fullmatch(file.name))
    ]
    return tuple(sorted(found))


async def migrate(connection: Connection) -> list[Migration]:
    """Apply what is pending, each migration in a transaction of its own; what has been applied.

    Safe from several machines at once: the later ones wait and then find nothing to do. Raises
    SchemaError if the database is newer than this version or was made by other migrations.
    """
    await connection.execute(query("schema.take_time"))
    await connection.execute(query("schema.lock"))
    try:
        await connection.execute(query("schema.create"))
        todo = await pending(connection)
        for migration in todo:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    query("schema.record"), migration.version, migration.name, migration.checksum
                )
        return todo
    finally:
        await connection.execute(query("schema.unlock"))


async def pending(connection: Connection) -> list[Migration]:
    """The migrations that the database still lacks. Raises SchemaError as ``migrate`` does."""
    if not await connection.fetchval(query("schema.exists")):
        return list(migrations())
    known = {migration.version: migration for migration in migrations()}
    applied = await connection.fetch(query("schema.applied"))
    for version, name, checksum in applied:
        if version not in known:
            raise SchemaError(
                "schema_too_new",
                f"The database has migration {version:04}_{name}, which this version of Rooster does not"
                " know: a newer Rooster has migrated it. Upgrade this one.",
            )
        if known[version].checksum != checksum:
            raise SchemaError(
                "schema_differs",
                f"Migration {version:04}_{name} differs from the one that this database was migrated with."
                " Use the version of Rooster that made the database, or a released one after it.",
            )
    done = {version for version, _, _ in applied}
    return [migration for migration in migrations() if migration.version not in done]


async def check(connection: Connection) -> None:
    """Raise SchemaError unless the database is exactly at this version."""
    if missing := await pending(connection):
        raise SchemaError(
            "schema_too_old",
            f"The database lacks {len(missing)} migration{'s' if len(missing) > 1 else ''} of this version"
            f" (the first is {missing[0].version:04}_{missing[0].name}). Run: rooster migrate",
        )
