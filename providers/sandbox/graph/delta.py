"""What has changed in a calendar view: learn.microsoft.com/graph/api/event-delta.

A round begins with a window, or where the last one ended, and goes from page to page by links that hold
all there is to know of it.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from providers.sandbox.graph import store, zones
from providers.sandbox.graph.calendars import named_calendar
from providers.sandbox.graph.errors import GraphError, bad_uri, invalid_request, only, sync_state_not_found
from providers.sandbox.graph.events import shape_of, within
from providers.sandbox.graph.messages import Answer, Call, applied, preferences
from providers.sandbox.graph.odata import parse_query
from providers.sandbox.graph.paths import Target
from providers.sandbox.graph.schema import Schema
from providers.sandbox.state import Native, SandboxMailbox

__all__ = ["Delta", "goes_on"]

DEFAULT_PAGE = 10
LARGEST_PAGE = 1000
LONGEST = 1825
"""Days that a calendar view may span."""
UNSUPPORTED = ("$expand", "$filter", "$orderby", "$search", "$select", "$top")


class _Token(msgspec.Struct, kw_only=True):
    """What the links hold. ``after``: the serial of the last change that the client has seen."""

    calendar: str | None
    start: str
    end: str
    after: int
    first: bool
    """Whether the round is the first one: what is outside the window does not show in it."""
    begun: int
    """The mailbox's serial when the round began: a first round shows no removals from before."""


class Delta:
    """Change tracking over the sandbox's mailboxes."""

    def __init__(self, schema: Schema, base_url: Callable[[], str]) -> None:
        self._schema = schema
        self._base_url = base_url

    def carry_out(self, call: Call, mailbox: SandboxMailbox, target: Target) -> Answer:
        """One page of a round. Raises ``GraphError``: 410 if what the link goes on from is forgotten."""
        only(call.method, "GET")
        calendar = named_calendar(mailbox, target)
        token = self._token(mailbox, calendar, _options(call))
        changes = _changes(mailbox, token)
        preferred = preferences(call).get("odata.maxpagesize", "")
        size = min(int(preferred), LARGEST_PAGE) if preferred.isdecimal() and int(preferred) else DEFAULT_PAGE
        page, more = changes[:size], changes[size:]
        visible = {event["id"] for event in _in_window(mailbox, token)}
        shape = shape_of(call, parse_query({}))
        value = [
            self._schema.answered(
                "event",
                {"@odata.type": "#microsoft.graph.event", **store.show(mailbox, mailbox.events[id_], shape)},
            )
            if id_ in visible
            else {
                "@odata.type": "#microsoft.graph.event",
                "id": store.shown_id(id_, shape),
                "@removed": {"reason": "deleted"},
            }
            for _, id_ in page
        ]
        if more:
            token.after = page[-1][0]
            link = {"@odata.nextLink": self._link(call, "$skiptoken", token)}
        else:
            token.after, token.first = mailbox.serial, False
            link = {"@odata.deltaLink": self._link(call, "$deltatoken", token)}
        body: dict[str, Any] = {"@odata.context": f"{self._base_url()}/v1.0/$metadata#Collection(event)"}
        return Answer(status=200, body={**body, **link, "value": value}, headers=applied(call))

    def _token(self, mailbox: SandboxMailbox, calendar: str | None, options: dict[str, str]) -> _Token:
        given = _given(options)
        if given is None:
            if used := [name for name in UNSUPPORTED if name in options]:
                raise GraphError(
                    400,
                    "ErrorInvalidUrlQuery",
                    "The following parameters are not supported with change tracking over the 'CalendarView' "
                    f"resource: '{', '.join(used)}'.",
                )
            start, end = options.get("startdatetime"), options.get("enddatetime")
            within([], {"startDateTime": start, "endDateTime": end})
            assert start is not None
            assert end is not None
            if (zones.bound(end) - zones.bound(start)).days > LONGEST:
                raise GraphError(
                    400,
                    "ErrorCalendarViewRangeTooBig",
                    f"The requested time duration specified for calendarview is too long: {LONGEST} days.",
                )
            return _Token(calendar=calendar, start=start, end=end, after=0, first=True, begun=mailbox.serial)
        try:
            token = msgspec.json.decode(urlsafe_b64decode(given), type=_Token)
        except (ValueError, msgspec.DecodeError) as error:
            raise bad_uri("Badly formed token.") from error
        if token.calendar != calendar:
            raise invalid_request("The token is one of another calendar's.")
        if not token.first and token.after < store.forgotten_until(mailbox):
            raise sync_state_not_found()
        return token

    def _link(self, call: Call, name: str, token: _Token) -> str:
        text = urlsafe_b64encode(msgspec.json.encode(token)).decode()
        return f"{self._base_url()}/v1.0{call.path}?{name}={text}"


def goes_on(call: Call) -> bool:
    """Whether the request goes on from a state, by a link."""
    return _given(_options(call)) is not None


def _options(call: Call) -> dict[str, str]:
    """The query options, by their names without case."""
    query = call.url.partition("?")[2]
    return {name.casefold(): value for name, value in parse_qsl(query, keep_blank_values=True)}


def _given(options: dict[str, str]) -> str | None:
    """The token of a link."""
    return options.get("$skiptoken") or options.get("$deltatoken")


def _changes(mailbox: SandboxMailbox, token: _Token) -> list[tuple[int, str]]:
    """Serials and ids of what has changed, in the order of the changes; each id by its last one."""
    changed = {
        event["id"]: event.get("serial", 0)
        for event in mailbox.events.values()
        if event.get("calendar") == token.calendar and event.get("serial", 0) > token.after
    }
    if token.first:
        visible = {event["id"] for event in _in_window(mailbox, token)}
        changed = {id_: serial for id_, serial in changed.items() if id_ in visible or serial > token.begun}
    removed = {
        id_: serial
        for serial, id_, calendar in store.removals(mailbox)
        if calendar == token.calendar and serial > max(token.after, token.begun if token.first else 0)
    }
    # What was removed and is back is not removed.
    return sorted((serial, id_) for id_, serial in (removed | changed).items())


def _in_window(mailbox: SandboxMailbox, token: _Token) -> list[Native]:
    events = [event for event in mailbox.events.values() if event.get("calendar") == token.calendar]
    return within(events, {"startDateTime": token.start, "endDateTime": token.end})
