"""Timetables in the database: replaced as a whole or changed in part, always as a set."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec
from asyncpg import Record

from app.config import TimetableSettings
from app.database.queries import query
from app.database.transactions import in_transaction
from app.database.types import Connection, Pool
from app.errors import Conflict, Invalid, PreconditionFailed
from app.provisioning.text import is_username
from app.provisioning.users import not_found
from app.sync.wake import wake_users
from app.timetables.event import content_hash, decode, encode
from providers.contract import Event

__all__ = [
    "Counts",
    "Held",
    "Result",
    "Stored",
    "TooLarge",
    "change_locked",
    "fetch",
    "fetch_revision",
    "lock",
    "patch",
    "replace",
    "replace_many",
]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What a publication changed: of the ``events`` that the timetable now has, and of those gone."""

    revision: int
    events: int
    created: int
    updated: int
    deleted: int
    unchanged: int


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A publication that was not carried out: it would remove too many of the future events."""

    future: int
    removed: int

    @property
    def message(self) -> str:
        """What happened and what to do."""
        return (
            f"Nothing was changed: this would remove {self.removed} of {self.future} future events."
            " If that is what you want, say so with ?confirm=true (rooster import: --confirm)."
        )


class TooLarge(msgspec.Struct, frozen=True, kw_only=True):
    """A publication that was not carried out: the timetable would have too many events."""

    events: int
    allowed: int

    @property
    def message(self) -> str:
        """What happened."""
        return f"The timetable would have {self.events} events; at most {self.allowed} are allowed."


Result: TypeAlias = Counts | Held | TooLarge
"""What came of a publication."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A timetable as last published. Revision 0: none was published yet."""

    revision: int
    events: list[Event]


async def replace(
    pool: Pool,
    username: str,
    events: Sequence[Event],
    limits: TimetableSettings,
    now: datetime,
    *,
    confirm: bool = False,
    expected: frozenset[int] | None = None,
) -> Counts:
    """Make these the user's whole timetable.

    ``expected``: the revisions that the caller may replace (If-Match); None: any. Raises NotFound,
    PreconditionFailed, and Conflict (code ``mass_removal``) where too much would go unconfirmed.
    """
    return await _change_one(pool, username, events, None, limits, now, confirm, expected)


async def patch(
    pool: Pool,
    username: str,
    upsert: Sequence[Event],
    delete: Sequence[str],
    limits: TimetableSettings,
    now: datetime,
    *,
    confirm: bool = False,
    expected: frozenset[int] | None = None,
) -> Counts:
    """Put events into the user's timetable and take others out by uid; one that is not there is out.

    Raises as ``replace`` does, and Invalid where the timetable would become too large.
    """
    return await _change_one(pool, username, upsert, delete, limits, now, confirm, expected)


async def replace_many(
    pool: Pool,
    timetables: Mapping[str, Sequence[Event]],
    limits: TimetableSettings,
    now: datetime,
    *,
    confirm: bool = False,
    create_users: bool = False,
) -> dict[str, Result]:
    """Make these the users' whole timetables, in one transaction; held ones stay as they were.

    Users who do not exist are created, or are not in the answer.
    """

    async def work(connection: Connection) -> dict[str, Result]:
        if create_users:
            await connection.execute(query("timetables.create_users"), list(timetables))
        known = await lock(connection, list(timetables))
        locked = {name: timetables[name] for name in known}
        return await change_locked(connection, locked, limits, now, confirm=confirm)

    return await in_transaction(pool, work)


async def lock(connection: Connection, usernames: Sequence[str]) -> dict[str, int]:
    """The revisions of those of the users that exist, locked until the caller's transaction ends."""
    rows = await connection.fetch(query("timetables.lock_users"), list(usernames))
    return {row["username"]: row["revision"] or 0 for row in rows}


async def change_locked(
    connection: Connection,
    timetables: Mapping[str, Sequence[Event]],
    limits: TimetableSettings,
    now: datetime,
    *,
    confirm: bool = False,
    delete: Sequence[str] | None = None,
) -> dict[str, Result]:
    """Change the timetables of users whom ``lock`` has locked; mailboxes hear of what has changed.

    ``delete``: the uids to take out, everything else stays; None: these are the whole timetables. A user
    whose timetable is held or would be too large keeps it as it was.
    """
    events = [(username, event) for username, given in timetables.items() for event in given]
    rows = await connection.fetch(
        query("timetables.change"),
        list(timetables),
        [username for username, _ in events],
        [event.uid for _, event in events],
        [event.start for _, event in events],
        [event.end for _, event in events],
        [encode(event).decode() for _, event in events],
        [content_hash(event) for _, event in events],
        [event.status == "cancelled" for _, event in events],
        delete is not None,
        list(delete or ()),
        now,
        limits.guard_share,
        limits.guard_events,
        confirm,
        limits.max_events,
    )
    changed = [row["username"] for row in rows if row["changed"]]
    if changed:
        await wake_users(connection, changed, now)
    return {row["username"]: _result(row, limits) for row in rows}


async def fetch(connection: Connection | Pool, username: str) -> Stored:
    """A user's timetable, cancelled events included, by start and uid. Raises NotFound."""
    rows = await connection.fetch(query("timetables.events"), username) if is_username(username) else []
    if not rows:
        raise not_found()
    return Stored(
        revision=rows[0]["revision"],
        events=[decode(row["content"]) for row in rows if row["content"] is not None],
    )


async def fetch_revision(connection: Connection | Pool, username: str) -> int:
    """The revision of a user's timetable, 0 where none was published yet. Raises NotFound."""
    known = is_username(username)
    revision = await connection.fetchval(query("timetables.revision"), username) if known else None
    if revision is None:
        raise not_found()
    return int(revision)


async def _change_one(
    pool: Pool,
    username: str,
    events: Sequence[Event],
    delete: Sequence[str] | None,
    limits: TimetableSettings,
    now: datetime,
    confirm: bool,
    expected: frozenset[int] | None,
) -> Counts:
    if not is_username(username):
        raise not_found()

    async def work(connection: Connection) -> Counts:
        known = await lock(connection, [username])
        if username not in known:
            raise not_found()
        if expected is not None and known[username] not in expected:
            raise PreconditionFailed(
                "revision_mismatch",
                f"The timetable is at revision {known[username]}, not at the one in If-Match. Read it again.",
            )
        results = await change_locked(
            connection, {username: events}, limits, now, confirm=confirm, delete=delete
        )
        result = results[username]
        if isinstance(result, Held):
            raise Conflict("mass_removal", result.message)
        if isinstance(result, TooLarge):
            raise Invalid("too_many_events", result.message)
        return result

    return await in_transaction(pool, work)


def _result(row: Record, limits: TimetableSettings) -> Result:
    events = row["created"] + row["updated"] + row["unchanged"]
    if row["held"]:
        return Held(future=row["future"], removed=row["removed"])
    if row["too_large"]:
        return TooLarge(events=events, allowed=limits.max_events)
    return Counts(
        revision=row["revision"],
        events=events,
        created=row["created"],
        updated=row["updated"],
        deleted=row["deleted"],
        unchanged=row["unchanged"],
    )
