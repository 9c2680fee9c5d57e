"""A campaign against one provider: batches of a few people whose workers are killed again and again."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random

import aiohttp
import asyncpg

from app.adapters import open_adapters
from app.clock import system_clock
from app.database.types import Pool
from providers.adapter import Adapter
from tests.contract.harness import Control
from tests.crashes.compare import compare
from tests.crashes.people import PEOPLE, People
from tests.crashes.result import Result
from tests.crashes.steps import Passed, Sentence, read_log
from tests.crashes.worker import Job, configuration, start_worker
from tests.introspection import Types, learn

__all__ = ["Campaign", "open_campaign", "open_sandbox"]

KILLS_A_BATCH = 25
SETTLE_HOURS = 13
"""After these nothing is looked for any more, see ``app.sync.settle``."""

PATIENCE = 120.0
"""Seconds after which a worker that neither ends nor dies is a failure."""

ENOUGH = 800
"""If this many kills, or those asked for, have not come to each step, no more are tried."""

EXPIRE = "UPDATE mailboxes SET lease_until = clock_timestamp() - interval '1 second' WHERE owner IS NOT NULL"
BUSY = "SELECT EXISTS (SELECT FROM mailboxes WHERE type = $1 AND (owner IS NOT NULL OR due_at <= $2))"
CONNECTED = """
    SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1)
