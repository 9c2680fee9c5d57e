"""Which synchronizations are due, and why (CONTRACT §6)."""

from datetime import datetime

import msgspec
from asyncpg import Record

from app.database.queries import query
from app.database.types import Pool
from app.paging import next_cursor, parse_cursor
from app.provisioning.synchronizations import Synchronization

__all__ = ["Due", "DuePage", "page"]

REASONS = {
    "running": "A worker is at work in its mailbox now.",
    "sync_run": "Run {run_id}, a sync, is visiting its mailbox.",
    "retry": "The last run did not get to its end: {last_error}",
    "never_synced": "It was never synced to the end.",
    "timetable_changed": "The timetable was changed since the last sync.",
    "unlinking": "Events are to be taken out of its mailbox for an unlinking.",
    "resync": "Its regular comparison with the timetable is due, or somebody has asked for it.",
}


class Due(Synchronization, frozen=True, kw_only=True, rename="camel"):
    """A synchronization and when its mailbox is visited next (UTC); null: when there is something to do.

    ``why`` it is due, by a stable code, and ``reason``, a sentence; null while it is not due.
    """

    due_at: datetime | None
    why: str | None
    reason: str | None


class DuePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of synchronizations by id; ``next`` is the cursor of the page after it, or null."""

    synchronizations: list[Due]
    next: str | None


async def page(pool: Pool, now: datetime, limit: int, cursor: str | None, *, ready: bool) -> DuePage:
    """A page of the current synchronizations; with ``ready``, of those alone that wait for a worker now.

    Raises BadRequest for a cursor that is no page's ``next``.
    """
    last = parse_cursor(cursor)
    rows = await pool.fetch(query("synchronizations.due"), now, last, limit + 1, ready)
    return DuePage(
        synchronizations=[_due(row) for row in rows[:limit]],
        next=next_cursor(rows, limit, "id"),
    )


def _due(row: Record) -> Due:
    facts = dict(row)
    run_id, last_error = facts.pop("run_id"), facts.pop("last_error") or facts["status"]
    facts.pop("failing_since")
    reason = (
        None if facts["why"] is None else REASONS[facts["why"]].format(run_id=run_id, last_error=last_error)
    )
    return Due(**facts, reason=reason)
