"""Google's own client library, unmodified, pointed at the sandbox; and our adapter, connected to it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import google_auth_httplib2
import httplib2
import msgspec
from google.oauth2 import service_account
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from googleapiclient.http import BatchHttpRequest

from providers.adapter import Adapter
from providers.contract import Create, Event, Marker
from providers.googlecalendar import connect
from providers.sandbox.server import Sandbox
from providers.settings import GoogleSettings

TYPE = "googlecalendar"
INSTANCE = "uni.example"
NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
"""What the adapter's clock shows."""

CALENDAR_SCOPE = "https://www.googleapis.com/auth/calendar"


def key_file(sandbox: Sandbox) -> dict[str, str]:
    return json.loads((Path(sandbox.config).parent / "google-service-account.json").read_text())


class Google:
    """The Calendar API for one person."""

    def __init__(
        self,
        sandbox: Sandbox,
        subject: str = "alice@uni.example",
        scopes: tuple[str, ...] = (CALENDAR_SCOPE,),
        **key: str,
    ) -> None:
        info = key_file(sandbox) | key
        credentials = service_account.Credentials.from_service_account_info(info, scopes=scopes)
        self._url = sandbox.url
        self._http = httplib2.Http(ca_certs=str(sandbox.ca_file), timeout=60)
        self.http = google_auth_httplib2.AuthorizedHttp(
            credentials.with_subject(subject), http=self._http, max_refresh_attempts=0
        )
        self.service = build(
            "calendar",
            "v3",
            http=self.http,
            static_discovery=True,
            cache_discovery=False,
            client_options={"api_endpoint": f"{sandbox.url}/calendar/v3/"},
        )
        self.events = self.service.events()

    async def run(self, request: Any) -> Any:
        return await asyncio.to_thread(request.execute, http=self.http)

    async def refused(self, request: Any) -> tuple[int, str]:
        """Status and reason of a request that has to fail."""
        try:
            answer = await self.run(request)
        except HttpError as error:
            return error.status_code, json.loads(error.content)["error"]["errors"][0]["reason"]
        raise AssertionError(f"not refused: {answer}")

    async def insert(self, **fields: Any) -> Any:
        return await self.run(self.events.insert(calendarId="primary", body=event(**fields)))

    async def get(self, id: str) -> Any:
        return await self.run(self.events.get(calendarId="primary", eventId=id))

    async def patch(self, id: str, **fields: Any) -> Any:
        return await self.run(self.events.patch(calendarId="primary", eventId=id, body=fields))

    async def delete(self, id: str) -> None:
        await self.run(self.events.delete(calendarId="primary", eventId=id))

    async def page(self, **query: Any) -> Any:
        return await self.run(self.events.list(calendarId="primary", **query))

    async def batch(self, *requests: Any) -> list[Any]:
        """The answer or the exception of each request, in their order."""
        answers: dict[str, Any] = {}

        def note(id: str, answer: Any, error: Any) -> None:
            answers[id] = error or answer

        batch = BatchHttpRequest(callback=note, batch_uri=f"{self._url}/batch/calendar/v3")
        for request in requests:
            batch.add(request)
        await asyncio.to_thread(batch.execute, http=self.http)
        return [answers[id] for id in sorted(answers, key=int)]

    def close(self) -> None:
        self._http.close()


def event(**fields: Any) -> dict[str, Any]:
    """A valid event, with these fields."""
    return {
        "summary": "Lecture",
        "start": {"dateTime": "2026-12-01T10:00:00", "timeZone": "Europe/Amsterdam"},
        "end": {"dateTime": "2026-12-01T11:00:00", "timeZone": "Europe/Amsterdam"},
    } | fields


def settings(sandbox: Sandbox, **changes: str) -> GoogleSettings:
    key = json.dumps(key_file(sandbox))
    return msgspec.structs.replace(
        GoogleSettings(service_account=key, api_url=sandbox.url, ca_file=str(sandbox.ca_file)), **changes
    )


@asynccontextmanager
async def connected(sandbox: Sandbox) -> AsyncIterator[Adapter]:
    """The adapter, closed at the end."""
    adapter = await connect(settings(sandbox), lambda: NOW)
    try:
        yield adapter
    finally:
        await adapter.close()


def lecture(number: int = 0, **fields: object) -> Event:
    """An event of a timetable: an hour each, on one day after the other."""
    start = datetime(2026, 12, 1, 9, tzinfo=UTC) + timedelta(days=number)
    event = Event(
        uid=f"lecture-{number}",
        title=f"Algebra {number}",
        start=start,
        end=start + timedelta(hours=1),
        time_zone="Europe/Amsterdam",
    )
    return msgspec.structs.replace(event, **fields)


def create(event: Event) -> Create:
    """An attempt to create the event."""
    marker = Marker(instance=INSTANCE, synchronization=7, event=event.uid, attempt=uuid4())
    return Create(event=event, marker=marker)
