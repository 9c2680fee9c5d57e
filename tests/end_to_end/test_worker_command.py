"""``rooster worker`` as an administrator runs it: a process of its own, stopped by a signal."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)

ROOSTER = (sys.executable, "-c", "from app.commands import main; main()")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("ROOSTER_")}
    root = str(Path(__file__).parents[2])
    return own | {"ROOSTER_INSTANCE": "uni.example", "ROOSTER_DATA_DIR": str(tmp_path), "PYTHONPATH": root}


async def start(environ: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *ROOSTER, *arguments, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def logged(process: asyncio.subprocess.Process, event: str) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        if json.loads(line)["event"] == event:
            return
    pytest.fail(f"the process ended without having logged {event}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_cleanly(environ: dict[str, str], number: signal.Signals) -> None:
    worker = await start(environ, "worker")
    await logged(worker, "worker_started")
    worker.send_signal(number)
    await logged(worker, "worker_stopped")
    assert await worker.wait() == 0
    await worker.communicate()


async def test_other_commands_use_the_embedded_database_of_a_worker_that_runs(
    environ: dict[str, str], tmp_path: Path
) -> None:
    worker = await start(environ, "worker", "--log-format", "json")
    await logged(worker, "worker_started")
    postmaster = (tmp_path / "postgres" / "postmaster.pid").read_text()
    create = await start(environ, "token", "create", "a", "--role", "admin")
    token, errors = await create.communicate()
    assert (create.returncode, errors) == (0, b"")
    assert len(token.split()) == 1
    assert (tmp_path / "postgres" / "postmaster.pid").read_text() == postmaster
    worker.terminate()
    await worker.communicate()
    assert worker.returncode == 0
