"""``/api/v1/runs``: work that takes longer than a request (CONTRACT §6)."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, TypeAlias

import msgspec
from litestar import Response, delete, get
from litestar.params import PathParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from app.api.auth import admin_only, staff_only
from app.api.dependencies import InjectedCaller, InjectedClock, InjectedPool, InjectedWatcher
from app.api.openapi import EventStreamOperation, problems
from app.api.paging import Cursor, Limit
from app.api.select import Select, Selection
from app.clock import Clock
from app.database.types import Pool
from app.errors import Forbidden, NotFound
from app.provisioning import runs
from app.provisioning.runs import Run, RunPage
from app.provisioning.watching import RunWatcher

__all__ = ["run_handlers"]

TAGS = ["Runs"]

HEARTBEAT_SECONDS = 15.0
"""After this long without news a comment is sent, so that nobody in between takes the connection for dead."""

PAUSE_SECONDS = 0.5
"""At most two steps a second are told of, however many there are."""

RunId: TypeAlias = Annotated[int, PathParameter(description="As Operation-Location or POST …/sync gave it.")]


@get("/runs", guards=[staff_only], tags=TAGS, summary="All runs, the latest first", responses=problems())
async def list_runs(
    pool: InjectedPool,
    clock: InjectedClock,
    limit: Limit = 100,
    cursor: Cursor = None,
    select: Select = None,
) -> Response[RunPage]:
    selection = Selection(RunPage, select, "runs")
    return selection.of(await runs.page(pool, limit, cursor, clock()))


@get(
    "/runs/{id:int}",
    tags=TAGS,
    summary="A run: its state, how far it has got, what went wrong",
    description="A token with the role frontend sees the runs that are about its user's mailboxes only.",
    responses=problems(404),
)
async def get_run(
    id: RunId, pool: InjectedPool, clock: InjectedClock, caller: InjectedCaller, select: Select = None
) -> Response[Run]:
    selection = Selection(Run, select)
    return selection.of(await _visible(id, pool, clock, caller))


@get(
    "/runs/{id:int}/events",
    operation_class=EventStreamOperation,
    tags=TAGS,
    summary="A run as it goes on, live",
    description="Server-sent events of the type `run`, each with the run as `GET /runs/{id}` answers it: one"
    " at once, one for each change (at most two a second), and the last one when the run has ended; then the"
    " stream ends. In between, a comment every 15 seconds.",
    responses=problems(404),
)
async def follow_run(
    id: RunId,
    pool: InjectedPool,
    clock: InjectedClock,
    caller: InjectedCaller,
    watcher: InjectedWatcher,
) -> ServerSentEvent:
    await _visible(id, pool, clock, caller)
    return ServerSentEvent(_steps(id, pool, clock, watcher), headers={"Cache-Control": "no-store"})


async def _steps(
    id: int, pool: Pool, clock: Clock, watcher: RunWatcher
) -> AsyncIterator[ServerSentEventMessage]:
    async with aclosing(watcher.steps(id, HEARTBEAT_SECONDS, PAUSE_SECONDS)) as steps:
        async for changed in steps:
            if not changed:
                # Without data: an empty line of it would be an event of the type ``message``.
                yield ServerSentEventMessage(comment="still going on", data=None)
                continue
            try:
                run = await runs.find(pool, id, clock())
            except NotFound:
                return  # it ended long ago, and is pruned
            yield ServerSentEventMessage(event="run", data=msgspec.json.encode(run).decode())
            if run.state != "active":
                return


@delete(
    "/runs/{id:int}",
    guards=[admin_only],
    status_code=200,
    tags=TAGS,
    summary="Cancel a sync or a refresh",
    description="Mailboxes that were not visited yet are struck off; what is being done at this moment is"
    " finished. An unlinking cannot be cancelled: it is a promise.",
    responses=problems(404, 409),
)
async def cancel_run(id: RunId, pool: InjectedPool, clock: InjectedClock) -> Run:
    return await runs.cancel(pool, id, clock())


async def _visible(id: int, pool: Pool, clock: Clock, caller: InjectedCaller) -> Run:
    """The run, if the caller may see it. Raises NotFound and Forbidden."""
    run = await runs.find(pool, id, clock())
    if caller.role == "frontend" and not (
        caller.requested and await runs.concerns_only(pool, id, caller.requested)
    ):
        raise Forbidden("forbidden", "This run is not about the user whom requestedAuth names alone.")
    return run


run_handlers = [list_runs, get_run, follow_run, cancel_run]
