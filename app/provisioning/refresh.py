"""Refreshing: asking for a reading of what is really in a synchronization's calendar (CONTRACT §6)."""

from collections.abc import Sequence

from app.clock import Clock
from app.database.queries import query
from app.database.types import Pool
from app.errors import Invalid
from app.provisioning import synchronizations
from app.sync.wake import wake_mailboxes

__all__ = ["ask_for_refresh"]


async def ask_for_refresh(pool: Pool, clock: Clock, id: int, calendars: Sequence[str] | None = None) -> int:
    """Have a worker read the calendar of a synchronization; returns the run, which it ends.

    ``calendars`` names others of the mailbox that are to be read as well; a run for a name that the mailbox
    does not have fails. Raises NotFound, and Invalid for an empty list or name.
    """
    if calendars is not None and not (calendars and all(name.strip() for name in calendars)):
        raise Invalid("no_calendars", "Nothing was started: leave calendars out, or name at least one.")
    async with pool.acquire() as connection, connection.transaction():
        await synchronizations.find(connection, id)
        await connection.execute(query("unlinks.hold_mailboxes"), [id])
        names = None if calendars is None else list(calendars)
        row = await connection.fetchrow(query("mirror.ask"), id, clock(), names)
        assert row is not None
        await wake_mailboxes(connection, [row["mailbox_id"]], clock())
        run: int = row["run_id"]
        return run
