"""The mirror: what is really in a mailbox, read into the database and compared with the ledger.

A reading is complete or it is nothing: a failed read is never an empty calendar. It is made under the
lease of the mailbox, so that nobody writes meanwhile.
"""

from collections.abc import Sequence

import msgspec
from asyncpg import Record

from app.clock import Clock
from app.database.queries import query
from app.ledger import Ledger
from providers.contract import Adapter, Event, Mailbox, ProviderError, RemoteEvent

__all__ = ["Difference", "Drift", "differences", "drift", "read_mailbox"]

CHUNK = 500
"""Events that are stored at a time."""

BELIEVABLE_ID = 10**12
"""No installation has had as many synchronizations: a higher id in a marker is not one of ours."""


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """How many events of ours a reading has seen, and how many of them are not as the ledger says."""

    events: int = 0
    missing: int = 0
    """In the mailbox by the ledger, and not there."""
    changed: int = 0
    """There, and not as they were pushed; what people add is no change."""
    quarantined: int = 0
    """Changed, and given up: they never were as they had just been written."""
    copied: int = 0
    """A person's copies of our events. They are theirs."""
    foreign: int = 0
    """Carry the marker of this instance, and the ledger knows nothing of them."""
    duplicate: int = 0
    """A second event of ours for the same event of the timetable."""

    @property
    def total(self) -> int:
        """How many differences there are."""
        return sum(getattr(self, kind) for kind in self.__struct_fields__ if kind != "events")


class Difference(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One difference; ``kind`` is the name of a count of ``Drift``."""

    kind: str
    synchronization: int
    uid: str
    """The event's identity where the ledger does not know it (see ``providers.marker``)."""
    remote_id: str | None
    changes: tuple[str, ...]
    """Of a changed event: the fields that differ."""


async def read_mailbox(
    ledger: Ledger, adapter: Adapter, mailbox: Mailbox, instance: str, clock: Clock
) -> int:
    """Read all events of the instance in the mailbox into the mirror; returns the reading's id.

    Raises ProviderError if the mailbox could not be read to its end, and LeaseLost: then the mirror is
    as it was before.
    """
    async with ledger.transaction() as (connection, _):
        reading: int = await connection.fetchval(query("mirror.begin"), ledger.mailbox_id, clock())
    chunk: list[RemoteEvent] = []
    seen = 0
    try:
        async for event in adapter.list(mailbox, instance):
            chunk.append(event)
            if len(chunk) == CHUNK:
                await _store(ledger, reading, chunk, seen)
                seen += len(chunk)
                chunk = []
    except ProviderError:
        async with ledger.transaction() as (connection, _):
            await connection.execute(query("mirror.discard"), reading)
        raise
    if chunk:
        await _store(ledger, reading, chunk, seen)
    async with ledger.transaction() as (connection, _):
        await connection.execute(query("mirror.known_copies"), ledger.mailbox_id, reading)
        await connection.execute(query("mirror.copies"), reading)
        await connection.execute(query("mirror.complete"), ledger.mailbox_id, reading, clock())
    return reading


async def drift(ledger: Ledger, reading: int) -> Drift:
    """How the mailbox differs from the ledger, by kind. Raises LeaseLost."""
    async with ledger.transaction() as (connection, _):
        rows = await connection.fetch(query("mirror.drift"), reading)
    return Drift(**{row["kind"]: row["events"] for row in rows})


async def differences(ledger: Ledger, reading: int) -> list[Difference]:
    """How the mailbox differs from the ledger, event by event. Raises LeaseLost."""
    async with ledger.transaction() as (connection, _):
        rows = await connection.fetch(query("mirror.differences"), reading)
    return [
        Difference(
            kind=row["kind"],
            synchronization=row["synchronization_id"],
            uid=row["uid"],
            remote_id=row["remote_id"],
            changes=tuple(row["changes"] or ()),
        )
        for row in rows
    ]


async def _store(ledger: Ledger, reading: int, events: Sequence[RemoteEvent], seen: int) -> None:
    ids = [event.id for event in events]
    async with ledger.transaction() as (connection, _):
        rows = await connection.fetch(query("mirror.pushed"), ledger.mailbox_id, ids)
        pushed = {row["remote_id"]: _may_hold(row) for row in rows}
        changes = [_changes(event, pushed.get(event.id, ())) for event in events]
        markers = [event.marker for event in events]
        await connection.execute(
            query("mirror.store"),
            reading,
            ids,
            list(range(seen, seen + len(events))),
            [event.version for event in events],
            [m.synchronization if 0 < m.synchronization <= BELIEVABLE_ID else 0 for m in markers],
            [marker.event for marker in markers],
            [marker.attempt for marker in markers],
            [None if fields is None else ",".join(fields) for fields in changes],
            [
                None if fields == () or event.content is None else msgspec.json.encode(event.content).decode()
                for event, fields in zip(events, changes, strict=True)
            ],
        )


def _may_hold(row: Record) -> tuple[Event, ...]:
    """What an event holds by the ledger: one thing, or several where an answer never came."""
    texts = (row["content"], *row["possible"], row["sent_content"])
    return tuple(msgspec.json.decode(text, type=Event) for text in texts if text is not None)


def _changes(event: RemoteEvent, pushed: Sequence[Event]) -> tuple[str, ...] | None:
    """The fields that differ from what was pushed; None: there is nothing to compare."""
    if event.content is None or not pushed:
        return None
    if any(event.content.holds(one) for one in pushed):
        return ()
    return event.content.changes(pushed[0])
