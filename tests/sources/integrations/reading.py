"""One request of an integration, to a real server, and what came of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from app.config import TimetableSettings
from app.sources.client import Client
from app.sources.contract import Account, Integration, Page, Record, RecordError, ResourceRequest
from app.sources.fetch import Fetcher
from app.sources.pace import Pace
from app.sources.settings import SourceSettings
from tests.clock import SettableClock

__all__ = ["Reading", "account"]

SETTINGS = SourceSettings(allowed_networks=("127.0.0.1/32",), max_pages=20)


def account(url: str, settings: Mapping[str, Any] | None = None, **credentials: str) -> Account:
    """A connection to the server."""
    return Account(
        id=UUID(int=1),
        integration_name="",
        base_url=url,
        credentials=credentials,
        settings=settings or {},
    )


class Reading:
    """A run, as far as an integration sees it. ``rests`` and ``pauses``: how often and long it waited."""

    zone = "Europe/Amsterdam"
    timetables = TimetableSettings()

    def __init__(self, clock: SettableClock, pace: Pace | None = None) -> None:
        self.clock = clock
        self.rests: list[datetime] = []
        self.pauses: list[float] = []
        self.memory: dict[str, Mapping[str, str]] = {}
        """What the last complete request has asked to remember."""
        self._remembered: dict[str, Mapping[str, str]] = {}
        self.fetcher = Fetcher(SETTINGS, pace)
        self.client = Client(self.fetcher, clock, self.pause)

    @property
    def now(self) -> datetime:
        return self.clock()

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.advance(seconds=seconds)

    async def rest(self, until: datetime) -> None:
        self.rests.append(until)
        self.clock.set(max(until, self.clock()))

    async def recall(self, key: str) -> Mapping[str, str] | None:
        return self.memory.get(key)

    async def remember(self, key: str, values: Mapping[str, str]) -> None:
        self._remembered[key] = values

    async def pages(
        self, integration: Integration, account: Account, resource: str, method: str, id: Any, **query: Any
    ) -> list[Page]:
        """The pages of a request. Raises what the integration raises."""
        request = ResourceRequest(resource=resource, method=method, id=id, query=query)
        self._remembered = {}
        pages = [page async for page in integration.records(request, account, self)]
        self.memory = self._remembered
        return pages


def records(pages: list[Page]) -> list[Record]:
    """All records, in order."""
    return [record for page in pages for record in page.records]


def errors(pages: list[Page]) -> list[RecordError]:
    """All records that could not be mapped, in order."""
    return [error for page in pages for error in page.errors]
