"""What a run has read, in the database: nothing is applied to a timetable before everything was read.

Every write is the lease holder's: in one transaction with it, the run's row is held by its fence, so that a
worker that was only slow cannot write any more once another one has taken the run over.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple, TypeAlias, TypeVar
from uuid import UUID

import msgspec
from asyncpg import Record as Row

from app.database.queries import query
from app.database.transactions import in_transaction
from app.database.types import Connection, Pool
from app.sources.contract import Json, Record, RecordError
from app.sources.definition import Resource
from app.sources.reading import encode, storable
from app.sources.runs import Counts
from app.timetables.event import encode as encode_event

__all__ = ["ClaimedRun", "Key", "Recalled", "RunLost", "Staging", "claimed_run"]

Result = TypeVar("Result")

MAX_STORED_ERRORS = 1_000

Key: TypeAlias = tuple[str, str]
"""What a record of a resource is known by: its username (empty where it has none) and its id."""


class RunLost(Exception):
    """Another worker has the run now, or it was deleted: this one must not write any more."""


class ClaimedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a worker has taken up."""

    id: UUID
    fence: int
    digest: bytes
    """Of arguments and resources: runs that have the same read the same."""
    sync_job_id: UUID
    integrated_account_id: UUID
    args: Mapping[str, Json]
    resources: Sequence[Resource]
    error_handling: str
    ignore_previous_run: bool
    confirm: bool
    attempts: int
    cancelling: bool
    """Its end was asked for, while an earlier worker had it."""
    created_at: datetime
    started_at: datetime


def claimed_run(row: Row) -> ClaimedRun:
    """The run of a row that ``sync_job_runs.claim`` has given."""
    return ClaimedRun(
        id=row["id"],
        fence=row["fence"],
        digest=row["digest"],
        sync_job_id=row["sync_job_id"],
        integrated_account_id=row["integrated_account_id"],
        args=msgspec.json.decode(row["args"]),
        resources=msgspec.json.decode(row["resources"], type=list[Resource]),
        error_handling=row["error_handling"],
        ignore_previous_run=row["ignore_previous_run"],
        confirm=row["confirm"],
        attempts=row["attempts"],
        cancelling=row["cancelling"],
        created_at=row["created_at"],
        started_at=row["started_at"],
    )


class Recalled(NamedTuple):
    """What an earlier run has remembered, with the records that it has read then."""

    key: str
    values: Mapping[str, str]
    fence: int
    """Of that run: its records carry it."""


