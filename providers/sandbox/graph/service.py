"""Carries out one Graph request, whether it came alone or inside a batch."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

import msgspec

from providers.sandbox.graph import store, zones
from providers.sandbox.graph.errors import (
    GraphError,
    access_denied,
    bad_uri,
    invalid_request,
    item_not_found,
    over_concurrency,
    unavailable,
    user_not_found,
)
from providers.sandbox.graph.limits import Limits
from providers.sandbox.graph.odata import Query, parse_query
from providers.sandbox.graph.schema import Schema
from providers.sandbox.graph.validation import checked
from providers.sandbox.state import Fault, Native, SandboxMailbox, State

__all__ = ["TYPE", "Answer", "Call", "ConnectionCut", "Service"]

TYPE = "o365"
OPERATIONS = {"GET": "read", "POST": "create", "PATCH": "update", "DELETE": "delete"}
PATH = re.compile(
    r"/users/(?P<user>[^/]+)/(?P<resource>calendars/(?P<calendar>[^/]+)|calendars|calendar|events|calendarView)"
    r"(?:/(?P<collection>events|calendarView))?(?:/(?P<event>[^/]+))?"
)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request. ``url`` is relative to the version and starts with a slash; header names are lower-case."""

    method: str
    url: str
    headers: dict[str, str] = {}
    body: Any = None
    application: str = ""

    @property
    def operation(self) -> str:
        """``create``, ``read``, ``update`` or ``delete``."""
        return OPERATIONS.get(self.method, self.method)

    @property
    def address(self) -> str | None:
        """The mailbox that the request is for, as it names it."""
        match = re.match(r"/users/([^/?]+)", self.url)
        return None if match is None else unquote(match[1])


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer; ``body`` is JSON, or None for none."""

    status: int
    body: Any = None
    headers: dict[str, str] = {}
    cut: bool = False
    """Only the first half of it reaches the client."""

    @classmethod
    def of(cls, error: GraphError) -> "Answer":
        """The answer that the error is."""
        return cls(status=error.status, body=error.body(), headers=error.headers)


class ConnectionCut(Exception):
    """The fault wants the connection cut; what was carried out stays."""


class Service:
    """Graph over the sandbox's mailboxes."""

    def __init__(self, state: State, base_url: Callable[[], str]) -> None:
        self._state = state
        self._base_url = base_url
        self._limits = Limits(lambda: state.now())
        self._schema = Schema(state)

    async def serve(self, call: Call) -> Answer:
        """Carry out one request, playing a fault if there is one for it. Raises ``ConnectionCut``."""
        self._state.stats.operation(TYPE, call.operation)
        fault = self._state.faults.take(TYPE, call.operation, call.address)
        try:
            with self._limits.request(call.application, self.mailbox_key(call)):
                return await self._played(fault, call)
        except GraphError as error:
            return Answer.of(error)

    async def _played(self, fault: Fault | None, call: Call) -> Answer:
        if fault is None:
            return self._carry_out(call)
        match fault.fault:
            case "throttle":
                raise over_concurrency(fault.retry_after)
            case "unavailable":
                raise unavailable(fault.retry_after)
            case "deny":
                raise access_denied()
            case "gone":
                raise self._gone(call)
            case "slow":
                await self._state.sleep(float(fault.options.get("delay", 5)))
                return self._carry_out(call)
            case "commit_then_drop":
                self._committed(call)
                raise ConnectionCut
            case "commit_then_503":
                self._committed(call)
                raise unavailable(fault.retry_after)
            case _:
                return msgspec.structs.replace(self._carry_out(call), cut=True)

    def _committed(self, call: Call) -> None:
        try:
            self._carry_out(call)
        except GraphError:
            # Nobody hears what came of it: that is the fault that is played.
            return

    def _gone(self, call: Call) -> GraphError:
        """What was asked for is really away afterwards, as if the person had just deleted it."""
        match = PATH.fullmatch(call.url.partition("?")[0])
        if match is None or match["event"] is None:
            return user_not_found()
        mailbox = self._mailbox(call)
        if mailbox.events.pop(store.own_id(unquote(match["event"])) or "", None) is not None:
            mailbox.next_serial()
        return item_not_found()

    def mailbox_key(self, call: Call) -> str:
        """One name for all addresses of the mailbox that the request is for."""
        address = call.address or ""
        mailbox = self._state.mailbox(TYPE, address)
        return (address if mailbox is None else mailbox.address).casefold()

    def _mailbox(self, call: Call) -> SandboxMailbox:
        address = call.address or ""
        mailbox = self._state.mailbox(TYPE, address)
        if mailbox is None:
            if (TYPE, address.casefold()) in self._state.mailboxes:
                # It was there once: the user without a licence, or moved to a server of their own.
                raise GraphError(
                    404,
                    "MailboxNotEnabledForRESTAPI",
                    "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
                )
            raise user_not_found()
        if not mailbox.access:
            raise access_denied()
        return mailbox

    def _carry_out(self, call: Call) -> Answer:
        path, _, query = call.url.partition("?")
        if re.match(r"/me(/|$)", path):
            raise GraphError(
                400, "BadRequest", "/me request is only valid with delegated authentication flow."
            )
        match = PATH.fullmatch(path)
        if match is None:
            raise GraphError(400, "BadRequest", f"Resource not found for the segment in '{path}'.")
        mailbox = self._mailbox(call)
        options = dict(parse_qsl(query, keep_blank_values=True))
        resource, collection = match["resource"], match["collection"]
        if match["calendar"] is not None and unquote(match["calendar"]) != calendar_id(mailbox):
            raise item_not_found()
        if resource in ("events", "calendarView") and collection is not None:
            raise GraphError(400, "BadRequest", f"Resource not found for the segment '{collection}'.")
        if resource == "calendars" and collection is None and match["event"] is None:
            self._only(call, "GET")
            return Answer(status=200, body={"value": [self._schema.answered("calendar", calendar(mailbox))]})
        target = collection or (resource if resource in ("events", "calendarView") else None)
        if target is None:
            if match["event"] is not None:
                raise GraphError(400, "BadRequest", f"Resource not found for the segment '{match['event']}'.")
            self._only(call, "GET")
            return Answer(status=200, body=self._schema.answered("calendar", calendar(mailbox)))
        if target == "calendarView":
            self._only(call, "GET")
            return self._list(call, mailbox, options, view=True)
        if match["event"] is not None:
            return self._one(call, mailbox, unquote(match["event"]), options)
        self._only(call, "GET", "POST")
        if call.method == "GET":
            return self._list(call, mailbox, options, view=False)
        return self._create(call, mailbox)

    def _only(self, call: Call, *methods: str) -> None:
        if call.method not in methods:
            raise GraphError(
                405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."
            )

    def _create(self, call: Call, mailbox: SandboxMailbox) -> Answer:
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
        event = known or store.create(mailbox, given, self._state.now())
        if known is None and event.get("attendees", ()):
            # An organizer's meeting: Graph invites at once, and nothing can suppress that.
            self._state.stats.operation(TYPE, "invitation", len(event.get("attendees", ())))
        return self._event(call, mailbox, event, parse_query({}), status=201)

    def _one(self, call: Call, mailbox: SandboxMailbox, id_: str, options: dict[str, str]) -> Answer:
        self._only(call, "GET", "PATCH", "DELETE")
        own = store.own_id(id_)
        if own is None:
            raise GraphError(400, "ErrorInvalidIdMalformed", "Id is malformed.")
        event = mailbox.events.get(own)
        if event is None:
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
            del mailbox.events[own]
            mailbox.next_serial()
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

    def _list(self, call: Call, mailbox: SandboxMailbox, options: dict[str, str], *, view: bool) -> Answer:
        bounds = {name: options.pop(name, None) for name in ("startDateTime", "endDateTime")} if view else {}
        query = parse_query(options)
        events = list(mailbox.events.values())
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
            path = call.url.partition("?")[0]
            body["@odata.nextLink"] = f"{self._base_url()}/v1.0{path}?{urlencode(following, quote_via=quote)}"
        return Answer(status=200, body=body, headers=applied(call))


