"""A worker in a process of its own, which ends where its sentence says."""

import asyncio
import gc
import os
import signal
from datetime import UTC, datetime, timedelta
from functools import cache
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import msgspec

from app.adapters import open_adapters
from app.clock import system_clock
from app.config import Config, Providers, SyncSettings, load_config
from app.database.connect import IDLE_IN_TRANSACTION_SECONDS, session_settings
from app.log import configure_logging
from app.sync.worker import Worker
from tests.crashes.probes import SteppedAdapter, query_names, step_requests, stepped_connection
from tests.crashes.steps import Sentence, Steps
from tests.forked import fork_server
from tests.introspection import Types, know
from tests.keys import trust_private_keys

__all__ = ["Job", "configuration", "start_worker"]

RESYNC = 10 * 365 * 86_400
"""Seconds: nothing becomes due again just because time has passed."""

OWNERS = "SELECT remote_id, unlink_id IS NOT NULL FROM ledger WHERE remote_id = ANY($1::text[])"
DUE = "SELECT min(due_at) FROM mailboxes WHERE type = $1 AND owner IS NULL"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is to do: all that is due, or what becomes due within ``hours``."""

    name: str
    """By which PostgreSQL knows its connections."""
    dsn: str
    server_version: int
    """Of PostgreSQL, the major one."""
    config: Config
    """The sandbox's configuration: to read it takes longer than much of what a worker does."""
    types: Types
    """What its connections need not ask PostgreSQL."""
    type: str
    ahead: float
    """Seconds by which the worker's clock is ahead of the machine's."""
    sentence: Sentence
    steps: Path
    """Where it tells its steps."""
    log: Path
    """Where its warnings go."""
    seed: int
    hours: float = 0.0


@cache
def configuration(file: Path, type: str, lease_seconds: int = 60) -> Config:
    """The sandbox's configuration, with one provider only."""
    config = load_config({"ROOSTER_CONFIG": str(file)}, file.parent)
    return msgspec.structs.replace(
        config,
        providers=Providers(**{type: getattr(config.providers, type)}),
        sync=SyncSettings(resync_interval_seconds=RESYNC, lease_seconds=lease_seconds),
    )


# Once, for all children.
query_names()


def start_worker(job: Job) -> ForkServerProcess:
    """Start a worker; its exit code is 0 once it has nothing to do."""
    process: ForkServerProcess = fork_server().Process(
        target=_main, args=(msgspec.structs.asdict(job),), daemon=True
    )
    process.start()
    return process


def _main(job: dict[str, Any]) -> None:
    with Path(job["log"]).open("ab") as log:
        os.dup2(log.fileno(), 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_logging("json", "warning")
    gc.disable()
    trust_private_keys()
    asyncio.run(_work(Job(**job)))


async def _work(job: Job) -> None:
    ahead = timedelta(seconds=job.ahead)

    def clock() -> datetime:
        return datetime.now(UTC) + ahead

    steps = Steps(job.steps, job.sentence)
    know(job.types)
    async with (
        asyncpg.create_pool(
            job.dsn,
            min_size=1,
            max_size=8,
            connection_class=stepped_connection(steps),
            server_settings={
                "application_name": job.name,
            }
            | session_settings(job.server_version, IDLE_IN_TRANSACTION_SECONDS),
        ) as pool,
        open_adapters(job.config, system_clock) as adapters,
    ):

        async def owners(ids: list[str]) -> dict[str, bool]:
            return dict(await pool.fetch(OWNERS, ids))

        step_requests(adapters[job.type], steps)
        stepped = {job.type: SteppedAdapter(adapters[job.type], steps, owners)}
        end = clock() + timedelta(hours=job.hours)
        while True:
            worker = Worker(pool, stepped, job.config, clock, random=Random(job.seed))
            await worker.run_until_idle()
            due = await pool.fetchval(DUE, job.type)
            if not job.hours or due is None or due > end:
                return
            ahead += max(due - clock(), timedelta(seconds=1))
