"""Rebuilding: the ledger's rows from the markers in a mailbox, after the database was restored from a backup.

The mailbox is newer than the ledger then. What it holds of ours gets its rows back; where the ledger
cannot know what an event holds, a run writes it again. Nothing is written into the mailbox here.
"""

import msgspec

from app.clock import Clock
from app.config import Config
from app.database.queries import query
from app.database.types import Pool
from app.sync.mirror import read_everything
from app.sync.refresh import follow_missing
from app.sync.settle import settle_unknown
from app.sync.visit import visit
from app.sync.wake import wake_mailboxes
from providers.adapter import Adapter

__all__ = ["Rebuilt", "rebuild_mailbox"]


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What a rebuild has done about one mailbox."""

    corrected: int
    """Rows that pointed to an event that is not there, and now point to the one that is."""
    adopted: int
    """Events with our marker of which the ledger knew nothing."""
    extra: int
    """Second events for the same event of the timetable: a worker takes them out."""


async def rebuild_mailbox(
    pool: Pool, adapter: Adapter, config: Config, clock: Clock, mailbox_id: int, wait_seconds: float
) -> Rebuilt:
    """Make the ledger agree with the mailbox, and have a worker do what follows from that.

    An event belongs to the synchronization that its marker names, if that is here and has this mailbox;
    else to a current one of the mailbox that wants it; else to the mailbox's latest former one, where a
    CLEANUP finds it. People's copies and other instances' events are never taken for ours. Ids of
    synchronizations that markers name are not given out again. An event that is in another calendar of ours
    than its row says is still the row's: it may have been moved after the backup. Raises as ``visit`` does.
    """
    async with visit(pool, adapter, config, clock, mailbox_id, wait_seconds) as (ledger, mailbox):
        await settle_unknown(ledger, adapter, mailbox, config.instance, clock())
        reading, ours = await read_everything(ledger, adapter, mailbox, config.instance, clock)
        async with ledger.transaction() as (connection, _):
            now = clock()
            await connection.execute(
                query("rebuild.calendars"),
                mailbox_id,
                [calendar.name for calendar in ours],
                [calendar.id for calendar in ours],
                reading,
            )
            for name in ("advance_ids", "confirm", "moved", "doubt"):
                await connection.execute(query(f"rebuild.{name}"), reading)
            await connection.execute(query("rebuild.place"), reading, now)
            await connection.execute(query("rebuild.former"), reading, now)
            for name in ("place_others", "known_uids"):
                await connection.execute(query(f"rebuild.{name}"), reading)
            corrected = await connection.fetch(query("rebuild.correct"), reading)
            adopted = await connection.fetch(query("rebuild.adopt"), reading)
            await connection.execute(query("rebuild.ours"), reading)
            extra = await connection.fetch(query("rebuild.extra"), reading, now)
            await follow_missing(connection, reading, config.sync.people)
            await wake_mailboxes(connection, [mailbox_id], now)
    return Rebuilt(corrected=len(corrected), adopted=len(adopted), extra=len(extra))
