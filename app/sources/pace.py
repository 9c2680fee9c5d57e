"""The pace of requests to each host, as configured: spread evenly, so that no source is run over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from app.sources.settings import SourceSettings

__all__ = ["Pace", "Sleep"]

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits so many seconds; injected, so that tests need not."""


class Pace:
    """One process's pace, for all its runs together."""

    def __init__(self, settings: SourceSettings, sleep: Sleep = asyncio.sleep) -> None:
        self._settings = settings
        self._sleep = sleep
        self._free_at: dict[str, float] = {}

    async def turn(self, host: str) -> None:
        """Come back when the next request to this host may be sent; whoever asks first is first."""
        host = host.lower()
        now = asyncio.get_running_loop().time()
        at = max(now, self._free_at.get(host, now))
        self._free_at[host] = at + 1 / self._settings.rate(host)
        if at > now:
            await self._sleep(at - now)
