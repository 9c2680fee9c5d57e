"""Requests to sources and to the webhook: the only way out of Rooster for what people configure by the API.

Whoever makes a job chooses where requests go, and a server that answers can send them elsewhere. So:

- only http and https, and only addresses that ``app.sources.addresses`` lets through. What is looked at is
  the numeric address that the socket is about to connect to, after any look-up: a name that means something
  else the second time (DNS rebinding) gains nothing. Redirects come by the same way;
- credentials stay at the origin (RFC 6454) that they were given for, whatever a redirect says;
- an answer has a size, counted after decompression as it arrives, and a time, redirects included;
- proxies of the environment are not used, since they would connect in our place, and no cookies are kept.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

import aiohttp
import msgspec
from yarl import URL

from app.errors import Invalid, RoosterError
from app.sources.addresses import may_connect
from app.sources.pace import Pace
from app.sources.settings import SourceSettings
from app.timetables.lines import gunzip
from providers.contract import utc
from providers.trust import trusting

__all__ = ["Answer", "FetchFailed", "Fetcher", "Request", "check_url", "same_origin"]

REDIRECTS = frozenset({301, 302, 303, 307, 308})
CHUNK = 64 * 1024
CONNECT_SECONDS = 10

Code = Literal[
    "address_refused",
    "bad_address",
    "bad_answer",
    "redirect_refused",
    "timeout",
    "too_large",
    "unreachable",
    "untrusted_certificate",
]


class FetchFailed(RoosterError):
    """No complete answer. The message names the host at most: the rest of a URL may hold a secret."""

    status = 502

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(code, message)

    @property
    def passing(self) -> bool:
        """Whether the same request may well succeed a little later."""
        return self.code in ("bad_answer", "timeout", "unreachable")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request. Its repr shows nothing of it."""

    url: str
    method: Literal["GET", "POST"] = "GET"
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    credentials: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Headers for the origin of ``url`` alone, secret or telling of a person."""
    parameters: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Secrets in the query, for the origin of ``url`` alone: added right before it is sent, and taken out of
    whatever address an answer names."""
    body: bytes | None = None

    def __repr__(self) -> str:
        return "Request()"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A complete answer, whatever its status; redirects have been followed."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; what came twice is joined by commas (RFC 9110 section 5.3)."""
    body: bytes
    """Decompressed."""
    url: str
    """Where it came from in the end."""
    next_url: str | None = None
    """The target of ``Link: <…>; rel="next"`` (RFC 8288), absolute."""

    def retry_after(self, now: datetime) -> datetime | None:
        """The moment that Retry-After names, in seconds or as a date (RFC 9110 section 10.2.3); not past.

        None where it is absent or makes no sense.
        """
        value = self.headers.get("retry-after", "").strip()
        try:
            return now + timedelta(seconds=int(value)) if value.isdecimal() else _moment(value, now)
        except (ValueError, OverflowError):
            return None


def _moment(value: str, now: datetime) -> datetime:
    return max(now, utc(parsedate_to_datetime(value)))


