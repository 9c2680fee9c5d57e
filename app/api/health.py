"""``/healthz``, ``/readyz`` and ``/metrics`` (CONTRACT §8)."""

from datetime import datetime, timedelta

import asyncpg
import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from prometheus_client import REGISTRY, CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from app.api.auth import staff_only
from app.api.dependencies import InjectedClock, InjectedPool
from app.api.openapi import problems
from app.database.migrate import SchemaError, check
from app.database.queries import query
from app.database.types import Connection
from app.sources.runs import parse_counts

__all__ = ["observing_handlers"]

TAGS = ["Observing"]


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """``ok``, or ``unavailable`` with what is missing in ``detail``."""

    status: str
    detail: str | None = None


@get("/healthz", opt={"public": True}, tags=TAGS, summary="Whether the process answers", security=[{}])
async def healthz() -> Health:
    return Health("ok")


@get(
    "/readyz",
    opt={"public": True},
    tags=TAGS,
    summary="Whether the database answers and is at this version",
    responses={503: ResponseSpec(Health, description="Not now.", generate_examples=False)},
    security=[{}],
)
async def readyz(pool: InjectedPool) -> Response[Health]:
    try:
        async with pool.acquire(timeout=5) as connection:
            await check(connection)
    except SchemaError as error:
        return Response(Health("unavailable", error.message), status_code=503)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return Response(Health("unavailable", "The database does not answer."), status_code=503)
    return Response(Health("ok"))


@get(
    "/metrics",
    guards=[staff_only],
    tags=TAGS,
    summary="Metrics for Prometheus",
    media_type=CONTENT_TYPE_PLAIN_0_0_4,
    responses=problems(),
)
async def metrics(pool: InjectedPool, clock: InjectedClock) -> Response[str]:
    """What this process has counted, and what the database holds now: the same from every process."""
    registry = CollectorRegistry()
    synchronizations = Gauge(
        "rooster_synchronizations",
        "Current synchronizations, by type and status.",
        ["type", "status"],
        registry=registry,
    )
    due = Gauge(
        "rooster_mailboxes_due", "Mailboxes that wait for a worker, by type.", ["type"], registry=registry
    )
    ledger = Gauge(
        "rooster_ledger_rows",
        "Events by what is to be done: those that are present are the planner's estimate.",
        ["state"],
        registry=registry,
    )
    unlinks = Gauge("rooster_unlinks_open", "Unlinkings that are not done yet.", registry=registry)
    async with pool.acquire() as connection:
        for row in await connection.fetch(query("metrics.synchronizations")):
            synchronizations.labels(row["type"], row["status"]).set(row["count"])
        for row in await connection.fetch(query("metrics.due"), clock()):
            due.labels(row["type"]).set(row["count"])
        for row in await connection.fetch(query("metrics.ledger")):
            ledger.labels(row["state"]).set(row["count"])
        unlinks.set(await connection.fetchval(query("metrics.unlinks")))
        await _sync_jobs(connection, registry, clock())
    text = (generate_latest(REGISTRY) + generate_latest(registry)).decode()
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


COUNTED = ("records", "record_errors", "read_errors", "users_applied", "users_kept", "users_refused")
"""Of ``app.sources.runs.Counts``: what says whether a source is read as it should be."""


LATELY = timedelta(days=1)
"""For so long after a run, a job that nobody runs by the clock is spoken of …"""
MAX_OTHERS = 100
"""… and of so many at most: a script may make a job for each run."""


async def _sync_jobs(connection: Connection, registry: CollectorRegistry, now: datetime) -> None:
    """One series for each job and account that runs by the clock, or has run lately."""
    open_runs = Gauge(
        "rooster_sync_job_runs_open",
        "Runs of sync jobs that have not ended, by state.",
        ["state"],
        registry=registry,
    )
    failing = Gauge(
        "rooster_sync_job_triggers_failing",
        "Cron triggers whose last time made no run.",
        registry=registry,
    )
    which = ["sync_job", "integrated_account"]
    succeeded = Gauge(
        "rooster_sync_job_last_success_timestamp_seconds",
        "When a run was last done; if none was, since when it runs by the clock or was first asked for.",
        which,
        registry=registry,
    )
    took = Gauge(
        "rooster_sync_job_last_run_seconds",
        "How long the last run took.",
        which,
        registry=registry,
    )
    counted = Gauge(
        "rooster_sync_job_last_run_counts",
        "What the last run has read, applied and failed at.",
        [*which, "counted"],
        registry=registry,
    )
    for state in ("queued", "running"):
        open_runs.labels(state).set(0)
    for row in await connection.fetch(query("metrics.sync_job_runs")):
        open_runs.labels(row["state"]).set(row["count"])
    failing.set(await connection.fetchval(query("metrics.sync_job_triggers")))
    for row in await connection.fetch(query("metrics.sync_jobs"), now - LATELY, MAX_OTHERS):
        pair = str(row["sync_job_id"]), str(row["integrated_account_id"])
        succeeded.labels(*pair).set(row["succeeded_at"].timestamp())
        if row["took"] is None:  # it has not run yet
            continue
        took.labels(*pair).set(row["took"].total_seconds())
        counts = parse_counts(row["counts"])
        for name in COUNTED:
            counted.labels(*pair, name).set(getattr(counts, name))


observing_handlers = [healthz, readyz, metrics]
