"""``/api/v1/sync-job-cron-trigger``: sync jobs by the clock."""

from litestar import Response, delete, get, patch, post

from app.api.auth import admin_only, staff_only
from app.api.dependencies import InjectedClock, InjectedConfig, InjectedIntegrations, InjectedPool
from app.api.openapi import problems
from app.api.paging import Cursor, Limit
from app.api.select import Select, Selection
from app.api.source_bodies import AnyRequest, Id, OfAccount, OfJob, body_operation, patch_operation, read_body
from app.sources import triggers
from app.sources.triggers import CronTrigger, CronTriggerPage, TriggerForm

__all__ = ["cron_trigger_handlers"]

TAGS = ["Sources"]

EXAMPLE = {
    "sync_job_id": "3f1c9d2e-8a54-4c8e-9a35-0d7a1b2c3d4e",
    "integrated_account_id": "b2a7c0de-1f2e-4d3c-8b9a-5e6f70819203",
    "cron_expression": "30 5 * * MON-FRI",
    "time_zone": "Europe/Amsterdam",
    "args": {"usernames": ["alice"]},
}


@post(
    "/sync-job-cron-trigger",
    guards=[admin_only],
    tags=TAGS,
    summary="Run a sync job by the clock",
    description="Times that were missed, as no worker ran, are made up for by one run, and so are those that"
    " come while a run of the job and account is active, at its end. A time that summer time skips comes"
    " right after; one that comes twice counts once.",
    operation_class=body_operation(TriggerForm, EXAMPLE),
    responses=problems(413, 422),
)
async def create_cron_trigger(
    request: AnyRequest,
    pool: InjectedPool,
    config: InjectedConfig,
    integrations: InjectedIntegrations,
    clock: InjectedClock,
) -> CronTrigger:
    data = await read_body(request)
    return await triggers.create(pool, data, integrations, config.timezone, clock())


@get(
    "/sync-job-cron-trigger",
    guards=[staff_only],
    tags=TAGS,
    summary="All cron triggers, with their next run",
    responses=problems(),
)
async def list_cron_triggers(
    pool: InjectedPool,
    sync_job_id: OfJob = None,
    integrated_account_id: OfAccount = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    select: Select = None,
) -> Response[CronTriggerPage]:
    selection = Selection(CronTriggerPage, select, "sync_job_cron_triggers")
    found = await triggers.page(pool, limit, cursor, job=sync_job_id, account=integrated_account_id)
    return selection.of(found)


@get(
    "/sync-job-cron-trigger/{id:uuid}",
    guards=[staff_only],
    tags=TAGS,
    summary="A cron trigger, with its next run",
    responses=problems(404),
)
async def get_cron_trigger(id: Id, pool: InjectedPool, select: Select = None) -> Response[CronTrigger]:
    selection = Selection(CronTrigger, select)
    return selection.of(await triggers.find(pool, id))


@patch(
    "/sync-job-cron-trigger/{id:uuid}",
    guards=[admin_only],
    tags=TAGS,
    summary="Change a cron trigger, or switch it on or off",
    description="A merge patch (RFC 7396). Its next run is reckoned anew from now.",
    operation_class=patch_operation(TriggerForm, {"enabled": False}),
    responses=problems(404, 413, 422),
)
async def patch_cron_trigger(
    id: Id,
    request: AnyRequest,
    pool: InjectedPool,
    config: InjectedConfig,
    integrations: InjectedIntegrations,
    clock: InjectedClock,
) -> CronTrigger:
    data = await read_body(request)
    return await triggers.change(pool, id, data, integrations, config.timezone, clock())


@delete(
    "/sync-job-cron-trigger/{id:uuid}",
    guards=[admin_only],
    tags=TAGS,
    summary="Delete a cron trigger; the runs that it has made stay",
    responses=problems(404),
)
async def delete_cron_trigger(id: Id, pool: InjectedPool) -> None:
    await triggers.delete(pool, id)


cron_trigger_handlers = [
    create_cron_trigger,
    list_cron_triggers,
    get_cron_trigger,
    patch_cron_trigger,
    delete_cron_trigger,
]
