"""The API's calls, whether they come alone or in a batch: authorisation, quotas, faults, work."""

import json
from typing import Any, Literal

import msgspec

from providers.sandbox.google import calendar, calendars, discovery, errors, listing
from providers.sandbox.google.calendar import Calendar
from providers.sandbox.google.errors import ApiError
from providers.sandbox.google.fields import select
from providers.sandbox.google.quota import Quotas
from providers.sandbox.google.tokens import Grant, Tokens
from providers.sandbox.state import Fault, SandboxCalendar, SandboxMailbox, State

__all__ = ["TYPE", "Answer", "Call", "Ending", "Service"]

TYPE = "googlecalendar"

OPERATIONS = {
    "events.insert": "create",
    "events.import": "create",
    "events.patch": "update",
    "events.update": "update",
    "events.move": "update",
    "events.delete": "delete",
    "calendars.insert": "make_calendar",
    "calendars.patch": "change_calendar",
    "calendars.update": "change_calendar",
    "calendars.delete": "remove_calendar",
}
"""The sandbox's name of each call, for faults and counting; all others are ``read``."""

APP_CREATED = "https://www.googleapis.com/auth/calendar.app.created"
"""Reaches those secondary calendars alone that the application itself has made."""

UNITS = {"events.patch": 3}
"""What a call takes of the quotas, where it is not one."""

