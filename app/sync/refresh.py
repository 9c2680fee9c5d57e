"""Refreshing: reading what is really in a mailbox, and what follows from what people did there.

The policy is the installation's (``[sync] people``). What the person added to an event is no change, and
their copies are theirs: neither is ever touched.
"""

from typing import Literal

import msgspec

from app.clock import Clock
from app.database.queries import query
from app.database.types import Connection, Pool
from app.ledger import Ledger
from app.sync.mirror import drift, read_mailbox
from providers.contract import Adapter, Mailbox

__all__ = ["REWRITES", "People", "follow_missing", "follow_people", "refresh_if_asked"]

People = Literal["restore", "respect", "report"]

REWRITES = 3
"""How often in a row an event is written again that does not hold what was written."""

NEVER_EQUAL = (
    f"It was written again {REWRITES} times, and each time the mailbox held something else afterwards:"
    " the provider, another program or the person changes it. It is left alone until the timetable"
    " changes it."
)


async def refresh_if_asked(
    pool: Pool,
    ledger: Ledger,
    adapter: Adapter,
    mailbox: Mailbox,
    instance: str,
    people: People,
    clock: Clock,
) -> bool:
    """Read the mailbox if somebody waits for that, follow the policy, and end the runs that waited.

    Returns whether there was a reading: then what is to be done has to be planned anew. Raises
    ProviderError (nothing was changed, and the runs go on waiting) and LeaseLost.
    """
    rows = await pool.fetch(query("mirror.asked"), ledger.mailbox_id)
    if not rows:
        return False
    reading = await read_mailbox(ledger, adapter, mailbox, instance, clock)
    found = await drift(ledger, reading)
    async with ledger.transaction() as (connection, _):
        await follow_people(connection, reading, people)
        await connection.execute(
            query("mirror.answer"),
            [row["run_id"] for row in rows],
            clock(),
            msgspec.json.encode(found).decode(),
        )
    return True


async def follow_people(connection: Connection, reading: int, people: People) -> None:
    """Make the ledger follow what people did, by the policy, as part of the caller's transaction.

    restore  what is missing is created anew, what is changed is written again, at most so many times
    respect  both stay as they are until the timetable changes the event
    report   nothing is done

    Planning does the rest. What is missing of former synchronizations is forgotten (not by ``report``):
    nobody wants it back.
    """
    if people == "report":
        return
    await connection.execute(query("mirror.equal"), reading)
    await connection.execute(query("mirror.note_drift"), reading)
    if people == "restore":
        await connection.execute(query("mirror.quarantine"), reading, REWRITES, NEVER_EQUAL)
        await connection.execute(query("mirror.rewrite_changed"), reading)
    await follow_missing(connection, reading, people)


async def follow_missing(connection: Connection, reading: int, people: People) -> None:
    """The part of ``follow_people`` that is about events that are not there any more."""
    if people == "report":
        return
    former = await connection.fetch(query("mirror.missing"), reading, True)
    await connection.execute(query("mirror.forget"), [row["id"] for row in former])
    if people == "restore":
        current = await connection.fetch(query("mirror.missing"), reading, False)
        await connection.execute(query("ledger.vanished"), [row["id"] for row in current])
