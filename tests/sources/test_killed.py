"""``rooster worker`` killed in the middle of a sync job: another one finishes it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from app.clock import system_clock
from app.config import Config
from app.database.types import Pool
from app.sources import accounts, jobs, runs
from app.sources.integrations import INTEGRATIONS
from app.sources.secrets import open_vault
from app.timetables.store import fetch
from tests.sources.conftest import KEY
from tests.sources.web import Web, json, serving

ROOSTER = (sys.executable, "-c", "from app.commands import main; main()")
PATIENCE = 90
"""Seconds: a worker's start, and the shortest lease, on a slow machine."""

JOB = {
    "integration_name": "mytimetable",
    "args_schema": {"properties": {"users": {"type": "array"}}},
    "resources": [{"resource": "timetable", "id": "{{args.users}}", "loop_on": "users", "persist": True}],
}
LECTURE = {
    "id": "l1",
    "startDate": 1_900_000_000_000,
    "endDate": 1_900_003_600_000,
    "activityDescription": "L",
}


@asynccontextmanager
async def worker(database: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker in a process of its own; killed in the end."""
    settings = {
        "INSTANCE": "test.example",
        "DATA_DIR": str(folder),
        "DATABASE__URL": database,
        "SOURCES__ENCRYPTION_KEY": KEY,
        "SOURCES__ALLOWED_NETWORKS": "127.0.0.1/32",
        "SYNC__LEASE_SECONDS": "5",
    }
    own = {name: value for name, value in os.environ.items() if not name.startswith("ROOSTER_")}
    environ = own | {f"ROOSTER_{name}": value for name, value in settings.items()}
    environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    process = await asyncio.create_subprocess_exec(*ROOSTER, "--log-level", "error", "worker", env=environ)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def begin(pool: Pool, config: Config, source: Web) -> runs.JobRun:
    """A run of Alice's and Bob's timetables."""
    await pool.execute("INSERT INTO users (username) VALUES ('alice'), ('bob')")
    job = await jobs.create(pool, JOB, INTEGRATIONS, system_clock())
    body = {
        "integration_name": "mytimetable",
        "base_url": source.url,
        "credentials": {"api_token": "t"},
    }
    account = await accounts.create(pool, open_vault(config), body, INTEGRATIONS, system_clock())
    form = {
        "sync_job_id": str(job.id),
        "integrated_account_id": str(account.id),
        "args": {"users": ["alice", "bob"]},
    }
    return await runs.create(pool, form, INTEGRATIONS, system_clock(), webhook=False)


async def test_a_run_survives_its_worker(pool: Pool, database: str, config: Config, tmp_path: Path) -> None:
    reached = asyncio.Event()
    never = asyncio.Event()
    lost = True

    async def answer(request: web.Request) -> web.StreamResponse:
        if lost and request.headers["requestedAuth"] == "bob":
            reached.set()
            await never.wait()
        return json([LECTURE])

    async with serving() as source, asyncio.timeout(PATIENCE):
        source.answer = answer
        run = await begin(pool, config, source)
        async with worker(database, tmp_path) as first:
            await reached.wait()
            first.kill()
        assert (await runs.find(pool, run.id)).state == "running"
        assert (await fetch(pool, "alice")).events == []
        lost = False
        async with worker(database, tmp_path):
            while (ended := await runs.find(pool, run.id)).state == "running":
                await asyncio.sleep(0.05)
        never.set()
    assert (ended.state, ended.attempts, ended.errors) == ("done", 2, [])
    for username in ("alice", "bob"):
        assert [event.uid for event in (await fetch(pool, username)).events] == ["l1"]
