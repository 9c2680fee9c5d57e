"""The calendars of a mailbox, and how ours are known among them.

https://learn.microsoft.com/graph/api/resources/calendar. A calendar of ours carries two extended properties:
whose it is, and the name that it was made with. They stay whatever the person calls it.
"""

from itertools import count
from typing import Any

from providers.contract import Calendar, Clock, Gone, Mailbox, Permit, ProviderError
from providers.marker import CALENDAR, INSTANCE
from providers.o365 import outcomes
from providers.o365.events import PROPERTY_PREFIX, calendar_path, user_path
from providers.o365.http import Graph
from providers.o365.messages import Answer, NoAnswer, Request
from providers.o365.reader import Reader, items_of
from providers.o365.reading import get, properties_in

__all__ = ["Calendars"]

PAGE = "100"
"""Calendars a page; Graph's default is 10."""

MOST_NAMESAKES = 50
"""So many calendars of one name are enough: then something else is wrong."""

_SELECT = "id,name,isDefaultCalendar,canEdit,owner"


class Calendars:
    """Lists, makes and removes calendars. Failures are raised as ``ProviderError``."""

    def __init__(self, graph: Graph, reader: Reader, clock: Clock) -> None:
        self._graph = graph
        self._reader = reader
        self._clock = clock

    async def all(self, address: str, instance: str) -> list[Calendar]:
        """The calendars of the mailbox itself that can be written to, the default one first."""
        request = get(f"{user_path(address)}/calendars", _SELECT, (INSTANCE, CALENDAR), {"$top": PAGE})
        items = [item async for item in self._reader.items(await self._reader.read(request))]
        default = next((item for item in items if item.get("isDefaultCalendar")), None)
        if default is None:
            raise ProviderError(outcomes.no_answer(NoAnswer("no_default_calendar")))
        owner = _owner(default)
        found = [_calendar(item, instance) for item in items if item.get("canEdit") and _owner(item) == owner]
        return sorted(found, key=lambda calendar: not calendar.is_default)

    async def make(self, address: str, instance: str, name: str, permit: Permit) -> Calendar:
        """A new calendar of ours. Where another one has the name, it gets the first number that is free."""
        properties = [
            {"id": PROPERTY_PREFIX + key, "value": value} for key, value in _mark(instance, name).items()
        ]
        for number in count(1):
            called = name if number == 1 else f"{name} {number}"
            body = {"name": called, "singleValueExtendedProperties": properties}
            request = Request(method="POST", path=f"{user_path(address)}/calendars", body=body)
            answer = await self._write(request, permit)
            if number == MOST_NAMESAKES or not outcomes.is_name_taken(answer):
                break
        self._check(answer)
        id = (answer.body or {}).get("id")
        if not isinstance(id, str):
            raise ProviderError(outcomes.no_answer(NoAnswer("calendar_without_id")))
        return Calendar(id=id, name=name, is_default=False, ours=True)

    async def remove(self, mailbox: Mailbox, instance: str, permit: Permit) -> bool:
        """Whether the calendar is gone; it stays if it is not ours, or if anything is in it."""
        if mailbox.calendar is None:
            return False
        path = calendar_path(mailbox)
        requests = [
            get(path, _SELECT, (INSTANCE, CALENDAR)),
            Request(method="GET", path=f"{path}/events?$top=1&$select=id"),
        ]
        try:
            calendar, events = [
                self._reader.body(answer) for answer in await self._reader.together(requests, chained=False)
            ]
            if not _calendar(calendar, instance).ours or items_of(events):
                return False
            self._check(await self._write(Request(method="DELETE", path=path), permit))
        except ProviderError as error:
            if not isinstance(error.outcome, Gone) or error.outcome.what != "calendar":
                raise
        return True

    async def _write(self, request: Request, permit: Permit) -> Answer:
        try:
            return await self._graph.send(request, permit)
        except NoAnswer as error:
            raise ProviderError(outcomes.no_answer(error)) from error

    def _check(self, answer: Answer) -> None:
        failure = outcomes.of_calendar_write(answer, self._clock())
        if failure is not None:
            raise ProviderError(failure)


def _mark(instance: str, name: str) -> dict[str, str]:
    return {INSTANCE: instance, CALENDAR: name}


def _calendar(item: dict[str, Any], instance: str) -> Calendar:
    """A calendar of an answer; one of ours by the name that it was made with."""
    try:
        mark = properties_in(item)
        is_default = bool(item["isDefaultCalendar"])
        ours = not is_default and mark.get(INSTANCE) == instance and CALENDAR in mark
        return Calendar(
            id=item["id"],
            name=mark[CALENDAR] if ours else item["name"] or "",
            is_default=is_default,
            ours=ours,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ProviderError(outcomes.no_answer(NoAnswer("unreadable_calendar"))) from error


def _owner(item: dict[str, Any]) -> str:
    """The address of whose calendar it is: shared ones are listed too."""
    owner = item.get("owner")
    return str(owner.get("address") or "").casefold() if isinstance(owner, dict) else ""
