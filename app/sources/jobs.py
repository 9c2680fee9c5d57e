"""Sync jobs in the database."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID, uuid4

import msgspec
from asyncpg import Record

from app.database.queries import query
from app.database.types import Connection, Pool
from app.errors import Conflict, NotFound
from app.paging import next_cursor, parse_cursor
from app.sources.contract import Integration, Json
from app.sources.definition import Definition, Resource, parse_definition
from app.sources.reading import encode, merge_patch
from app.sources.validation import check_definition

__all__ = [
    "ActiveJobRun",
    "SyncJob",
    "SyncJobPage",
    "change",
    "create",
    "delete",
    "find",
    "job_of",
    "page",
    "refuse_if_active",
]


class SyncJob(msgspec.Struct, frozen=True, kw_only=True):
    """A sync job as it is given out. Times are in UTC."""

    id: UUID
    integration_name: str
    args_schema: dict[str, Json]
    resources: list[Resource]
    environment_id: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def definition(self) -> Definition:
        """What the caller said of it."""
        return Definition(
            integration_name=self.integration_name,
            args_schema=self.args_schema,
            resources=self.resources,
            environment_id=self.environment_id,
        )


class SyncJobPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of jobs, the oldest first; ``next`` is the cursor of the page after it, or null."""

    sync_jobs: list[SyncJob]
    next: str | None


class ActiveJobRun(Conflict):
    """A run is in the way: ``run`` is its id."""

    def __init__(self, run: UUID, message: str) -> None:
        super().__init__("sync_job_run_active", message)
        self.run = run


def job_of(row: Record) -> SyncJob:
    """The job of a row."""
    return SyncJob(
        id=row["id"],
        integration_name=row["integration_name"],
        args_schema=msgspec.json.decode(row["args_schema"]),
        resources=msgspec.json.decode(row["resources"], type=list[Resource]),
        environment_id=row["environment_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def not_found() -> NotFound:
    """There is no such job."""
    return NotFound("sync_job_not_found", "There is no sync job with this id.")


async def create(pool: Pool, body: Json, integrations: Mapping[str, Integration], now: datetime) -> SyncJob:
    """A new job by a body. Raises Invalid, naming every place that is wrong."""
    definition = parse_definition(body)
    check_definition(definition, integrations)
    row = await pool.fetchrow(query("sync_jobs.create"), uuid4(), *_columns(definition), now)
    assert row is not None
    return job_of(row)


async def change(
    pool: Pool, id: UUID, patch: Json, integrations: Mapping[str, Integration], now: datetime
) -> SyncJob:
    """Change a job by a merge patch (RFC 7396). Runs that have begun go on as they were made.

    Raises NotFound, and Invalid, naming every place that would be wrong.
    """
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(query("sync_jobs.lock"), id)
        if row is None:
            raise not_found()
        before = job_of(row)
        definition = parse_definition(merge_patch(msgspec.to_builtins(before.definition), patch))
        if definition == before.definition:
            return before
        check_definition(definition, integrations)
        row = await connection.fetchrow(query("sync_jobs.change"), id, *_columns(definition), now)
        assert row is not None
        return job_of(row)


async def delete(pool: Pool, id: UUID) -> None:
    """Delete a job, its triggers, its runs and what they have stored; timetables stay as they are.

    Raises NotFound, and ActiveJobRun while a run of it has not ended.
    """
    async with pool.acquire() as connection, connection.transaction():
        if await connection.fetchrow(query("sync_jobs.lock"), id) is None:
            raise not_found()
        await refuse_if_active(connection, job=id)
        await connection.execute(query("sync_jobs.delete"), id)


async def find(connection: Connection | Pool, id: UUID) -> SyncJob:
    """A job. Raises NotFound."""
    row = await connection.fetchrow(query("sync_jobs.find"), id)
    if row is None:
        raise not_found()
    return job_of(row)


async def page(pool: Pool, limit: int, cursor: str | None, *, environment: str | None = None) -> SyncJobPage:
    """A page of jobs, of one environment if named. Raises BadRequest for a cursor that is none."""
    rows = await pool.fetch(query("sync_jobs.page"), parse_cursor(cursor), limit + 1, environment)
    return SyncJobPage(
        sync_jobs=[job_of(row) for row in rows[:limit]],
        next=next_cursor(rows, limit, "number"),
    )


async def refuse_if_active(
    connection: Connection, *, job: UUID | None = None, account: UUID | None = None
) -> None:
    """Raise ActiveJobRun while a run of the job or account has not ended."""
    run: UUID | None = await connection.fetchval(query("sync_job_runs.active"), job, account)
    if run is not None:
        raise ActiveJobRun(run, f"Run {run} has not ended: wait for its end or cancel it, then try again.")


def _columns(definition: Definition) -> tuple[str, str, str, str | None]:
    return (
        definition.integration_name,
        encode(definition.args_schema),
        encode(msgspec.to_builtins(definition.resources)),
        definition.environment_id,
    )