Ending = Literal["whole", "drop", "cut", "truncated"]
"""How the connection ends: after the whole answer, before any of it, in the middle of it, or after the first
half of it, which comes as if it were the whole."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request. ``path`` is percent-encoded; ``headers`` are by lower-case name."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is a call of the API, with its parameters read."""

    call: Call
    method: discovery.Method
    parts: dict[str, str]
    query: dict[str, Any]

    @property
    def calendar(self) -> str:
        """The calendar that the path names."""
        return self.parts.get("calendarId", calendars.PRIMARY)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered, and how the connection ends."""

    status: int
    body: Any = None
    headers: dict[str, str] = {}
    ending: Ending = "whole"

    @classmethod
    def of(cls, error: ApiError) -> "Answer":
        """The answer that tells of an error."""
        headers = {} if error.retry_after is None else {"Retry-After": f"{error.retry_after:g}"}
        return cls(status=error.status, body=error.body, headers=headers)

    def encoded(self) -> tuple[dict[str, str], bytes]:
        """Headers and body as on the wire."""
        if self.body is None:
            return self.headers, b""
        content_type = {"Content-Type": "application/json; charset=UTF-8"}
        body = json.dumps(self.body, ensure_ascii=False).encode()
        return content_type | self.headers, body[: len(body) // 2] if self.ending == "truncated" else body


class Service:
    """The Calendar API over a sandbox's state."""

    def __init__(self, state: State, tokens: Tokens) -> None:
        self._state = state
        self._tokens = tokens
        self.quotas = Quotas(lambda: state.now())

    async def call(self, call: Call) -> Answer:
        """Carry out one call; never raises ``ApiError``."""
        try:
            return await self._authorised(call)
        except ApiError as error:
            return Answer.of(error)

    async def _authorised(self, call: Call) -> Answer:
        method, parts = discovery.match(call.method, call.path)
        grant = self._tokens.check(call.headers.get("authorization"))
        query = discovery.parse_query(method, call.query)
        request = Request(call=call, method=method, parts=parts, query=query)
        if method.scopes and not method.scopes & grant.scopes:
            raise ApiError(403, "insufficientPermissions", "Request had insufficient authentication scopes.")
        operation = OPERATIONS.get(method.id, "read")
        self._state.stats.operation(TYPE, operation)
        fault = self._state.faults.take(TYPE, operation, grant.subject)
        if self._state.quotas:
            self.quotas.take(grant.subject.casefold(), UNITS.get(method.id, 1))
        mailbox = self._mailbox(grant.subject)
        if fault is None:
            return self._perform(mailbox, request, grant)
        if fault.fault == "slow":
            await self._state.sleep(float(fault.options.get("delay", 5)))
        if fault.fault == "expired_state" and "syncToken" in query:
            raise listing.full_sync_required()
        if fault.fault == "gone" and self._remove_event(mailbox, request):
            pass  # As if the person had just deleted it; the call goes on and finds out.
        elif (error := errors.from_fault(fault)) is not None:
            raise error
        try:
            answer = self._perform(mailbox, request, grant)
        except ApiError:
            if fault.fault not in ("commit_then_drop", "commit_then_503"):
                raise
            answer = Answer(status=503)  # Nobody hears what came of it.
        if fault.fault == "moves_on" and operation in ("create", "update"):
            calendar.move_on(mailbox, answer.headers["ETag"])
        return _spoiled(answer, fault)

    def _mailbox(self, subject: str) -> SandboxMailbox:
        mailbox = self._state.mailbox(TYPE, subject)
        if mailbox is None:
            raise errors.not_found()
        if not mailbox.access:
            raise ApiError(403, "forbidden", "Forbidden")
        return mailbox

    def _perform(self, mailbox: SandboxMailbox, request: Request, grant: Grant) -> Answer:
        name = request.method.id
        secondary = calendars.find(mailbox, request.calendar)
        if request.method.scopes & grant.scopes == {APP_CREATED} and "calendarId" in request.parts:
            _check_made_by_app(secondary)
        if name.startswith(("calendars.", "calendarList.")):
            return self._calendar_metadata(mailbox, secondary, request)
        book = Calendar(mailbox, self._state.now(), secondary)
        if name == "events.list":
            entry = calendars.entry(mailbox, secondary)
            return _ok(listing.list_events(book, request.query, entry), request.query)
        return self._event(book, request)

    def _remove_event(self, mailbox: SandboxMailbox, request: Request) -> bool:
        """Delete the event that the call names; False if it names none that is there."""
        book = Calendar(mailbox, self._state.now(), calendars.find(mailbox, request.calendar))
        event = next((one for one in book.events() if one["id"] == request.parts.get("eventId")), None)
        if event is not None and event["status"] != "cancelled":
            book.delete(event["id"])
        return event is not None

    def _calendar_metadata(
        self, mailbox: SandboxMailbox, secondary: SandboxCalendar | None, request: Request
    ) -> Answer:
        name, query = request.method.id, request.query
        if name == "calendarList.list":
            return _ok(calendars.page(mailbox, query), query)
        if name == "calendarList.get":
            return _ok(calendars.entry(mailbox, secondary), query)
        if name == "calendars.delete":
            calendars.remove(mailbox, secondary)
            return Answer(status=204)
        if name == "calendars.insert":
            secondary = calendars.make(mailbox, self._body(request), by_app=True)
        elif name == "calendars.patch" and secondary is not None:
            calendars.patch(mailbox, secondary, self._body(request))
        elif name == "calendars.update" and secondary is not None:
            calendars.replace(mailbox, secondary, self._body(request))
        elif name != "calendars.get":
            raise ApiError(501, "notImplemented", f"The sandbox does not have {name}.")
        return _ok(calendars.resource(mailbox, secondary), query)

    def _event(self, book: Calendar, request: Request) -> Answer:
        name, query, headers = request.method.id, request.query, request.call.headers
        attachments = query.get("supportsAttachments", False)
        id = request.parts.get("eventId", "")
        if name in ("events.patch", "events.update", "events.delete"):
            calendar.check_precondition(book.get(id), headers.get("if-match"))
        if name == "events.get":
            event = book.get(id)
            if headers.get("if-none-match") == event["etag"]:
                return Answer(status=304, headers={"ETag": event["etag"]})
        elif name == "events.delete":
            self._count_mails(book.delete(id), query)
            return Answer(status=204)
        elif name == "events.insert":
            event = book.insert(self._body(request))
        elif name == "events.import":
            event = book.import_(self._body(request))
        elif name == "events.patch":
            event = book.patch(id, self._body(request), attachments=attachments)
        elif name == "events.update":
            event = book.update(id, self._body(request), attachments=attachments)
        elif name == "events.move":
            target = calendars.find(book.mailbox, query["destination"])
            event = book.move(id, Calendar(book.mailbox, self._state.now(), target))
        else:
            raise ApiError(501, "notImplemented", f"The sandbox does not have {name}.")
        self._state.violations += [f"{name}: {lost}" for lost in book.lost]
        if name not in ("events.get", "events.import"):
            self._count_mails(event, query)
        return _ok(calendar.resource(event), query, headers={"ETag": event["etag"]})

    def _body(self, request: Request) -> dict[str, Any]:
        """The request's body. What the schema does not know is noted, and ignored as Google does."""
        schema = request.method.body
        try:
            body = json.loads(request.call.body)
        except ValueError:
            body = None
        if not isinstance(body, dict) or schema is None:
            raise ApiError(400, "parseError", "Parse Error")
        unknown = discovery.check_body(schema, body)
        self._state.violations += [f"{request.method.id}: unknown field {name}" for name in unknown]
        return {name: value for name, value in body.items() if name not in unknown}

    def _count_mails(self, event: dict[str, Any], query: dict[str, Any]) -> None:
        """Guests hear of it by mail unless ``sendUpdates`` is none, which it is by default."""
        guests = [guest for guest in event.get("attendees", ()) if not guest.get("self")]
        if query.get("sendUpdates", "all" if query.get("sendNotifications") else "none") != "none" and guests:
            self._state.stats.operation(TYPE, "mail", len(guests))


def _check_made_by_app(secondary: SandboxCalendar | None) -> None:
    """What Google answers for other calendars is not documented; this is its word for a missing right."""
    if secondary is None or not secondary.native.get("byApp"):
        raise ApiError(403, "forbidden", "Forbidden")


def _ok(body: dict[str, Any], query: dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
    if "fields" in query:
        body = select(body, query["fields"])
    return Answer(status=200, body=body, headers=headers or {})


def _spoiled(answer: Answer, fault: Fault) -> Answer:
    """The answer after the work was done, as a fault would have it."""
    if fault.fault == "commit_then_503":
        return Answer(status=503, body=ApiError(503, "backendError", "Backend Error").body)
    if fault.fault == "commit_then_drop":
        return msgspec.structs.replace(answer, ending="drop")
    if fault.fault == "partial":
        return msgspec.structs.replace(answer, ending="cut")
    if fault.fault == "truncated":
        return msgspec.structs.replace(answer, ending="truncated")
    return answer
