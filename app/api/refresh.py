"""``/api/v1/synchronizations/{id}/refresh``: what is really in the calendar (CONTRACT §6)."""

from typing import Annotated

import msgspec
from litestar import post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import JSONBody

from app.api.dependencies import InjectedCaller, InjectedClock, InjectedConfig, InjectedPool, InjectedWatcher
from app.api.openapi import problems
from app.api.v0_synchronizations import SynchronizationId
from app.provisioning import runs, synchronizations
from app.provisioning.refresh import ask_for_refresh

__all__ = ["refresh_handlers"]


class Calendars(msgspec.Struct, frozen=True):
    """Which calendars to read besides those that the synchronization's events are in."""

    calendars: Annotated[list[str], msgspec.Meta(max_length=100)] | None = None
    """Their names in the mailbox, compared without case; the default one answers to the mailbox address
    (`description`) too. The run fails if there is none of a name."""


@post(
    "/synchronizations/{id:int}/refresh",
    tags=["Synchronizations"],
    summary="Read what is really in the calendar",
    description="A worker reads the calendar and compares it with the ledger; what people deleted or"
    " changed there is put back, left or only counted, as the installation is configured. GET /runs/{id}"
    " tells the differences by kind.",
    status_code=200,
    responses={
        200: ResponseSpec(
            int,
            description="0 if it was done within the call, else the id of the run that does it.",
            generate_examples=False,
            examples=[Example("done", value=0), Example("goes on", value=17)],
        )
    }
    | problems(404, 413, 422),
)
async def refresh(
    id: SynchronizationId,
    pool: InjectedPool,
    clock: InjectedClock,
    config: InjectedConfig,
    watcher: InjectedWatcher,
    caller: InjectedCaller,
    data: JSONBody[Calendars | None] = None,
) -> int:
    caller.may_act_for(await synchronizations.owner(pool, id))
    run = await ask_for_refresh(pool, clock, id, None if data is None else data.calendars)
    if await watcher.wait(run, config.sync.refresh_wait_seconds):
        # One that has failed is not done: its run says why.
        return 0 if (await runs.find(pool, run, clock())).state == "done" else run
    return run


refresh_handlers = [refresh]
