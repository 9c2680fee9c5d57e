"""``/api/v1/synchronizations/{id}/approve``: letting go what is held back (CONTRACT §5's guard)."""

from litestar import post

from app.api.auth import admin_only
from app.api.dependencies import InjectedClock, InjectedPool
from app.api.openapi import problems
from app.api.v0_synchronizations import SynchronizationId
from app.provisioning import synchronizations

__all__ = ["approval_handlers"]


@post(
    "/synchronizations/{id:int}/approve",
    guards=[admin_only],
    tags=["Synchronizations"],
    summary="Let a synchronization go on that is HELD",
    description="The removals that are due now are carried out; later ones meet the guard against emptying"
    " calendars again. Nothing happens if nothing is held.",
    status_code=204,
    responses=problems(404),
)
async def approve(id: SynchronizationId, pool: InjectedPool, clock: InjectedClock) -> None:
    await synchronizations.approve(pool, id, clock)


approval_handlers = [approve]