"""
BEFORE_CREATE = frozenset({"create: before"})


class WorkerFailed(Exception):
    """A worker did not end as it should: a bug, in Rooster or here."""


class Campaign:
    """Kills workers of one provider."""

    def __init__(
        self,
        *,
        type: str,
        dsn: str,
        server_version: int,
        config: Path,
        types: Types,
        folder: Path,
        seed: int,
        pool: Pool,
        adapter: Adapter,
        http: aiohttp.ClientSession,
        url: str,
    ) -> None:
        """``http`` and ``url`` reach the sandbox's control API."""
        self.result = Result(type=type, seed=seed)
        self._dsn = dsn
        self._server_version = server_version
        self._config = config
        self._types = types
        self._folder = folder
        self.pool = pool
        self._adapter = adapter
        self.control = Control(http, url, type)
        self._http = http
        self._url = url
        self._ahead = 0.0
        self._workers = 0
        self._living: set[ForkServerProcess] = set()
        self._length = 40.0
        """How many steps a worker passes before it ends, on average."""
        self._life = 0.2
        """How many seconds a worker lives, on average."""

    def _clock(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ahead)

    async def run(self, kills: int, tell: Callable[[Result], None] = lambda _: None) -> Result:
        """So many kills, and a kill at each step that was passed."""
        begun = time.monotonic()
        result = self.result
        batch = 0
        while result.kills.total() < kills or (result.missed and result.kills.total() < ENOUGH):
            await self._batch(batch)
            batch += 1
            result.seconds = time.monotonic() - begun
            tell(result)
            if result.verdict.faults:
                break
        return result

    async def _batch(self, number: int) -> None:
        result = self.result
        random = Random(f"{result.seed} {result.type} {number}")
        people = self.people(f"p{number}", random)
        await people.begin()
        until = result.kills.total() + KILLS_A_BATCH
        rounds: list[str] = ["begin"]
        while result.kills.total() < until:
            if random.random() < 0.04:
                await self._paused_create(people, random)
                rounds.append("paused")
            else:
                ended_at = await self._killed(random)
                rounds.append(f"† {ended_at}")
            if random.random() < 0.6:
                rounds.append(await people.act())
            # Sometimes so long that a lost create is looked for again.
            self._ahead += random.choice((1, 20, 200, 900))
        await self.live(SETTLE_HOURS)
        self._ahead += SETTLE_HOURS * 3600
        verdict = await compare(people, result.type, self.pool, self.control)
        if verdict.problems:
            told = "\n    ".join(rounds)
            verdict.problems.append(f"seed {result.seed}, batch {number}, rounds:\n    {told}")
        result.verdict.add(verdict)

    async def _killed(self, random: Random) -> str | None:
        """A worker that is killed at a step that was spared so far, or at any step, or at any moment."""
        how = random.random()
        if how < 0.15:
            return await self._killed_from_outside(random.uniform(0.3, 1.2) * self._life)
        if how < 0.35:
            sentence = Sentence(
                end="kill", skip=random.randrange(int(self._length * 1.5)), delay=_delay(random)
            )
        else:
            # At a step that was missed so far, for which many workers may have to live; later, at any
            # of those that were killed at less often than another one.
            counts = sorted(self.result.kills[step] for step in self.result.seen)
            limit = counts[random.randrange(len(counts))] if counts and not self.result.missed else 0
            spared = frozenset(step for step in self.result.seen if self.result.kills[step] > limit)
            sentence = Sentence(end="kill", spared=spared, delay=_delay(random))
        begun = time.monotonic()
        process, log = self._start(sentence)
        passed = await self.end(process, log, killed=True)
        self._life += (time.monotonic() - begun - self._life) / 20
        self._length += (len(passed.steps) - self._length) / 20
        if passed.ended_at is not None:
            self.result.kills[passed.ended_at] += 1
        return passed.ended_at

    async def _killed_from_outside(self, seconds: float) -> str | None:
        process, log = self._start(Sentence())
        await _until_it_ends(process, seconds)
        process.kill()
        await self.end(process, log, killed=True)
        if process.exitcode == 0:
            return None
        self.result.kills["any moment"] += 1
        return "any moment"

    async def _paused_create(self, people: People, random: Random) -> None:
        """A worker stops between its last look at its lease and a create, and another one takes over.

        The create arrives when nobody waits for it any more.
        """
        # It has nothing else to do: one that stopped in a transaction would hold others up, for a while.
        await self.live(0)
        await people.publish_new()
        process, log = self._start(Sentence(end="stop", only=BEFORE_CREATE))
        stopped = await self._stopped(process, log)
        if stopped:
            await self.pool.execute(EXPIRE)
            await self._killed(random)
            assert process.pid is not None
            os.kill(process.pid, signal.SIGCONT)
            self.result.paused += 1
        await self.end(process, log, killed=False)

    async def _stopped(self, process: ForkServerProcess, log: Path) -> bool:
        """Wait until the worker has stopped itself. False: it came to its end before."""
        async with asyncio.timeout(PATIENCE):
            while process.is_alive():
                if read_log(log).ended_at is not None and _is_stopped(process):
                    return True
                await asyncio.sleep(0.005)
        return False

    async def live(self, hours: float = 0.0) -> list[str]:
        """A worker that nobody kills does all that is due, or becomes due within ``hours``; its steps."""
        process, log = self._start(Sentence(), hours)
        return (await self.end(process, log, killed=False)).steps

    async def stop(self, sentence: Sentence, lease_seconds: int) -> tuple[ForkServerProcess, Path]:
        """A worker that does what is due, and has stopped where its sentence says."""
        process, log = self._start(sentence, lease_seconds=lease_seconds)
        if not await self._stopped(process, log):
            raise WorkerFailed(f"no worker came to {sorted(sentence.only or ())}")
        return process, log

    async def live_until_all_is_done(self) -> None:
        """Workers that nobody kills do all there is to do, once nobody else is at it."""
        async with asyncio.timeout(PATIENCE):
            while await self.pool.fetchval(BUSY, self.result.type, self._clock()):
                await self.live()

    async def writes(self) -> int:
        """How many operations that change something the provider has carried out so far."""
        async with self._http.get(f"{self._url}/stats") as response:
            operations = (await response.json())["operations"].get(self.result.type, {})
        return sum(operations.get(name, 0) for name in ("create", "update", "delete"))

    def people(self, name: str, random: Random, size: int = PEOPLE) -> People:
        """A few people with mailboxes of their own."""
        config = configuration(self._config, self.result.type)
        return People(name, self.pool, self._adapter, self.control, config, self._clock, random, size)

    def kill_all(self) -> None:
        """Leave no worker behind when a test has failed: one that has stopped would stay for good."""
        for process in self._living:
            process.kill()

    def _start(
        self, sentence: Sentence, hours: float = 0.0, lease_seconds: int = 60
    ) -> tuple[ForkServerProcess, Path]:
        self._workers += 1
        log = self._folder / f"worker-{self._workers}"
        job = Job(
            name=log.name,
            dsn=self._dsn,
            server_version=self._server_version,
            config=configuration(self._config, self.result.type, lease_seconds),
            types=self._types,
            type=self.result.type,
            ahead=self._ahead,
            sentence=sentence,
            steps=log,
            log=self._folder / "workers.log",
            seed=self._workers,
            hours=hours,
        )
        process = start_worker(job)
        self._living.add(process)
        return process, log

    async def end(self, process: ForkServerProcess, log: Path, *, killed: bool) -> Passed:
        """Wait for the worker's end, and until all that it has sent has arrived; then its leases are over."""
        await _until_it_ends(process, PATIENCE)
        code = process.exitcode
        process.kill()
        self._living.discard(process)
        said = (self._folder / "workers.log").read_text() if (self._folder / "workers.log").exists() else ""
        if (code != 0 and not (killed and code == -signal.SIGKILL)) or "run_crashed" in said:
            raise WorkerFailed(f"exit code {code}\n{said[-6000:]}")
        passed = read_log(log)
        log.unlink(missing_ok=True)
        self.result.seen.update(set(passed.steps))
        async with asyncio.timeout(PATIENCE):
            while await self.pool.fetchval(CONNECTED, log.name):
                await asyncio.sleep(0.002)
        await self.pool.execute(EXPIRE)
        # The sandbox reads what lies in its sockets before it answers the second of these.
        for _ in range(2):
            await self.control.violations()
        return passed