class Staging:
    """The records, users and errors of one claimed run."""

    def __init__(self, pool: Pool, run: ClaimedRun) -> None:
        self.run = run
        self.counts = Counts()
        self.uncertain = False
        """Something was not read of which nobody can say whose it is: no user loses an event in this run."""
        self.first_failure: str | None = None
        """Of a read, for a run in which none succeeds."""
        self._pool = pool
        self._turn = asyncio.Lock()
        self._where = (run.sync_job_id, run.integrated_account_id)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """A transaction of whoever holds the lease. Raises RunLost.

        One at a time: the lease could not be extended while one always overlaps the next.
        """
        async with self._turn, self._pool.acquire() as connection, connection.transaction():
            await self._hold(connection)
            yield connection

    async def transact(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """What ``work`` gives, as ``writing``; begun anew where PostgreSQL ends a deadlock."""

        async def held(connection: Connection) -> Result:
            await self._hold(connection)
            return await work(connection)

        async with self._turn:
            return await in_transaction(self._pool, held)

    async def _hold(self, connection: Connection) -> None:
        if await connection.fetchval(query("sync_job_runs.hold"), self.run.id, self.run.fence) is None:
            raise RunLost

    async def begin(self) -> None:
        """Forget what an earlier attempt has noted."""
        async with self.writing() as connection:
            await connection.execute(query("sync_job_runs.begin_anew"), self.run.id)

    async def progress(self, detail: str | None = None) -> None:
        """Show how far the run is, and what it waits for."""
        counts = encode(msgspec.to_builtins(self.counts))
        await self._pool.execute(query("sync_job_runs.progress"), self.run.id, self.run.fence, counts, detail)

    async def expect(self, usernames: Sequence[str]) -> None:
        """A request is about to read everything of these users."""
        async with self.writing() as connection:
            await connection.execute(query("sync_job_runs.add_users"), self.run.id, list(usernames), False)

    async def add(
        self, resource: str, records: Sequence[Record], outdated: Container[Key] = ()
    ) -> tuple[list[Record], list[Record]]:
        """Store what a resource gave, none of it there twice: what was stored, and what was not.

        That are those whose id this run has read already with other content. ``outdated`` may be replaced all
        the same: what the same request has given when it was made before.
        """
        if not records:
            return [], []
        keys = [(record.username or "", record.id) for record in records]
        async with self.writing() as connection:
            usernames = list({record.username for record in records if record.username is not None})
            await connection.execute(query("sync_job_runs.add_users"), self.run.id, usernames, False)
            rows = await connection.fetch(
                query("source_records.add"),
                *self._where,
                resource,
                self.run.fence,
                self.run.digest,
                [username for username, _ in keys],
                [id for _, id in keys],
                [encode(record.data) for record in records],
                [record.event and encode_event(record.event).decode() for record in records],
                [key in outdated for key in keys],
            )
        numbers = {row["number"] for row in rows}
        stored: list[Record] = []
        refused: list[Record] = []
        for number, record in enumerate(records, 1):
            (refused if number in numbers else stored).append(record)
        return stored, refused

    async def keep(self, resource: str, usernames: Sequence[str], recalled: Recalled) -> int:
        """Take what was read of these users back then for read now; how many records that is."""
        async with self.writing() as connection:
            return int(
                await connection.fetchval(
                    query("source_records.keep"),
                    *self._where,
                    resource,
                    self.run.fence,
                    self.run.digest,
                    list(usernames),
                    recalled.fence,
                    _digest(recalled.key),
                )
            )

    async def incomplete(self, usernames: Sequence[str] | None) -> None:
        """Not everything of these users was read; None: nobody can say whose."""
        if usernames is None:
            self.uncertain = True
            return
        async with self.writing() as connection:
            await connection.execute(query("sync_job_runs.add_users"), self.run.id, list(usernames), True)

    async def add_errors(self, kind: str, errors: Sequence[RecordError], resource: str | None = None) -> None:
        """Note what went wrong; of very many, only how many."""
        before = self.counts.errors
        self.counts.errors += len(errors)
        noted = errors[: max(MAX_STORED_ERRORS - before, 0)]
        if not noted:
            return
        async with self.writing() as connection:
            await connection.execute(
                query("sync_job_runs.add_errors"),
                self.run.id,
                [kind] * len(noted),
                [storable(error.detail) for error in noted],
                [resource] * len(noted),
                [error.place and storable(error.place) for error in noted],
                [error.username and storable(error.username) for error in noted],
            )

    async def recall(self, resource: str, usernames: Sequence[str], key: str) -> Recalled | None:
        """What an earlier run has remembered, if all that it has read of these users then is still stored."""
        row = await self._pool.fetchrow(
            query("source_records.recall"), *self._where, resource, _digest(key), list(usernames)
        )
        if row is None:
            return None
        return Recalled(key, msgspec.json.decode(row["content"], type=dict[str, str]), row["seen"])

    async def remember(
        self, resource: str, usernames: Sequence[str], values: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Remember for the next run, by key, together with what this one has read of these users."""
        async with self.writing() as connection:
            for key, content in values.items():
                await connection.execute(
                    query("source_records.remember"),
                    *self._where,
                    resource,
                    _digest(key),
                    encode(content),
                    self.run.fence,
                    list(usernames),
                    self.run.created_at,
                )

    async def finish(
        self, state: str, now: datetime, detail: str | None = None, *, clean: bool = False
    ) -> None:
        """End the run. Raises RunLost where it is not ours any more."""
        counts = encode(msgspec.to_builtins(self.counts))
        ended = await self._pool.fetchval(
            query("sync_job_runs.finish"),
            self.run.id,
            self.run.fence,
            state,
            now,
            counts,
            detail and storable(detail),
            clean,
        )
        if ended is None:
            raise RunLost


def _digest(key: str) -> bytes:
    """A key may be longer than an index entry can be, or hold a secret."""
    return sha256(key.encode()).digest()
