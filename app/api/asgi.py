"""What has to happen before Litestar looks at a request."""

import time
from urllib.parse import unquote_to_bytes

from litestar.enums import HttpMethod, ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import Counter, Histogram

__all__ = ["EncodedPaths", "HeadRequests", "Measured", "Parameters"]

REQUESTS = Counter(
    "rooster_http_requests", "Requests, by route, method and status.", ["route", "method", "status"]
)
SECONDS = Histogram("rooster_http_request_seconds", "Time until an answer was sent.", ["route", "method"])

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _decode(segment: str) -> str:
    """A segment of a path as it was meant. Bytes that are not UTF-8 become lone surrogates: in no name."""
    return unquote_to_bytes(segment).decode("utf-8", "surrogateescape")


class EncodedPaths:
    """Lets a path be split at its slashes before it is decoded (RFC 3986 section 2.2).

    A server hands over the decoded path, in which the ``%2F`` of a username looks like a slash. Here it
    stays encoded, together with ``%``, until the path was matched by ``Parameters``.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with the path split rightly."""
        raw = scope.get("raw_path") if scope["type"] == ScopeType.HTTP else None
        if raw is not None:
            segments = raw.partition(b"?")[0].decode("ascii", "surrogateescape").split("/")
            scope["path"] = "/".join(
                _decode(segment).replace("%", "%25").replace("/", "%2F") for segment in segments
            )
        await self._app(scope, receive, send)


class HeadRequests:
    """Answers HEAD as GET without the body (RFC 9110 section 9.3.2): ``curl -I``, and some load balancers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, as a GET if it is a HEAD."""
        if scope["type"] != ScopeType.HTTP or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        ended = False

        async def send_head(message: Message) -> None:
            nonlocal ended
            if message["type"] != "http.response.body":
                await send(message)
            elif not ended:  # of a stream, too, only the head was asked for
                ended = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        scope["method"] = HttpMethod.GET
        await self._app(scope, receive, send_head)


class Parameters:
    """Decodes the parameters of a path that was matched in its encoded form."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its parameters decoded."""
        scope["path_params"] = {
            name: value.replace("%2F", "/").replace("%25", "%") if isinstance(value, str) else value
            for name, value in scope["path_params"].items()
        }
        await self._app(scope, receive, send)


class Measured:
    """Counts and times requests for /metrics, by route and never by path: paths hold usernames."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and look at the answer's status."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        method = str(scope["method"]) if scope["method"] in METHODS else "other"
        status = 500

        async def look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, look)
        finally:
            route = scope.get("path_template") or "unmatched"
            REQUESTS.labels(route, method, str(status)).inc()
            SECONDS.labels(route, method).observe(time.perf_counter() - begun)
