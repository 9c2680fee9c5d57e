"""Housekeeping: what every worker does beside its runs, so that no part needs a process of its own."""

import asyncio
import contextlib
from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import asyncpg
import structlog

from app.clock import Clock
from app.config import Config
from app.database.queries import query
from app.database.types import Pool
from app.provisioning.runs import continue_active

__all__ = ["SEEN_SECONDS", "Housekeeper", "working_types"]

log = structlog.get_logger(__name__)

TICK_SECONDS = 5.0
"""Between two signs of life, and two looks for a bulk sync that nobody goes on with."""

SEEN_SECONDS = 30.0
"""A worker that was not heard of for this long does not run any more."""

PRUNE_TICKS = 720
"""Every so many ticks (an hour), what is older than is kept goes."""

PRUNE_ROWS = 10_000
"""Deleted at once, so that nobody waits for a lock for long."""


async def working_types(pool: Pool) -> list[str]:
    """The synchronization types that a worker works for at present; none if no worker runs."""
    return [row["type"] for row in await pool.fetch(query("workers.types"), SEEN_SECONDS)]


class Housekeeper:
    """Says that its worker is there, goes on with orphaned bulk syncs, and forgets what is old."""

    def __init__(
        self, pool: Pool, worker: UUID, types: Collection[str], config: Config, clock: Clock
    ) -> None:
        self._pool = pool
        self._worker = worker
        self._types = sorted(types)
        self._at_once = config.sync.bulk_concurrency
        self._keep = timedelta(days=config.runs.keep_days)
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Keep house until ``stop`` is set, whatever happens to the database meanwhile."""
        tick = 0
        while not stop.is_set():
            try:
                await self.tick()
                if tick % PRUNE_TICKS == 0:
                    await self.prune()
                tick += 1
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("housekeeping_failed", error=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TICK_SECONDS)
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await self._pool.execute(query("workers.gone"), self._worker)

    async def tick(self) -> None:
        """A sign of life, and a look for a bulk sync to go on with."""
        await self._pool.execute(query("workers.seen"), self._worker, self._types)
        await continue_active(self._pool, self._at_once, self._clock())

    async def prune(self) -> None:
        """Forget runs that ended, and answers that came, longer ago than is kept ([runs] keep_days)."""
        before = self._clock() - self._keep
        for name in ("runs.prune", "history.prune"):
            while await self._pool.fetchval(query(name), before, PRUNE_ROWS) == PRUNE_ROWS:
                pass
        await self._pool.execute(query("workers.forget"), SEEN_SECONDS)
