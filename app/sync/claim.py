"""Taking one mailbox, as a worker does, for work that is not a run: nobody else writes there meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from app.database.queries import query
from app.database.types import Pool
from app.errors import Conflict
from app.ledger import Lease

__all__ = ["MailboxBusy", "claimed"]

LOOK_AGAIN = 0.2
"""Seconds after which a mailbox that a worker has is asked for again."""


class MailboxBusy(Conflict):
    """A worker had the mailbox all the time that we waited."""

    def __init__(self) -> None:
        super().__init__("mailbox_busy", "A worker is busy in this mailbox: try again when it has finished.")


@asynccontextmanager
async def claimed(
    pool: Pool, mailbox_id: int, *, lease_seconds: float, wait_seconds: float
) -> AsyncIterator[Lease]:
    """The lease of a mailbox, kept as long as it is used, and given back.

    Waits at most ``wait_seconds`` for whoever has it, then raises MailboxBusy. Should the lease be lost all
    the same (this process was stopped for too long), using it raises LeaseLost.
    """
    owner = uuid4()
    until = time.monotonic() + wait_seconds
    row = await pool.fetchrow(query("mailboxes.claim_one"), owner, mailbox_id, lease_seconds)
    while row is None:
        if time.monotonic() >= until:
            raise MailboxBusy
        await asyncio.sleep(LOOK_AGAIN)
        row = await pool.fetchrow(query("mailboxes.claim_one"), owner, mailbox_id, lease_seconds)
    lease = Lease(
        mailbox_id=row["id"],
        type=row["type"],
        address=row["address"],
        identity=row["identity"],
        owner=owner,
        fence=row["fence"],
        attempts=row["attempts"],
        wake=row["wake"],
    )
    keeping = asyncio.create_task(_keep(pool, lease, lease_seconds))
    try:
        yield lease
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await pool.execute(query("mailboxes.give_back"), lease.mailbox_id, owner, lease.fence)


async def _keep(pool: Pool, lease: Lease, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds / 3)
        await pool.fetch(query("mailboxes.extend"), lease.owner, [lease.mailbox_id], seconds)
