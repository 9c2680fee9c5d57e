"""A real HTTP server that plays a MyTimetable-style API for a campus: pages, throttling, faults on order."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

__all__ = ["TOKEN", "Campus"]

TOKEN = "elevated-token"
PAGE_SIZE = 2
MONDAY = datetime(2100, 9, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


class Campus:
    """The timetables of people, and how the server behaves. Its ``handle`` answers requests.

    Two elements are a page; the next is named by the header Link. After each ``throttle_every`` requests,
    everybody is sent away for a second.
    """

    def __init__(self, usernames: list[str], throttle_every: int) -> None:
        self.elements = {username: _elements(number) for number, username in enumerate(usernames)}
        self.failing: set[tuple[str, int]] = set()
        """Pages, by user and number, that answer with status 500."""
        self.seen: Counter[str] = Counter()
        """Answers so far: ``page``, ``failed``, ``throttled``, and ``early``: again before it was time."""
        self._throttle_every = throttle_every
        self._closed_until = 0.0
        self._not_before: dict[str, float] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/api/v0.5/timetable" or request.headers.get("apiToken") != TOKEN:
            return web.json_response({"errorType": "no_access", "status": "error"}, status=401)
        if not {"startDate", "endDate"} <= set(request.query):
            return web.json_response({"errorType": "missing_parameter", "status": "error"}, status=400)
        now = asyncio.get_running_loop().time()
        username, number = request.headers["requestedAuth"], int(request.query.get("page", 1))
        if now < self._not_before.get(username, now):
            self.seen["early"] += 1
        if now < self._closed_until:
            self.seen["throttled"] += 1
            self._not_before[username] = now + 0.9  # clocks differ a little
            return web.json_response([], status=429, headers={"Retry-After": "1"})
        if (username, number) in self.failing:
            self.seen["failed"] += 1
            return web.json_response({"errorType": "internal", "status": "error"}, status=500)
        self.seen["page"] += 1
        if self.seen["page"] % self._throttle_every == 0:
            self._closed_until = now + 1
        return self._page(request, self.elements.get(username, []), number)

    def _page(self, request: web.Request, elements: list[dict[str, Any]], number: int) -> web.Response:
        first = (number - 1) * PAGE_SIZE
        response = web.json_response(elements[first : first + PAGE_SIZE])
        if first + PAGE_SIZE < len(elements):
            following = request.rel_url.update_query(page=number + 1)
            response.headers["Link"] = f'<{following}>; rel="next"'
        return response


def _elements(number: int) -> list[dict[str, Any]]:
    """A lecture, a workshop, one that the person has filtered out, and a day off (Europe/Amsterdam)."""
    start = MONDAY + timedelta(days=number % 5, hours=7 + number % 8)

    def element(name: str, start: datetime, end: datetime, **fields: Any) -> dict[str, Any]:
        return {
            "id": f"{name} {number}",
            "startDate": milliseconds(start),
            "endDate": milliseconds(end),
            "allDay": False,
            "moduleCode": f"CS{number % 50:03}",
            "activityDescription": f"{name} {number % 50}",
            "staffMembers": ["A. Turing"],
            "locations": [{"name": f"Room {number % 20}"}],
            "studentSets": [],
            "activityTypeName": name,
            "activityTypeDescription": name,
            "notes": None,
            "filtered": False,
            **fields,
        }

    return [
        element("Lecture", start, start + 2 * HOUR),
        element("Workshop", start + 24 * HOUR, start + 26 * HOUR),
        element("Hidden", start, start + HOUR, filtered=True),
        element("Holiday", MONDAY + 22 * HOUR, MONDAY + 46 * HOUR, allDay=True, locations=None),
    ]
