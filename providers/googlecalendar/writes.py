"""One ``apply``: what is sent, and what is looked at where an answer leaves something open."""

from collections.abc import Mapping, Sequence

from googleapiclient.http import HttpRequest

from providers.contract import Clock, Create, Delete, Done, Gone, Mailbox, Operation, Outcome, Refused, Update
from providers.googlecalendar import bodies, outcomes
from providers.googlecalendar.client import CALENDAR, MARKED, Client
from providers.googlecalendar.replies import Answer, Reply

__all__ = ["Writes"]

WRITTEN = "id,etag,status"


class Writes:
    """Operations on one mailbox, by their places, and the outcomes known so far.

    Mostly one request. Before a status is set, and after an answer that may mean a deleted event, the
    events concerned are looked at first, all in one request.
    """

    def __init__(
        self, client: Client, clock: Clock, mailbox: Mailbox, operations: Sequence[Operation]
    ) -> None:
        self._client = client
        self._clock = clock
        self._mailbox = mailbox
        self._operations = operations
        self._outcomes: dict[int, Outcome] = {}

    async def carry_out(self) -> list[Outcome]:
        """An outcome for each operation, in their order."""
        self._leave_unchanged()
        versions = await self._look_before()
        replies = await self._send(
            {
                place: self._request(operation, versions.get(place))
                for place, operation in enumerate(self._operations)
                if place not in self._outcomes
            }
        )
        unclear: dict[int, Reply] = {}
        for place, reply in replies.items():
            if _leaves_open(self._operations[place], reply):
                unclear[place] = reply
            else:
                self._outcomes[place] = self._outcome(self._operations[place], reply)
        await self._look_after(unclear)
        return [self._outcomes[place] for place in range(len(self._operations))]

    def _leave_unchanged(self) -> None:
        """Updates without a difference are done."""
        for place, operation in enumerate(self._operations):
            if isinstance(operation, Update) and not bodies.patch(operation):
                self._outcomes[place] = Done(operation.id, operation.version)

    async def _look_before(self) -> dict[int, str | None]:
        """Look at events whose status is to be set, because that would bring a deleted one back.

        Notes the outcomes for those that are not there; gives the versions that the others' patches are
        good for, so that nobody can delete them in between.
        """
        wanted = {
            place: self._get(operation)
            for place, operation in enumerate(self._operations)
            if isinstance(operation, Update) and bodies.touches_status(operation)
        }
        versions: dict[int, str | None] = {}
        for place, reply in (await self._send(wanted)).items():
            seen = outcomes.written(reply, "event", self._clock())
            if isinstance(seen, Done):
                versions[place] = seen.version
            else:
                self._outcomes[place] = seen
        return versions

    async def _look_after(self, refused: Mapping[int, Reply]) -> None:
        """Look at the events or the calendar whose writes were refused, and find out what that means."""
        again: dict[int, HttpRequest] = {}
        looks = {place: self._look(self._operations[place], reply) for place, reply in refused.items()}
        for place, seen in (await self._send(looks)).items():
            operation, reply = self._operations[place], refused[place]
            if isinstance(operation, Create):
                mending = self._mending(operation, seen)
                if mending is not None:
                    again[place] = mending
                else:
                    self._outcomes[place] = self._outcome(operation, seen)
            elif outcomes.not_found(reply) and not (isinstance(seen, Answer) and seen.ok):
                self._outcomes[place] = outcomes.failure(seen, "calendar", self._clock())
            elif outcomes.missing(seen):
                self._outcomes[place] = outcomes.written(seen, "event", self._clock())
            else:
                self._outcomes[place] = self._outcome(operation, reply)
        for place, reply in (await self._send(again)).items():
            self._outcomes[place] = _brought_back(outcomes.written(reply, "event", self._clock()))

    def _look(self, operation: Operation, refusal: Reply) -> HttpRequest:
        """What tells most: whether there is a calendar, if it may be that which was not found."""
        if outcomes.not_found(refusal):
            return self._client.calendar_list.get(calendarId=CALENDAR, fields="id")
        return self._get(operation)

    def _mending(self, create: Create, reply: Reply) -> HttpRequest | None:
        """What makes the event that has the attempt's id already the one that is to be created.

        None if it is, or if nothing is known about it. A deleted one is brought back with its content;
        one that lost its marker gets it again.
        """
        common = {
            "calendarId": CALENDAR,
            "eventId": create.marker.attempt.hex,
            "sendUpdates": "none",
            "fields": WRITTEN,
        }
        if outcomes.missing(reply):
            body = bodies.insertion(create.event, create.marker)
            return self._client.events.update(**common, body=body)
        if outcomes.lacks_marker(reply):
            return self._client.events.patch(**common, body=bodies.full(create.event, create.marker))
        return None

    def _request(self, operation: Operation, version: str | None) -> HttpRequest:
        events = self._client.events
        common = {"calendarId": CALENDAR, "sendUpdates": "none"}
        match operation:
            case Create(event=event, marker=marker):
                return events.insert(**common, body=bodies.insertion(event, marker), fields=WRITTEN)
            case Update(id=id):
                request = events.patch(**common, eventId=id, body=bodies.patch(operation), fields=WRITTEN)
                if version is not None:
                    request.headers["If-Match"] = version
                return request
            case Delete(id=id):
                return events.delete(**common, eventId=id)

    def _get(self, operation: Operation) -> HttpRequest:
        id = operation.marker.attempt.hex if isinstance(operation, Create) else operation.id
        return self._client.events.get(calendarId=CALENDAR, eventId=id, fields=MARKED)

    def _outcome(self, operation: Operation, reply: Reply) -> Outcome:
        match operation:
            case Create():
                return outcomes.written(reply, "calendar", self._clock())
            case Update():
                return outcomes.written(reply, "event", self._clock())
            case Delete(id=id):
                return outcomes.deleted(reply, id, self._clock())

    async def _send(self, requests: Mapping[int, HttpRequest]) -> dict[int, Reply]:
        replies = await self._client.send(self._mailbox.address, list(requests.values()))
        return dict(zip(requests, replies, strict=True))


def _leaves_open(operation: Operation, reply: Reply) -> bool:
    """Whether only a look at the event or its calendar tells what a refusal means."""
    match operation:
        case Create():
            return outcomes.exists(reply)
        case Update():
            return outcomes.may_be_deleted(reply) or outcomes.not_found(reply)
        case Delete():
            return outcomes.not_found(reply)


def _brought_back(outcome: Outcome) -> Outcome:
    """Where Google does not let a deleted event come back, this attempt is used up."""
    if isinstance(outcome, Refused) and outcome.scope != "account":
        return Gone(
            what="event", code=outcome.code, reason="The deleted event of this attempt cannot come back."
        )
    return outcome
