"""Access tokens of a service account that acts for people: domain-wide delegation.

https://developers.google.com/identity/protocols/oauth2/service-account
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import google.auth.exceptions
import google.auth.transport
import msgspec
from google.oauth2 import service_account

from providers.googlecalendar.replies import Answer, NoAnswer, NoToken, Reply
from providers.settings import SettingsError

__all__ = ["CALENDAR_SCOPES", "SCOPES", "Fetch", "Fetched", "TokenUnavailable", "Tokens"]

SCOPES = (
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
)
"""What the administrator delegates: events, and the calendar list, which says whether we may write."""

CALENDAR_SCOPES = ("https://www.googleapis.com/auth/calendar.app.created",)
"""What making and removing a calendar takes, and that alone: calendars that this application has made."""

KEPT = 10_000
"""How many tokens are kept; the least recently used go first."""


class Fetched(msgspec.Struct, frozen=True):
    """An HTTP answer as google-auth wants it (``google.auth.transport.Response``)."""

    status: int
    headers: Mapping[str, str]
    data: bytes


Fetch = Callable[[str, str, bytes | None, Mapping[str, str]], Awaitable[Fetched]]
"""Sends one HTTP request: method, URL, body, headers. Raises ``aiohttp.ClientError``, ``OSError``
or ``TimeoutError``."""


class TokenUnavailable(Exception):
    """There is no token; ``reply`` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(type(reply).__name__)
        self.reply = reply


class Tokens:
    """Gives an access token for each person, and keeps it until shortly before it expires."""

    def __init__(self, service_account_json: str, fetch: Fetch) -> None:
        """Raises ``SettingsError`` if the text is no service account's key file. Sends nothing."""
        try:
            info = json.loads(service_account_json)
            credentials = _from_info(info)
        except (ValueError, TypeError, AttributeError):
            raise SettingsError(
                "service_account_file: not the JSON key file of a service account; make a key in the Google"
                " Cloud console and name its file"
            ) from None  # The parser's own error may hold the key.
        self.project = str(info.get("project_id") or credentials.service_account_email)
        self._credentials = credentials
        self._fetch = fetch
        self._kept: OrderedDict[tuple[str, tuple[str, ...]], service_account.Credentials] = OrderedDict()
        # google-auth blocks and signs (a millisecond of RSA), so it works in threads of its own.
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="google-tokens")

    async def get(self, subject: str, scopes: tuple[str, ...] = SCOPES) -> str:
        """An access token to act for this person within the scopes. Raises ``TokenUnavailable``."""
        key = subject.casefold(), scopes
        credentials = self._kept.get(key) or self._acting_for(subject, scopes)
        self._kept[key] = credentials
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        if not credentials.valid:
            await self._refresh(credentials)
        return str(credentials.token)

    def _acting_for(self, subject: str, scopes: tuple[str, ...]) -> service_account.Credentials:
        with_scopes: Callable[..., service_account.Credentials] = self._credentials.with_scopes
        with_subject: Callable[[str], service_account.Credentials] = with_scopes(scopes).with_subject
        return with_subject(subject)

    async def _refresh(self, credentials: service_account.Credentials) -> None:
        loop = asyncio.get_running_loop()
        request = _Request(loop, self._fetch)
        try:
            await loop.run_in_executor(self._threads, credentials.refresh, request)
        except _Busy as error:
            raise TokenUnavailable(error.reply) from error
        except google.auth.exceptions.RefreshError as error:
            raise TokenUnavailable(_refusal(error)) from error
        except (google.auth.exceptions.TransportError, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TokenUnavailable(NoAnswer(why=f"token: {type(error).__name__}")) from error

    def forget(self, subject: str, scopes: tuple[str, ...] = SCOPES) -> None:
        """Ask for a new token next time: Google did not accept the last one."""
        self._kept.pop((subject.casefold(), scopes), None)

    def close(self) -> None:
        """Give back the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _from_info(info: Any) -> service_account.Credentials:
    read: Callable[..., service_account.Credentials] = service_account.Credentials.from_service_account_info
    return read(info)


def _refusal(error: google.auth.exceptions.RefreshError) -> NoToken | NoAnswer:
    """google-auth puts the endpoint's JSON object second among the exception's arguments."""
    details = error.args[1] if len(error.args) > 1 else None
    if error.retryable or not isinstance(details, dict) or "error" not in details:
        return NoAnswer(why="token: no usable answer")
    return NoToken(error=str(details["error"]), description=str(details.get("error_description", "")))


class _Busy(Exception):
    """The token endpoint throttles."""

    def __init__(self, reply: Answer) -> None:
        super().__init__()
        self.reply = reply


class _Request(google.auth.transport.Request):
    """Carries google-auth's request over our own connections, and does so once.

    google-auth sends a refused request up to three times, sleeping in between; when to try again is for
    our caller to say.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, fetch: Fetch) -> None:
        self._loop = loop
        self._fetch = fetch
        self._sent = False

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> Fetched:
        if self._sent:
            raise ConnectionError("the token endpoint asked to try again")
        self._sent = True
        sending = self._fetch(method, url, body, headers or {})
        fetched = asyncio.run_coroutine_threadsafe(_as_coroutine(sending), self._loop).result()
        if fetched.status == 429:
            raise _Busy(Answer(status=429, retry_after=fetched.headers.get("Retry-After")))
        if fetched.status == 200 and not _is_object(fetched.data):
            # google-auth takes whatever comes with this status for an object, and fails with a TypeError.
            raise ConnectionError("the token endpoint's answer is no JSON object")
        return fetched


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False


async def _as_coroutine(sending: Awaitable[Fetched]) -> Fetched:
    return await sending