async def _until_it_ends(process: ForkServerProcess, seconds: float) -> None:
    """Wait for the worker's end, at most so long.

    Not by ``join`` in another thread: of two threads that ask how a process has ended (to start one asks of
    all others), only one gets an answer.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(process.sentinel, ended.set)
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), seconds)
    finally:
        loop.remove_reader(process.sentinel)


def _delay(random: Random) -> float:
    """How long a request is under way when its worker is killed: seconds, mostly few milliseconds."""
    return random.choice((0.0, 0.002, 0.005, 0.01, 0.03))


def _is_stopped(process: ForkServerProcess) -> bool:
    state = subprocess.run(
        ["ps", "-o", "state=", "-p", str(process.pid)], capture_output=True, text=True, check=False
    ).stdout
    return state.strip().startswith("T")


@asynccontextmanager
async def open_sandbox(folder: Path) -> AsyncIterator[dict[str, str]]:
    """``rooster sandbox`` in a process of its own; gives the line that it prints."""
    command = "from app.commands import main; main()"
    # Of connections that are cut by a kill, it has much to say.
    with (folder / "sandbox.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", command, "sandbox", stdout=asyncio.subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    try:
        yield json.loads(await asyncio.wait_for(process.stdout.readline(), PATIENCE))
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def open_campaign(type: str, dsn: str, folder: Path, seed: int) -> AsyncIterator[Campaign]:
    """A campaign over a migrated database of its own, with a sandbox of its own."""
    async with open_sandbox(folder) as ready:
        config = Path(ready["config"])
        context = ssl.create_default_context(cafile=ready["ca_file"])
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=1)) as http,
            asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool,
            open_adapters(configuration(config, type), system_clock) as adapters,
        ):
            async with pool.acquire() as connection:
                types = await learn(connection)
                server_version = connection.get_server_version().major
            campaign = Campaign(
                type=type,
                dsn=dsn,
                server_version=server_version,
                config=config,
                types=types,
                folder=folder,
                seed=seed,
                pool=pool,
                adapter=adapters[type],
                http=http,
                url=ready["control"],
            )
            try:
                yield campaign
            finally:
                campaign.kill_all()
