"""``/api/v1/runs``: work that takes longer than a request (CONTRACT §6)."""

from typing import Annotated

from litestar import get
from litestar.params import PathParameter, QueryParameter

from app.api.auth import staff_only
from app.api.dependencies import InjectedCaller, InjectedClock, InjectedPool
from app.api.openapi import problems
from app.errors import Forbidden
from app.provisioning import runs
from app.provisioning.runs import Run, RunPage

__all__ = ["run_handlers"]

TAGS = ["Runs"]


@get("/runs", guards=[staff_only], tags=TAGS, summary="All runs, the latest first", responses=problems())
async def list_runs(
    pool: InjectedPool,
    clock: InjectedClock,
    limit: Annotated[int, QueryParameter(description="Runs on a page.", ge=1, le=1000)] = 100,
    cursor: Annotated[
        str | None, QueryParameter(description="`next` of the page before.", pattern=r"^[0-9]{1,18}$")
    ] = None,
) -> RunPage:
    return await runs.page(pool, limit, cursor, clock())


@get(
    "/runs/{id:int}",
    tags=TAGS,
    summary="A run: its state, how far it has got, what went wrong",
    description="A token with the role frontend sees the runs that are about its user's mailboxes only.",
    responses=problems(404),
)
async def get_run(
    id: Annotated[int, PathParameter(description="As Operation-Location or POST …/sync gave it.")],
    pool: InjectedPool,
    clock: InjectedClock,
    caller: InjectedCaller,
) -> Run:
    run = await runs.find(pool, id, clock())
    if caller.role == "frontend" and not (
        caller.requested and await runs.concerns_only(pool, id, caller.requested)
    ):
        raise Forbidden("forbidden", "This run is not about the user whom requestedAuth names alone.")
    return run


run_handlers = [list_runs, get_run]
