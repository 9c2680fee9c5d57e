"""Carries calls to Google and replies back: connections, tokens, batches. It judges nothing.

The calls are built by google-api-python-client and sent by aiohttp. The library's own transport,
httplib2, is not safe in threads, and sends a request again by itself, a POST too, when the connection
drops before the answer.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import aiohttp
from google.api_core.client_options import ClientOptions
from googleapiclient.discovery import Resource, build
from googleapiclient.http import HttpRequest

from providers.contract import Permit
from providers.googlecalendar import batch
from providers.googlecalendar.replies import Answer, NoAnswer, Reply
from providers.googlecalendar.tokens import SCOPES, Fetched, Tokens, TokenUnavailable
from providers.googlecalendar.wire import read_json
from providers.permits import NotPermitted, asking
from providers.settings import GoogleSettings
from providers.trust import trusting

__all__ = ["BATCH", "CALENDAR", "Client"]

CALENDAR = "primary"
"""The name of a person's own calendar; whose, the access token says."""

BATCH = 50
"""Calls in one batch. Google takes 1000, but advises to keep batches for one calendar small: its calls
run at once, and what is too much for the calendar comes back throttled. Google's Gmail guide draws the
line at 50; at 600 calls a minute for a mailbox that is five seconds' worth."""

TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
CONNECTIONS = 50


class Client:
    """The Calendar API at one address, with one service account. Belongs to one event loop."""

    def __init__(self, settings: GoogleSettings) -> None:
        """Raises ``SettingsError`` for a key file or a ``ca_file`` that cannot be used."""
        context = trusting(settings.ca_file)
        root = settings.api_url.rstrip("/")
        self._batch_url = f"{root}/batch/calendar/v3"
        self.tokens = Tokens(settings.service_account, self._fetch)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=context),
            timeout=TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[asking()],
        )
        # aiohttp repeats a PUT or DELETE if a kept connection drops; our caller decides what is repeated.
        self._session._retry_connection = False
        service = build(
            "calendar",
            "v3",
            http=_NoHttp(),
            static_discovery=True,
            cache_discovery=False,
            client_options=ClientOptions(api_endpoint=f"{root}/calendar/v3/"),
        )
        # Making these takes milliseconds, a call on them 0.03 ms.
        self.events: Resource = service.events()
        self.calendar_list: Resource = service.calendarList()
        self.calendars: Resource = service.calendars()

    async def send(
        self,
        subject: str,
        requests: Sequence[HttpRequest],
        permit: Permit | None = None,
        scopes: tuple[str, ...] = SCOPES,
    ) -> list[Reply]:
        """Carry out calls for a person: one alone, several in batches. A reply for each, in order.

        A call that is refused because the token is no longer good is sent once more with a new one:
        Google did nothing with it. ``permit`` is asked each time that something goes out, those for tokens
        aside; what it raises is raised here. None: these calls write nothing.
        """
        replies: list[Reply] = []
        for start in range(0, len(requests), BATCH):
            chunk = requests[start : start + BATCH]
            answers = await self._send(subject, chunk, permit, scopes)
            stale = [
                i for i, answer in enumerate(answers) if isinstance(answer, Answer) and answer.status == 401
            ]
            if stale:
                self.tokens.forget(subject, scopes)
                again = await self._send(subject, [chunk[i] for i in stale], permit, scopes)
                for index, answer in zip(stale, again, strict=True):
                    answers[index] = answer
            replies += answers
        return replies

    async def _send(
        self, subject: str, requests: Sequence[HttpRequest], permit: Permit | None, scopes: tuple[str, ...]
    ) -> list[Reply]:
        try:
            token = await self.tokens.get(subject, scopes)
        except TokenUnavailable as error:
            return [error.reply] * len(requests)
        authorization = {"Authorization": f"Bearer {token}"}
        try:
            if len(requests) == 1:
                return [await self._send_one(requests[0], authorization, permit)]
            return await self._send_batch(requests, authorization, permit)
        except NotPermitted as error:
            raise error.reason from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return [NoAnswer(why=type(error).__name__)] * len(requests)

    async def _send_one(
        self, request: HttpRequest, authorization: Mapping[str, str], permit: Permit | None
    ) -> Reply:
        body = None if request.body is None else request.body.encode()
        headers = {**request.headers, **authorization}
        fetched = await self._fetch(request.method, request.uri, body, headers, permit)
        return read_json(fetched.status, fetched.data, fetched.headers.get("Retry-After"))

    async def _send_batch(
        self, requests: Sequence[HttpRequest], authorization: Mapping[str, str], permit: Permit | None
    ) -> list[Reply]:
        content_type, body = batch.encode(requests)
        headers = {"Content-Type": content_type, **authorization}
        fetched = await self._fetch("POST", self._batch_url, body, headers, permit)
        if fetched.status != 200:
            return [self._whole(fetched)] * len(requests)
        return batch.decode(fetched.headers.get("Content-Type", ""), fetched.data, len(requests))

    def _whole(self, fetched: Fetched) -> Reply:
        """What an answer to a batch as a whole means for each call in it.

        Refused credentials, throttling and failures are those of each call; that there is no such URL, or
        a conflict, says nothing about any event.
        """
        if fetched.status in (404, 409, 410, 412):
            return NoAnswer(why=f"status {fetched.status} for a whole batch")
        return read_json(fetched.status, fetched.data, fetched.headers.get("Retry-After"))

    async def _fetch(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        permit: Permit | None = None,
    ) -> Fetched:
        """Send one HTTP request. Raises ``NotPermitted`` if ``permit`` does not let it."""
        async with self._session.request(
            method, url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=permit
        ) as response:
            return Fetched(response.status, response.headers, await response.read())

    async def close(self) -> None:
        """Give back connections and threads."""
        self.tokens.close()
        await self._session.close()


class _NoHttp:
    """In the place of the library's transport, so that no call of its own goes unnoticed."""

    request: Callable[..., NoReturn]

    def __init__(self) -> None:
        def refuse(*_: Any, **__: Any) -> NoReturn:
            raise NotImplementedError("calls are sent by Client.send")

        self.request = refuse
