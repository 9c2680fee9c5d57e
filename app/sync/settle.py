"""Finding the truth about operations that were sent and never answered.

An answer that never came is not a failure: before anything is sent again, the mailbox is searched for
the attempt. A create that cannot be seen may still be on its way; where the provider would then make a
second event, the next try is a new attempt, and the old one is looked for again later.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from app.ledger import Entry, Ledger, Settlement
from providers.contract import Adapter, Delete, Done, Mailbox, ProviderError, RemoteEvent

__all__ = ["remove_late_arrivals", "settle_unknown"]

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
    entries = await ledger.unknown()
    if entries:
        found = await adapter.find(mailbox, instance, [entry.attempt for entry in entries])
        settlement = compare(entries, found, idempotent_create=adapter.idempotent_create)
        await ledger.settle(settlement, now, look_again_at=now + LOOK_AGAIN)


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
    ledger: Ledger, adapter: Adapter, mailbox: Mailbox, instance: str, now: datetime
) -> None:
    """Take out what lost creates have put into the mailbox after all: a second event for the person.

    Which event that is, is noted first: once it is gone, a copy that the person made of it would be found.
    Raises ProviderError; the attempts that are not settled then are looked for in the next run.
    """
    lost = await ledger.lost(now)
    if not lost:
        return
    arrived = {attempt: id for attempt, id in lost.items() if id is not None}
    sought = [attempt for attempt in lost if attempt not in arrived]
    if sought:
        late: dict[UUID, str] = {}
        for event in await adapter.find(mailbox, instance, sought):
            late.setdefault(event.marker.attempt, event.id)
        if late:
            await ledger.lost_found(late)
        arrived |= late
    deletes = [Delete(id=id, version=None) for id in arrived.values()]
    for start in range(0, len(deletes), adapter.batch):
        for outcome in await adapter.apply(mailbox, deletes[start : start + adapter.batch]):
            if not isinstance(outcome, Done):
                raise ProviderError(outcome)
    await ledger.lost_checked(lost, now, LOOK_AGAIN, LOOKS)
