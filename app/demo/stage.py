"""What the demo plays on: a sandbox in a process of its own, and a database in a folder that goes again."""

import asyncio
import json
import os
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from app.adapters import open_adapters
from app.clock import system_clock
from app.config import Config, load_config
from app.database.connect import open_database
from app.database.types import Pool
from app.errors import RoosterError
from providers.adapter import Adapter

__all__ = ["Mailboxes", "Stage", "open_stage"]

START_SECONDS = 60


class Mailboxes:
    """What is really in the mailboxes, and what people do there: the sandbox's control API."""

    def __init__(self, http: aiohttp.ClientSession, control: str) -> None:
        self._http = http
        self.control = control.rstrip("/")

    def _url(self, type: str, address: str) -> str:
        return f"{self.control}/mailboxes/{type}/{quote(address, safe='')}/events"

    async def events(self, type: str, address: str) -> dict[str, dict[str, Any]]:
        """All events of a calendar by id, in one shape for all providers."""
        async with self._http.get(self._url(type, address)) as response:
            response.raise_for_status()
            body: dict[str, list[dict[str, Any]]] = await response.json()
        return {event["id"]: event for event in body["events"]}

    async def add(self, type: str, address: str, event: Mapping[str, Any]) -> None:
        """The person adds an event of their own, or copies one (``{"copyOf": id}``)."""
        async with self._http.post(self._url(type, address), json=dict(event)) as response:
            response.raise_for_status()

    async def requests(self) -> dict[str, int]:
        """How many requests each provider has got so far, those for tokens aside."""
        async with self._http.get(f"{self.control}/stats") as response:
            response.raise_for_status()
            stats: dict[str, dict[str, dict[str, int]]] = await response.json()
        return {
            type: sum(count for operation, count in by_operation.items() if "token" not in operation.lower())
            for type, by_operation in stats["requests"].items()
        }


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the demo works with."""

    config: Config
    ca_file: str
    """Of the sandbox."""
    pool: Pool
    adapters: dict[str, Adapter]
    mailboxes: Mailboxes


@asynccontextmanager
async def open_stage() -> AsyncIterator[Stage]:
    """A fresh stage; all of it is gone afterwards. Raises RoosterError if it cannot be set up."""
    # The folder's name is short: PostgreSQL's socket lives in it.
    with tempfile.TemporaryDirectory(prefix="rooster-") as folder:
        async with _sandbox() as ready:
            environ = {
                "PATH": os.environ.get("PATH", ""),
                "ROOSTER_CONFIG": ready["config"],
                "ROOSTER_DATA_DIR": folder,
            }
            config = load_config(environ, Path(folder))
            context = ssl.create_default_context(cafile=ready["ca_file"])
            connector = aiohttp.TCPConnector(ssl=context, limit=8)
            async with (
                aiohttp.ClientSession(connector=connector) as http,
                open_database(config, max_size=40) as pool,
                open_adapters(config, system_clock) as adapters,
            ):
                yield Stage(
                    config=config,
                    ca_file=ready["ca_file"],
                    pool=pool,
                    adapters=adapters,
                    mailboxes=Mailboxes(http, ready["control"]),
                )


@asynccontextmanager
async def _sandbox() -> AsyncIterator[dict[str, str]]:
    """The sandbox as its own command, on a processor of its own; gives the line that it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from app.commands import main; main()",
        "--log-level",
        "error",
        "sandbox",
        stdout=asyncio.subprocess.PIPE,
        # Ctrl-C goes to the demo, which stops the sandbox itself.
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
            ready: dict[str, str] = json.loads(line)
        except (TimeoutError, ValueError):
            raise RoosterError(
                "sandbox_failed", "The sandbox did not start. Try 'rooster sandbox' to see why."
            ) from None
        yield ready
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
