"""Finding the truth about operations that were sent and never answered.

An answer that never came is not a failure: before anything is sent again, the mailbox is searched for
the attempt. A create that cannot be seen may still be on its way; where the provider would then make a
second event, the next try is a new attempt, and the old one is looked for again later. A move is looked for
in both calendars.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from app.ledger import Ledger
from app.ledger_rows import Entry, Lost, Moving, Place, Settlement
from app.sync.calendars import in_calendar, is_calendar_gone, note_gone
from providers.adapter import Adapter
from providers.contract import Delete, Done, Mailbox, Permit, ProviderError, Refused, RemoteEvent

__all__ = ["LOOK_AGAIN", "remove_late_arrivals", "settle_unknown"]

LOOK_AGAIN = timedelta(minutes=2)
"""How long after it was given up a lost create is looked for the first time."""

LOOKS = 4
"""How often a lost create is looked for: each time after five times as long as before."""


async def settle_unknown(
    ledger: Ledger, adapter: Adapter, mailbox: Mailbox, instance: str, now: datetime
) -> None:
    """Note for every unanswered operation of the mailbox what has become of it.

    Raises ProviderError if the mailbox cannot be read: then nothing is known, and nothing is noted.
    """
    unknown = await ledger.unknown()
    moves = [entry for entry in unknown if entry.moving is not None]
    if moves:
        moved = await _find_moved(ledger, adapter, mailbox, instance, moves)
        await ledger.settle(moved, now, look_again_at=now + LOOK_AGAIN)
    others = [entry for entry in unknown if entry.moving is None]
    for place, entries in _by_place(others, lambda entry: entry.place).items():
        attempts = [entry.attempt for entry in entries]
        found = await _find(ledger, adapter, mailbox, instance, place, attempts)
        settlement = compare(entries, found, idempotent_create=adapter.idempotent_create)
        await ledger.settle(settlement, now, look_again_at=now + LOOK_AGAIN)


def _by_place(entries: Iterable[Entry], place: Callable[[Entry], Place]) -> dict[Place, list[Entry]]:
    by_place: dict[Place, list[Entry]] = {}
    for entry in entries:
        by_place.setdefault(place(entry), []).append(entry)
    return by_place


async def _find_moved(
    ledger: Ledger, adapter: Adapter, mailbox: Mailbox, instance: str, moves: Sequence[Entry]
) -> Settlement:
    """The truth about moves.

    Where the event itself goes, it is first looked for where it was: there it is known by its id, whatever
    copies of it the person has made. So one that is on its way meanwhile is not missed either.
    """
    settlement = Settlement()
    gone = list(moves)
    if not adapter.moves_by_copying:
        gone = []
        for place, entries in _by_place(moves, lambda entry: entry.place).items():
            attempts = [entry.attempt for entry in entries]
            found = {event.id for event in await _find(ledger, adapter, mailbox, instance, place, attempts)}
            settlement.move_again += [entry.id for entry in entries if entry.remote_id in found]
            gone += [entry for entry in entries if entry.remote_id not in found]
    for place, entries in _by_place(gone, lambda entry: _moving(entry).place).items():
        attempts = [_moving(entry).attempt for entry in entries]
        there: dict[UUID, str] = {}
        there_by_id: set[str] = set()
        for event in await _find(ledger, adapter, mailbox, instance, place, attempts):
            there.setdefault(event.marker.attempt, event.id)
            there_by_id.add(event.id)
        for entry in entries:
            kept = entry.remote_id if entry.remote_id in there_by_id else None
            remote_id = kept or there.get(_moving(entry).attempt)
            if remote_id is not None:
                settlement.moved[entry.id] = remote_id
            elif adapter.moves_by_copying:
                settlement.move_lost.append(entry.id)
            elif entry.state == "deleting":
                settlement.deleted.append(entry.id)
            else:
                settlement.vanished.append(entry.id)
    return settlement


def _moving(entry: Entry) -> Moving:
    assert entry.moving is not None
    return entry.moving


async def _find(
    ledger: Ledger,
    adapter: Adapter,
    mailbox: Mailbox,
    instance: str,
    place: Place,
    attempts: Sequence[UUID],
) -> list[RemoteEvent]:
    """The events of these attempts; none where somebody has removed the calendar that they were put into."""
    if not place.is_there:
        return []
    try:
        return await adapter.find(in_calendar(mailbox, place.calendar), instance, attempts)
    except ProviderError as error:
        if place.calendar is None or not is_calendar_gone(error.outcome):
            raise
        await note_gone(ledger, place.calendar)
        return []


def compare(entries: Sequence[Entry], found: Sequence[RemoteEvent], *, idempotent_create: bool) -> Settlement:
    """The truth about these entries, given all events in the mailbox that carry their attempts.

    Copies that a person made carry the attempt too. Ours is the one with the id of the ledger; where
    the ledger knows no id yet, the first, since providers give the original before its copies.
    """
    settlement = Settlement()
    by_attempt: dict[UUID, RemoteEvent] = {}
    by_id = {event.id: event for event in found}
    for event in found:
        by_attempt.setdefault(event.marker.attempt, event)
    for entry in entries:
        ours = by_id.get(entry.remote_id) if entry.remote_id else by_attempt.get(entry.attempt)
        if entry.state == "creating":
            if ours is not None:
                settlement.carried_out[entry.id] = ours
            elif idempotent_create:
                settlement.resend.append(entry.id)
            else:
                settlement.lost.append(entry.id)
        elif entry.state == "updating":
            if ours is not None:
                group = settlement.carried_out if _carried_out(entry, ours) else settlement.updated
                group[entry.id] = ours
            else:
                settlement.vanished.append(entry.id)
        elif ours is not None:
            settlement.resend.append(entry.id)
        else:
            settlement.deleted.append(entry.id)
    return settlement


def _carried_out(update: Entry, held: RemoteEvent) -> bool:
    """Whether an update can be seen in what the mailbox holds. Of some that cannot, nobody knows."""
    if update.sent is None or not held.content.holds(update.sent):
        return False
    return update.before is None or not held.content.holds(update.before)


async def remove_late_arrivals(
    ledger: Ledger, adapter: Adapter, mailbox: Mailbox, instance: str, permit: Permit, now: datetime
) -> None:
    """Take out what lost creates have put into the mailbox after all: a second event for the person.

    Which event that is, is noted first: once it is gone, a copy that the person made of it would be found.
    Raises ProviderError; the attempts that are not settled then are looked for in the next run.
    """
    by_place: dict[Place, list[Lost]] = {}
    for one in await ledger.lost(now):
        by_place.setdefault(one.place, []).append(one)
    for place, lost in by_place.items():
        arrived = {one.attempt: one.remote_id for one in lost if one.remote_id is not None}
        sought = [one.attempt for one in lost if one.remote_id is None]
        if sought:
            late: dict[UUID, str] = {}
            for event in await _find(ledger, adapter, mailbox, instance, place, sought):
                late.setdefault(event.marker.attempt, event.id)
            if late:
                await ledger.lost_found(late)
            arrived |= late
        refused: set[str] = set()
        if place.is_there:
            refused = await _delete(
                adapter, in_calendar(mailbox, place.calendar), list(arrived.values()), permit
            )
        kept = [attempt for attempt, id in arrived.items() if id in refused]
        await ledger.lost_checked([one.attempt for one in lost], kept, now, LOOK_AGAIN, LOOKS)


async def _delete(adapter: Adapter, mailbox: Mailbox, ids: Sequence[str], permit: Permit) -> set[str]:
    """Take out these events; gives those that the provider does not let go. Raises ProviderError."""
    refused: set[str] = set()
    deletes = [Delete(id=id, version=None) for id in ids]
    for start in range(0, len(deletes), adapter.batch):
        batch = deletes[start : start + adapter.batch]
        for delete, outcome in zip(batch, await adapter.apply(mailbox, batch, permit), strict=True):
            if isinstance(outcome, Refused) and outcome.scope == "event":
                refused.add(delete.id)
            elif not isinstance(outcome, Done) and not is_calendar_gone(outcome):
                raise ProviderError(outcome)
    return refused
