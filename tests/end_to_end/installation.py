"""A whole installation, as an administrator starts it: the commands, a database, the sandbox over TLS."""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import aiohttp
from yarl import URL

__all__ = ["COMMAND", "Installation", "installation"]

# From three months before the end of a Python version on, Google's library warns when it is imported.
WARNINGS = ("-W", "error", "-W", "ignore:You are using a:FutureWarning")
COMMAND = (sys.executable, *WARNINGS, "-c", "from app.commands import main; main()")
TYPES = ("ews", "o365", "googlecalendar")
PATIENCE = 150.0
"""Seconds within which things are expected to happen on a slow machine."""


class Installation:
    """One configuration, and the processes that were started with it."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.url = ""
        self.control = ""
        self.token = ""
        self.http: aiohttp.ClientSession

    async def open(self) -> None:
        """Start the sandbox and write the configuration."""
        sandbox = await self.start("sandbox")
        ready = json.loads(await self.line(sandbox))
        self.control = ready["control"]
        config = Path(ready["config"]).read_text()
        self.folder.joinpath("rooster.toml").write_text(f'data_dir = "{self.folder / "data"}"\n{config}')
        context = ssl.create_default_context(cafile=ready["ca_file"])
        connector = aiohttp.TCPConnector(ssl=context)
        self.http = await self._stack.enter_async_context(aiohttp.ClientSession(connector=connector))

    @property
    def environ(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ROOSTER_")}
        return kept | {"PYTHONPATH": str(Path(__file__).parents[2])}

    async def start(self, *arguments: str, environ: Mapping[str, str] | None = None) -> Process:
        """A command in the background; it is killed at the end if it still runs."""
        log = await asyncio.to_thread(self.folder.joinpath(f"{arguments[0]}.log").open, "ab")
        process = await self._launch(arguments, environ, stderr=log)
        log.close()
        self._stack.push_async_callback(self.kill, process)
        return process

    async def _launch(
        self, arguments: Sequence[str], environ: Mapping[str, str] | None, stderr: int | BinaryIO
    ) -> Process:
        env = self.environ | dict(environ or {})
        return await asyncio.create_subprocess_exec(
            *COMMAND, *arguments, cwd=self.folder, env=env, stdout=PIPE, stderr=stderr
        )

    async def line(self, process: Process) -> str:
        """The next line of what the command prints."""
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        logs = {log.name: log.read_text()[-2000:] for log in self.folder.glob("*.log")}
        assert line, f"the command ended without a word: {logs}"
        return line.decode()

    @staticmethod
    async def kill(process: Process) -> None:
        """As a power cut would end it."""
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()

    @staticmethod
    async def terminate(process: Process) -> int:
        """As an administrator would end it; gives the exit status."""
        process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(process.wait(), PATIENCE)

    async def run(self, *arguments: str, environ: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        """A command to its end: exit status, standard output, standard error."""
        process = await self._launch(arguments, environ, stderr=PIPE)
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def serve(self, *options: str) -> Process:
        """``rooster serve`` on a free port, ready, with a token for an administrator."""
        process = await self.start("serve", "--port", "0", *options)
        self.url = (await self.line(process)).split()[-1]
        if not self.token:
            status, out, err = await self.run("token", "create", "tests", "--role", "admin")
            assert status == 0, err
            self.token = out.strip()
        return process

    async def api(self, method: str, path: str, expect: int = 200, **options: Any) -> Any:
        """A request to the API; gives the decoded answer."""
        headers = {"apiToken": self.token} | options.pop("headers", {})
        async with self.http.request(method, f"{self.url}/api{path}", headers=headers, **options) as response:
            text = await response.text()
            assert response.status == expect, (response.status, text)
            return json.loads(text) if text else None

    async def person(self, username: str, type: str, events: list[dict[str, Any]]) -> int:
        """A user with a timetable and a synchronization; gives its id."""
        await self.api("PUT", f"/v0/users/{username}", 204)
        await self.api("PUT", f"/v1/users/{username}/timetable", json={"events": events})
        form = {"username": username, "type": type, "provisioning_smtpAddress": f"{username}@uni.example"}
        made = await self.api("PUT", "/v0/synchronizations", data=form)
        id: int = made["synchronization"]["id"]
        return id

    async def held(self, type: str, address: str) -> list[dict[str, Any]]:
        """What is really in a calendar."""
        url = f"{self.control}/mailboxes/{type}/{quote(address, safe='')}/events"
        async with self.http.get(url) as response:
            events: list[dict[str, Any]] = (await response.json())["events"]
            return events

    async def post_control(self, path: str, body: Any) -> Any:
        """Something that people or providers do."""
        async with self.http.post(f"{self.control}{path}", json=body) as response:
            assert response.status < 300, await response.text()
            return await response.json()

    async def person_does(
        self, method: str, type: str, address: str, id: str, changes: dict[str, Any] | None = None
    ) -> None:
        """The person changes (PATCH) or deletes an event by their own client."""
        url = f"{self.control}/mailboxes/{type}/{quote(address, safe='')}/events/{quote(id, safe='')}"
        async with self.http.request(method, URL(url, encoded=True), json=changes) as response:
            assert response.status < 300, await response.text()

    async def requests(self, type: str) -> dict[str, int]:
        """The requests that a provider has got so far, those for tokens aside."""
        by_operation = (await self._stats())["requests"].get(type, {})
        return {name: count for name, count in by_operation.items() if "token" not in name.lower()}

    async def created(self) -> int:
        """How many events the providers have created so far. To ask for it costs the sandbox nothing."""
        operations = (await self._stats())["operations"]
        return sum(by_name.get("create", 0) for by_name in operations.values())

    async def _stats(self) -> dict[str, dict[str, dict[str, int]]]:
        async with self.http.get(f"{self.control}/stats") as response:
            stats: dict[str, dict[str, dict[str, int]]] = await response.json()
            return stats

    async def until(self, what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Look until it is so; less often after a while, not to hold up what is waited for."""
        begun = asyncio.get_running_loop().time()
        async with asyncio.timeout_at(begun + seconds):
            while not (found := await what()):
                waited = asyncio.get_running_loop().time() - begun
                await asyncio.sleep(min(max(0.05, waited / 10), 0.5))
            return found

    async def until_synced(self, id: int, since: int = 0) -> int:
        """Until a synchronization is up to date, by a sync after ``since``; gives that sync's time.

        Both are in epoch milliseconds.
        """

        async def synced() -> int:
            facts = await self.api("GET", f"/v1/synchronizations/{id}")
            last: int = facts["lastResync"] or 0
            return last if facts["status"] == "OK" and facts["backlog"] == 0 and last > since else 0

        at: int = await self.until(synced)
        return at

    async def refresh(self, id: int) -> dict[str, Any]:
        """Read what is in a synchronization's calendar; gives the run, when it is done."""
        asked = await self.api("POST", f"/v1/synchronizations/{id}/refresh", json={})
        # 0: it was done within the call; its run is that of its kind that was begun last.
        runs = (await self.api("GET", "/v1/runs"))["runs"]
        number = asked or max(run["id"] for run in runs if run["kind"] == "refresh")

        async def done() -> Any:
            run = await self.api("GET", f"/v1/runs/{number}")
            return run if run["state"] == "done" else None

        run: dict[str, Any] = await self.until(done)
        return run

    async def ledger(self, id: int) -> list[dict[str, Any]]:
        """The whole ledger of a synchronization, page by page."""
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.api("GET", f"/v1/synchronizations/{id}/events?limit=100{cursor}")
            rows += page["events"]
            if page["next"] is None:
                return rows
            cursor = f"&cursor={quote(page['next'])}"


@asynccontextmanager
async def installation(folder: Path) -> AsyncIterator[Installation]:
    """A fresh installation whose processes all end with it."""
    async with AsyncExitStack() as stack:
        made = Installation(folder, stack)
        await made.open()
        yield made
