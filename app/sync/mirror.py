"""The mirror: what is really in a mailbox, read into the database and compared with the ledger.

A reading is complete or it is nothing: a failed read is never an empty calendar. It is made under the
lease of the mailbox, so that nobody writes meanwhile. Where the provider can say what has changed, a
reading goes on from the last one.
"""

import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import msgspec
from asyncpg import Record

from app.clock import Clock
from app.database.queries import query
from app.database.types import Connection
from app.ledger import Ledger
from app.sync.calendars import in_calendar, is_calendar_gone, note_gone
from providers.adapter import Adapter
from providers.contract import (
    Calendar,
    Changes,
    Content,
    Event,
    Mailbox,
    ProviderError,
    RemoteEvent,
    StartOver,
)

__all__ = ["Difference", "Drift", "differences", "drift", "read_changes", "read_everything"]

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
    moved: int = 0
    """At another time than they were pushed, or in another calendar."""
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


async def read_changes(
    ledger: Ledger,
    adapter: Adapter,
    mailbox: Mailbox,
    instance: str,
    clock: Clock,
    others: Collection[str] = (),
) -> int:
    """Read what has changed in our calendars since the last time, and all of ``others`` (ids of calendars).

    Returns the reading's id. A calendar of ours that is not there any more is noted as gone. Raises
    ProviderError if something could not be read to its end, and LeaseLost: then the mirror is as before.
    """
    async with _reading(ledger, clock) as reading:
        for calendar in (None, *await _ours(ledger)):
            place = in_calendar(mailbox, calendar)
            try:
                await _go_on(reading, adapter, place, instance)
            except ProviderError as error:
                if calendar is None or not is_calendar_gone(error.outcome):
                    raise
                await note_gone(ledger, calendar)
                await reading.start_over(calendar)
        for calendar in others:
            await _read_all(reading, adapter, in_calendar(mailbox, calendar), instance)
    return reading.id


async def read_everything(
    ledger: Ledger, adapter: Adapter, mailbox: Mailbox, instance: str, clock: Clock
) -> tuple[int, list[Calendar]]:
    """Read all events of the instance in the mailbox, trusting nothing that was read before.

    Returns the reading's id and the calendars besides the default one that this instance has made, whether
    the ledger knows them or not. Raises as ``read_changes`` does.
    """
    async with _reading(ledger, clock) as reading:
        ours = [calendar for calendar in await adapter.calendars(mailbox, instance) if calendar.ours]
        for calendar in (None, *(calendar.id for calendar in ours)):
            await _read_all(reading, adapter, in_calendar(mailbox, calendar), instance)
    return reading.id, ours


async def _ours(ledger: Ledger) -> list[str]:
    async with ledger.transaction() as (connection, _):
        rows = await connection.fetch(query("calendars.there"), ledger.mailbox_id)
    return [row["remote_id"] for row in rows]


async def _go_on(reading: "_Reading", adapter: Adapter, place: Mailbox, instance: str) -> None:
    """What has changed in a calendar since the last reading; all of it, where nobody knows that."""
    since = reading.earlier_states.get(place.calendar or "")
    if since is not None:
        await reading.carry_over(place.calendar)
        try:
            await _take_in(reading, place.calendar, adapter.changes(place, instance, since))
        except StartOver:
            await reading.start_over(place.calendar)
        else:
            return
    await _take_in(reading, place.calendar, adapter.changes(place, instance, None))


async def _take_in(reading: "_Reading", calendar: str | None, pages: AsyncIterator[Changes]) -> None:
    async for page in pages:
        await reading.see(calendar, page.events)
        if page.removed:
            await reading.remove(calendar, page.removed)
        if page.state is not None:
            reading.states[calendar or ""] = page.state


async def _read_all(reading: "_Reading", adapter: Adapter, place: Mailbox, instance: str) -> None:
    chunk: list[RemoteEvent] = []
    reading.keep_state(place.calendar)
    async for event in adapter.list(place, instance):
        chunk.append(event)
        if len(chunk) == CHUNK:
            await reading.see(place.calendar, chunk)
            chunk = []
    await reading.see(place.calendar, chunk)


