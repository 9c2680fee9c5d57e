"""A small world for the tests of reconciling: a database, a provider in memory, people, and a clock."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

import msgspec

from app.config import Config, SyncSettings
from app.database.queries import query
from app.database.types import Pool
from app.provisioning.provision import provision
from app.provisioning.refresh import ask_for_refresh
from app.provisioning.unlink import parse_mode, unlink_one, unlink_user
from app.sync.mirror import Drift
from app.sync.wake import wake_mailboxes
from app.sync.worker import Worker
from app.timetables.store import Counts, replace
from providers.contract import Event
from tests.clock import SettableClock
from tests.fakes import FakeAdapter, FakeEvent, FakeMailbox

__all__ = ["INSTANCE", "World", "event"]

INSTANCE = "uni.example"


def event(uid: str, start: datetime | None = None, **fields: Any) -> Event:
    """An event of an hour; by default a week after the clock's beginning."""
    start = start or datetime(2026, 9, 8, 9, tzinfo=UTC)
    fields.setdefault("title", f"Lecture {uid}")
    fields.setdefault("end", start + timedelta(hours=1))
    return Event(uid=uid, start=start, time_zone="Europe/Amsterdam", **fields)


class World:
    """Everything around the sync core, with shortcuts for what tests do all the time."""

    def __init__(self, pool: Pool, clock: SettableClock, adapter: FakeAdapter) -> None:
        self.pool = pool
        self.clock = clock
        self.adapter = adapter
        self.config = Config(instance=INSTANCE, sync=SyncSettings(resync_interval_seconds=21_600))

    def worker(self, *adapters: FakeAdapter) -> Worker:
        """A worker with its own identity, over the world's provider or the given ones."""
        known = {adapter.type: adapter for adapter in adapters or (self.adapter,)}
        return Worker(self.pool, known, self.config, self.clock, random=Random(7))

    async def user(self, username: str) -> None:
        await self.pool.execute(query("users.ensure"), username, self.clock())

    async def link(self, username: str, address: str) -> int:
        """Provision a synchronization of the mailbox at the address; gives its id."""
        await self.user(username)
        made = await provision(
            self.pool,
            {self.adapter.type: self.adapter},
            self.clock,
            username=username,
            type=self.adapter.type,
            address=address,
            probe_seconds=5,
        )
        return made.id

    async def publish(self, username: str, *events: Event) -> Counts:
        await self.user(username)
        return await replace(self.pool, username, events, self.config.timetables, self.clock(), confirm=True)

    async def unlink(self, mode: str, synchronization: int | None = None, username: str = "") -> int:
        """Accept an unlinking now, of one synchronization or of all that a user has; gives its run."""
        if synchronization is None:
            return await unlink_user(self.pool, username, parse_mode(mode), self.clock)
        return await unlink_one(self.pool, synchronization, parse_mode(mode), self.clock)

    def let_people(self, people: Literal["restore", "respect", "report"]) -> None:
        """From now on, this is the installation's policy for what people delete and change."""
        sync = msgspec.structs.replace(self.config.sync, people=people)
        self.config = msgspec.structs.replace(self.config, sync=sync)

    async def prefer(self, synchronization: int, preferences: dict[str, Any]) -> None:
        """From now on, these preferences are in effect for the synchronization, and no others."""
        async with self.pool.acquire() as connection:
            mailbox = await connection.fetchval(
                "UPDATE synchronizations SET preferences = $2::text::jsonb WHERE id = $1"
                " RETURNING mailbox_id",
                synchronization,
                msgspec.json.encode(preferences).decode(),
            )
            await wake_mailboxes(connection, [mailbox], self.clock())

    async def refresh(self, synchronization: int) -> Drift:
        """A worker reads the mailbox and does what follows; gives what it found."""
        run = await ask_for_refresh(self.pool, self.clock, synchronization)
        await self.work()
        row = await self.pool.fetchrow("SELECT state, drift::text FROM runs WHERE id = $1", run)
        assert row is not None
        assert row["state"] == "done"
        return msgspec.json.decode(row["drift"], type=Drift)

    async def work(self) -> None:
        """A worker does all that is due now."""
        await self.worker().run_until_idle()

    async def settle(self, hours: float = 12) -> None:
        """Workers do all that becomes due in the next hours, retries included."""
        end = self.clock() + timedelta(hours=hours)
        while True:
            await self.work()
            due: datetime | None = await self.pool.fetchval("SELECT min(due_at) FROM mailboxes")
            if due is None or due > end:
                return
            self.clock.set(max(due, self.clock() + timedelta(seconds=1)))

    def mailbox(self, address: str) -> FakeMailbox:
        found = self.adapter.mailbox(address)
        assert found is not None
        return found

    def pushed(self, address: str) -> list[FakeEvent]:
        """Our events in a mailbox, copies by people included."""
        return self.mailbox(address).pushed(INSTANCE)

    def uids(self, address: str) -> Counter[str]:
        """How often each of our events is in a mailbox."""
        return Counter(e.marker.event for e in self.pushed(address) if e.marker)

    async def ledger(self, address: str | None = None) -> list[Any]:
        """The ledger's rows (of one mailbox)."""
        return await self.pool.fetch(
            "SELECT l.* FROM ledger AS l JOIN mailboxes AS m ON m.id = l.mailbox_id"
            " WHERE $1::text IS NULL OR lower(m.address) = lower($1) ORDER BY l.id",
            address,
        )

    async def states(self, address: str | None = None) -> Counter[str]:
        """How many rows of the ledger are in which state."""
        return Counter(row["state"] for row in await self.ledger(address))

    async def status(self, synchronization: int) -> str:
        return str(
            await self.pool.fetchval("SELECT status FROM synchronizations WHERE id = $1", synchronization)
        )

    async def error(self, synchronization: int) -> str | None:
        found: str | None = await self.pool.fetchval(
            "SELECT last_error FROM synchronizations WHERE id = $1", synchronization
        )
        return found

    async def run_state(self, run: int) -> tuple[str, int]:
        """The state of a run, and how many events it has removed."""
        row = await self.pool.fetchrow("SELECT state, removed FROM runs WHERE id = $1", run)
        assert row is not None
        return row["state"], row["removed"]

    async def assert_true(self, address: str, wanted: Iterable[Event]) -> None:
        """The mailbox holds exactly these of ours, each once and as published; the ledger says the same."""
        by_uid = {e.uid: e for e in wanted}
        rows = await self.ledger(address)
        assert Counter(row["uid"] for row in rows) == Counter(list(by_uid))
        assert {row["state"] for row in rows} <= {"present"}
        by_id = {row["remote_id"]: row for row in rows}
        pushed = {e.id: e for e in self.pushed(address)}
        assert set(by_id) == set(pushed)
        for id, row in by_id.items():
            assert pushed[id].event == by_uid[row["uid"]]
            assert msgspec.json.decode(row["content"], type=Event) == by_uid[row["uid"]]
