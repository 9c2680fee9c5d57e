"""One ``apply``: what is sent, and what is looked at where an answer leaves something open."""

from collections.abc import Iterable, Mapping, Sequence

from googleapiclient.http import HttpRequest

from providers.contract import (
    Clock,
    Create,
    Delete,
    Done,
    Gone,
    Mailbox,
    Move,
    Operation,
    Outcome,
    Permit,
    Refused,
    Update,
)
from providers.googlecalendar import bodies, outcomes
from providers.googlecalendar.client import CALENDAR, Client
from providers.googlecalendar.replies import Answer, Reply
from providers.googlecalendar.resources import FIELDS, EventResource, read

__all__ = ["Writes"]


class Writes:
    """Operations on one mailbox, by their places, and the outcomes known so far.

    Mostly one request. Events of which it is not known what they hold, or that have moved on since, are
    read, all in one request, and so are those whose refusal may mean that they were deleted.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        mailbox: Mailbox,
        operations: Sequence[Operation],
        permit: Permit,
    ) -> None:
        self._client = client
        self._permit = permit
        self._calendar = _named(mailbox.calendar)
        self._clock = clock
        self._mailbox = mailbox
        self._operations = operations
        self._outcomes: dict[int, Outcome] = {}
        self._seen: dict[int, Answer] = {}
        self._unclear: dict[int, Reply] = {}

    async def carry_out(self) -> list[Outcome]:
        """An outcome for each operation, in their order."""
        updates = {
            place: update for place, update in enumerate(self._operations) if isinstance(update, Update)
        }
        await self._read({place: update for place, update in updates.items() if _to_be_read(update)})
        moved_on = await self._write(range(len(self._operations)))
        await self._read({place: updates[place] for place in moved_on})
        await self._write(moved_on)
        await self._look_after(self._unclear)
        return [self._outcomes[place] for place in range(len(self._operations))]

    async def _read(self, updates: Mapping[int, Update]) -> None:
        """Read the events of these updates, or note the outcomes for those that cannot be read."""
        wanted = {place: self._get(update) for place, update in updates.items()}
        for place, reply in (await self._send(wanted)).items():
            outcome = outcomes.written(reply, "event", self._clock())
            if isinstance(outcome, Done) and isinstance(reply, Answer):
                self._seen[place] = reply
            elif outcomes.not_found(reply):
                self._unclear[place] = reply
            else:
                self._outcomes[place] = outcome

    async def _write(self, places: Iterable[int]) -> list[int]:
        """Send what is still open of these; gives those whose events have moved on since ``version``."""
        requests: dict[int, HttpRequest] = {}
        for place in places:
            if place in self._outcomes or place in self._unclear:
                continue
            operation = self._operations[place]
            seen = self._seen.get(place)
            request = self._request(operation, read(seen, EventResource) if seen else None)
            if request is not None:
                requests[place] = request
            elif seen is not None:
                self._outcomes[place] = self._outcome(operation, seen)
            elif isinstance(operation, Update):
                self._outcomes[place] = Done(operation.id, operation.version)
        moved_on = []
        for place, reply in (await self._send(requests, self._permit)).items():
            operation = self._operations[place]
            if outcomes.moved_on(reply) and isinstance(operation, Update) and place not in self._seen:
                moved_on.append(place)
            elif _leaves_open(operation, reply):
                self._unclear[place] = reply
            else:
                self._outcomes[place] = self._outcome(operation, reply)
        return moved_on

    async def _look_after(self, refused: Mapping[int, Reply]) -> None:
        """Look at the events or the calendar whose writes were refused, and find out what that means."""
        again: dict[int, HttpRequest] = {}
        deleted: set[int] = set()
        looks = {place: self._look(self._operations[place], reply) for place, reply in refused.items()}
        for place, seen in (await self._send(looks)).items():
            operation, reply = self._operations[place], refused[place]
            if isinstance(operation, Create):
                mending = self._mending(operation, seen)
                if mending is not None:
                    again[place] = mending
                    if outcomes.missing(seen):
                        deleted.add(place)
                else:
                    self._outcomes[place] = self._outcome(operation, seen)
            elif outcomes.not_found(reply) and not (isinstance(seen, Answer) and seen.ok):
                self._outcomes[place] = outcomes.failure(seen, "calendar", self._clock())
            elif outcomes.missing(seen):
                self._outcomes[place] = outcomes.written(seen, "event", self._clock())
            else:
                self._outcomes[place] = self._outcome(operation, reply)
        for place, reply in (await self._send(again, self._permit)).items():
            outcome = self._outcome(self._operations[place], reply)
            self._outcomes[place] = _brought_back(outcome) if place in deleted else outcome

    def _look(self, operation: Operation, refusal: Reply) -> HttpRequest:
        """What tells most: whether there is a calendar, if it may be that which was not found."""
        if outcomes.not_found(refusal):
            written_to = _named(operation.calendar) if isinstance(operation, Move) else self._calendar
            return self._client.calendar_list.get(calendarId=written_to, fields="id")
        return self._get(operation)

    def _mending(self, create: Create, reply: Reply) -> HttpRequest | None:
        """What makes the event that has the attempt's id already the one that is to be created.

        None if it is, or if nothing is known about it. A deleted one is brought back with its content;
        one that lost its marker gets it again.
        """
        common = {
            "calendarId": self._calendar,
            "eventId": create.marker.attempt.hex,
            "sendUpdates": "none",
            "fields": FIELDS,
        }
        if outcomes.missing(reply):
            body = bodies.insertion(create.event, create.marker)
            return self._client.events.update(**common, body=body)
        if isinstance(reply, Answer) and outcomes.lacks_marker(reply):
            seen = read(reply, EventResource)
            request = self._client.events.patch(**common, body=bodies.mending(seen, create))
            _only_for(seen.etag, request)
            return request
        return None

    def _request(self, operation: Operation, seen: EventResource | None) -> HttpRequest | None:
        """What is to be sent; None if that is nothing. ``seen`` is the event as it was read, if it was."""
        events = self._client.events
        common = {"calendarId": self._calendar, "sendUpdates": "none"}
        match operation:
            case Create(event=event, marker=marker):
                return events.insert(**common, body=bodies.insertion(event, marker), fields=FIELDS)
            case Update(id=id, version=version):
                body = bodies.patch(operation) if seen is None else bodies.patch_of(seen, operation)
                if not body:
                    return None
                request = events.patch(**common, eventId=id, body=body, fields=FIELDS)
                if bodies.conditional(body):
                    _only_for(version if seen is None else seen.etag, request)
                return request
            case Delete(id=id):
                return events.delete(**common, eventId=id)
            case Move(id=id, calendar=calendar):
                return events.move(**common, eventId=id, destination=_named(calendar), fields=FIELDS)

    def _get(self, operation: Operation) -> HttpRequest:
        id = operation.marker.attempt.hex if isinstance(operation, Create) else operation.id
        return self._client.events.get(calendarId=self._calendar, eventId=id, fields=FIELDS)

    def _outcome(self, operation: Operation, reply: Reply) -> Outcome:
        match operation:
            case Create(event=event):
                return outcomes.written(reply, "calendar", self._clock(), event)
            case Update(event=event):
                return outcomes.written(reply, "event", self._clock(), event)
            case Delete(id=id):
                return outcomes.deleted(reply, id, self._clock())
            case Move(id=id):
                outcome = outcomes.written(reply, "event", self._clock())
                # The event keeps its id. What else is in it, this version does not tell.
                return Done(id) if isinstance(outcome, Done) else outcome

    async def _send(
        self, requests: Mapping[int, HttpRequest], permit: Permit | None = None
    ) -> dict[int, Reply]:
        """The replies to these calls; those that write need a permit."""
        replies = await self._client.send(self._mailbox.address, list(requests.values()), permit)
        return dict(zip(requests, replies, strict=True))


def _to_be_read(update: Update) -> bool:
    """Whether it cannot be written without reading the event first."""
    if update.previous is None:
        return True
    return update.version is None and bodies.conditional(bodies.patch(update))


def _only_for(version: str | None, request: HttpRequest) -> None:
    """Let the request be carried out only if the event still has this version (RFC 9110 §13.1.1)."""
    if version is not None:
        request.headers["If-Match"] = version


def _named(calendar: str | None) -> str:
    return calendar or CALENDAR


def _leaves_open(operation: Operation, reply: Reply) -> bool:
    """Whether only a look at the event or its calendar tells what a refusal means."""
    match operation:
        case Create():
            return outcomes.exists(reply)
        case Update() | Move():
            return outcomes.may_be_deleted(reply) or outcomes.not_found(reply)
        case Delete():
            return outcomes.not_found(reply)


def _brought_back(outcome: Outcome) -> Outcome:
    """Where Google does not let a deleted event come back, this attempt is used up."""
    if isinstance(outcome, Gone) or (isinstance(outcome, Refused) and outcome.scope != "account"):
        return Gone(
            what="event", code=outcome.code, reason="The deleted event of this attempt cannot come back."
        )
    return outcome
