"""The bell: how a change tells the workers that there is something to do."""

from collections.abc import Sequence
from datetime import datetime

from app.database.queries import query
from app.database.types import Connection

__all__ = ["wake_mailboxes", "wake_users"]


async def wake_users(connection: Connection, usernames: Sequence[str], now: datetime) -> None:
    """Make the mailboxes of these users due. Heard when the caller's transaction commits."""
    await connection.execute(query("mailboxes.wake_users"), list(usernames), now)


async def wake_mailboxes(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Make these mailboxes due. Heard when the caller's transaction commits."""
    await connection.execute(query("mailboxes.wake_mailboxes"), list(ids), now)
