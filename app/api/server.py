"""Serves the API over HTTP by granian, in the caller's event loop."""

import asyncio
import socket
from collections.abc import Callable

from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar

from app.errors import RoosterError

__all__ = ["AddressUnavailable", "listen"]

READY_SECONDS = 30
BACKLOG = 1024


class AddressUnavailable(RoosterError):
    """The server cannot listen there; the message says why and what to do."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        reason = error.strerror or str(error)
        super().__init__(
            "address_unavailable",
            f"Cannot listen on {host} port {port}: {reason}. Choose another one with --host and --port.",
        )


async def listen(
    app: Litestar, host: str, port: int, stop: asyncio.Event, ready: Callable[[str], None]
) -> None:
    """Serve until ``stop`` is set, and then finish the requests in flight.

    ``ready`` is called with the base URL once requests are answered; port 0 is any free one. Raises
    AddressUnavailable.
    """
    port = _free_port(host, port)
    server = Server(
        app,
        host,
        port,
        interface=Interfaces.ASGI,
        backlog=BACKLOG,
        websockets=False,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    try:
        await _until_it_answers(host, port, serving)
        ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        # Whoever waits for a run to end must not keep the server from its own end.
        await app.state.watcher.close()
        server.stop()  # type: ignore[no-untyped-call]
        await serving


def _free_port(host: str, port: int) -> int:
    """The port, if nobody listens on it. Granian itself would share it with them (SO_REUSEPORT)."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            found: int = probe.getsockname()[1]
            return found
    except OSError as error:
        raise AddressUnavailable(host, port, error) from error


async def _until_it_answers(host: str, port: int, serving: "asyncio.Task[None]") -> None:
    """Wait for the server to accept connections; it has no event of its own for that."""
    reach = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound to
    async with asyncio.timeout(READY_SECONDS):
        while not serving.done():
            try:
                _, writer = await asyncio.open_connection(reach, port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return
