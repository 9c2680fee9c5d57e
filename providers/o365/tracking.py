"""What has changed in a calendar, by Graph's change tracking.

https://learn.microsoft.com/graph/api/event-delta: v1.0 tracks a window of a calendar, page by page up to a
link that leads on to the next round. It takes no $select, $filter or $expand, so that it tells of everybody's
events and not of their extended properties: what may be ours is read after it.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from providers.contract import Changes, Clock, Gone, Mailbox, ProviderError, RemoteEvent, StartOver
from providers.o365 import outcomes
from providers.o365.batch import CONCURRENT
from providers.o365.events import calendar_path, user_path
from providers.o365.http import Graph
from providers.o365.messages import Answer, NoAnswer, Request
from providers.o365.reader import Reader, items_of, ours
from providers.o365.reading import created, event_request, find_request, list_request

__all__ = ["Tracking"]

BACK, AHEAD = timedelta(days=60), timedelta(days=460)
"""The window, around when a state was first made. It is no wider than timetables need, as Graph tells of
every occurrence of the person's own series in it. What changes outside it is told as removed, and looked
at."""

LIFE = timedelta(days=30)
"""From the first reading until the next: the window moves on, and what may have been missed is found."""

PAGE = 1000
"""Changes a page, as far as Graph will."""


class _State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the text that callers keep holds."""

    version: Literal[1] = 1
    instance: str
    identity: str
    calendar: str | None
    begun: datetime
    """When everything was read."""
    link: str
    """Graph's deltaLink: there the next round begins."""


class Tracking:
    """Reads all of our events, or those that have changed. Failures are raised as ``ProviderError``."""

    def __init__(self, graph: Graph, reader: Reader, clock: Clock) -> None:
        self._graph = graph
        self._reader = reader
        self._clock = clock

    async def everything(self, mailbox: Mailbox, instance: str) -> Changes:
        """All events of the instance in the calendar.

        A round of changes goes first: what changes while the events are read is in the next one.
        """
        now = self._clock()
        start, end = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (now - BACK, now + AHEAD))
        place = user_path(mailbox.address) if mailbox.calendar is None else calendar_path(mailbox)
        path = f"{place}/calendarView/delta?startDateTime={start}&endDateTime={end}"
        try:
            answer = await self._graph.send(Request(method="GET", path=path, page=PAGE))
            _, _, link = await self._round(answer)
        except NoAnswer as error:
            raise ProviderError(outcomes.no_answer(error)) from error
        except StartOver as error:
            raise ProviderError(outcomes.no_answer(NoAnswer("changes_forgotten"))) from error
        events = await self._listed(mailbox, instance)
        state = _State(
            instance=instance, identity=mailbox.identity, calendar=mailbox.calendar, begun=now, link=link
        )
        return Changes(events=tuple(events), state=msgspec.json.encode(state).decode())

    async def since(self, mailbox: Mailbox, instance: str, text: str) -> Changes:
        """What has changed since the state that the text is. Raises ``StartOver``."""
        state = self._state(mailbox, instance, text)
        try:
            answer = await self._graph.follow(state.link, PAGE)
            if answer.status == 400:
                # Made by another version of Graph, or damaged: nobody could ever go on from it.
                raise StartOver
            changed, removed, link = await self._round(answer)
        except NoAnswer as error:
            raise ProviderError(outcomes.no_answer(error)) from error
        # A few are read by their ids, side by side in one request; so is everything, as a rule.
        if len(changed) + len(removed) <= CONCURRENT:
            events = await self._read(mailbox, instance, changed, removed)
        else:
            events = [
                event for event in await self._listed(mailbox, instance) if event.id in changed | removed
            ]
        return Changes(
            events=tuple(events),
            removed=tuple(sorted((changed | removed) - {event.id for event in events})),
            state=msgspec.json.encode(msgspec.structs.replace(state, link=link)).decode(),
        )

    def _state(self, mailbox: Mailbox, instance: str, text: str) -> _State:
        """The state, if it is one of this calendar's that still can be gone on from. Raises ``StartOver``."""
        try:
            state = msgspec.json.decode(text, type=_State)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise StartOver from error
        meant = (state.instance, state.identity, state.calendar)
        if meant != (instance, mailbox.identity, mailbox.calendar) or not self._graph.leads_here(state.link):
            raise StartOver
        if self._clock() - state.begun >= LIFE:
            raise StartOver
        return state

    async def _round(self, answer: Answer) -> tuple[set[str], set[str], str]:
        """The ids of what is there and of what is not, by their last mention, and the link to the next round.

        Raises ``StartOver``, ``NoAnswer`` and ``ProviderError``.
        """
        changed: set[str] = set()
        removed: set[str] = set()
        while True:
            if outcomes.is_state_forgotten(answer):
                raise StartOver
            body = self._reader.body(answer)
            for item in items_of(body):
                id = item.get("id")
                if not isinstance(id, str):
                    raise NoAnswer("change_without_id")
                gone = "@removed" in item
                (removed if gone else changed).add(id)
                (changed if gone else removed).discard(id)
            following, last = body.get("@odata.nextLink"), body.get("@odata.deltaLink")
            if isinstance(last, str):
                return changed, removed, last
            if not isinstance(following, str):
                raise NoAnswer("changes_without_end")
            answer = await self._graph.follow(following, PAGE)

    async def _listed(self, mailbox: Mailbox, instance: str) -> list[RemoteEvent]:
        """All events of the instance, in the order in which they were made."""
        first = await self._reader.read(list_request(mailbox, instance))
        items = [item async for item in self._reader.items(first)]
        return ours(sorted(items, key=created), instance)

    async def _read(
        self, mailbox: Mailbox, instance: str, changed: set[str], removed: set[str]
    ) -> list[RemoteEvent]:
        """Those of the few events that are in the calendar, and the instance's."""
        found = await self._by_id(mailbox, instance, changed | removed)
        # An event that is told as removed and is there has changed outside the window, or has been moved to
        # another calendar, where it keeps its id.
        doubtful = [event for event in found if event.id in removed]
        if not doubtful:
            return found
        attempts = sorted({event.marker.attempt for event in doubtful})
        requests = [find_request(mailbox, attempt) for attempt in attempts]
        here: set[str] = set()
        for answer in await self._reader.together(requests, chained=False):
            async for item in self._reader.items(self._reader.body(answer)):
                here.add(str(item.get("id")))
        return [event for event in found if event.id not in removed or event.id in here]

    async def _by_id(self, mailbox: Mailbox, instance: str, ids: Iterable[str]) -> list[RemoteEvent]:
        """Those of the events that are there, in any calendar, and the instance's; the earliest first."""
        requests = [event_request(mailbox.address, id) for id in sorted(ids)]
        answers = await self._reader.together(requests, chained=False) if requests else []
        items = []
        for answer in answers:
            failure = outcomes.of_event_read(answer, self._clock())
            if failure is None:
                items.append(answer.body or {})
            elif not isinstance(failure, Gone) or failure.what != "event":
                raise ProviderError(failure)
        return ours(sorted(items, key=created), instance)
