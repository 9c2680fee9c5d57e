"""Requests to Microsoft Graph over HTTPS."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from yarl import URL

from providers.contract import Permit, ProviderError, always
from providers.o365 import outcomes
from providers.o365.auth import Tokens
from providers.o365.batch import items, unbatch
from providers.o365.messages import PREFERENCES, Answer, NoAnswer, Request, preferring
from providers.permits import NotPermitted, asking
from providers.settings import O365Settings
from providers.trust import trusting

__all__ = ["Graph"]

TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=10)
"""A chained batch of twenty takes as long as its items one after the other."""


class Graph:
    """One Graph service.

    No POST or PATCH is sent twice, other than after a 401, which has done nothing. aiohttp repeats a GET
    or DELETE once if the connection turns out to be closed; neither does more the second time.
    """

    def __init__(self, settings: O365Settings, tokens: Tokens) -> None:
        self._root = settings.graph_url.rstrip("/")
        self._tokens = tokens
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trusting(settings.ca_file)),
            timeout=TIMEOUT,
            trace_configs=[asking()],
            headers=PREFERENCES | {"Accept": "application/json"},
        )

    async def send(self, request: Request, permit: Permit = always) -> Answer:
        """One request by itself.

        ``permit`` is asked each time that the request goes out, right before; what it raises is raised.
        Raises ``NoAnswer``, and ``ProviderError`` if nothing was sent: for want of a token, or as the
        server's certificate is not trusted.
        """
        url = self._root + request.path
        return await self._send(request.method, url, request.body, request.headers, permit)

    async def follow(self, link: str, page: int | None = None) -> Answer:
        """The page behind an ``@odata.nextLink`` or ``deltaLink``, taken verbatim as Graph asks for.

        ``page`` as in ``Request``. Raises as ``send``, and ``NoAnswer`` for a link to elsewhere, as our token
        goes with it.
        """
        if not self.leads_here(link):
            raise NoAnswer("foreign_next_link")
        return await self._send("GET", link, None, {} if page is None else preferring(page), always)

    def leads_here(self, link: str) -> bool:
        """Whether the link leads to this service."""
        return urlsplit(link)[:2] == urlsplit(self._root)[:2]

    async def send_together(
        self, requests: Sequence[Request], *, chained: bool, permit: Permit = always
    ) -> list[Answer | None]:
        """Requests for one mailbox in one HTTP request; an answer to each, in their order.

        ``chained``, at most ``MAX_BATCH``: each depends on the one before, as only so few at a time get
        into a mailbox. After an item that fails, Graph does not carry out the rest and answers 424 to
        them. Otherwise at most ``CONCURRENT``, and none has to do with another. If Graph refuses the
        batch as a whole, that is the answer to each. None: the answer leaves this one out. Raises as
        ``send``.
        """
        if len(requests) == 1:
            return [await self.send(requests[0], permit)]
        batch = {"requests": items(requests, chained=chained)}
        answer = await self._send("POST", self._root + "/$batch", batch, {}, permit)
        if answer.status != 200:
            return [answer] * len(requests)
        return unbatch(answer, len(requests))

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await self._tokens.close()

    async def _send(
        self, method: str, url: str, body: dict[str, Any] | None, headers: dict[str, str], permit: Permit
    ) -> Answer:
        token = await self._tokens.get()
        answer = await self._send_once(method, url, body, headers, token, permit)
        if answer.status == 401:
            # Revoked or expired early. Graph checks the token before it does anything.
            self._tokens.reject(token)
            token = await self._tokens.get()
            answer = await self._send_once(method, url, body, headers, token, permit)
        return answer

    async def _send_once(
        self,
        method: str,
        url: str,
        body: dict[str, Any] | None,
        headers: dict[str, str],
        token: str,
        permit: Permit,
    ) -> Answer:
        headers = headers | {"Authorization": f"Bearer {token}"}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = msgspec.json.encode(body)
        try:
            async with self._session.request(
                method,
                URL(url, encoded=True),
                data=data,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=permit,
            ) as response:
                content = await response.read()
                return Answer(
                    status=response.status,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=_json_object(content),
                )
        except NotPermitted as error:
            raise error.reason from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise ProviderError(outcomes.untrusted()) from error
        except TimeoutError as error:
            raise NoAnswer("timeout") from error
        except aiohttp.ClientError as error:
            raise NoAnswer(type(error).__name__) from error


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None