class Fetcher:
    """Sends requests by the configured limits. One serves all runs of a process; close it at the end.

    Without a pace, requests are sent as soon as they are asked for.
    """

    def __init__(self, settings: SourceSettings, pace: Pace | None) -> None:
        self._settings = settings
        self._networks = settings.networks
        self._pace = pace
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, request: Request) -> Answer:
        """The answer to a request. Redirects of a GET are followed; one of a POST has failed.

        Raises FetchFailed, and Throttled while the host is to be left alone. Nothing is sent twice by this.
        """
        url = _without(check_url(request.url), request.parameters)
        credentials, parameters = request.credentials, request.parameters
        seconds = float(self._settings.timeout_seconds)
        now = asyncio.get_running_loop().time
        for _ in range(self._settings.max_redirects + 1):
            if self._pace is not None:
                await self._pace.turn(url.host or "")
            began = now()
            address = url.update_query(parameters) if parameters else url
            answer = await self._send(request, address, credentials, seconds)
            seconds -= now() - began
            if isinstance(answer, Answer):
                return answer
            if not same_origin(url, answer):
                credentials, parameters = {}, {}
            url = answer
        limit = self._settings.max_redirects
        raise FetchFailed("redirect_refused", f"{url.host} redirects more than {limit} times.")

    def rest(self, answer: Answer, until: datetime) -> None:
        """Whoever answered asks to be left alone until then (aware): by all who ask at this pace."""
        if self._pace is not None:
            self._pace.rest(URL(answer.url).host or "", until)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        """The session; made late, as it belongs to a running event loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=trusting(self._settings.ca_file),
                    socket_factory=self._socket,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                headers={"User-Agent": "Rooster", "Accept-Encoding": "gzip"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """A socket for an address that was looked up or given, right before it is connected to."""
        family, kind, protocol, _, address = info
        if not may_connect(str(address[0]), self._networks):
            raise _Forbidden
        return socket.socket(family, kind, protocol)

    async def _send(
        self, request: Request, url: URL, credentials: Mapping[str, str], seconds: float
    ) -> Answer | URL:
        """The answer, or where it sends us."""
        try:
            async with (
                asyncio.timeout(seconds),
                self._open().request(
                    request.method,
                    url,
                    headers={**request.headers, **credentials},
                    data=request.body,
                    allow_redirects=False,
                ) as response,
            ):
                if response.status in REDIRECTS:
                    target = _target(request, url, response.headers.get("Location", ""))
                    return _without(target, request.parameters)
                return Answer(
                    status=response.status,
                    headers=_joined(response),
                    body=await self._body(response),
                    url=str(_without(url, request.parameters)),
                    next_url=_next(response, request.parameters),
                )
        except TimeoutError:
            limit = self._settings.timeout_seconds
            raise FetchFailed("timeout", f"{url.host} did not answer within {limit} seconds.") from None
        except aiohttp.ClientConnectorCertificateError:
            detail = "Its certificate is not trusted; name its CA in [sources] ca_file."
            raise FetchFailed("untrusted_certificate", f"{url.host}: {detail}") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _Forbidden):
                raise FetchFailed("address_refused", f"{url.host} {_Forbidden.DETAIL}") from None
            raise FetchFailed("unreachable", f"{url.host} cannot be reached.") from None
        except aiohttp.InvalidURL:
            raise FetchFailed("bad_address", "Not a URL whose host has a proper name or address.") from None
        except aiohttp.ClientPayloadError:
            raise FetchFailed("bad_answer", f"The answer of {url.host} was cut off.") from None
        except aiohttp.ClientConnectionError:
            raise FetchFailed("unreachable", f"{url.host} closed the connection.") from None
        except (aiohttp.ClientError, ValueError):
            raise FetchFailed("bad_answer", f"{url.host} does not speak HTTP as it should.") from None

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        """The content, decompressed piece by piece, and given up as soon as it is too much."""
        host, limit = response.url.host, self._settings.max_bytes
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        pieces: AsyncIterator[bytes] = response.content.iter_chunked(CHUNK)
        if encoding in ("gzip", "x-gzip"):
            pieces = gunzip(pieces)
        elif encoding not in ("", "identity"):
            raise FetchFailed("bad_answer", f"{host} compresses in a way that it was not asked for.")
        body = bytearray()
        try:
            async for piece in pieces:
                body += piece
                if len(body) > limit:
                    raise FetchFailed("too_large", f"The answer of {host} is longer than {limit} bytes.")
        except Invalid:
            raise FetchFailed("bad_answer", f"The answer of {host} is not complete gzip data.") from None
        return bytes(body)


class _Forbidden(OSError):
    """An address that may not be connected to. aiohttp tries the other addresses of the host, if any."""

    DETAIL = (
        "leads into a network that is not public. If that is meant to be, "
        "name the network in [sources] allowed_networks."
    )


def check_url(url: str) -> URL:
    """The URL, parsed. Raises FetchFailed unless it is one of http or https, without a user or password."""
    try:
        parsed = URL(url)
    except ValueError:
        raise FetchFailed("bad_address", "Not a URL.") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise FetchFailed("bad_address", "Not an http or https URL.")
    if parsed.user is not None or parsed.password is not None:
        detail = "A URL holds no user and no password: give them as credentials of the account."
        raise FetchFailed("bad_address", detail)
    return parsed.with_fragment(None)


def same_origin(one: URL, other: URL) -> bool:
    """Whether scheme, host and port are the same (RFC 6454)."""
    return one.origin() == other.origin()


def _target(request: Request, url: URL, location: str) -> URL:
    """Where a redirect leads, if it is one to follow."""
    if request.method != "GET":
        raise FetchFailed(
            "redirect_refused", f"{url.host} redirects what is sent to it: give its new address."
        )
    try:
        target = check_url(str(url.join(URL(location)))) if location else None
    except (FetchFailed, ValueError):
        target = None
    if target is None:
        raise FetchFailed("redirect_refused", f"{url.host} redirects to what is no http or https address.")
    if url.scheme == "https" and target.scheme == "http":
        raise FetchFailed("redirect_refused", f"{url.host} redirects from https to http.")
    return target


def _joined(response: aiohttp.ClientResponse) -> dict[str, str]:
    names = dict.fromkeys(name.lower() for name in response.headers)
    return {name: ", ".join(response.headers.getall(name)) for name in names}


def _without(url: URL, secrets: Mapping[str, str]) -> URL:
    """The URL without these parameters, and without their values under other names."""
    query = list(url.query.items())
    kept = [(name, value) for name, value in query if name not in secrets and value not in secrets.values()]
    return url if kept == query else url.with_query(kept)


def _next(response: aiohttp.ClientResponse, secrets: Mapping[str, str]) -> str | None:
    """The link with the relation ``next``; one link may have several relations."""
    for relations, link in response.links.items():
        if "next" in relations.lower().split():
            return str(_without(URL(link["url"]), secrets))
    return None
