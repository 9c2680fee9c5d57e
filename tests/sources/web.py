"""A real HTTP server on this machine that answers as a test says, and remembers what it was asked."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], web.StreamResponse | Awaitable[web.StreamResponse]]


class Web:
    """``url`` leads to it. ``answer`` is called for every request, or the answers in ``script`` in turn."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.script: list[web.StreamResponse | Handler] = []
        self.answer: Handler = lambda _: web.Response(text="well")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        next = self.script.pop(0) if self.script else self.answer
        if isinstance(next, web.StreamResponse):
            return next
        answer = next(request)
        return answer if isinstance(answer, web.StreamResponse) else await answer

    @property
    def paths(self) -> list[str]:
        return [request.path_qs for request in self.requests]


@asynccontextmanager
async def serving(host: str = "127.0.0.1", ssl: SSLContext | None = None) -> AsyncIterator[Web]:
    """A server on a free port, until the end of the block."""
    made = Web()
    runner = web.ServerRunner(web.Server(made.handle))
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, 0, ssl_context=ssl)
        await site.start()
        port = runner.addresses[0][1]
        made.url = f"http{'s' if ssl else ''}://{host}:{port}"
        yield made
    finally:
        await runner.cleanup()


def json(body: Any, status: int = 200, **headers: str) -> web.Response:
    """An answer in JSON. Headers are named with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response(body, status=status, headers=named)


def redirect(location: str, status: int = 302) -> web.Response:
    """An answer that sends whoever asked elsewhere."""
    return web.Response(status=status, headers={"Location": location})
