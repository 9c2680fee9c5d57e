"""The adapter: the contract's calls in terms of Google Calendar's."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from googleapiclient.http import HttpRequest

from providers.adapter import Quota
from providers.contract import (
    Calendar,
    Changes,
    Clock,
    Mailbox,
    Operation,
    Outcome,
    Permit,
    ProviderError,
    Refused,
    RemoteEvent,
    always,
)
from providers.googlecalendar import outcomes
from providers.googlecalendar.calendars import Calendars
from providers.googlecalendar.changes import changes
from providers.googlecalendar.client import BATCH, CALENDAR, Client
from providers.googlecalendar.replies import Answer, Reply
from providers.googlecalendar.resources import (
    FIELDS,
    LARGEST_PAGE,
    CalendarEntry,
    EventResource,
    Page,
    read,
)
from providers.googlecalendar.writes import Writes
from providers.marker import ATTEMPT, INSTANCE

__all__ = ["GoogleAdapter"]


class GoogleAdapter:
    """``providers.adapter.Adapter`` for Google Workspace with domain-wide delegation.

    The id of an event that Rooster creates is its attempt, so that the same attempt can never make a
    second one.
    """

    type = "googlecalendar"
    batch = BATCH
    idempotent_create = True
    moves_by_copying = False
    quotas: tuple[Quota, ...] = (
        Quota(scope="mailbox", operations=540, seconds=60),
        Quota(scope="account", operations=9_000, seconds=60),
    )
    """A tenth below Google's 600 and 10,000 a minute, which count every read as well."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    def account(self, address: str) -> str:
        """Google counts by the project of the service account, whoever the mailbox belongs to."""
        return self._client.tokens.project

    async def probe(self, address: str) -> Mailbox:
        request = self._client.calendar_list.get(calendarId=CALENDAR, fields="id,accessRole")
        entry = read(await self._ask(address, request), CalendarEntry)
        if entry.access_role not in ("owner", "writer"):
            raise ProviderError(
                Refused(
                    code="accessRole",
                    reason="Rooster may read this calendar, but not write to it.",
                    scope="mailbox",
                )
            )
        return Mailbox(address=address, identity=entry.id.casefold())

    async def apply(
        self, mailbox: Mailbox, operations: Sequence[Operation], permit: Permit = always
    ) -> list[Outcome]:
        if len(operations) > self.batch:
            raise ValueError(f"{len(operations)} operations are more than {self.batch}")
        return await Writes(self._client, self._clock, mailbox, operations, permit).carry_out()

    async def find(self, mailbox: Mailbox, instance: str, attempts: Sequence[UUID]) -> list[RemoteEvent]:
        wanted = set(attempts)
        if not wanted:
            return []
        # One search for all of them costs less of the quota than one for each.
        constraint = f"{ATTEMPT}={attempts[0].hex}" if len(wanted) == 1 else f"{INSTANCE}={instance}"
        found = {event.id: event async for event in self._search(mailbox, instance, constraint)}
        # A search may lag behind a write; asking for the id does not.
        missed = [self._get(mailbox, attempt.hex) for attempt in wanted if attempt.hex not in found]
        for reply in await self._client.send(mailbox.address, missed):
            if outcomes.missing(reply):
                continue
            event = read(self._answer(reply, "event"), EventResource).remote
            if event is not None and event.marker.instance == instance:
                found[event.id] = event
        events = [event for event in found.values() if event.marker.attempt in wanted]
        # The order of a search is undocumented; the original alone has its attempt as its id.
        return sorted(events, key=lambda event: event.id != event.marker.attempt.hex)

    async def list(self, mailbox: Mailbox, instance: str) -> AsyncIterator[RemoteEvent]:
        async for event in self._search(mailbox, instance, f"{INSTANCE}={instance}"):
            yield event

    def changes(self, mailbox: Mailbox, instance: str, since: str | None) -> AsyncIterator[Changes]:
        return changes(self._client, self._clock, mailbox, instance, since)

    async def calendars(self, mailbox: Mailbox, instance: str) -> Sequence[Calendar]:
        return await self._calendars(mailbox, instance).list()

    async def make_calendar(
        self, mailbox: Mailbox, instance: str, name: str, permit: Permit = always
    ) -> Calendar:
        return await self._calendars(mailbox, instance).make(name, permit)

    async def remove_calendar(self, mailbox: Mailbox, instance: str, permit: Permit = always) -> bool:
        return await self._calendars(mailbox, instance).remove(permit)

    def _calendars(self, mailbox: Mailbox, instance: str) -> Calendars:
        return Calendars(self._client, self._clock, mailbox, instance)

    async def close(self) -> None:
        await self._client.close()

    async def _search(self, mailbox: Mailbox, instance: str, constraint: str) -> AsyncIterator[RemoteEvent]:
        """The events with a private property ``name=value``; ``instance`` is compared here once more."""
        token: str | None = None
        while True:
            request = self._client.events.list(
                calendarId=mailbox.calendar or CALENDAR,
                privateExtendedProperty=constraint,
                maxResults=LARGEST_PAGE,
                pageToken=token,
                fields=f"nextPageToken,items({FIELDS})",
            )
            page = read(await self._ask(mailbox.address, request), Page)
            for item in page.items:
                event = item.remote
                if event is not None and event.marker.instance == instance:
                    yield event
            token = page.next_page_token
            if token is None:
                return

    def _get(self, mailbox: Mailbox, id: str) -> HttpRequest:
        calendar = mailbox.calendar or CALENDAR
        return self._client.events.get(calendarId=calendar, eventId=id, fields=FIELDS)

    async def _ask(self, address: str, request: HttpRequest) -> Answer:
        (reply,) = await self._client.send(address, [request])
        return self._answer(reply, "calendar")

    def _answer(self, reply: Reply, what: outcomes.What) -> Answer:
        """What a read answered. Raises ``ProviderError``."""
        if isinstance(reply, Answer) and reply.ok:
            return reply
        raise ProviderError(outcomes.failure(reply, what, self._clock()))
