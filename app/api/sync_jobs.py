"""``/api/v1/sync-job``: what to fetch from an integration."""

from litestar import Response, delete, get, patch, post

from app.api.auth import admin_only, staff_only
from app.api.dependencies import InjectedClock, InjectedIntegrations, InjectedPool
from app.api.openapi import problems
from app.api.paging import Cursor, Limit
from app.api.select import Select, Selection
from app.api.source_bodies import AnyRequest, Environment, Id, body_operation, patch_operation, read_body
from app.sources import jobs
from app.sources.definition import Definition
from app.sources.jobs import SyncJob, SyncJobPage

__all__ = ["sync_job_handlers"]

TAGS = ["Sources"]

EXAMPLE = {
    "integration_name": "mytimetable",
    "args_schema": {
        "type": "object",
        "properties": {"usernames": {"type": "array", "items": {"type": "string"}}},
        "required": ["usernames"],
    },
    "resources": [
        {
            "resource": "timetable",
            "method": "list",
            "id": "{{args.usernames}}",
            "loop_on": "usernames",
            "persist": True,
        }
    ],
}


@post(
    "/sync-job",
    guards=[admin_only],
    tags=TAGS,
    summary="Describe what to fetch from an integration",
    description="Everything that is wrong with it is refused now, each thing by its place: a schema that is"
    " none, a cycle, an unknown parent, an unknown placeholder, what the integration does not know or lacks.",
    operation_class=body_operation(Definition, EXAMPLE),
    responses=problems(413, 422),
)
async def create_sync_job(
    request: AnyRequest, pool: InjectedPool, integrations: InjectedIntegrations, clock: InjectedClock
) -> SyncJob:
    data = await read_body(request)
    return await jobs.create(pool, data, integrations, clock())


@get("/sync-job", guards=[staff_only], tags=TAGS, summary="All sync jobs", responses=problems())
async def list_sync_jobs(
    pool: InjectedPool,
    environment_id: Environment = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    select: Select = None,
) -> Response[SyncJobPage]:
    selection = Selection(SyncJobPage, select, "sync_jobs")
    return selection.of(await jobs.page(pool, limit, cursor, environment=environment_id))


@get("/sync-job/{id:uuid}", guards=[staff_only], tags=TAGS, summary="A sync job", responses=problems(404))
async def get_sync_job(id: Id, pool: InjectedPool, select: Select = None) -> Response[SyncJob]:
    selection = Selection(SyncJob, select)
    return selection.of(await jobs.find(pool, id))


@patch(
    "/sync-job/{id:uuid}",
    guards=[admin_only],
    tags=TAGS,
    summary="Change a sync job",
    description="A merge patch (RFC 7396): members are merged, null takes one out, a list is replaced as a"
    " whole. Runs that were made before go on as they are.",
    operation_class=patch_operation(Definition, {"environment_id": "production"}),
    responses=problems(404, 413, 422),
)
async def patch_sync_job(
    id: Id, request: AnyRequest, pool: InjectedPool, integrations: InjectedIntegrations, clock: InjectedClock
) -> SyncJob:
    data = await read_body(request)
    return await jobs.change(pool, id, data, integrations, clock())


@delete(
    "/sync-job/{id:uuid}",
    guards=[admin_only],
    tags=TAGS,
    summary="Delete a sync job, its triggers and its runs",
    description="Timetables stay as they are. Not while a run of it has not ended.",
    responses=problems(404, 409),
)
async def delete_sync_job(id: Id, pool: InjectedPool) -> None:
    await jobs.delete(pool, id)


sync_job_handlers = [create_sync_job, list_sync_jobs, get_sync_job, patch_sync_job, delete_sync_job]
