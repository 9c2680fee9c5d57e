"""The ledger: what we put into a mailbox, are about to put there, or may have put there.

A row is committed before the provider hears of what it says. Every statement here is made under the
lease of the mailbox, so that a worker that was only slow, and was given up, cannot write any more.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from app.database.queries import query
from app.database.types import Connection, Pool
from app.history import FOUND, GONE_BEFORE, LOST, MOVE_LOST, NOT_DONE, STILL_UNKNOWN, VANISHED, note
from app.ledger_rows import Answers, Entry, Lost, Sent, Settlement, entry_of, lost_of, send_order, sent_of

__all__ = ["Lease", "LeaseLost", "Ledger"]


class LeaseLost(Exception):
    """The mailbox is not this worker's any more: nothing may be written, and the run ends."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox that a worker owns for a while. ``fence`` grows with every claim."""

    mailbox_id: int
    type: str
    address: str
    identity: str | None
    owner: UUID
    fence: int
    attempts: int
    """How many runs in a row have failed so far."""
    wake: int
    """How often a run was asked for before the claim."""


class Ledger:
    """The rows of one mailbox, as the owner of its lease may read and change them."""

    def __init__(self, pool: Pool, lease: Lease, instance: str) -> None:
        self._pool = pool
        self._lease = lease
        self._instance = instance
        self.mailbox_id = lease.mailbox_id

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[tuple[Connection, int]]:
        """A transaction during which the lease cannot end; with the number of requests for a run.

        Raises LeaseLost.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            lease = self._lease
            wake = await connection.fetchval(
                query("mailboxes.hold"), lease.mailbox_id, lease.owner, lease.fence
            )
            if wake is None:
                raise LeaseLost
            yield connection, wake

    async def release(
        self, connection: Connection, due_at: datetime | None, wake: int, attempts: int, now: datetime
    ) -> None:
        """Give the mailbox back, as part of the caller's ``transaction``.

        It is due again at ``due_at``, or at once if somebody asked for a run after request ``wake``.
        """
        lease = self._lease
        await connection.execute(
            query("mailboxes.release"),
            lease.mailbox_id,
            lease.owner,
            lease.fence,
            due_at,
            wake,
            attempts,
            now,
        )

    async def unknown(self) -> list[Entry]:
        """Everything that was sent and never answered."""
        async with self.transaction() as (connection, _):
            rows = await connection.fetch(query("ledger.unknown"), self.mailbox_id)
        return [entry_of(row) for row in rows]

    async def settle(self, settlement: Settlement, now: datetime, look_again_at: datetime) -> None:
        """Note the truth about what was unknown, all at once."""
        done, updated = settlement.carried_out, settlement.updated
        answers = {id: msgspec.structs.replace(FOUND, remote_id=event.id) for id, event in done.items()}
        for ids, answer in (
            (updated, STILL_UNKNOWN),
            (settlement.lost, LOST),
            (settlement.resend, NOT_DONE),
            (settlement.vanished, VANISHED),
            (settlement.deleted, FOUND),
            (settlement.moved, FOUND),
            (settlement.move_again, NOT_DONE),
            (settlement.move_lost, MOVE_LOST),
        ):
            answers |= dict.fromkeys(ids, answer)
        async with self.transaction() as (connection, _):
            await note(connection, answers, now)
            await connection.execute(
                query("ledger.settle_carried_out"),
                list(done),
                [event.id for event in done.values()],
            )
            await connection.execute(
                query("ledger.settle_updated"),
                list(updated),
                [event.version for event in updated.values()],
            )
            await connection.execute(query("ledger.settle_lost"), settlement.lost, look_again_at)
            await connection.execute(query("ledger.settle_resend"), settlement.resend)
            await connection.execute(query("ledger.vanished"), settlement.vanished)
            await connection.execute(query("ledger.deleted"), settlement.deleted)
            moved = settlement.moved
            await connection.execute(query("ledger.moved"), list(moved), list(moved.values()), now)
            await connection.execute(query("ledger.settle_move_again"), settlement.move_again)
            await connection.execute(query("ledger.settle_move_lost"), settlement.move_lost, look_again_at)

    async def lost(self, now: datetime) -> list[Lost]:
        """Attempts believed lost that are to be looked for again."""
        async with self.transaction() as (connection, _):
            rows = await connection.fetch(query("ledger.lost"), self.mailbox_id, now)
        return [lost_of(row) for row in rows]

    async def lost_found(self, events: Mapping[UUID, str]) -> None:
        """Note the events that lost attempts have made after all. Only after this may they be taken out."""
        async with self.transaction() as (connection, _):
            await connection.execute(query("ledger.lost_found"), list(events), list(events.values()))

    async def lost_checked(
        self, attempts: Iterable[UUID], kept: Iterable[UUID], now: datetime, wait: timedelta, looks: int
    ) -> None:
        """These lost attempts were looked for, and what was found is not in the mailbox any more.

        Those not found are looked for again after ``wait``, five times as long each time, until there
        were ``looks``. Those ``kept``, which the provider does not let go, are tried again without an end.
        """
        async with self.transaction() as (connection, _):
            await connection.execute(
                query("ledger.lost_checked"), list(attempts), now, wait, looks, list(kept)
            )

    async def plan(
        self, now: datetime, guard_share: float, guard_events: int, people: str, look_again_at: datetime
    ) -> None:
        """Compare what is wanted with the ledger, and note what is to be done.

        Set-based, and the same result however often it is done. A synchronization that would lose more
        than this share of its future events, and more than so many, is held. ``people`` is the policy
        where the preferences name none. Creates that nobody wants any more and that might yet arrive are
        looked for from ``look_again_at`` on.
        """
        async with self.transaction() as (connection, _):
            await connection.execute(query("ledger.mark_unlinks"), self.mailbox_id, now)
            await self._settle_orphans(connection, people, now)
            await connection.execute(query("calendars.enlist"), self.mailbox_id)
            await connection.execute(query("ledger.hold"), self.mailbox_id, now, guard_share, guard_events)
            await connection.execute(query("ledger.rest_unlinked"), self.mailbox_id)
            await connection.execute(query("ledger.adopt"), self.mailbox_id, now)
            await connection.execute(query("ledger.plan_changes"), self.mailbox_id, now, look_again_at)
            await connection.execute(query("ledger.plan_removals"), self.mailbox_id, now)
            await connection.execute(query("ledger.drop_unsent"), self.mailbox_id, now, look_again_at)
            await connection.execute(query("ledger.plan_creates"), self.mailbox_id, now)

    async def _settle_orphans(self, connection: Connection, people: str, now: datetime) -> None:
        """What was in a calendar of ours that the person has removed is gone with it."""
        await connection.execute(query("calendars.left"), self.mailbox_id, now)
        fates: dict[str, list[int]] = {"deleted": [], "vanished": []}
        for row in await connection.fetch(query("calendars.orphans"), self.mailbox_id, people, now):
            fates[row["fate"]].append(row["id"])
        answers = dict.fromkeys(fates["deleted"], GONE_BEFORE) | dict.fromkeys(fates["vanished"], VANISHED)
        if answers:
            await note(connection, answers, now)
            await connection.execute(query("ledger.deleted"), fates["deleted"])
            await connection.execute(query("ledger.vanished"), fates["vanished"])

    async def pending(self, limit: int, now: datetime) -> int:
        """How many operations could be sent now, up to ``limit``."""
        async with self.transaction() as (connection, _):
            return int(await connection.fetchval(query("ledger.pending"), self.mailbox_id, limit, now))

    async def send(self, limit: int, now: datetime, *, copying: bool) -> list[Sent]:
        """Note the next operations as sent. Only after this may the provider hear of them.

        ``copying``: the provider moves events by copying them.
        """
        async with self.transaction() as (connection, _):
            rows = await connection.fetch(query("ledger.send"), self.mailbox_id, limit, now, copying)
        return sorted((sent_of(row, self._instance) for row in rows), key=send_order)

    async def answered(self, connection: Connection, answers: Answers, now: datetime) -> None:
        """Note what the provider answered, as part of the caller's ``transaction``."""
        await note(connection, answers.history, now)
        written = answers.written
        if written:
            await connection.execute(
                query("ledger.written"),
                list(written),
                [done.id for done in written.values()],
                [done.version for done in written.values()],
                now,
            )
        if answers.moved:
            moved = answers.moved
            await connection.execute(query("ledger.moved"), list(moved), list(moved.values()), None)
        if answers.deleted:
            await connection.execute(query("ledger.deleted"), answers.deleted)
        if answers.vanished:
            await connection.execute(query("ledger.vanished"), answers.vanished)
        if answers.unsent:
            await connection.execute(query("ledger.unsent"), answers.unsent)
        if answers.refused:
            await connection.execute(
                query("ledger.refused"),
                list(answers.refused),
                [refusal.code for refusal, _ in answers.refused.values()],
                [refusal.reason for refusal, _ in answers.refused.values()],
                [retry_at for _, retry_at in answers.refused.values()],
            )
