"""The server around the application, and ``rooster serve``."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from httpx import AsyncClient
from litestar import Litestar

from app.api.server import AddressUnavailable, listen
from app.database.types import Pool
from app.tokens import Role
from tests.api.conftest import to_form
from tests.fakes import NO_ACCESS, Call, FakeAdapter


class Server:
    """The application behind a real socket, in the test's event loop."""

    def __init__(self, url: str, stop: asyncio.Event, task: "asyncio.Task[None]") -> None:
        self.url = url
        self.stop = stop
        self.task = task


def connected(server: Server, headers: dict[str, str]) -> AsyncClient:
    """A client that is as patient as a slow machine needs."""
    return AsyncClient(base_url=server.url, headers=headers, timeout=60)


@asynccontextmanager
async def serving(app: Litestar) -> AsyncIterator[Server]:
    stop = asyncio.Event()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(listen(app, "127.0.0.1", 0, stop, ready.set_result))
    try:
        yield Server(await ready, stop, task)
    finally:
        stop.set()
        await task


async def test_names_and_statuses_survive_the_wire(
    app: Litestar, tokens: dict[Role, str], ews: FakeAdapter
) -> None:
    headers = {"apiToken": tokens["admin"]}
    async with serving(app) as server, connected(server, headers) as client:
        for name in ("a%2Fb", "Zo%C3%AB", "a+b", "a%20b%25", "D%5Ca@b"):
            assert (await client.put(f"/api/v0/users/{name}")).status_code == 204
        users = (await client.get("/api/v0/users")).json()["users"]
        assert users == sorted(["a/b", "Zoë", "a+b", "a b%", "D\\a@b"])
        ews.fail("probe", NO_ACCESS)
        answer = await client.put("/api/v0/synchronizations", data=to_form("a+b", "ews", "alice@uni.example"))
        assert answer.status_code == 550
        headers = {"apiToken": tokens["frontend"], "requestedAuth": "Zoë".encode().decode("latin-1")}
        answer = await client.get(
            "/api/v0/users/Zo%C3%AB",
            headers={k: v.encode("latin-1") for k, v in headers.items()},
        )
        assert answer.status_code == 200


async def test_a_port_that_is_taken_is_said_in_a_line(app: Litestar) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AddressUnavailable, match=f"port {port}: Address already in use"):
            await listen(app, "127.0.0.1", port, asyncio.Event(), lambda _: None)


async def test_a_port_that_another_of_us_has_is_taken(app: Litestar) -> None:
    async with serving(app) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(AddressUnavailable):
            await listen(app, "127.0.0.1", port, asyncio.Event(), lambda _: None)


async def test_an_address_that_is_not_ours(app: Litestar) -> None:
    with pytest.raises(AddressUnavailable):
        await listen(app, "192.0.2.1", 0, asyncio.Event(), lambda _: None)


async def test_a_request_in_flight_is_finished_before_the_end(
    app: Litestar, tokens: dict[Role, str], ews: FakeAdapter
) -> None:
    reached, proceed = asyncio.Event(), asyncio.Event()

    async def hold(_: Call) -> None:
        reached.set()
        await proceed.wait()

    ews.before = hold
    headers = {"apiToken": tokens["admin"]}
    async with serving(app) as server, connected(server, headers) as client:
        await client.put("/api/v0/users/alice")
        request = asyncio.create_task(
            client.put("/api/v0/synchronizations", data=to_form("alice", "ews", "alice@uni.example"))
        )
        await reached.wait()
        server.stop.set()
        proceed.set()
        assert (await request).status_code == 200
        await server.task


async def test_whoever_waits_for_a_run_does_not_hold_up_the_end(
    app: Litestar, tokens: dict[Role, str], pool: Pool
) -> None:
    headers = {"apiToken": tokens["admin"]}
    async with serving(app) as server, connected(server, headers) as client:
        await client.put("/api/v0/users/alice")
        await client.put("/api/v0/synchronizations", data=to_form("alice", "ews", "alice@uni.example"))
        request = asyncio.create_task(
            client.delete("/api/v0/users/alice?unlinkMode=CLEANUP", headers={"Prefer": "wait=300"})
        )
        while not await pool.fetchval("SELECT EXISTS (SELECT FROM runs)"):
            pass
        server.stop.set()
        assert (await request).status_code == 204
        await server.task


async def test_rooster_serve(tmp_path: Path, database: str) -> None:
    """The command: it says where it answers, does so, and stops cleanly on SIGTERM."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ROOSTER_")},
        "ROOSTER_INSTANCE": "test.example",
        "ROOSTER_DATA_DIR": str(tmp_path),
        "ROOSTER_DATABASE__URL": database,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    arguments = ("-c", "from app.commands import main; main()", "serve", "--port", "0")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environ, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        url = line.split()[-1]
        assert line.startswith("Rooster answers at http://127.0.0.1:")
        async with AsyncClient(base_url=url, timeout=60) as client:
            assert (await client.get("/readyz")).json() == {"status": "ok"}
            assert (await client.get("/api/v0/users")).status_code == 401
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0
        assert await process.stdout.read() == b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_rooster_serve_without_an_instance(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ROOSTER_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from app.commands import main; main()",
        "serve",
        env={**environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert output == b""
    assert len(errors.decode().splitlines()) == 1
    assert b"instance is missing" in errors


@pytest.mark.parametrize("worker", [[], ["--no-worker"]])
async def test_rooster_serve_on_an_address_that_is_not_ours_is_one_line_and_no_work(
    tmp_path: Path, database: str, pool: Pool, worker: list[str]
) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ROOSTER_")}
    settings = {"ROOSTER_INSTANCE": "test.example", "ROOSTER_DATABASE__URL": database}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from app.commands import main; main()"),
        *("serve", "--host", "203.0.113.9", *worker),
        env={**environ, **settings, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, output) == (1, b"")
    assert len(errors.decode().splitlines()) == 1
    assert errors.startswith(b"Error: Cannot listen on 203.0.113.9 port 8080")
    assert await pool.fetchval("SELECT count(*) FROM workers") == 0
