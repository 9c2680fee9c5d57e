"""Events of a calendar: listed, created, read, changed and deleted."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from providers.sandbox.graph import store, zones
from providers.sandbox.graph.calendars import named_calendar
from providers.sandbox.graph.errors import GraphError, bad_uri, invalid_request, item_not_found, only
from providers.sandbox.graph.messages import TYPE, Answer, Call, applied, preferences
from providers.sandbox.graph.odata import Query, parse_query
from providers.sandbox.graph.paths import Target
from providers.sandbox.graph.schema import Schema
from providers.sandbox.graph.validation import checked
from providers.sandbox.state import Native, SandboxMailbox, State

__all__ = ["Events", "shape_of", "within"]


class Events:
    """The events of the sandbox's mailboxes."""

    def __init__(self, state: State, schema: Schema, base_url: Callable[[], str]) -> None:
        self._state = state
        self._schema = schema
        self._base_url = base_url

    def carry_out(self, call: Call, mailbox: SandboxMailbox, target: Target) -> Answer:
        """A request for an event, or for the events of a calendar. Raises ``GraphError``."""
        calendar = named_calendar(mailbox, target)
        options = dict(parse_qsl(call.url.partition("?")[2], keep_blank_values=True))
        if target.kind == "event":
            return self._one(call, mailbox, target, options)
        if target.kind == "view":
            only(call.method, "GET")
            return self._list(call, mailbox, calendar, options, view=True)
        only(call.method, "GET", "POST")
        if call.method == "GET":
            return self._list(call, mailbox, calendar, options, view=False)
        return self._create(call, mailbox, calendar)

    def _create(self, call: Call, mailbox: SandboxMailbox, calendar: str | None) -> Answer:
        self._schema.asked("event", call.body)
        given = checked(call.body, creating=True)
        transaction = given.get("transactionId")
        # "Avoid redundant POST operations in case of client retries to create the same event": the event
        # resource's page. What is answered, and what after a delete, is not documented: here the event that
        # is there, and a new one once it has been deleted.
        known = next(
            (e for e in mailbox.events.values() if transaction and e.get("transactionId") == transaction),
            None,
        )
        event = known or store.create(mailbox, given, self._state.now(), calendar)
        if known is None and event.get("attendees", ()):
            # An organizer's meeting: Graph invites at once, and nothing can suppress that.
            self._state.stats.operation(TYPE, "invitation", len(event.get("attendees", ())))
        return self._event(call, mailbox, event, parse_query({}), status=201)

    def _one(self, call: Call, mailbox: SandboxMailbox, target: Target, options: dict[str, str]) -> Answer:
        only(call.method, "GET", "PATCH", "DELETE")
        own = store.own_id(target.id or "")
        if own is None:
            raise GraphError(400, "ErrorInvalidIdMalformed", "Id is malformed.")
        event = mailbox.events.get(own)
        if event is None or not (target.anywhere or event.get("calendar") == named_calendar(mailbox, target)):
            raise item_not_found()
        if call.method == "GET":
            return self._event(call, mailbox, event, parse_query(options))
        wanted = call.headers.get("if-match", "*")
        if wanted != "*" and wanted != store.etag(event):
            raise GraphError(
                412,
                "ErrorIrresolvableConflict",
                "The send or update operation could not be performed because the change key passed in the "
                "request does not match the current change key for the item.",
            )
        if call.method == "DELETE":
            store.remove(mailbox, event)
            if event.get("attendees", ()):
                self._state.stats.operation(TYPE, "cancellation", len(event.get("attendees", ())))
            return Answer(status=204)
        self._schema.asked("event", call.body)
        store.change(mailbox, event, checked(call.body, creating=False), self._state.now())
        if event.get("attendees", ()):
            self._state.stats.operation(TYPE, "invitation", len(event.get("attendees", ())))
        return self._event(call, mailbox, event, parse_query(options))

    def _event(
        self, call: Call, mailbox: SandboxMailbox, event: Native, query: Query, status: int = 200
    ) -> Answer:
        shape = shape_of(call, query)
        body = self._schema.answered("event", store.show(mailbox, event, shape))
        context = f"{self._base_url()}/v1.0/$metadata#users('{quote(mailbox.address)}')/events/$entity"
        return Answer(
            status=status,
            body={"@odata.context": context, **body},
            headers=applied(call) | {"ETag": body["@odata.etag"]},
        )

    def _list(
        self,
        call: Call,
        mailbox: SandboxMailbox,
        calendar: str | None,
        options: dict[str, str],
        *,
        view: bool,
    ) -> Answer:
        bounds = {name: options.pop(name, None) for name in ("startDateTime", "endDateTime")} if view else {}
        query = parse_query(options)
        events = [event for event in mailbox.events.values() if event.get("calendar") == calendar]
        if view:
            events = within(events, bounds)
        events = query.sorted([event for event in events if query.matches(event)])
        top = page_size(call, options, query.top)
        page = events[query.skip : query.skip + top]
        shape = shape_of(call, query)
        body: dict[str, Any] = {
            "@odata.context": f"{self._base_url()}/v1.0/$metadata#users('{quote(mailbox.address)}')/events"
        }
        if query.count:
            body["@odata.count"] = len(events)
        body["value"] = [self._schema.answered("event", store.show(mailbox, e, shape)) for e in page]
        if query.skip + top < len(events):
            following = {**options, **{k: v for k, v in bounds.items() if v}, "$skip": str(query.skip + top)}
            link = f"{self._base_url()}/v1.0{call.path}?{urlencode(following, quote_via=quote)}"
            body["@odata.nextLink"] = link
        return Answer(status=200, body=body, headers=applied(call))


def shape_of(call: Call, query: Query) -> store.Shape:
    """How to show events to this caller. Raises ``GraphError`` for a time zone that is not known."""
    preferred = preferences(call)
    time_zone = preferred.get("outlook.timezone", "UTC")
    zones.zone(time_zone)
    return store.Shape(
        immutable_id=preferred.get("idtype") == "ImmutableId",
        time_zone=time_zone,
        text_body=preferred.get("outlook.body-content-type") == "text",
        select=query.select,
        expand=query.expand,
    )


def page_size(call: Call, options: dict[str, str], top: int) -> int:
    """$top, or else the preferred ``odata.maxpagesize``, or else the default."""
    preferred = preferences(call).get("odata.maxpagesize", "")
    if "$top" not in options and preferred.isdecimal() and 1 <= int(preferred) <= 1000:
        return int(preferred)
    return top


def within(events: list[Native], bounds: dict[str, str | None]) -> list[Native]:
    """The single events that overlap a calendar view's bounds, both of which it needs."""
    start, end = (bounds[name] for name in ("startDateTime", "endDateTime"))
    if start is None or end is None:
        raise invalid_request(
            "This request requires a time window specified by startDateTime and endDateTime."
        )
    from_, to = zones.bound(start), zones.bound(end)
    if from_ > to:
        raise bad_uri("startDateTime has to be before endDateTime.")
    return [
        e for e in events if zones.moment(e["start"], "start") < to and zones.moment(e["end"], "end") > from_
    ]