@asynccontextmanager
async def _reading(ledger: Ledger, clock: Clock) -> AsyncIterator["_Reading"]:
    """A reading that is complete when the block ends, and is discarded if the provider breaks it off."""
    async with ledger.transaction() as (connection, _):
        row = await connection.fetchrow(query("mirror.begin"), ledger.mailbox_id, clock())
    assert row is not None
    reading = _Reading(ledger, row["id"], row["earlier_id"], json.loads(row["states"]))
    try:
        yield reading
    except ProviderError:
        async with ledger.transaction() as (connection, _):
            await connection.execute(query("mirror.discard"), reading.id)
        raise
    async with ledger.transaction() as (connection, _):
        await connection.execute(query("mirror.known_copies"), ledger.mailbox_id, reading.id)
        await connection.execute(query("mirror.copies"), reading.id)
        await connection.execute(
            query("mirror.complete"), ledger.mailbox_id, reading.id, clock(), json.dumps(reading.states)
        )


class _Reading:
    """A reading that is being made.

    ``states``: how to go on from it, by calendar ("" is the default one), of those that it has read;
    ``earlier_states``: how to go on from the one before.
    """

    def __init__(
        self, ledger: Ledger, id: int, earlier_id: int | None, earlier_states: dict[str, str]
    ) -> None:
        self.id = id
        self.states: dict[str, str] = {}
        self.earlier_states = earlier_states
        self._ledger = ledger
        self._earlier_id = earlier_id

    def keep_state(self, calendar: str | None) -> None:
        """A calendar is read as a whole: what changes next has changed since the earlier reading, too."""
        key = calendar or ""
        if key in self.earlier_states:
            self.states[key] = self.earlier_states[key]

    async def carry_over(self, calendar: str | None) -> None:
        """Begin with what the earlier reading has seen in a calendar.

        What it found to differ is compared again: the timetable may have come to say the same.
        """
        await self._execute("carry_over", self._earlier_id, calendar)
        async with self._ledger.transaction() as (connection, _):
            rows = await connection.fetch(query("mirror.differing"), self.id, calendar)
            ids = [row["remote_id"] for row in rows]
            pushed = await self._pushed(connection, ids)
            held = [msgspec.json.decode(row["content"], type=Content) for row in rows]
            changes = [_changes(one, pushed.get(id, ())) for id, one in zip(ids, held, strict=True)]
            await connection.execute(query("mirror.compared"), self.id, ids, _joined(changes))

    async def start_over(self, calendar: str | None) -> None:
        """Begin anew with a calendar."""
        await self._execute("start_over", calendar)

    async def remove(self, calendar: str | None, ids: Sequence[str]) -> None:
        """These events are not in a calendar any more."""
        await self._execute("removed", calendar, list(ids))

    async def see(self, calendar: str | None, events: Sequence[RemoteEvent]) -> None:
        """These events are in a calendar, behind those that were seen before."""
        if not events:
            return
        ids = [event.id for event in events]
        async with self._ledger.transaction() as (connection, _):
            position = await connection.fetchval(query("mirror.next_position"), self.id)
            pushed = await self._pushed(connection, ids)
            changes = [_changes(event.content, pushed.get(event.id, ())) for event in events]
            markers = [event.marker for event in events]
            await connection.execute(
                query("mirror.store"),
                self.id,
                ids,
                list(range(position, position + len(events))),
                [event.version for event in events],
                [m.synchronization if 0 < m.synchronization <= BELIEVABLE_ID else 0 for m in markers],
                [marker.event for marker in markers],
                [marker.attempt for marker in markers],
                _joined(changes),
                [
                    None if fields == () else msgspec.json.encode(event.content).decode()
                    for event, fields in zip(events, changes, strict=True)
                ],
                calendar,
            )

    async def _pushed(self, connection: Connection, ids: Sequence[str]) -> dict[str, tuple[Event, ...]]:
        """What these events may hold by the ledger, of those that it knows."""
        rows = await connection.fetch(query("mirror.pushed"), self._ledger.mailbox_id, ids)
        return {row["remote_id"]: _may_hold(row) for row in rows}

    async def _execute(self, name: str, *arguments: object) -> None:
        async with self._ledger.transaction() as (connection, _):
            await connection.execute(query(f"mirror.{name}"), self.id, *arguments)


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


def _may_hold(row: Record) -> tuple[Event, ...]:
    """What an event holds by the ledger: one thing, or several where an answer never came."""
    texts = (row["content"], *row["possible"], row["sent_content"])
    return tuple(msgspec.json.decode(text, type=Event) for text in texts if text is not None)


def _changes(held: Content, pushed: Sequence[Event]) -> tuple[str, ...] | None:
    """The fields that differ from what was pushed; None: there is nothing to compare."""
    if not pushed:
        return None
    if any(held.holds(one) for one in pushed):
        return ()
    return held.changes(pushed[0])


def _joined(changes: Sequence[tuple[str, ...] | None]) -> list[str | None]:
    return [None if fields is None else ",".join(fields) for fields in changes]
