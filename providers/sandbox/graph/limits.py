"""Graph's limits on one application's use of one mailbox.

learn.microsoft.com/graph/throttling-limits, "Outlook service limits": 10,000 requests in 10 minutes and
4 concurrent requests, for each combination of application and mailbox.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from providers.sandbox.graph.errors import GraphError, over_concurrency

__all__ = ["CONCURRENT", "Limits"]

CONCURRENT = 4
REQUESTS = 10_000
WINDOW = timedelta(minutes=10)


class Limits:
    """Counts what is under way and what has been done, by application and mailbox."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._under_way: Counter[tuple[str, str]] = Counter()
        self._windows: dict[tuple[str, str], tuple[datetime, int]] = {}

    @contextmanager
    def request(self, application: str, mailbox: str) -> Iterator[None]:
        """Holds one of the mailbox's places. Raises ``GraphError`` (429) if there is none."""
        key = (application, mailbox.casefold())
        if self._under_way[key] >= CONCURRENT:
            raise over_concurrency()
        self._count(key)
        self._under_way[key] += 1
        try:
            yield
        finally:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]

    def _count(self, key: tuple[str, str]) -> None:
        now = self._now()
        start, count = self._windows.get(key, (now, 0))
        if now - start >= WINDOW:
            start, count = now, 0
        if count >= REQUESTS:
            wait = (start + WINDOW - now).total_seconds()
            raise GraphError(
                429, "ApplicationThrottled", "Application is over its request limit for the mailbox.", wait
            )
        self._windows[key] = (start, count + 1)
