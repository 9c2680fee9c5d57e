"""The quotas of a Google Cloud project.

https://developers.google.com/workspace/calendar/api/guides/quota: 600 requests a minute for each user
and 10,000 for the project, by a sliding window; each call in a batch counts. A patch takes three units
(reference of ``events.patch``).
"""

from collections import defaultdict, deque
from collections.abc import Callable
from datetime import datetime, timedelta

from providers.sandbox.google.errors import ApiError

__all__ = ["Quotas"]

WINDOW = timedelta(minutes=1)


class _Window:
    """Units used in the last minute."""

    def __init__(self) -> None:
        self._used: deque[tuple[datetime, int]] = deque()
        self._total = 0

    def total(self, now: datetime) -> int:
        """The units used up to now."""
        while self._used and self._used[0][0] <= now - WINDOW:
            self._total -= self._used.popleft()[1]
        return self._total

    def add(self, now: datetime, units: int) -> None:
        """Count units as used now."""
        self._used.append((now, units))
        self._total += units


class Quotas:
    """Counts what each user and the project have used."""

    per_user = 600
    per_project = 10_000

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._project = _Window()
        self._users: dict[str, _Window] = defaultdict(_Window)

    def take(self, user: str, units: int) -> None:
        """Count a call. Raises ``ApiError`` 403 instead if it is one too many."""
        now = self._now()
        window = self._users[user]
        if window.total(now) + units > self.per_user:
            raise ApiError(403, "userRateLimitExceeded", "User Rate Limit Exceeded", domain="usageLimits")
        if self._project.total(now) + units > self.per_project:
            raise ApiError(
                403,
                "rateLimitExceeded",
                "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service "
                "'calendar-json.googleapis.com' for consumer 'project_number:100000000001'.",
                domain="usageLimits",
            )
        window.add(now, units)
        self._project.add(now, units)
