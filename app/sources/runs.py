"""Runs of sync jobs in the database: made, looked at, cancelled. ``app.sources.runner`` carries them out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID, uuid4

import msgspec
from asyncpg import Record

from app.database.queries import query
from app.database.types import Connection, Pool
from app.errors import Conflict, NotFound, Problem
from app.paging import LAST_NUMBER, next_cursor, parse_cursor
from app.sources.contract import Integration, Json
from app.sources.jobs import SyncJob, job_of, refuse_if_active
from app.sources.reading import READ_ONLY, check_depth, convert, encode, refuse, stored_args
from app.sources.validation import check_args, check_resources, without_taker

__all__ = [
    "Counts",
    "ErrorHandling",
    "JobRun",
    "JobRunError",
    "JobRunPage",
    "RunForm",
    "cancel",
    "check_connection",
    "create",
    "find",
    "insert",
    "page",
    "parse_counts",
]

ErrorHandling: TypeAlias = Literal["ignore", "fail_fast", "batch"]
"""``ignore``: go on after an error, and tell of each; ``batch``: go on, and tell of many at a time;
``fail_fast``: the first error ends the run, and nothing is applied."""

MAX_ERRORS = 100


class RunForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller says of a run."""

    sync_job_id: UUID
    integrated_account_id: UUID
    args: dict[str, Json] = msgspec.field(default_factory=dict)
    """By the job's ``args_schema``; its defaults are filled in."""
    error_handling: ErrorHandling = "ignore"
    ignore_previous_run: bool = False
    """Read everything, as if there had been no run before: ``{{previous_run_date}}`` is 1970."""
    confirm: bool = False
    """Remove also so much of the future events as would be held otherwise."""


class Counts(msgspec.Struct, kw_only=True):
    """What a run has done so far."""

    requests: int = 0
    """Requests of resources; pages do not count."""
    pages: int = 0
    records: int = 0
    sent: int = 0
    """Records that the webhook took."""
    record_errors: int = 0
    """Records that could not be mapped."""
    read_errors: int = 0
    """Requests that failed."""
    users: int = 0
    """Users whose timetables it has something to say about …"""
    users_applied: int = 0
    """… to whom it was applied …"""
    users_kept: int = 0
    """… of these, those who lost no event, as not everything of theirs was read …"""
    users_refused: int = 0
    """… to whom it was not: not valid, or too much would go …"""
    users_unknown: int = 0
    """… and who are no users here: nothing is done about them."""
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    """Events of the timetables."""
    errors: int = 0
    """All errors, also those that are not listed."""


