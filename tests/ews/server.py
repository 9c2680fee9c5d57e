"""An HTTPS server in the place of Exchange: to see what really goes over the wire, and how often."""

import asyncio
from asyncio.trsock import TransportSocket
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from aiohttp import web
from lxml import etree

from providers.sandbox.tls import Certificates, server_context
from tests.unit.providers.ews_server import S

PATH = "/EWS/Exchange.asmx"


class Received(NamedTuple):
    """A request to EWS."""

    operation: str
    headers: dict[str, str]
    body: bytes
    connection: tuple[str, int]
    """The client's address and port: one for each connection."""


Handler = Callable[[Received], Awaitable[web.StreamResponse]]


class Server:
    """``handler`` answers requests to EWS; ``received`` keeps them. ``routes`` are for anything else."""

    def __init__(self, folder: Path, handler: Handler, routes: tuple[web.AbstractRouteDef, ...] = ()) -> None:
        self.received: list[Received] = []
        self._folder = folder
        self._handler = handler
        self._routes = routes
        self._connections: list[tuple[asyncio.Transport, TransportSocket]] = []

    async def __aenter__(self) -> Self:
        certificates = Certificates.generate()
        self.ca_file = self._folder / "ca.pem"
        certificate, key = self._folder / "server.pem", self._folder / "key.pem"
        for path, text in (
            (self.ca_file, certificates.ca),
            (certificate, certificates.certificate),
            (key, certificates.key),
        ):
            path.write_text(text)
        application = web.Application()
        application.add_routes([web.post(PATH, self._receive), *self._routes])
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=server_context(certificate, key))
        await site.start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()
        # asyncio would wait for each client to say goodbye, and closes sockets some rounds of the loop later.
        for transport, _ in self._connections:
            transport.abort()
        while any(connection.fileno() != -1 for _, connection in self._connections):
            await asyncio.sleep(0.001)

    @property
    def operations(self) -> list[str]:
        return [one.operation for one in self.received]

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self._connections.append((request.transport, request.transport.get_extra_info("socket")))
        body = await request.read()
        operation = etree.QName(etree.fromstring(body).find(f"{S}Body")[0]).localname
        received = Received(
            operation, dict(request.headers), body, request.transport.get_extra_info("peername")
        )
        self.received.append(received)
        answer = await self._handler(received)
        if isinstance(answer, Drop):
            request.transport.abort()
        return answer


class Drop(web.Response):
    """The connection is cut in place of an answer."""
