"""What follows from a change: which synchronizations have other preferences in effect now.

Each is kept with those in effect (``synchronizations.preferences``), so that a run need not work them out.
What changes them (a value, a description, a user's roles) calls this in its own transaction; where there is a
difference, the mailbox is visited. What is in effect is read after the caller's change and while nobody else
changes anything, so that of two who change something at once, the later one sees both.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from app.database.queries import query
from app.database.types import Connection
from app.preferences.document import Level
from app.sync.wake import wake_mailboxes

if TYPE_CHECKING:
    from asyncpg import Record

__all__ = ["INSTALLATION", "hold", "inherit", "spread"]

INSTALLATION = "default"
"""The one owner at the level of the installation."""


async def spread(
    connection: Connection,
    now: datetime,
    *,
    level: Level | None = None,
    owner: str | None = None,
    description: int | None = None,
) -> int:
    """What is set for this owner has changed, or a description has; gives how many synchronizations differ.

    Without an owner, all current synchronizations are looked at. What is not built in is nothing to the
    push: for such a ``description`` (its id), nothing is done. The caller has written the change, in this
    transaction, and holds no mailbox yet.
    """
    if description is not None and not await connection.fetchval(
        query("preferences.is_builtin"), description
    ):
        return 0
    await connection.execute(query("preferences.lock"))
    level, owner = (level, owner) if level and owner is not None else ("installation", INSTALLATION)
    return await _keep(connection, now, level, owner)


async def hold(connection: Connection) -> None:
    """Let nobody change what is set until the transaction ends. To be called before mailboxes are held."""
    await connection.execute(query("preferences.hold"))


async def inherit(connection: Connection, now: datetime, username: str) -> int:
    """The user may have other roles, or a new synchronization; gives how many of theirs differ.

    Unlike ``spread``, this waits for nobody who does it for another user. The caller holds the user's row,
    and holds no mailbox yet or has called ``hold`` before.
    """
    await hold(connection)
    return await _keep(connection, now, "user", username)


async def _keep(connection: Connection, now: datetime, level: Level, owner: str) -> int:
    reached = _ids(await connection.fetch(query(f"preferences.reached_from_{level}"), owner))
    rows = await connection.fetch(query("preferences.out_of_date"), reached) if reached else []
    if rows:
        # Of all that lock mailboxes and synchronizations, everybody takes the mailboxes first, in order.
        await connection.execute(query("unlinks.hold_mailboxes"), _ids(rows))
        preferences = [row["preferences"] for row in rows]
        kept = await connection.fetch(query("preferences.keep"), _ids(rows), preferences)
        await wake_mailboxes(connection, [row["mailbox_id"] for row in kept], now)
    return len(rows)


def _ids(rows: "Sequence[Record]") -> list[int]:
    return [row["id"] for row in rows]
