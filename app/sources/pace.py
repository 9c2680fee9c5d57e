"""The pace of requests to each host: spread evenly, as configured, and none while it is to be left alone."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeAlias

from app.clock import Clock
from app.sources.contract import Throttled
from app.sources.reading import utc
from app.sources.settings import SourceSettings

__all__ = ["Pace", "Sleep"]

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits so many seconds; injected, so that tests need not."""

LONGEST_REST = timedelta(hours=1)
"""For which a host is not asked at all, unless ``max_wait_seconds`` is longer: what a host says by mistake
(come back in ten years) is not to hold until this process ends."""


class Pace:
    """One process's pace, for all its runs together."""

    def __init__(self, settings: SourceSettings, clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._free_at: dict[str, float] = {}
        self._rests_until: dict[str, datetime] = {}

    def rest(self, host: str, until: datetime) -> None:
        """The host asks to be left alone until then (aware), whoever it is that it has told."""
        host = host.lower()
        longest = max(LONGEST_REST, timedelta(seconds=self._settings.max_wait_seconds))
        until = min(until, self._clock() + longest)
        self._rests_until[host] = max(until, self._rests_until.get(host, until))

    async def turn(self, host: str) -> None:
        """Come back when the next request to this host may be sent; whoever asks first is first.

        Raises Throttled while the host rests, also if that began only after we had asked.
        """
        host = host.lower()
        self._check(host)
        now = asyncio.get_running_loop().time()
        at = max(now, self._free_at.get(host, now))
        self._free_at[host] = at + 1 / self._settings.rate(host)
        if at > now:
            await self._sleep(at - now)
            self._check(host)

    def _check(self, host: str) -> None:
        until = self._rests_until.get(host)
        if until is None:
            return
        if until > self._clock():
            raise Throttled(f"{host} asks to be left alone until {utc(until)}.", until)
        del self._rests_until[host]