def calendar_id(mailbox: SandboxMailbox) -> str:
    """The id of the mailbox's only calendar; calendars have no immutable ids, as theirs never change."""
    return "AAMkALgAAAAAA" + mailbox.address.encode().hex().upper() + "="


def calendar(mailbox: SandboxMailbox) -> dict[str, Any]:
    """The mailbox's calendar; its owner is the primary address, whichever alias was asked for."""
    return {
        "id": calendar_id(mailbox),
        "name": "Calendar",
        "color": "auto",
        "hexColor": "",
        "isDefaultCalendar": True,
        "changeKey": "AAAAAAAAAAA=",
        "canShare": True,
        "canViewPrivateItems": True,
        "canEdit": True,
        "isTallyingResponses": True,
        "isRemovable": False,
        "allowedOnlineMeetingProviders": ["teamsForBusiness"],
        "defaultOnlineMeetingProvider": "teamsForBusiness",
        "owner": {"name": mailbox.address, "address": mailbox.address},
    }


def preferences(call: Call) -> dict[str, str]:
    """The preferences of RFC 7240 with their values, names in lower case."""
    found = {}
    for part in re.findall(r'(?:[^,"]|"[^"]*")+', call.headers.get("prefer", "")):
        name, _, value = part.strip().partition("=")
        found[name.strip().casefold()] = value.strip().strip('"')
    return found


def applied(call: Call) -> dict[str, str]:
    """Preference-Applied, as Graph answers it for the preferences that it knows."""
    known = ("idtype", "outlook.timezone", "outlook.body-content-type", "odata.maxpagesize")
    names = {"idtype": "IdType"}
    parts = [
        f'{names.get(name, name)}="{value}"' for name, value in preferences(call).items() if name in known
    ]
    return {"Preference-Applied": ", ".join(parts)} if parts else {}


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
