"""One run from its start to its end, whatever comes of it."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import asyncpg
import msgspec
import structlog

from app.clock import Clock
from app.config import Config
from app.database.connect import DATABASE_GONE
from app.database.queries import query
from app.database.types import Pool
from app.errors import RoosterError
from app.sources.accounts import open_account
from app.sources.apply import apply
from app.sources.contract import DeliveryFailed, Json, RunEvent, RunIdentity, Sources, Webhook
from app.sources.engine import Reading
from app.sources.reading import utc
from app.sources.secrets import open_vault
from app.sources.staging import ClaimedRun, RunLost, Staging
from app.sources.validation import is_incremental, without_taker

__all__ = ["TRANSIENT", "Execution"]

log = structlog.get_logger(__name__)

BEGINNING = "1970-01-01T00:00:00Z"
"""``{{previous_run_date}}`` where there is no run to go on from."""

TRANSIENT: tuple[type[Exception], ...] = (*DATABASE_GONE, asyncpg.DeadlockDetectedError)
"""What is over when it is tried again."""

LOST: tuple[type[Exception], ...] = (RunLost, *TRANSIENT)
"""What leaves a run to be taken up again."""

MAX_ATTEMPTS = 3
LAST_WORD_SECONDS = 30
"""How long a run that is cancelled waits for its webhook."""


class Execution:
    """Carries out a run that its worker has claimed."""

    def __init__(
        self,
        pool: Pool,
        run: ClaimedRun,
        sources: Sources,
        config: Config,
        clock: Clock,
        cancelled: Callable[[], bool],
    ) -> None:
        self._pool = pool
        self._run = run
        self._sources = sources
        self._config = config
        self._clock = clock
        self._cancelled = cancelled
        self._staging = Staging(pool, run)
        self.ending = False
        """What has come of it is being written, or was: that nobody has the run any more is our own doing."""

    async def __call__(self) -> str:
        """How it has ended: done, failed, cancelled, or lost (to be taken up again by whoever comes).

        Cancelled from outside although nobody asked for the run's end: raises CancelledError, and the run is
        as if nobody had taken it up, but for what was applied already.
        """
        bound = log.bind(run=str(self._run.id))
        try:
            return await self._attempt()
        except RunLost:
            bound.warning("sync_job_run_lost")
            return "lost"
        except TRANSIENT as error:
            bound.warning("database_gone", error=type(error).__name__)
            return "lost"
        except asyncio.CancelledError:
            if not self._cancelled():
                raise
            return await self._end("cancelled", "It was cancelled.")

    async def _attempt(self) -> str:
        identity = RunIdentity(
            id=self._run.id,
            sync_job_id=self._run.sync_job_id,
            integrated_account_id=self._run.integrated_account_id,
            attempt=self._run.attempts,
            fence=self._run.fence,
        )
        async with self._sources.webhook(identity) as webhook:
            deadline = asyncio.timeout(self._config.sources.max_run_seconds)
            try:
                if self._run.attempts > MAX_ATTEMPTS:
                    return await self._fail(webhook, f"It was lost with its worker {MAX_ATTEMPTS} times.")
                if self._cancelled():
                    return await self._fail(webhook, "It was cancelled.", "cancelled")
                async with deadline:
                    return await self._work(webhook)
            except DeliveryFailed as error:
                return await self._end("failed", error.message)
            except RoosterError as error:
                return await self._fail(webhook, error.message)
            except asyncio.CancelledError:
                if not self._cancelled():
                    raise
                return await self._fail(webhook, "It was cancelled.", "cancelled")
            except TimeoutError:
                if not deadline.expired():
                    raise
                return await self._fail(
                    webhook,
                    f"It took longer than {self._config.sources.max_run_seconds} seconds"
                    " (sources.max_run_seconds): nothing more is read or applied.",
                )
            except LOST:
                raise
            except Exception:
                # A bug of ours, or of an integration, must not take the worker down.
                log.exception("sync_job_run_crashed", run=str(self._run.id))
                return await self._fail(
                    webhook, "Something went wrong on our side; the log of the service says where."
                )

    async def _work(self, webhook: Webhook | None) -> str:
        await self._staging.begin()
        account = await open_account(self._pool, open_vault(self._config), self._run.integrated_account_id)
        integration = self._sources.integrations.get(account.integration_name)
        if integration is None:
            return await self._fail(webhook, f"There is no integration {account.integration_name}.")
        if webhook is None and (detail := without_taker(self._run.resources)) is not None:
            return await self._fail(webhook, detail)
        since = await self._changes_since()
        reading = Reading(
            self._staging,
            integration,
            account,
            self._config,
            self._clock,
            webhook,
            BEGINNING if since is None else utc(since),
        )
        await _send(webhook, "started", {})
        await reading.read()
        if detail := self._nothing_read():
            return await self._fail(webhook, detail)
        flawless = await apply(
            self._pool,
            self._staging,
            self._config.timetables,
            self._clock,
            incremental=since is not None,
        )
        await _send(webhook, "completed", {"counts": self._counts})
        clean = flawless and not self._staging.counts.read_errors
        return await self._end("done", clean=clean)

    async def _changes_since(self) -> datetime | None:
        """From when on changes are asked for: a little before the earlier run; None: everything is read."""
        if self._run.ignore_previous_run or not is_incremental(self._run.resources):
            return None
        began: datetime | None = await self._pool.fetchval(query("sync_job_runs.previous"), self._run.id)
        if began is None:
            return None
        since = began - timedelta(seconds=self._config.sources.overlap_seconds)
        await self._pool.execute(query("sync_job_runs.set_previous"), self._run.id, since)
        return since

    def _nothing_read(self) -> str | None:
        counts = self._staging.counts
        if counts.requests and counts.read_errors == counts.requests and not counts.pages:
            return f"No request succeeded; the first: {self._staging.first_failure}"
        return None

    @property
    def _counts(self) -> Json:
        return msgspec.to_builtins(self._staging.counts)

    async def _fail(self, webhook: Webhook | None, detail: str, state: str = "failed") -> str:
        try:
            async with asyncio.timeout(LAST_WORD_SECONDS):
                await _send(webhook, "failed", {"detail": detail, "counts": self._counts})
        except (DeliveryFailed, TimeoutError) as error:
            log.warning("last_word_not_delivered", run=str(self._run.id), error=type(error).__name__)
        return await self._end(state, detail)

    async def _end(self, state: str, detail: str | None = None, *, clean: bool = False) -> str:
        if detail is not None and state == "failed":
            log.warning("sync_job_run_failed", run=str(self._run.id))
        self.ending = True
        await self._staging.finish(state, self._clock(), detail, clean=clean)
        return state


async def _send(webhook: Webhook | None, event: RunEvent, data: Json) -> None:
    if webhook is not None:
        await webhook.send(event, data)
