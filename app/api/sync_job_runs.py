"""``/api/v1/sync-job-run``: sync jobs carried out once."""

from litestar import Response, delete, get, post

from app.api.auth import admin_only, staff_only
from app.api.dependencies import InjectedClock, InjectedConfig, InjectedIntegrations, InjectedPool
from app.api.openapi import problems
from app.api.paging import Cursor, Limit
from app.api.select import Select, Selection
from app.api.source_bodies import AnyRequest, Id, OfAccount, OfJob, body_operation, read_body
from app.sources import runs
from app.sources.runs import JobRun, JobRunPage, RunForm

__all__ = ["sync_job_run_handlers"]

TAGS = ["Sources"]

EXAMPLE = {
    "sync_job_id": "3f1c9d2e-8a54-4c8e-9a35-0d7a1b2c3d4e",
    "integrated_account_id": "b2a7c0de-1f2e-4d3c-8b9a-5e6f70819203",
    "args": {"usernames": ["alice"]},
    "error_handling": "ignore",
}


@post(
    "/sync-job-run",
    guards=[admin_only],
    tags=TAGS,
    summary="Run a sync job",
    description="A worker takes it up at once. At most one run of a job and account is active at a time: 409"
    " names the other one in `run`. A resource that is not persisted, and on which no other depends, needs a"
    " webhook; each has to be one that the account has.",
    operation_class=body_operation(RunForm, EXAMPLE),
    responses=problems(409, 413, 422),
)
async def create_sync_job_run(
    request: AnyRequest,
    pool: InjectedPool,
    config: InjectedConfig,
    integrations: InjectedIntegrations,
    clock: InjectedClock,
) -> JobRun:
    data = await read_body(request)
    has_webhook = config.sources.webhook is not None
    return await runs.create(pool, data, integrations, clock(), webhook=has_webhook)


@get(
    "/sync-job-run",
    guards=[staff_only],
    tags=TAGS,
    summary="All runs of sync jobs, the latest first",
    responses=problems(),
)
async def list_sync_job_runs(
    pool: InjectedPool,
    sync_job_id: OfJob = None,
    integrated_account_id: OfAccount = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    select: Select = None,
) -> Response[JobRunPage]:
    selection = Selection(JobRunPage, select, "sync_job_runs")
    found = await runs.page(pool, limit, cursor, job=sync_job_id, account=integrated_account_id)
    return selection.of(found)


@get(
    "/sync-job-run/{id:uuid}",
    guards=[staff_only],
    tags=TAGS,
    summary="A run of a sync job: its state, what it has done, what went wrong",
    responses=problems(404),
)
async def get_sync_job_run(id: Id, pool: InjectedPool, select: Select = None) -> Response[JobRun]:
    selection = Selection(JobRun, select)
    return selection.of(await runs.find(pool, id))


@delete(
    "/sync-job-run/{id:uuid}",
    guards=[admin_only],
    status_code=200,
    tags=TAGS,
    summary="Cancel a run of a sync job",
    description="One that waits ends at once, one that a worker has within seconds: until then it is still"
    " `running`. Timetables to which it was applied stay as they are.",
    responses=problems(404, 409),
)
async def cancel_sync_job_run(id: Id, pool: InjectedPool, clock: InjectedClock) -> JobRun:
    return await runs.cancel(pool, id, clock())


sync_job_run_handlers = [create_sync_job_run, list_sync_job_runs, get_sync_job_run, cancel_sync_job_run]
