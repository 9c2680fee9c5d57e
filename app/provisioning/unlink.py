"""Unlinking: ending synchronizations, and asking for their events to be taken out (CONTRACT §4).

Here is what an unlinking names and when it was accepted; which events it then removes is the
function ``unlink_removes`` of the database, for the worker and the preview alike.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, get_args

import msgspec

from app.clock import Clock
from app.database.queries import query
from app.database.types import Connection, Pool
from app.errors import BadRequest, Invalid
from app.provisioning import synchronizations, users
from app.provisioning.text import is_text, is_username
from app.sync.wake import wake_mailboxes

__all__ = [
    "Kept",
    "Mode",
    "Preview",
    "Removed",
    "delete_user",
    "parse_mode",
    "preview",
    "unlink_one",
    "unlink_type",
    "unlink_user",
    "unlink_users",
]

Mode = Literal["UNLINK_ONLY", "DELETE_FUTURE_EVENTS", "DELETE_ALL_EVENTS", "CLEANUP"]

REASONS = {
    "unlink_only": "UNLINK_ONLY leaves every event where it is.",
    "other_synchronization": "Another synchronization pushed it; only CLEANUP removes it.",
    "not_in_the_future": "As last pushed, it does not start after the moment of the request.",
}


class Removed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An event that the unlinking would remove. ``start`` (UTC) and ``title`` are as last pushed.

    ``remote_id`` is null where an event was sent and the provider's answer never came.
    """

    synchronization: int
    uid: str
    title: str | None
    start: datetime | None
    remote_id: str | None


class Kept(Removed, frozen=True, kw_only=True, rename="camel"):
    """An event of ours that the unlinking would leave, and why: a sentence, and a stable code."""

    reason: str
    code: str


class Counts(msgspec.Struct, frozen=True):
    """How many events would be removed, and how many left."""

    remove: int
    keep: int


class Preview(msgspec.Struct, frozen=True):
    """What an unlinking would do now, with every event of ours in the mailboxes that it concerns."""

    remove: list[Removed]
    keep: list[Kept]
    counts: Counts


def parse_mode(text: str | None, default: Mode | None = None) -> Mode:
    """The mode of this name. Raises BadRequest, which names all four, where it is unknown or missing."""
    if text is None and default is not None:
        return default
    for mode in get_args(Mode):
        if mode == text:
            return mode  # type: ignore[no-any-return]
    raise BadRequest("invalid_unlink_mode", f"unlinkMode: expected one of {', '.join(get_args(Mode))}.")


async def unlink_one(pool: Pool, id: int, mode: Mode, clock: Clock) -> int:
    """End one synchronization; returns the run that takes its events out. Raises NotFound."""
    async with pool.acquire() as connection, connection.transaction():
        await synchronizations.find(connection, id)
        return await _unlink(connection, [id], mode, clock)


async def unlink_type(pool: Pool, username: str, type: str, mode: Mode, clock: Clock) -> int:
    """End a user's synchronizations of one type; returns the run.

    Raises Invalid if there is none: neither a current one nor, for a CLEANUP, a mailbox in which an
    earlier one left events.
    """
    none = Invalid("no_synchronization", "There is no synchronization of this user and type.")
    if not (is_username(username) and is_text(type)):
        raise none
    async with pool.acquire() as connection, connection.transaction():
        ids = [row["id"] for row in await connection.fetch(query("unlinks.of_users"), [username], type)]
        run = await _unlink(connection, ids, mode, clock, ([username], type))
        total: int = await connection.fetchval(query("runs.size"), run)
        if total == 0:
            raise none
        return run


async def unlink_user(pool: Pool, username: str, mode: Mode, clock: Clock) -> int:
    """End all synchronizations of a user, also if there is none; returns the run. Raises NotFound."""
    async with pool.acquire() as connection, connection.transaction():
        await users.require(connection, username)
        return await _unlink_all(connection, username, mode, clock)


async def unlink_users(
    pool: Pool, usernames: Sequence[str], type: str | None, mode: Mode, clock: Clock
) -> int:
    """End the synchronizations of these users (of one type), known or not, as one run; returns it.

    One transaction, which holds all their mailboxes: for some hundreds of users at a time.
    """
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(query("unlinks.of_users"), usernames, type)
        return await _unlink(connection, [row["id"] for row in rows], mode, clock, (usernames, type))


async def delete_user(pool: Pool, username: str, mode: Mode, clock: Clock) -> int:
    """Delete a user with their timetable, and end their synchronizations; returns the run.

    Raises NotFound.
    """
    async with pool.acquire() as connection, connection.transaction():
        if not is_username(username) or not await connection.fetchval(query("users.delete"), username):
            raise users.not_found()
        return await _unlink_all(connection, username, mode, clock)


async def _unlink_all(connection: Connection, username: str, mode: Mode, clock: Clock) -> int:
    ids = [row["id"] for row in await connection.fetch(query("unlinks.of_users"), [username], None)]
    return await _unlink(connection, ids, mode, clock, ([username], None))


async def _unlink(
    connection: Connection,
    ids: Sequence[int],
    mode: Mode,
    clock: Clock,
    former_of: tuple[Sequence[str], str | None] | None = None,
) -> int:
    """End these synchronizations as one run, as part of the caller's transaction.

    A CLEANUP goes to the mailboxes of the earlier ones of ``former_of`` (usernames, type) as well.
    """
    now = clock()
    await connection.execute(query("unlinks.hold_mailboxes"), ids)
    run: int = await connection.fetchval(query("runs.create"), "unlink", now)
    rows = await connection.fetch(query("unlinks.unlink"), ids, mode, now, run)
    if mode == "CLEANUP" and former_of is not None:
        rows += await connection.fetch(query("unlinks.clean_up"), *former_of, now, run)
    await connection.execute(query("runs.finish_if_done"), run, now)
    await wake_mailboxes(connection, sorted({row["mailbox_id"] for row in rows}), now)
    return run


async def preview(
    pool: Pool, mode: Mode, clock: Clock, *, id: int | None, username: str | None, type: str | None
) -> Preview:
    """What unlinking this synchronization, or this user's (of one type), would do now.

    Raises NotFound, and BadRequest if not exactly one of ``id`` and ``username`` is given.
    """
    if (id is None) == (username is None) or (id is not None and type is not None):
        raise BadRequest("invalid_selection", "Give either id, or username with or without type.")
    async with pool.acquire() as connection:
        if username is None:
            assert id is not None
            await synchronizations.find(connection, id)
            ids = [id]
        else:
            await users.require(connection, username)
            if type is not None and not is_text(type):
                raise BadRequest("invalid_selection", "type: expected a synchronization type.")
            ids = [row["id"] for row in await connection.fetch(query("unlinks.of_users"), [username], type)]
        rows = await connection.fetch(query("unlinks.preview"), mode, clock(), ids, username, type)
    remove: list[Removed] = []
    keep: list[Kept] = []
    for row in rows:
        facts = dict(row)
        removed, code = facts.pop("remove"), facts.pop("reason")
        if removed:
            remove.append(Removed(**facts))
        else:
            keep.append(Kept(**facts, reason=REASONS[code], code=code))
    return Preview(remove=remove, keep=keep, counts=Counts(remove=len(remove), keep=len(keep)))
