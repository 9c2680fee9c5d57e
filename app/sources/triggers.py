"""Cron triggers in the database, and what they make when their time comes.

A trigger that missed its times, since no worker ran, makes one run for all of them. One whose time comes
while a run of the same job and account is active waits for the end of that, and then makes one run.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import structlog
from asyncpg import Record

from app.clock import Clock
from app.database.queries import query
from app.database.types import Connection, Pool
from app.errors import Invalid, NotFound, Problem
from app.paging import next_cursor, parse_cursor
from app.sources import runs
from app.sources.contract import Integration, Json
from app.sources.cron import UnknownZone, check_schedule, next_time
from app.sources.execution import TRANSIENT
from app.sources.reading import READ_ONLY, convert, encode, merge_patch, refuse, stored_args
from app.sources.runs import ErrorHandling, RunForm, check_connection
from app.sources.validation import check_args

__all__ = [
    "CronTrigger",
    "CronTriggerPage",
    "TriggerForm",
    "change",
    "create",
    "delete",
    "find",
    "fire_due",
    "page",
]

log = structlog.get_logger(__name__)

SET_ASIDE = timedelta(hours=1)
"""After which one that cannot be fired is tried again: this machine's zones or version may be to blame."""

AGAIN = "It is tried again in an hour."


class UnreadableArgs(Exception):
    """A trigger's arguments are stored as what this version would not have stored."""


class TriggerForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller says of a cron trigger."""

    sync_job_id: UUID
    integrated_account_id: UUID
    cron_expression: str
    """Minute, hour, day of the month, month, day of the week: ``30 5 * * MON-FRI``."""
    time_zone: str | None = None
    """IANA name of the zone that the expression is read in; by default the configured one."""
    args: dict[str, Json] = msgspec.field(default_factory=dict)
    error_handling: ErrorHandling = "ignore"
    ignore_previous_run: bool = False
    """Its runs read everything, not only what has changed."""
    enabled: bool = True


class CronTrigger(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger as it is given out. Times are in UTC."""

    id: UUID
    sync_job_id: UUID
    integrated_account_id: UUID
    cron_expression: str
    time_zone: str
    args: dict[str, Json] | None
    """Null: what is stored cannot be read; give them anew."""
    error_handling: ErrorHandling
    ignore_previous_run: bool
    enabled: bool
    next_run: datetime | None
    """Null: it is not enabled. In the past: it waits for the end of a run of the same job and account."""
    last_run_id: UUID | None
    last_problem: str | None
    """Why the last time made no run: the job was changed, or something is broken. Null: it made one."""
    created_at: datetime
    updated_at: datetime


class CronTriggerPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of triggers, the oldest first; ``next`` is the cursor of the page after it, or null."""

    sync_job_cron_triggers: list[CronTrigger]
    next: str | None


SHOWN_ONLY = READ_ONLY | {"next_run", "last_run_id", "last_problem"}


def not_found() -> NotFound:
    """There is no such trigger."""
    return NotFound("cron_trigger_not_found", "There is no sync job cron trigger with this id.")


async def create(
    pool: Pool, body: Json, integrations: Mapping[str, Integration], zone: str, now: datetime
) -> CronTrigger:
    """A new trigger by a body; ``zone``: where it names none. Raises Invalid, naming what is wrong."""
    form = _parse(body, zone)
    async with pool.acquire() as connection, connection.transaction():
        await _check(connection, form, integrations, now)
        row = await connection.fetchrow(
            query("cron_triggers.create"),
            uuid4(),
            form.sync_job_id,
            form.integrated_account_id,
            *_columns(form, now),
            now,
        )
        assert row is not None
        await connection.execute(query("sync_job_runs.ring"))
        return _trigger(row)


async def change(
    pool: Pool, id: UUID, patch: Json, integrations: Mapping[str, Integration], zone: str, now: datetime
) -> CronTrigger:
    """Change a trigger by a merge patch (RFC 7396). Raises NotFound, and Invalid, naming what is wrong."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(query("cron_triggers.lock"), id)
        if row is None:
            raise not_found()
        before = _trigger(row)
        form = _parse(merge_patch(msgspec.to_builtins(before), patch), zone)
        moved = [
            Problem(field=name, detail="Job and account stay as they are: make another trigger.")
            for name in ("sync_job_id", "integrated_account_id")
            if getattr(form, name) != getattr(before, name)
        ]
        if moved:
            raise refuse(moved)
        await _check(connection, form, integrations, now)
        row = await connection.fetchrow(query("cron_triggers.change"), id, *_columns(form, now), now)
        assert row is not None
        await connection.execute(query("sync_job_runs.ring"))
        return _trigger(row)


async def delete(pool: Pool, id: UUID) -> None:
    """Delete a trigger; the runs that it has made stay. Raises NotFound."""
    if await pool.fetchval(query("cron_triggers.delete"), id) is None:
        raise not_found()


async def find(pool: Pool, id: UUID) -> CronTrigger:
    """A trigger. Raises NotFound."""
    row = await pool.fetchrow(query("cron_triggers.find"), id)
    if row is None:
        raise not_found()
    return _trigger(row)


