"""The API's calls, whether they come alone or in a batch: authorisation, quotas, faults, work."""

import json
from datetime import datetime
from typing import Any, Literal

import msgspec

from providers.sandbox.google import calendar, discovery, errors, listing
from providers.sandbox.google.calendar import Calendar
from providers.sandbox.google.errors import ApiError
from providers.sandbox.google.fields import select
from providers.sandbox.google.quota import Quotas
from providers.sandbox.google.rules import CALENDAR_ZONE
from providers.sandbox.google.tokens import Tokens
from providers.sandbox.state import Fault, SandboxMailbox, State

__all__ = ["TYPE", "Answer", "Call", "Ending", "Service"]

TYPE = "googlecalendar"

OPERATIONS = {
    "events.insert": "create",
    "events.import": "create",
    "events.patch": "update",
    "events.update": "update",
    "events.delete": "delete",
}
"""The sandbox's name of each call, for faults and counting; all others are ``read``."""

UNITS = {"events.patch": 3}
"""What a call takes of the quotas, where it is not one."""

Ending = Literal["whole", "drop", "cut"]
"""How the connection ends: after the whole answer, before any of it, or in the middle of it."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request. ``path`` is percent-encoded; ``headers`` are by lower-case name."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes


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
        return content_type | self.headers, json.dumps(self.body, ensure_ascii=False).encode()


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
        if method.scopes and not method.scopes & grant.scopes:
            raise ApiError(403, "insufficientPermissions", "Request had insufficient authentication scopes.")
        operation = OPERATIONS.get(method.id, "read")
        self._state.stats.operation(TYPE, operation)
        fault = self._state.faults.take(TYPE, operation, grant.subject)
        if self._state.quotas:
            self.quotas.take(grant.subject.casefold(), UNITS.get(method.id, 1))
        mailbox = self._mailbox(grant.subject)
        if fault is None:
            return self._perform(mailbox, method, parts, query, call)
        if fault.fault == "slow":
            await self._state.sleep(float(fault.options.get("delay", 5)))
        if fault.fault == "gone" and parts.get("eventId") in mailbox.events:
            # As if the person had just deleted it; the call goes on and finds out.
            _remove(mailbox, parts["eventId"], self._state.now())
        elif (error := errors.from_fault(fault)) is not None:
            raise error
        try:
            answer = self._perform(mailbox, method, parts, query, call)
        except ApiError:
            if fault.fault not in ("commit_then_drop", "commit_then_503"):
                raise
            answer = Answer(status=503)  # Nobody hears what came of it.
        return _spoiled(answer, fault)

    def _mailbox(self, subject: str) -> SandboxMailbox:
        mailbox = self._state.mailbox(TYPE, subject)
        if mailbox is None:
            raise errors.not_found()
        if not mailbox.access:
            raise ApiError(403, "forbidden", "Forbidden")
        return mailbox

    def _perform(
        self,
        mailbox: SandboxMailbox,
        method: discovery.Method,
        parts: dict[str, str],
        query: dict[str, Any],
        call: Call,
    ) -> Answer:
        own = ("primary", mailbox.address.casefold(), *mailbox.aliases)
        if parts.get("calendarId", "primary").casefold() not in own:
            raise errors.not_found()
        if method.id in ("calendars.get", "calendarList.get", "calendarList.list"):
            return self._calendar_metadata(mailbox, method.id, query)
        if method.id == "events.list":
            return _ok(listing.list_events(mailbox, query, "owner"), query)
        return self._event(mailbox, method, parts, query, call)

    def _calendar_metadata(self, mailbox: SandboxMailbox, name: str, query: dict[str, Any]) -> Answer:
        calendar_resource = {
            "kind": "calendar#calendar",
            "etag": '"calendar"',
            "id": mailbox.address,
            "summary": mailbox.address,
            "timeZone": CALENDAR_ZONE,
        }
        if name == "calendars.get":
            return _ok(calendar_resource, query)
        entry = calendar_resource | {
            "kind": "calendar#calendarListEntry",
            "accessRole": "owner",
            "primary": True,
            "selected": True,
            "defaultReminders": [{"method": "popup", "minutes": 10}],
        }
        if name == "calendarList.get":
            return _ok(entry, query)
        return _ok({"kind": "calendar#calendarList", "etag": '"list"', "items": [entry]}, query)

    def _event(
        self,
        mailbox: SandboxMailbox,
        method: discovery.Method,
        parts: dict[str, str],
        query: dict[str, Any],
        call: Call,
    ) -> Answer:
        book = Calendar(mailbox, self._state.now())
        attachments = query.get("supportsAttachments", False)
        id = parts.get("eventId", "")
        if method.id in ("events.patch", "events.update", "events.delete"):
            calendar.check_precondition(book.get(id), call.headers.get("if-match"))
        if method.id == "events.get":
            event = book.get(id)
            if call.headers.get("if-none-match") == event["etag"]:
                return Answer(status=304, headers={"ETag": event["etag"]})
        elif method.id == "events.delete":
            self._count_mails(book.delete(id), query)
            return Answer(status=204)
        elif method.id == "events.insert":
            event = book.insert(self._body(method, call))
        elif method.id == "events.import":
            event = book.import_(self._body(method, call))
        elif method.id == "events.patch":
            event = book.patch(id, self._body(method, call), attachments=attachments)
        elif method.id == "events.update":
            event = book.update(id, self._body(method, call), attachments=attachments)
        else:
            raise ApiError(501, "notImplemented", f"The sandbox does not have {method.id}.")
        self._state.violations += [f"{method.id}: {lost}" for lost in book.lost]
        if method.id not in ("events.get", "events.import"):
            self._count_mails(event, query)
        return _ok(event, query, headers={"ETag": event["etag"]})

    def _body(self, method: discovery.Method, call: Call) -> dict[str, Any]:
        try:
            body = json.loads(call.body)
        except ValueError:
            body = None
        if not isinstance(body, dict) or method.body is None:
            raise ApiError(400, "parseError", "Parse Error")
        unknown = discovery.check_body(method.body, body)
        self._state.violations += [f"{method.id}: unknown field {name}" for name in unknown]
        return body

    def _count_mails(self, event: dict[str, Any], query: dict[str, Any]) -> None:
        """Guests hear of it by mail unless ``sendUpdates`` is none, which it is by default."""
        guests = [guest for guest in event.get("attendees", ()) if not guest.get("self")]
        if query.get("sendUpdates", "all" if query.get("sendNotifications") else "none") != "none" and guests:
            self._state.stats.operation(TYPE, "mail", len(guests))


def _remove(mailbox: SandboxMailbox, id: str, now: datetime) -> None:
    book = Calendar(mailbox, now)
    if book.get(id)["status"] != "cancelled":
        book.delete(id)


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
    return answer
