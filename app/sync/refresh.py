"""Refreshing: reading what is really in a mailbox, and what follows from what people did there.

The policy is the installation's (``[sync] people``), or the preferences'. What the person added to an event
is no change, and their copies are theirs: neither is ever touched.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from asyncpg import Record

from app.clock import Clock
from app.config import Config
from app.database.queries import query
from app.database.types import Connection, Pool
from app.ledger import Ledger
from app.sync.mirror import drift, read_changes
from providers.adapter import Adapter
from providers.contract import Mailbox

__all__ = ["REWRITES", "People", "follow_missing", "follow_people", "refresh_if_due"]

People = Literal["restore", "respect", "report"]

REWRITES = 3
"""How often in a row an event is written again that does not hold what was written."""

NEVER_EQUAL = (
    f"It was written again {REWRITES} times, and each time the mailbox held something else afterwards:"
    " the provider, another program or the person changes it. It is left alone until the timetable"
    " changes it."
)


async def refresh_if_due(
    pool: Pool,
    ledger: Ledger,
    adapter: Adapter,
    mailbox: Mailbox,
    config: Config,
    clock: Clock,
) -> bool:
    """Read the mailbox if somebody waits for that, or if it was not read for long; follow the policy.

    The runs that waited end with it. Returns whether there was a reading: then what is to be done has to be
    planned anew. Raises ProviderError (nothing was changed, and the runs go on waiting) and LeaseLost.
    """
    rows = await pool.fetch(query("mirror.asked"), ledger.mailbox_id)
    if not rows and not await _is_due(pool, ledger, config, clock):
        return False
    others, unknown = await _find_others(adapter, mailbox, config.instance, rows)
    reading = await read_changes(ledger, adapter, mailbox, config.instance, clock, others)
    found = await drift(ledger, reading)
    async with ledger.transaction() as (connection, _):
        await follow_people(connection, reading, config.sync.people, clock())
        await connection.execute(query("mirror.late_arrivals"), reading, ledger.mailbox_id, clock())
        for run_id, names in unknown.items():
            reason = f"The mailbox has no calendar named {', '.join(names)}."
            await connection.execute(query("mirror.fail"), run_id, clock(), reason)
        await connection.execute(
            query("mirror.answer"),
            [row["run_id"] for row in rows if row["run_id"] not in unknown],
            clock(),
            msgspec.json.encode(found).decode(),
        )
    return True


async def _is_due(pool: Pool, ledger: Ledger, config: Config, clock: Clock) -> bool:
    if config.sync.refresh_interval_seconds == 0:
        return False
    before = clock() - timedelta(seconds=config.sync.refresh_interval_seconds)
    return bool(await pool.fetchval(query("mirror.is_due"), ledger.mailbox_id, before))


async def _find_others(
    adapter: Adapter, mailbox: Mailbox, instance: str, rows: Sequence[Record]
) -> tuple[list[str], dict[int, list[str]]]:
    """The ids of the person's calendars that are to be read as well, and by run the names that are unknown.

    Our own calendars are read anyway; the default one answers to the mailbox's address too.
    """
    if not any(row["calendars"] for row in rows):
        return [], {}
    own = {mailbox.address.casefold()}
    theirs: dict[str, list[str]] = {}
    for calendar in await adapter.calendars(mailbox, instance):
        name = calendar.name.casefold()
        if calendar.is_default or calendar.ours:
            own.add(name)
        else:
            theirs.setdefault(name, []).append(calendar.id)
    others: dict[str, None] = {}
    unknown: dict[int, list[str]] = {}
    for row in rows:
        for name in row["calendars"] or ():
            if name.casefold() in theirs:
                others |= dict.fromkeys(theirs[name.casefold()])
            elif name.casefold() not in own:
                unknown.setdefault(row["run_id"], []).append(name)
    return list(others), unknown


async def follow_people(connection: Connection, reading: int, people: People, now: datetime) -> None:
    """Make the ledger follow what people did, by the policy, as part of the caller's transaction.

    restore  what is missing is created anew, what is changed is written again, at most so many times
    respect  both stay as they are until the timetable changes the event
    report   nothing is done

    The policy is that of each synchronization's preferences, or else ``people``. Planning does the rest.
    What is missing of former synchronizations is forgotten (not by ``report``): nobody wants it back.
    """
    await connection.execute(query("mirror.equal"), reading, people)
    await connection.execute(query("mirror.tell"), reading, people, now)
    await connection.execute(query("mirror.note_drift"), reading, people)
    await connection.execute(query("mirror.quarantine"), reading, REWRITES, NEVER_EQUAL, people)
    await connection.execute(query("mirror.rewrite_changed"), reading, people)
    await follow_missing(connection, reading, people)


async def follow_missing(connection: Connection, reading: int, people: People) -> None:
    """The part of ``follow_people`` that is about events that are not there any more."""
    former = await connection.fetch(query("mirror.missing"), reading, True, people, ["restore", "respect"])
    await connection.execute(query("mirror.forget"), [row["id"] for row in former])
    current = await connection.fetch(query("mirror.missing"), reading, False, people, ["restore"])
    await connection.execute(query("ledger.vanished"), [row["id"] for row in current])
