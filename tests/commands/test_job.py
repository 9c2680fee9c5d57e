"""``rooster job``: runs a definition by itself where no worker runs, and tells what has become of it."""

import asyncio
import contextlib
import json
import os
import pty
import signal
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.clock import system_clock
from app.config import load_config
from app.database.queries import query
from app.database.types import Pool
from app.sources import accounts, jobs
from app.sources.integrations import INTEGRATIONS, open_sources
from app.sources.runner import SourceRunner
from app.sources.secrets import open_vault
from tests.commands.conftest import Command
from tests.forked import Forked, fork
from tests.sources.web import Web, serving
from tests.sources.web import json as answer

KEY = b64encode(bytes(32)).decode()
JOB = {
    "integration_name": "http-json",
    "args_schema": {
        "type": "object",
        "properties": {"usernames": {"type": "array", "items": {"type": "string"}}},
        "required": ["usernames"],
    },
    "resources": [
        {"resource": "lectures", "id": "{{args.usernames}}", "loop_on": "usernames", "persist": True}
    ],
}
SETTINGS = {
    "resources": {
        "lectures": {
            "path": "/people/{id}",
            "event": {"uid": "key", "title": "name", "start": "start", "end": "end"},
        }
    }
}
LECTURE = {"key": "a", "name": "Algorithms", "start": "2100-09-01T09:00:00", "end": "2100-09-01T10:45:00"}
UNTAKEN = {"resource": "lectures", "id": "alice"}
UNDECLARED = {"resource": "rooms", "persist": True}
BOTH = '{"usernames": ["alice", "bob"]}'


@pytest.fixture
async def source() -> AsyncIterator[Web]:
    async with serving() as made:
        made.answer = lambda _: answer([LECTURE])
        yield made


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> Path:
    tmp_path.joinpath("rooster.toml").write_text(
        f'[sources]\nallowed_networks = ["127.0.0.1/32"]\nencryption_key = "{KEY}"\n'
    )
    tmp_path.joinpath("job.json").write_text(json.dumps(JOB))
    return tmp_path


async def account(pool: Pool, files: Path, source: Web) -> str:
    """An account for the source; gives its id."""
    body = {"integration_name": "http-json", "base_url": source.url, "settings": SETTINGS}
    vault = open_vault(load_config({}, files))
    return str((await accounts.create(pool, vault, body, INTEGRATIONS, system_clock())).id)


@pytest.fixture
async def connected(pool: Pool, files: Path, source: Web) -> None:
    await pool.execute("INSERT INTO users (username) VALUES ('alice'), ('bob')")
    await account(pool, files, source)


async def events(pool: Pool, username: str) -> int:
    found: int = await pool.fetchval("SELECT count(*) FROM timetable_events WHERE username = $1", username)
    return found


@pytest.mark.usefixtures("connected")
async def test_it_runs_a_definition_and_says_what_was_done(pool: Pool, command: Command) -> None:
    ended = await command("job", "run", "job.json", "--args", BOTH)
    assert ended.status == 0, ended
    assert ended.err == ""
    assert ended.out.endswith(
        "is done: 2 records by 2 requests, 0 sent on; 2 timetables: 2 events created,"
        " 0 updated, 0 deleted, 0 unchanged; 0 errors\n"
    )
    assert [await events(pool, username) for username in ("alice", "bob")] == [1, 1]


@pytest.mark.usefixtures("connected")
async def test_users_whom_nobody_has_provisioned_are_counted(command: Command) -> None:
    ended = await command("job", "run", "job.json", "--args", '{"usernames": ["alice", "eve"]}')
    assert ended.status == 0, ended
    assert ended.err == "Not provisioned, and left out: 1 of 2 users.\n"
    assert "; 1 timetables: " in ended.out


@pytest.mark.usefixtures("connected")
async def test_the_same_definition_is_the_same_job(pool: Pool, files: Path, command: Command) -> None:
    files.joinpath("args.json").write_text(BOTH)
    for _ in range(2):
        ended = await command("job", "run", "job.json", "--args", "@args.json")
        assert ended.status == 0, ended
    assert "2 unchanged" in ended.out
    (job,) = (await jobs.page(pool, 10, None)).sync_jobs
    listed = (await command("job", "list")).out.split("\t")
    assert listed[:3] == [str(job.id), "http-json", "lectures"]
    assert listed[3].startswith("done ")
    assert listed[3].endswith(", 0 errors\n")


@pytest.mark.usefixtures("connected")
async def test_what_goes_wrong_is_told_and_is_the_exit_status(
    pool: Pool, source: Web, command: Command
) -> None:
    assert (await command("job", "run", "job.json", "--args", BOTH)).status == 0
    source.answer = lambda request: answer([], 403 if request.path == "/people/bob" else 200)
    ended = await command("job", "run", "job.json", "--args", BOTH)
    assert ended.status == 1, ended
    assert ended.err == "bob, lectures, usernames[1]: The source does not allow the account to read this.\n"
    assert "1 deleted" in ended.out
    assert [await events(pool, username) for username in ("alice", "bob")] == [0, 1]


