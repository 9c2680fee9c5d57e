"""Refreshing: asking for a reading of what is really in a synchronization's calendar (CONTRACT §6)."""

from collections.abc import Sequence

from app.clock import Clock
from app.database.queries import query
from app.database.types import Pool
from app.errors import Invalid, Problem
from app.provisioning import synchronizations
from app.sync.wake import wake_mailboxes

__all__ = ["ask_for_refresh"]


async def ask_for_refresh(pool: Pool, clock: Clock, id: int, calendars: Sequence[str] | None = None) -> int:
    """Have a worker read the calendar of a synchronization; returns the run, which it ends.

    ``calendars`` names what to read; None: the synchronization's own calendar, the only one there is. Its
    name is the mailbox address. Raises NotFound, and Invalid for any other name or none.
    """
    async with pool.acquire() as connection, connection.transaction():
        found = await synchronizations.find(connection, id)
        _require_own(calendars, found.description)
        await connection.execute(query("unlinks.hold_mailboxes"), [id])
        row = await connection.fetchrow(query("mirror.ask"), id, clock())
        assert row is not None
        await wake_mailboxes(connection, [row["mailbox_id"]], clock())
        run: int = row["run_id"]
        return run


def _require_own(calendars: Sequence[str] | None, own: str) -> None:
    if calendars is None:
        return
    problems = tuple(
        Problem(
            field=f"calendars[{position}]",
            detail="Not a calendar of this synchronization: its own is named by its mailbox address.",
        )
        for position, name in enumerate(calendars)
        if name.casefold() != own.casefold()
    )
    if problems or not calendars:
        raise Invalid(
            "unknown_calendars",
            "Nothing was started: leave calendars out, or name the mailbox address of the synchronization.",
            problems[:100],
        )
