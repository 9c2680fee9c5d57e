"""The webhook of a run: its events, signed, one after the other, each sent until it was taken.

Signed as Standard Webhooks 1.0 describes (https://www.standardwebhooks.com): ``webhook-id`` is the same in
every attempt at an event, and ``webhook-signature`` is the HMAC-SHA256 of id, ``webhook-timestamp`` and body.
A receiver drops an event whose id it has seen, and takes any other in the order in which they come. None is
left out: an event is sent once the one before was taken, and after one that was not, nothing more is sent.
"""

import asyncio
import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec

from app.clock import Clock
from app.sources.contract import DeliveryFailed, Json, RunEvent, RunIdentity
from app.sources.fetch import Answer, Fetcher, FetchFailed, Request
from app.sources.pace import Sleep
from app.sources.settings import WebhookSettings

__all__ = ["HttpWebhook", "sign"]

FIRST_PAUSE = timedelta(seconds=1)
LAST_PAUSE = timedelta(minutes=5)


def sign(key: bytes, id: str, moment: datetime, body: bytes) -> str:
    """The header ``webhook-signature`` of a message that is sent at ``moment``."""
    signed = b"%b.%d.%b" % (id.encode(), int(moment.timestamp()), body)
    return f"v1,{b64encode(hmac.digest(key, signed, sha256)).decode()}"


class HttpWebhook:
    """The webhook of one run. What is sent at the same time goes out in the order of the calls."""

    def __init__(
        self,
        settings: WebhookSettings,
        run: RunIdentity,
        fetcher: Fetcher,
        clock: Clock,
        *,
        max_wait: timedelta,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._run = run
        self._fetcher = fetcher
        self._clock = clock
        self._max_wait = max_wait
        self._sleep = sleep
        self._number = 0
        self._pending: tuple[str, bytes] | None = None
        """Id and body of an event that was not taken yet."""
        self._gave_up: str | None = None
        """Why nothing more is sent."""
        self._order = asyncio.Lock()

    async def send(self, event: RunEvent, data: Mapping[str, Json]) -> None:
        """Deliver an event: ``{"type", "timestamp", "data"}``, the run's identity in ``data``.

        Any status of 2xx means that it was taken; 410, that nothing is wanted any more. Everything else is
        tried again, after pauses that double, or as long as Retry-After says. An event whose caller was
        cancelled half-way is delivered first. Raises DeliveryFailed, and from then on for every event.
        """
        async with self._order:
            await self._deliver()
            self._number += 1
            run = msgspec.to_builtins(self._run)
            del run["fence"]  # it is in the id: two beginnings of a run give different events the same number
            body = msgspec.json.encode(
                {
                    "type": event,
                    "timestamp": self._clock(),
                    "data": {"run": run | {"sequence": self._number}, **data},
                }
            )
            self._pending = f"{self._run.id}.{self._run.fence}.{self._number}", body
            await self._deliver()

    async def _deliver(self) -> None:
        """Send what is pending until it was taken."""
        if self._gave_up is not None:
            raise DeliveryFailed(self._gave_up)
        if self._pending is None:
            return
        try:
            await self._insist(*self._pending)
        except DeliveryFailed as error:
            self._gave_up = error.message
            raise
        self._pending = None

    async def _insist(self, id: str, body: bytes) -> None:
        for attempt in range(self._settings.attempts):
            problem, answer = await self._try(id, body)
            if answer is not None and 200 <= answer.status < 300:
                return
            if answer is not None and answer.status == 410:
                raise DeliveryFailed(problem)
            if attempt + 1 < self._settings.attempts:
                await self._sleep(self._pause(attempt, answer).total_seconds())
        raise DeliveryFailed(f"{problem} It was tried {self._settings.attempts} times.")

    async def _try(self, id: str, body: bytes) -> tuple[str, Answer | None]:
        """What is wrong with the answer, and the answer if one came."""
        now = self._clock()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": sign(self._settings.key, id, now, body),
        }
        try:
            answer = await self._fetcher.fetch(
                Request(method="POST", url=self._settings.url, headers=headers, body=body)
            )
        except FetchFailed as error:
            if error.passing:
                return f"The webhook: {error.message}", None
            raise DeliveryFailed(f"The webhook: {error.message}") from error
        return f"The webhook answers with HTTP status {answer.status}.", answer

    def _pause(self, attempt: int, answer: Answer | None) -> timedelta:
        """How long to wait after this attempt, the first being 0."""
        pause: timedelta = min(LAST_PAUSE, FIRST_PAUSE * 2**attempt)
        now = self._clock()
        until = answer.retry_after(now) if answer is not None else None
        if until is None:
            return pause
        if until - now > self._max_wait:
            raise DeliveryFailed("The webhook asks for a rest that is too long ([sources] max_wait_seconds).")
        return max(pause, until - now)
