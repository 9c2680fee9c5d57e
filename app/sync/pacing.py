"""Pacing: the providers' limits and their requests to wait, kept for all workers in the database.

The pace is the generic cell rate algorithm (ITU-T I.371): half of a quota may be used at once, the other
half is spread evenly over its period, so that no period ever sees more than the quota.
"""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from app.database.queries import query
from app.database.types import Connection, Pool
from providers.adapter import Adapter
from providers.contract import Mailbox

__all__ = ["Block", "Pacer"]


FIRST_REST = timedelta(seconds=10)
LAST_REST = timedelta(minutes=15)


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing may be sent before ``until``; ``because`` is None if the provider asked us to wait."""

    until: datetime
    because: str | None


class Pacer:
    """The limits of one provider. Safe to share by all runs of a worker."""

    def __init__(self, pool: Pool, adapter: Adapter) -> None:
        self._pool = pool
        self._adapter = adapter

    def _key(self, scope: str, mailbox: Mailbox) -> str:
        name = mailbox.identity if scope == "mailbox" else self._adapter.account(mailbox.address)
        return f"{self._adapter.type}:{scope}:{name}"

    async def reserve(self, mailbox: Mailbox, operations: int, now: datetime) -> datetime | None:
        """Make room for so many operations. None: go ahead. Else nothing is reserved: ask again then."""
        costs = {"mailbox": (timedelta(), timedelta()), "account": (timedelta(), timedelta())}
        for quota in self._adapter.quotas:
            # Half of the quota is tolerance, the other half is the even pace.
            pace = timedelta(seconds=2 * quota.seconds / quota.operations)
            costs[quota.scope] = (operations * pace, timedelta(seconds=quota.seconds))
        keys = [self._key(scope, mailbox) for scope in costs]
        room_at: datetime | None = await self._pool.fetchval(
            query("quotas.reserve"),
            keys,
            [cost for cost, _ in costs.values()],
            [tolerance for _, tolerance in costs.values()],
            now,
        )
        return None if room_at is None or room_at <= now else room_at

    async def blocked(self, mailbox: Mailbox, now: datetime) -> Block | None:
        """What forbids to send anything to this mailbox now; None: nothing."""
        keys = [self._key(scope, mailbox) for scope in ("mailbox", "account")]
        row = await self._pool.fetchrow(query("quotas.blocked"), keys, now)
        return None if row is None else Block(until=row[0], because=row[1])

    async def block(
        self,
        mailbox: Mailbox,
        scope: Literal["mailbox", "account"],
        until: datetime,
        connection: Connection | None = None,
    ) -> None:
        """Send nothing before ``until``, from any worker: to this mailbox, or with its account.

        With a ``connection``, it is a part of the caller's transaction.
        """
        execute = self._pool.execute if connection is None else connection.execute
        await execute(query("quotas.block"), self._key(scope, mailbox), until)

    async def rest(self, mailbox: Mailbox, because: str, now: datetime) -> datetime:
        """Let the mailbox's account rest, whose credentials were refused; returns until when.

        Longer each time in a row: asking on at the same pace could lock the account.
        """
        until: datetime = await self._pool.fetchval(
            query("quotas.rest"), self._key("account", mailbox), now, because, FIRST_REST, LAST_REST
        )
        return until