async def test_an_account_is_named_where_there_are_several(
    pool: Pool, files: Path, source: Web, command: Command
) -> None:
    await pool.execute("INSERT INTO users (username) VALUES ('alice')")
    ended = await command("job", "run", "job.json", "--args", '{"usernames": ["alice"]}')
    assert ended.status == 2, ended
    assert "There is no account of http-json" in ended.err
    one, other = [await account(pool, files, source) for _ in range(2)]
    ended = await command("job", "run", "job.json", "--args", '{"usernames": ["alice"]}')
    assert ended.status == 2, ended
    assert one in ended.err
    assert other in ended.err
    ended = await command("job", "run", "job.json", "--args", '{"usernames": ["alice"]}', "--account", other)
    assert ended.status == 0, ended


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize(
    ("definition", "args", "status", "said"),
    [
        ("{", BOTH, 2, "job.json: not JSON"),
        (json.dumps(JOB | {"integration_name": "telepathy"}), BOTH, 1, "integration_name"),
        (json.dumps(JOB | {"resources": [{"resource": "x", "loop_on": "nobody"}]}), BOTH, 1, "loop_on"),
        (json.dumps(JOB | {"resources": [UNTAKEN]}), "{}", 1, "lectures would go nowhere"),
        (json.dumps(JOB | {"resources": [UNDECLARED]}), "{}", 1, "declare no resource rooms"),
        (json.dumps(JOB), "[", 2, "--args: not JSON"),
        (json.dumps(JOB), "@nowhere.json", 2, "nowhere.json cannot be read"),
        (json.dumps(JOB), "{}", 1, 'Error: args: "usernames" is a required property.\n'),
        ("[" * 60 + "]" * 60, BOTH, 1, "Nested"),
        (json.dumps(JOB), '{"usernames": ' + "[" * 60 + "]" * 60 + "}", 1, "Nested"),
        (json.dumps(JOB), "[" * 100_000, 2, "--args: nested too deeply"),
        ('{"integration_name": NaN}', BOTH, 2, "job.json: not JSON"),
    ],
)
async def test_a_mistake_is_one_line(
    files: Path, command: Command, definition: str, args: str, status: int, said: str
) -> None:
    files.joinpath("job.json").write_text(definition)
    ended = await command("job", "run", "job.json", "--args", args)
    assert ended.status == status, ended
    assert said in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.usefixtures("connected")
async def test_where_a_worker_runs_the_worker_does_it(pool: Pool, files: Path, command: Command) -> None:
    config = load_config({}, files)
    stop = asyncio.Event()
    async with open_sources(config, system_clock) as sources:
        runner = SourceRunner(pool, sources, config, system_clock)
        await pool.execute(query("workers.seen"), runner.id, ["ews"])
        working = asyncio.create_task(runner.run(stop))
        # The command itself may not reach the source.
        files.joinpath("rooster.toml").write_text(f'[sources]\nencryption_key = "{KEY}"\n')
        ended = await command("job", "run", "job.json", "--args", BOTH)
        stop.set()
        await working
    assert ended.status == 0, ended


@pytest.fixture
def start(database: str, files: Path) -> Callable[..., Awaitable[Forked]]:
    """Start the job's run, and do not wait for its end."""

    async def starting(**options: Any) -> Forked:
        own = {name: value for name, value in os.environ.items() if not name.startswith("ROOSTER_")}
        return await fork(
            *("job", "run", "job.json", "--args", BOTH),
            env=own | {"ROOSTER_DATABASE__URL": database, "TERM": "xterm"},
            cwd=files,
            stdout=asyncio.subprocess.PIPE,
            **options,
        )

    return starting


def all_of(terminal: int) -> str:
    """What is shown on a terminal until the last one who writes there has ended."""
    shown = b""
    # Linux says so by EIO.
    with contextlib.suppress(OSError):
        while more := os.read(terminal, 4096):
            shown += more
    return shown.decode()


@pytest.mark.usefixtures("connected")
async def test_on_a_terminal_a_bar_shows_how_far_it_is(start: Callable[..., Any]) -> None:
    terminal, ours = pty.openpty()
    try:
        process = await start(stderr=ours)
        os.close(ours)
        shown = await asyncio.to_thread(all_of, terminal)
    finally:
        os.close(terminal)
    assert await process.wait() == 0, shown
    assert "Applying" in shown
    assert "2/2" in shown


@pytest.mark.usefixtures("connected")
async def test_a_signal_leaves_the_run_to_a_worker(
    pool: Pool, source: Web, start: Callable[..., Any]
) -> None:
    asked, over = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        asked.set()
        await over.wait()
        return answer([])

    source.answer = slow
    process = await start(stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(60):
        await asked.wait()
        process.send_signal(signal.SIGTERM)
        _, err = await process.communicate()
    over.set()
    assert process.returncode == 128 + signal.SIGTERM, err
    assert b"goes on as soon as a worker runs" in err
    row = await pool.fetchrow("SELECT state, attempts FROM sync_job_runs")
    assert dict(row) == {"state": "queued", "attempts": 0}
