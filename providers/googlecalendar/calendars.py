"""A person's calendars: which there are, and the one that Rooster makes for its events.

https://developers.google.com/workspace/calendar/api/v3/reference/calendarList and
https://developers.google.com/workspace/calendar/api/v3/reference/calendars
"""

import re
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from googleapiclient.http import HttpRequest

from providers.contract import Calendar, Clock, Gone, Mailbox, Permit, ProviderError
from providers.googlecalendar import outcomes
from providers.googlecalendar.client import CALENDAR, Client
from providers.googlecalendar.replies import Answer, Reply
from providers.googlecalendar.resources import CalendarEntry, CalendarList, Page, read
from providers.googlecalendar.tokens import CALENDAR_SCOPES

__all__ = ["Calendars"]

ENTRY = "id,accessRole,summary,description,primary,dataOwner,timeZone"
LARGEST_LIST = 250

_MARK = re.compile(r"rooster-calendar/(?P<instance>[\w.~%-]+)/(?P<name>[\w.~%-]+)/", re.ASCII)
"""Percent-encoded, so that no client takes anything in it for markup or for the end of a line."""

T = TypeVar("T")


class Calendars:
    """The calendars of one person.

    The description is the one field of a calendar that is free to hold our mark: the instance that made
    it, and the name that it was made with.
    """

    def __init__(self, client: Client, clock: Clock, mailbox: Mailbox, instance: str) -> None:
        self._client = client
        self._clock = clock
        self._mailbox = mailbox
        self._instance = instance

    async def list(self) -> Sequence[Calendar]:
        """The person's own calendars, the primary one first; not what others share with them.

        Raises ``ProviderError``.
        """
        entries: list[CalendarEntry] = []
        token: str | None = None
        while True:
            request = self._client.calendar_list.list(
                minAccessRole="writer",
                showHidden=True,
                maxResults=LARGEST_LIST,
                pageToken=token,
                fields=f"nextPageToken,items({ENTRY})",
            )
            page = await self._ask(request, CalendarList)
            entries += page.items
            token = page.next_page_token
            if token is None:
                break
        primary = next((entry for entry in entries if entry.primary), None)
        if primary is None:
            raise ProviderError(
                Gone(what="calendar", code="noPrimary", reason="The person has no primary Google calendar.")
            )
        # Somebody else's calendar may carry the mark of this instance too: it is for their events.
        own = [entry for entry in entries if not entry.primary and _belongs_to(entry, primary)]
        return [self._calendar(primary), *(self._calendar(entry) for entry in own)]

    async def make(self, name: str, permit: Permit) -> Calendar:
        """Make a calendar, in the time zone of the primary one. Raises ``ProviderError``."""
        entry = self._client.calendar_list.get(calendarId=CALENDAR, fields=ENTRY)
        primary = await self._ask(entry, CalendarEntry)
        body: dict[str, Any] = {"summary": name, "description": _description(self._instance, name)}
        if primary.time_zone is not None:
            body["timeZone"] = primary.time_zone
        reply = await self._change(self._client.calendars.insert(body=body, fields="id"), permit)
        made = read(self._changed(reply), CalendarEntry)
        return Calendar(id=made.id, name=name, is_default=False, ours=True)

    async def remove(self, permit: Permit) -> bool:
        """See ``Adapter.remove_calendar``.

        Google deletes a calendar with all that is in it: what is put there in the moment between our look
        and the deletion goes too. Raises ``ProviderError``.
        """
        id = self._mailbox.calendar
        if id is None:
            return False
        entry = self._client.calendar_list.get(calendarId=id, fields=ENTRY)
        entry_reply, page_reply = await self._client.send(self._mailbox.address, [entry, self._events(id)])
        if outcomes.missing(entry_reply):
            return True
        if not self._calendar(self._read(entry_reply, CalendarEntry)).ours:
            return False
        page = self._read(page_reply, Page)
        while not page.items and page.next_page_token is not None:
            # "The number of events in the resulting page may be [...] none at all, even if there are more".
            page = await self._ask(self._events(id, page.next_page_token), Page)
        if page.items:
            return False
        reply = await self._change(self._client.calendars.delete(calendarId=id), permit)
        if not outcomes.missing(reply):
            self._changed(reply)
        elif await self._is_there(id):
            raise ProviderError(outcomes.calendar_forbidden(reply))
        return True

    async def _is_there(self, calendar: str) -> bool:
        request = self._client.calendar_list.get(calendarId=calendar, fields="id")
        (reply,) = await self._client.send(self._mailbox.address, [request])
        return not outcomes.missing(reply) and bool(self._read(reply, CalendarEntry).id)

    def _events(self, calendar: str, token: str | None = None) -> HttpRequest:
        """One event of the calendar, if it has any."""
        return self._client.events.list(
            calendarId=calendar,
            maxResults=1,
            showHiddenInvitations=True,
            pageToken=token,
            fields="nextPageToken,items(id)",
        )

    def _calendar(self, entry: CalendarEntry) -> Calendar:
        mark = None if entry.primary else _MARK.search(entry.description)
        if mark is None or unquote(mark["instance"]) != self._instance:
            return Calendar(id=entry.id, name=entry.summary, is_default=entry.primary, ours=False)
        return Calendar(id=entry.id, name=unquote(mark["name"]), is_default=False, ours=True)

    async def _ask(self, request: HttpRequest, type: type[T]) -> T:
        (reply,) = await self._client.send(self._mailbox.address, [request])
        return self._read(reply, type)

    def _read(self, reply: Reply, type: type[T]) -> T:
        """What was read. Raises ``ProviderError``."""
        if isinstance(reply, Answer) and reply.ok:
            return read(reply, type)
        raise ProviderError(outcomes.failure(reply, "calendar", self._clock()))

    async def _change(self, request: HttpRequest, permit: Permit) -> Reply:
        """The reply to a call that takes the further scope."""
        (reply,) = await self._client.send(self._mailbox.address, [request], permit, CALENDAR_SCOPES)
        return reply

    def _changed(self, reply: Reply) -> Answer:
        """The answer to such a call. Raises ``ProviderError``."""
        if isinstance(reply, Answer) and reply.ok:
            return reply
        raise ProviderError(outcomes.calendar_failure(reply, self._clock()))


def _belongs_to(entry: CalendarEntry, primary: CalendarEntry) -> bool:
    if entry.data_owner is None:
        return entry.access_role == "owner"
    return entry.data_owner.casefold() == primary.id.casefold()


def _description(instance: str, name: str) -> str:
    """For the person, and our mark."""
    mark = f"rooster-calendar/{quote(instance, safe='')}/{quote(name, safe='')}/"
    return f"Kept by {instance}. Rooster knows this calendar by the line below.\n{mark}"