async def page(
    pool: Pool,
    limit: int,
    cursor: str | None,
    *,
    job: UUID | None = None,
    account: UUID | None = None,
) -> CronTriggerPage:
    """A page of triggers, of one job or account if named. Raises BadRequest for a cursor that is none."""
    rows = await pool.fetch(query("cron_triggers.page"), parse_cursor(cursor), limit + 1, job, account)
    return CronTriggerPage(
        sync_job_cron_triggers=[_trigger(row) for row in rows[:limit]],
        next=next_cursor(rows, limit, "number"),
    )


async def fire_due(pool: Pool, integrations: Mapping[str, Integration], clock: Clock) -> int:
    """Make the runs whose time has come, however many workers try at once; how many triggers fired.

    Those of a job and account with an active run wait. One that is broken does not hold up the others.
    """
    fired = 0
    while True:
        async with pool.acquire() as connection, connection.transaction():
            now = clock()
            row = await connection.fetchrow(query("cron_triggers.due"), now)
            if row is None:
                return fired
            fired += await _fire(connection, row, integrations, now)


async def _fire(
    connection: Connection, row: Record, integrations: Mapping[str, Integration], now: datetime
) -> bool:
    """Make the trigger's run, or note why there is none; False: another run was quicker, so that it waits."""
    try:
        again = next_time(row["cron_expression"], row["time_zone"], now)
        async with connection.transaction():
            run, problem = await _make_run(connection, _trigger(row), integrations, now)
        if run is None and problem is None:
            return False
    except TRANSIENT:
        raise
    except Exception as error:
        # Whatever it is, those behind this one must not wait for its end.
        log.exception("cron_trigger_set_aside", trigger=str(row["id"]))
        run, problem, again = None, _broken(row, error), now + SET_ASIDE
    await connection.execute(query("cron_triggers.fired"), row["id"], again, run, problem)
    return True


async def _make_run(
    connection: Connection, trigger: CronTrigger, integrations: Mapping[str, Integration], now: datetime
) -> tuple[UUID | None, str | None]:
    """The run that was made, or why there is none; neither: another one is active."""
    if trigger.args is None:
        raise UnreadableArgs
    form = RunForm(
        sync_job_id=trigger.sync_job_id,
        integrated_account_id=trigger.integrated_account_id,
        args=trigger.args,
        error_handling=trigger.error_handling,
        ignore_previous_run=trigger.ignore_previous_run,
    )
    try:
        job = await check_connection(connection, form.sync_job_id, form.integrated_account_id, integrations)
        args = check_args(job.definition, form.args)
    except Invalid as error:  # the job has been changed since
        return None, error.message.removeprefix("Nothing was changed. ")
    run = await runs.insert(connection, form, job, args, now, trigger.id)
    return (None if run is None else run.id), None


def _broken(row: Record, error: Exception) -> str:
    """What is wrong with a trigger that cannot be fired, for whoever looks at it."""
    if isinstance(error, UnknownZone):
        zone = row["time_zone"]
        return f"The worker's time zone data holds no {zone}: update it, or name another zone. {AGAIN}"
    if isinstance(error, UnreadableArgs):
        return f"What is stored of its args cannot be read: give them anew. {AGAIN}"
    return f"It cannot be fired: the log of the worker says why. {AGAIN}"


async def _check(
    connection: Connection, form: TriggerForm, integrations: Mapping[str, Integration], now: datetime
) -> None:
    assert form.time_zone is not None
    if problems := check_schedule(form.cron_expression, form.time_zone, now):
        raise refuse(problems)
    job = await check_connection(connection, form.sync_job_id, form.integrated_account_id, integrations)
    check_args(job.definition, form.args)


def _parse(body: Json, zone: str) -> TriggerForm:
    if not isinstance(body, dict):
        raise refuse([Problem(detail="Expected a JSON object.")])
    given = {name: value for name, value in body.items() if name not in SHOWN_ONLY}
    form = convert(given, TriggerForm)
    return form if form.time_zone is not None else msgspec.structs.replace(form, time_zone=zone)


def _columns(form: TriggerForm, now: datetime) -> tuple[Json, ...]:
    assert form.time_zone is not None
    due = next_time(form.cron_expression, form.time_zone, now) if form.enabled else None
    return (
        form.cron_expression,
        form.time_zone,
        encode(form.args),
        form.error_handling,
        form.ignore_previous_run,
        form.enabled,
        due,
    )


def _trigger(row: Record) -> CronTrigger:
    return CronTrigger(
        id=row["id"],
        sync_job_id=row["sync_job_id"],
        integrated_account_id=row["integrated_account_id"],
        cron_expression=row["cron_expression"],
        time_zone=row["time_zone"],
        args=stored_args(row["args"]),
        error_handling=row["error_handling"],
        ignore_previous_run=row["ignore_previous_run"],
        enabled=row["enabled"],
        next_run=row["next_run"],
        last_run_id=row["last_run_id"],
        last_problem=row["last_problem"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
