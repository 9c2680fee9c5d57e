"""The sandbox's server: every protocol and the control API over TLS on one port of the loopback."""

import asyncio
import importlib.util
import os
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Self

from aiohttp import web

from providers.sandbox import control, entra, ews, google, graph
from providers.sandbox.configuration import write_files
from providers.sandbox.control import Handler
from providers.sandbox.graph.schema import FILE as GRAPH_SCHEMA
from providers.sandbox.persistence import Setup, StateFile
from providers.sandbox.state import Dialect, State
from providers.sandbox.tls import Certificates, server_context

__all__ = ["Sandbox", "SandboxError"]

HOST = "127.0.0.1"
LARGEST_REQUEST = 64 * 1024 * 1024
SAVE_AFTER = 0.2
"""Seconds from a request to the writing of what it changed, so that a burst is written at once."""


class SandboxError(Exception):
    """The sandbox cannot start; the message says what to do."""


class Sandbox:
    """A running sandbox, within ``async with``.

    ``port`` 0 takes the one that ``state_file`` names, or else any that is free. Without a state file
    everything is gone at the end, the files of ``config`` and ``ca_file`` included. ``schemas`` is a
    folder with the vendors' schemas to check requests and answers against. ``seed`` decides which
    requests a fault with a rate meets.

    Raises ``SandboxError`` or ``StateFileError`` on entering.
    """

    port: int
    url: str
    """Where all protocols are, without a slash at the end."""
    control: str
    """Where the control API is."""
    ca_file: Path
    config: Path
    """A rooster.toml that configures all three providers."""

    def __init__(
        self,
        port: int = 0,
        state_file: Path | str | None = None,
        schemas: Path | str | None = None,
        seed: int = 0,
    ) -> None:
        self.state = State(seed, schemas=None if schemas is None else Path(schemas))
        self._wanted_port = port
        self._path = None if state_file is None else Path(state_file).absolute()
        self._file: StateFile | None = None
        self._save: Callable[[], None] | None = None
        self.saving: asyncio.Task[None] | None = None
        """The writing of the latest changes to the state file, while that is going to happen."""
        self._saving_took = 0.0
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exit.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        if self.state.schemas is not None:
            _check_schemas(self.state.schemas)
        folder = self._open(stack)
        kept = None if self._file is None else self._file.setup
        listener = _listen(self._wanted_port or (0 if kept is None else kept.port))
        stack.callback(listener.close)
        self.port = listener.getsockname()[1]
        self.url = f"https://{HOST}:{self.port}"
        self.control = f"{self.url}/control"
        if kept is not None:
            self.state.credentials = kept.credentials
        setup = Setup(
            port=self.port,
            certificates=Certificates.generate() if kept is None else kept.certificates,
            credentials=self.state.credentials,
        )
        if self._file is not None:
            self._save = partial(self._file.save, setup, self.state)
            self._save()
            stack.push_async_callback(self._save_at_last)
        files = write_files(folder, self.url, setup.certificates, setup.credentials)
        self.ca_file, self.config = files.ca, files.config

        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=2)
        await runner.setup()
        stack.push_async_callback(_stop, runner)
        await web.SockSite(
            runner, listener, ssl_context=server_context(files.certificate, files.key), backlog=1024
        ).start()

    def _open(self, stack: AsyncExitStack) -> Path:
        """The private folder for the sandbox's files; what the state file holds comes into ``state``."""
        if self._path is None:
            return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rooster-sandbox-")))
        folder = self._path.with_name(self._path.name + ".files")
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise SandboxError(f"{folder} cannot be made ({os.strerror(error.errno or 0)}).") from error
        self._file = StateFile(self._path, folder / "lock")
        stack.callback(self._file.close)
        for mailbox in self._file.mailboxes:
            self.state.put_mailbox(mailbox)
        return folder

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=LARGEST_REQUEST, middlewares=[self._notice])
        protocols: list[ModuleType] = [ews, graph, google]
        dialects: list[Dialect] = [protocol.dialect() for protocol in protocols]
        for protocol in [*protocols, entra]:
            application.add_routes(protocol.routes(self.state, lambda: self.url))
        application.add_routes(control.routes(self.state, {dialect.type: dialect for dialect in dialects}))
        return application

    @web.middleware
    async def _notice(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Writes what requests changed to the state file, a little later."""
        try:
            return await handler(request)
        finally:
            if self._save is not None and self.saving is None:
                self.saving = asyncio.create_task(self._save_soon(self._save))

    async def _save_soon(self, save: Callable[[], None]) -> None:
        # Most of the time is left to the requests, however much there is to write.
        await asyncio.sleep(max(SAVE_AFTER, 10 * self._saving_took))
        started = time.monotonic()
        # From here on a change is the next saving's matter.
        self.saving = None
        save()
        self._saving_took = time.monotonic() - started

    async def _save_at_last(self) -> None:
        if self.saving is not None:
            self.saving.cancel()
        if self._save is not None:
            self._save()


def _check_schemas(folder: Path) -> None:
    """There is something to check against, and what it takes to check."""
    ews_file, graph_file = folder / "ews" / "messages-all.xsd", folder / GRAPH_SCHEMA
    if not ews_file.is_file() and not graph_file.is_file():
        raise SandboxError(f"No schemas in {folder}: neither {ews_file} nor {graph_file} is there.")
    if graph_file.is_file() and importlib.util.find_spec("jsonschema_rs") is None:
        raise SandboxError("Checking against Graph's schema needs jsonschema-rs: pip install jsonschema-rs")


async def _stop(runner: web.AppRunner) -> None:
    """Finish what is in flight, then let go of every connection.

    A client that keeps one open would not answer TLS's close_notify for as long as it likes.
    """
    assert runner.server is not None
    transports = [connection.transport for connection in runner.server.connections]
    await runner.cleanup()
    for transport in transports:
        if transport is not None:
            transport.abort()
    await asyncio.sleep(0)  # the loop closes the sockets in its next round


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":
        # Elsewhere the option would let two servers share the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise SandboxError(
            f"Port {port} on {HOST} cannot be used ({os.strerror(error.errno or 0)}): "
            "stop what is using it, or give another --port."
        ) from error
    return listener
