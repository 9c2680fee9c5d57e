"""Synchronizations: that a user's timetable goes into a mailbox (CONTRACT §4 and §6)."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec

from app.clock import Clock
from app.database.queries import query
from app.database.types import Connection, Pool
from app.errors import NotFound
from app.paging import next_cursor, parse_cursor
from app.provisioning import users
from app.sync.wake import wake_mailboxes

__all__ = [
    "Details",
    "LedgerEvent",
    "LedgerPage",
    "Synchronization",
    "approve",
    "details",
    "enable",
    "events",
    "find",
    "of_user",
    "owner",
    "owners",
    "pages",
]

MAX_ID = 2**63 - 1
STATES = ("creating", "present", "updating", "deleting", "refused")


class Synchronization(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A current synchronization. ``description`` is the mailbox address.

    ``last_resync`` is the end of the last complete sync in milliseconds since 1970 (UTC), or null.
    """

    id: int
    username: str
    type: str
    description: str
    enabled: bool
    status: str
    last_resync: int | None


class Details(Synchronization, frozen=True, kw_only=True, rename="camel"):
    """A synchronization and how far it has got."""

    counts: dict[str, int]
    """Rows of the ledger by state."""
    backlog: int
    """Events that are not yet in the mailbox as the timetable wants them, refused ones aside."""
    last_error: str | None
    next_attempt: datetime | None
    """When a worker visits the mailbox next (UTC); null: when there is something to do."""


class LedgerEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A row of the ledger: an event as it was last put into the mailbox. Times are in UTC."""

    uid: str
    state: str
    remote_id: str | None
    start: datetime | None
    end: datetime | None
    pushed_at: datetime | None


class LedgerPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the ledger; ``next`` is the cursor of the page after it, or null."""

    events: list[LedgerEvent]
    next: str | None


def not_found() -> NotFound:
    """There is no such synchronization (any more)."""
    return NotFound("synchronization_not_found", "There is no synchronization with this id.")


def known_id(id: int) -> int:
    """The id, if the database can hold it. Raises NotFound: a larger one belongs to nothing."""
    if not 0 < id <= MAX_ID:
        raise not_found()
    return id


async def pages(pool: Pool, size: int) -> AsyncIterator[list[Synchronization]]:
    """All current synchronizations by id, at most ``size`` at a time.

    No connection is kept between two pages, however slowly they are read.
    """
    last = 0
    while rows := await pool.fetch(query("synchronizations.page"), last, size):
        yield [Synchronization(**row) for row in rows]
        last = rows[-1]["id"]


async def of_user(pool: Pool, username: str) -> list[Synchronization]:
    """The current synchronizations of a user, by id. Raises NotFound for an unknown user."""
    async with pool.acquire() as connection:
        await users.require(connection, username)
        rows = await connection.fetch(query("synchronizations.of_user"), username)
    return [Synchronization(**row) for row in rows]


async def find(connection: Connection | Pool, id: int) -> Synchronization:
    """A current synchronization. Raises NotFound."""
    row = await connection.fetchrow(query("synchronizations.find"), known_id(id))
    if row is None:
        raise not_found()
    return Synchronization(**row)


async def owner(pool: Pool, id: int) -> str:
    """The user whose current synchronization this is. Raises NotFound."""
    username: str | None = await pool.fetchval(query("synchronizations.owner"), known_id(id))
    if username is None:
        raise not_found()
    return username


async def owners(pool: Pool, ids: Sequence[int]) -> set[str]:
    """The users whose current synchronizations these are; ids that belong to nothing are left out."""
    asked = [id for id in ids if 0 < id <= MAX_ID]
    return {row["username"] for row in await pool.fetch(query("synchronizations.owners"), asked)}


async def details(pool: Pool, id: int, now: datetime) -> Details:
    """A current synchronization and how far it has got. Raises NotFound."""
    row = await pool.fetchrow(query("synchronizations.details"), known_id(id), now)
    if row is None:
        raise not_found()
    counts = msgspec.json.decode(row["counts"] or "{}", type=dict[str, int])
    return Details(**{**row, "counts": {state: counts.get(state, 0) for state in STATES}})


async def enable(pool: Pool, id: int, enabled: bool, now: datetime) -> None:
    """Switch a synchronization on or off. Raises NotFound.

    While it is off, nothing is written into the mailbox, unlinking aside. Switched on, it is visited
    at once. Nothing happens if it is as wanted already.
    """
    async with pool.acquire() as connection, connection.transaction():
        await find(connection, id)
        await connection.execute(query("unlinks.hold_mailboxes"), [id])
        mailbox_id = await connection.fetchval(query("synchronizations.enable"), id, enabled)
        if mailbox_id is not None:
            await wake_mailboxes(connection, [mailbox_id], now)


async def approve(pool: Pool, id: int, clock: Clock) -> None:
    """Let go what the guard against emptying calendars holds back. Raises NotFound.

    The removals that are due now are carried out; later ones meet the guard again. Nothing happens if
    nothing is held.
    """
    async with pool.acquire() as connection, connection.transaction():
        await find(connection, id)
        await connection.execute(query("unlinks.hold_mailboxes"), [id])
        mailbox_id = await connection.fetchval(query("synchronizations.approve"), id)
        if mailbox_id is not None:
            await wake_mailboxes(connection, [mailbox_id], clock())


async def events(pool: Pool, id: int, limit: int, cursor: str | None) -> LedgerPage:
    """A page of the ledger, in the order in which its rows were made.

    ``cursor`` is ``next`` of the page before. Raises NotFound, and BadRequest for another cursor.
    """
    last = parse_cursor(cursor)
    await find(pool, id)
    rows = await pool.fetch(query("synchronizations.events"), id, last, limit + 1)
    return LedgerPage(
        events=[
            LedgerEvent(
                uid=row["uid"],
                state=row["state"],
                remote_id=row["remote_id"],
                start=row["starts_at"],
                end=row["ends_at"],
                pushed_at=row["pushed_at"],
            )
            for row in rows[:limit]
        ],
        next=next_cursor(rows, limit, "id"),
    )