class JobRunError(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong: with a ``record``, a ``read``, a ``user``, or the ``run`` (``kind``)."""

    kind: str
    detail: str
    resource: str | None
    place: str | None
    """Where in the job and in the source's answer."""
    username: str | None


class JobRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it is given out. Times are in UTC. State: queued, running, done, failed or cancelled."""

    id: UUID
    sync_job_id: UUID
    integrated_account_id: UUID
    cron_trigger_id: UUID | None
    args: dict[str, Json] | None
    """They may be long: a list of runs leaves them out. Null also if what is stored cannot be read."""
    error_handling: ErrorHandling
    ignore_previous_run: bool
    confirm: bool
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    detail: str | None
    """Why it has failed; while it runs, what it waits for."""
    previous_run_date: datetime | None
    """Since when it asks for changes: a little before the run began that it goes on from. Null: it reads
    everything."""
    counts: Counts
    errors: list[JobRunError]
    """The first 100; a list of runs shows none."""
    attempts: int
    """More than one: it was begun anew, since the worker that had it was lost."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobRunPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of runs, the latest first; ``next`` is the cursor of the page after it, or null."""

    sync_job_runs: list[JobRun]
    next: str | None


def not_found() -> NotFound:
    """There is no such run."""
    return NotFound("sync_job_run_not_found", "There is no sync job run with this id.")


async def create(
    pool: Pool, body: Json, integrations: Mapping[str, Integration], now: datetime, *, webhook: bool
) -> JobRun:
    """A new run by a body; a worker takes it up at once. ``webhook``: one is configured.

    Raises Invalid, naming every place that is wrong, and ActiveJobRun while another run of the job and
    account has not ended.
    """
    if not isinstance(body, dict):
        raise refuse([Problem(detail="Expected a JSON object.")])
    check_depth(body)
    form = convert({name: value for name, value in body.items() if name not in READ_ONLY}, RunForm)
    async with pool.acquire() as connection, connection.transaction():
        job = await check_connection(connection, form.sync_job_id, form.integrated_account_id, integrations)
        if not webhook and (detail := without_taker(job.resources)) is not None:
            raise refuse([Problem(field="sync_job_id", detail=detail)])
        args = check_args(job.definition, form.args)
        run = await insert(connection, form, job, args, now)
        if run is None:
            await refuse_if_active(connection, job=job.id, account=form.integrated_account_id)
            raise Conflict("sync_job_run_active", "Another run has only just ended: try again.")
        return run


async def check_connection(
    connection: Connection, job_id: UUID, account_id: UUID, integrations: Mapping[str, Integration]
) -> SyncJob:
    """The job, if it can be run with the account; both stay until the transaction ends. Raises Invalid."""
    problems: list[Problem] = []
    job = await connection.fetchrow(query("sync_jobs.lock"), job_id)
    if job is None:
        problems.append(Problem(field="sync_job_id", detail="There is no such sync job."))
    account = await connection.fetchrow(query("integrated_accounts.lock"), account_id)
    if account is None:
        problems.append(Problem(field="integrated_account_id", detail="There is no such integrated account."))
    if job and account and job["integration_name"] != account["integration_name"]:
        detail = f"It is of {account['integration_name']}, the job is for {job['integration_name']}."
        problems.append(Problem(field="integrated_account_id", detail=detail))
    elif job and account and (integration := integrations.get(job["integration_name"])):
        settings = msgspec.json.decode(account["settings"])
        problems += [
            Problem(field="integrated_account_id", detail=f"The job's {problem.field}: {problem.detail}")
            for problem in check_resources(job_of(job).resources, integration, settings)
        ]
    if problems or job is None:
        raise refuse(problems)
    return job_of(job)


async def insert(
    connection: Connection,
    form: RunForm,
    job: SyncJob,
    args: Mapping[str, Json],
    now: datetime,
    trigger: UUID | None = None,
) -> JobRun | None:
    """A new run of what was checked; None while another run of the job and account has not ended."""
    row = await connection.fetchrow(
        query("sync_job_runs.create"),
        uuid4(),
        job.id,
        form.integrated_account_id,
        trigger,
        encode(args),
        encode(msgspec.to_builtins(job.resources)),
        form.error_handling,
        form.ignore_previous_run,
        form.confirm,
        now,
    )
    return None if row is None else _run(row, [])


async def find(pool: Pool, id: UUID) -> JobRun:
    """A run with what went wrong, at most 100 of it. Raises NotFound."""
    row = await pool.fetchrow(query("sync_job_runs.find"), id)
    if row is None:
        raise not_found()
    errors = await pool.fetch(query("sync_job_runs.errors"), id, MAX_ERRORS)
    return _run(row, [JobRunError(**dict(error)) for error in errors])


async def page(
    pool: Pool,
    limit: int,
    cursor: str | None,
    *,
    job: UUID | None = None,
    account: UUID | None = None,
) -> JobRunPage:
    """A page of runs, of one job or account if named. Raises BadRequest for a cursor that is none."""
    before = parse_cursor(cursor, LAST_NUMBER)
    rows = await pool.fetch(query("sync_job_runs.page"), before, limit + 1, job, account)
    return JobRunPage(
        sync_job_runs=[_run(row, []) for row in rows[:limit]],
        next=next_cursor(rows, limit, "number"),
    )


async def cancel(pool: Pool, id: UUID, now: datetime) -> JobRun:
    """Ask for a run's end: at once where it waits, within seconds where a worker has it.

    What was applied to timetables stays. Nothing happens if it was cancelled already. Raises NotFound, and
    Conflict where it has ended otherwise.
    """
    await pool.execute(query("sync_job_runs.cancel"), id, now)
    run = await find(pool, id)
    if run.state in ("done", "failed"):
        raise Conflict("run_ended", f"Run {id} is {run.state}: there is nothing left to cancel.")
    return run


def parse_counts(text: str) -> Counts:
    """The counts as the database keeps them."""
    return msgspec.json.decode(text, type=Counts)


def _run(row: Record, errors: list[JobRunError]) -> JobRun:
    return JobRun(
        id=row["id"],
        sync_job_id=row["sync_job_id"],
        integrated_account_id=row["integrated_account_id"],
        cron_trigger_id=row["cron_trigger_id"],
        args=None if row["args"] is None else stored_args(row["args"]),
        error_handling=row["error_handling"],
        ignore_previous_run=row["ignore_previous_run"],
        confirm=row["confirm"],
        state=row["state"],
        detail=row["detail"],
        previous_run_date=row["previous_run_date"],
        counts=parse_counts(row["counts"]),
        errors=errors,
        attempts=row["attempts"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
