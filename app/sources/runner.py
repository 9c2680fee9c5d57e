"""The part of a worker that runs sync jobs: those that were asked for, and those whose time has come.

Any number of workers share one database. A run is one worker's by its lease; if the worker is lost, its lease
runs out, and another one begins the run anew.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import structlog

from app.clock import Clock
from app.config import Config
from app.database.queries import query
from app.database.types import Connection, Pool
from app.sources.contract import Sources
from app.sources.execution import TRANSIENT, Execution
from app.sources.staging import ClaimedRun, claimed_run
from app.sources.triggers import fire_due
from app.sync.metrics import SYNC_JOB_RUNS

__all__ = ["SourceRunner"]

log = structlog.get_logger(__name__)

MAX_RUNS = 4
"""Runs at a time in one worker."""

UNREADABLE = (
    "What is stored of this run cannot be read: it may have been made by another version of Rooster. The log"
    " of the worker says why. Make a new run."
)

LONGEST_SLEEP = 30.0
DATABASE_RETRY = 2.0
PRUNE_SECONDS = 3_600.0
PRUNE_ROWS = 1_000


class _Running:
    """A run that this worker carries out."""

    def __init__(self, run: ClaimedRun) -> None:
        self.run = run
        self.cancelled = run.cancelling
        """Somebody asked for its end."""
        self.lost = False
        """It is not ours any more."""
        self.task: asyncio.Task[None] | None = None
        self.execution: Execution | None = None


class SourceRunner:
    """Runs sync jobs until it is told to stop. Safe beside any number of others."""

    def __init__(self, pool: Pool, sources: Sources, config: Config, clock: Clock) -> None:
        self.id: UUID = uuid4()
        self._pool = pool
        self._sources = sources
        self._config = config
        self._clock = clock
        self._lease_seconds = float(config.sync.lease_seconds)
        self._bell = asyncio.Event()
        self._running: dict[UUID, _Running] = {}
        self._prune_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then give back what is running, to be begun anew by another worker."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                try:
                    async with self._listening() as connection:
                        while not stop.is_set() and not connection.is_closed():
                            self._bell.clear()
                            await self._look()
                            await self._wait(stopping)
                except TRANSIENT as error:
                    log.warning("database_gone", error=type(error).__name__)
                    await asyncio.wait([stopping], timeout=DATABASE_RETRY)
                except Exception:
                    # A bug of ours must not take down what else the process does.
                    log.exception("source_runner_failed")
                    await asyncio.wait([stopping], timeout=DATABASE_RETRY)
        finally:
            stopping.cancel()
            await self._give_all_back()

    async def run_until_idle(self) -> None:
        """Work until no run waits or is running, and no trigger's time has come."""
        try:
            self._bell.clear()
            while await self._look() or self._running:
                if self._running:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._bell.wait(), self._lease_seconds / 3)
                self._bell.clear()
        finally:
            await self._give_all_back()

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[Connection]:
        """Hear the bell that rings when there is a run to begin or to end (NOTIFY rooster_sources)."""

        def ring(*_: object) -> None:
            self._bell.set()

        async with self._pool.acquire() as connection:
            await connection.add_listener("rooster_sources", ring)
            connection.add_termination_listener(ring)
            try:
                yield connection
            finally:
                if not connection.is_closed():
                    connection.remove_termination_listener(ring)
                    await connection.remove_listener("rooster_sources", ring)

    async def _look(self) -> int:
        """Keep what is running, and begin what is to be begun; 0: there was nothing to do."""
        await self._keep()
        free = MAX_RUNS - len(self._running)
        rows = (
            await self._pool.fetch(
                query("sync_job_runs.claim"), self.id, free, self._clock(), self._lease_seconds
            )
            if free > 0
            else []
        )
        unreadable = []
        for row in rows:
            try:
                running = _Running(claimed_run(row))
            except (msgspec.DecodeError, RecursionError):
                log.exception("sync_job_run_unreadable", run=str(row["id"]))
                unreadable.append(row)
                continue
            self._running[running.run.id] = running
            running.task = asyncio.create_task(self._carry_out(running))
        for row in unreadable:
            await self._pool.execute(
                query("sync_job_runs.finish"),
                row["id"],
                row["fence"],
                "failed",
                self._clock(),
                "{}",
                UNREADABLE,
                False,
            )
            SYNC_JOB_RUNS.labels("failed").inc()
        # Its runs are begun at the next look: they ring the bell.
        fired = await fire_due(self._pool, self._sources.integrations, self._clock)
        if time.monotonic() >= self._prune_at:
            self._prune_at = time.monotonic() + PRUNE_SECONDS
            await self._prune()
        return len(rows) + fired

    async def _wait(self, stopping: asyncio.Task[object]) -> None:
        bell = asyncio.create_task(self._bell.wait())
        try:
            await asyncio.wait(
                {bell, stopping},
                timeout=await self._seconds(),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            bell.cancel()

    async def _seconds(self) -> float:
        """How long there is nothing to do unless the bell rings."""
        seconds = [self._lease_seconds / 3 if self._running else LONGEST_SLEEP]
        if (due := await self._pool.fetchval(query("cron_triggers.next_due"))) is not None:
            wait = (due - self._clock()).total_seconds()
            # Due already, and not fired: somebody holds its job or account just now.
            seconds.append(wait if wait > 0 else 1.0)
        lease: timedelta | None = await self._pool.fetchval(query("sync_job_runs.next_lease"), self.id)
        if lease is not None:
            seconds.append(lease.total_seconds())
        return max(min(seconds), 0.05)

    async def _keep(self) -> None:
        """Extend the leases of what is running; end what somebody has cancelled or taken over."""
        held = list(self._running)
        if not held:
            return
        rows = await self._pool.fetch(query("sync_job_runs.extend"), self.id, held, self._lease_seconds)
        kept = {row["id"]: row["cancelling"] for row in rows}
        for id in held:
            running = self._running.get(id)
            if running is None or running.task is None or running.cancelled or running.lost:
                continue
            running.cancelled = kept.get(id, False)
            ending = running.execution is not None and running.execution.ending
            running.lost = id not in kept and not ending
            if running.cancelled or running.lost:
                running.task.cancel()

    async def _carry_out(self, running: _Running) -> None:
        run = running.run
        log.info("sync_job_run_started", run=str(run.id), job=str(run.sync_job_id), attempt=run.attempts)
        running.execution = Execution(
            self._pool, run, self._sources, self._config, self._clock, lambda: running.cancelled
        )
        state = "given_back"
        try:
            state = await running.execution()
            log.info("sync_job_run_ended", run=str(run.id), state=state)
        finally:
            SYNC_JOB_RUNS.labels("lost" if running.lost else state).inc()
            self._running.pop(run.id, None)
            self._bell.set()

    async def _give_all_back(self) -> None:
        """Stop what is running; whoever takes it up begins it anew."""
        stopped = list(self._running.values())
        tasks = [running.task for running in stopped if running.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for running in stopped:
            with contextlib.suppress(*TRANSIENT):
                await self._pool.execute(query("sync_job_runs.give_back"), running.run.id, running.run.fence)

    async def _prune(self) -> None:
        """Forget runs that ended longer ago than is kept ([runs] keep_days)."""
        before = self._clock() - timedelta(days=self._config.runs.keep_days)
        while await self._pool.fetchval(query("sync_job_runs.prune"), before, PRUNE_ROWS) == PRUNE_ROWS:
            pass
