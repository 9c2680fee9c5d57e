"""Calendars besides the default one: made when something is to be put into them, found again, and removed.

A calendar is ours if it carries the mark of this instance, whatever the person has called it since; one of
theirs is never used or touched, whatever its name.
"""

from app.clock import Clock
from app.database.queries import query
from app.ledger import Ledger
from providers.adapter import Adapter
from providers.contract import Gone, Mailbox, Outcome, Permit

__all__ = ["in_calendar", "is_calendar_gone", "make_needed", "note_gone", "remove_unneeded"]


def in_calendar(mailbox: Mailbox, calendar: str | None) -> Mailbox:
    """The mailbox, with this calendar (the provider's id) meant; None: the default one."""
    return Mailbox(address=mailbox.address, identity=mailbox.identity, calendar=calendar)


def is_calendar_gone(outcome: Outcome) -> bool:
    """Whether an answer says that there is no such calendar, in a mailbox that is there."""
    return isinstance(outcome, Gone) and outcome.what == "calendar"


async def make_needed(
    ledger: Ledger, adapter: Adapter, mailbox: Mailbox, instance: str, permit: Permit, clock: Clock
) -> list[int]:
    """Find, or make, the calendars that events are to be put, or moved, into; returns which were missing.

    Raises ProviderError. After an unknown outcome the next run finds what was made.
    """
    async with ledger.transaction() as (connection, _):
        needed = await connection.fetch(query("calendars.needed"), ledger.mailbox_id, clock())
        known = {
            row["remote_id"] for row in await connection.fetch(query("calendars.there"), ledger.mailbox_id)
        }
    if not needed:
        return []
    ours: dict[str, str] = {}
    for calendar in await adapter.calendars(mailbox, instance):
        if calendar.ours and calendar.id not in known:
            ours.setdefault(calendar.name, calendar.id)
    for row in needed:
        remote_id = ours.get(row["name"])
        if remote_id is None:
            remote_id = (await adapter.make_calendar(mailbox, instance, row["name"], permit)).id
        async with ledger.transaction() as (connection, _):
            await connection.execute(query("calendars.made"), row["id"], remote_id)
    return [row["id"] for row in needed]


async def note_gone(ledger: Ledger, calendar: str) -> None:
    """Somebody has removed a calendar of ours. Planning says what becomes of the events that were in it."""
    async with ledger.transaction() as (connection, _):
        await connection.execute(query("calendars.gone"), ledger.mailbox_id, calendar)


async def remove_unneeded(
    ledger: Ledger, adapter: Adapter, mailbox: Mailbox, instance: str, permit: Permit
) -> None:
    """Remove the calendars that a CLEANUP has emptied, unless the person keeps something in them.

    Raises ProviderError: then the CLEANUP is not done yet.
    """
    async with ledger.transaction() as (connection, _):
        rows = await connection.fetch(query("calendars.removable"), ledger.mailbox_id)
    for row in rows:
        if await adapter.remove_calendar(in_calendar(mailbox, row["remote_id"]), instance, permit):
            async with ledger.transaction() as (connection, _):
                await connection.execute(query("calendars.forget"), row["id"])
