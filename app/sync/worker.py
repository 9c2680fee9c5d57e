"""The worker: takes the mailboxes that are due, and runs them.

Any number of workers on any number of machines share one database; the mailbox's row is the job. Each
provider has slots of its own, so that one that is slow or down never holds up the others.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from random import Random
from uuid import UUID, uuid4

import asyncpg
import structlog

from app.clock import Clock
from app.config import Config
from app.database.connect import DATABASE_GONE
from app.database.queries import query
from app.database.types import Connection, Pool
from app.ledger import Lease, LeaseLost
from app.sync.housekeeping import Housekeeper
from app.sync.metrics import RUNNING, RUNS
from app.sync.run import Run
from providers.adapter import Adapter

__all__ = ["Worker"]

log = structlog.get_logger(__name__)

LONGEST_SLEEP = 30.0
"""Seconds after which a worker looks for due mailboxes even if no bell rings."""

DATABASE_RETRY = 2.0
"""Seconds between attempts to reach a database that has gone away."""


class Worker:
    """Runs mailboxes until it is told to stop. Safe beside any number of others."""

    def __init__(
        self,
        pool: Pool,
        adapters: Mapping[str, Adapter],
        config: Config,
        clock: Clock,
        *,
        random: Random | None = None,
    ) -> None:
        self.id: UUID = uuid4()
        self._pool = pool
        self._adapters = adapters
        self._config = config
        self._clock = clock
        self._random = random or Random()  # noqa: S311 - jitter, not secret
        self._lease_seconds = float(config.sync.lease_seconds)
        self._bell = asyncio.Event()
        self._running: dict[int, tuple[str, asyncio.Task[None]]] = {}
        self._held_until: dict[int, float] = {}
        self._stop = asyncio.Event()
        self._report_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then finish what is in flight and give every mailbox back."""
        self._stop = stop
        stopping = asyncio.create_task(stop.wait())
        heartbeat = asyncio.create_task(self._heartbeat())
        housekeeper = Housekeeper(self._pool, self.id, self._adapters, self._config, self._clock)
        housekeeping = asyncio.create_task(housekeeper.run(stop))
        try:
            while not stop.is_set():
                try:
                    await self._pool.execute(
                        query("mailboxes.abandon"), self.id, list(self._running), self._clock()
                    )
                    async with self._listening():
                        while not stop.is_set():
                            await self._claim_and_wait(stopping)
                except DATABASE_GONE as error:
                    log.warning("database_gone", error=type(error).__name__)
                    await asyncio.wait([stopping], timeout=DATABASE_RETRY)
        finally:
            tasks = [task for _, task in self._running.values()]
            if tasks:
                await asyncio.wait(tasks)
            if stop.is_set():
                await housekeeping
            for task in (stopping, heartbeat, housekeeping):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def run_until_idle(self) -> None:
        """Work until nothing is due now. For the demo's and the tests' own pace."""
        heartbeat = asyncio.create_task(self._heartbeat())
        try:
            await self._report_unconfigured()
            while await self._claim() or self._running:
                tasks = [task for _, task in self._running.values()]
                if tasks:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            heartbeat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await heartbeat

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        """Hear the bell that rings when mailboxes become due (NOTIFY rooster_due)."""

        def ring(*_: object) -> None:
            self._bell.set()

        def lost(_: Connection) -> None:
            self._bell.set()

        async with self._pool.acquire() as connection:
            await connection.add_listener("rooster_due", ring)
            connection.add_termination_listener(lost)
            self._listener = connection
            try:
                yield
            finally:
                if not connection.is_closed():
                    connection.remove_termination_listener(lost)
                    await connection.remove_listener("rooster_due", ring)

    async def _claim_and_wait(self, stopping: asyncio.Task[object]) -> None:
        if self._listener.is_closed():
            raise asyncpg.InterfaceError("the listening connection was closed")
        self._bell.clear()
        if await self._claim():
            return
        await self._report_unconfigured()
        due_at = await self._pool.fetchval(
            query("mailboxes.next_due"), list(self._adapters), list(self._running)
        )
        bell = asyncio.create_task(self._bell.wait())
        try:
            await asyncio.wait(
                {bell, stopping},
                timeout=self._seconds_until(due_at),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            bell.cancel()

    async def _report_unconfigured(self) -> None:
        """What waits for a provider that is not configured any more says so; now and then is enough."""
        if time.monotonic() >= self._report_at:
            self._report_at = time.monotonic() + LONGEST_SLEEP
            await self._pool.execute(query("reports.unconfigured"), list(self._adapters))

    def _seconds_until(self, due_at: datetime | None) -> float:
        if due_at is None:
            return LONGEST_SLEEP
        # Due already, and not claimed: no slot is free, or another worker was quicker.
        wait = (due_at - self._clock()).total_seconds()
        return min(max(wait, 0.05), LONGEST_SLEEP) if wait > 0 else 1.0

    async def _claim(self) -> int:
        """Claim as many due mailboxes as there are free slots, and start their runs."""
        claimed = 0
        for type, adapter in self._adapters.items():
            running = sum(1 for kind, _ in self._running.values() if kind == type)
            free = getattr(self._config.sync.concurrency, type) - running
            if free <= 0:
                continue
            before = time.monotonic()
            rows = await self._pool.fetch(
                query("mailboxes.claim"),
                self.id,
                type,
                free,
                self._clock(),
                self._lease_seconds,
                list(self._running),
            )
            for row in rows:
                lease = Lease(
                    mailbox_id=row["id"],
                    type=row["type"],
                    address=row["address"],
                    identity=row["identity"],
                    owner=self.id,
                    fence=row["fence"],
                    attempts=row["attempts"],
                    wake=row["wake"],
                )
                self._held_until[lease.mailbox_id] = before + self._lease_seconds
                task = asyncio.create_task(self._run(lease, adapter))
                self._running[lease.mailbox_id] = (type, task)
                RUNNING.labels(type).inc()
            claimed += len(rows)
        return claimed

    async def _run(self, lease: Lease, adapter: Adapter) -> None:
        """One run, whatever comes of it. Nothing that happens here reaches another mailbox."""
        bound = log.bind(mailbox=lease.mailbox_id, type=lease.type)
        ending = "lease_lost"
        run = Run(
            pool=self._pool,
            adapter=adapter,
            lease=lease,
            config=self._config,
            clock=self._clock,
            lease_holds=lambda: time.monotonic() < self._held_until.get(lease.mailbox_id, 0.0),
            stopping=self._stop.is_set,
            random=self._random,
        )
        try:
            result = await run()
            ending = (result.status or "continued").lower()
        except LeaseLost:
            bound.warning("lease_lost")
        except DATABASE_GONE as error:
            # The lease runs out by itself, and then any worker takes the mailbox up again.
            ending = "database_gone"
            bound.warning("database_gone", error=type(error).__name__)
        except Exception:
            # A bug of ours must not take the worker down.
            ending = "crashed"
            bound.exception("run_crashed")
            with contextlib.suppress(LeaseLost, *DATABASE_GONE):
                await run.crashed()
        finally:
            self._running.pop(lease.mailbox_id, None)
            self._held_until.pop(lease.mailbox_id, None)
            # Its slot is free, and the mailbox itself may be due again.
            self._bell.set()
            RUNNING.labels(lease.type).dec()
            RUNS.labels(lease.type, ending).inc()

    async def _heartbeat(self) -> None:
        """Keep the leases of what is running; stop a run whose mailbox was taken over."""
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            held = list(self._running)
            if not held:
                continue
            before = time.monotonic()
            try:
                rows = await self._pool.fetch(query("mailboxes.extend"), self.id, held, self._lease_seconds)
            except DATABASE_GONE as error:
                log.warning("database_gone", error=type(error).__name__)
                continue
            kept = {row["id"] for row in rows}
            for mailbox_id in held:
                if mailbox_id in kept and mailbox_id in self._held_until:
                    self._held_until[mailbox_id] = before + self._lease_seconds
