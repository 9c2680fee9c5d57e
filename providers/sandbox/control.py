"""The control API: makes mailboxes, acts for the people who own them, plays faults, tells what is there.

Errors are JSON, ``{"error": code, "message": sentence}``.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

from aiohttp import web

from providers.sandbox.faults import parse_fault
from providers.sandbox.fields import BadFields, check_times, event_fields, is_texts, listed
from providers.sandbox.state import Dialect, Fault, Native, SandboxCalendar, SandboxMailbox, State

__all__ = ["Handler", "routes"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAILBOX = "/control/mailboxes/{type}/{address}"
EVENTS = MAILBOX + "/events"
EVENT = EVENTS + "/{id:.+}"
CALENDARS = MAILBOX + "/calendars"
CALENDAR = CALENDARS + "/{id:.+}"

NEW_EVENT = {"title": "", "timeZone": "Europe/Amsterdam", "allDay": False}
"""What an event of the person's own has where the request does not say."""
REFUSALS: dict[int, type[web.HTTPClientError]] = {
    400: web.HTTPBadRequest,
    404: web.HTTPNotFound,
    409: web.HTTPConflict,
    422: web.HTTPUnprocessableEntity,
}


def routes(state: State, dialects: dict[str, Dialect]) -> list[web.AbstractRouteDef]:
    """The control API's routes, under ``/control``."""
    control = _Control(state, dialects)
    calls = [
        web.get(EVENTS, control.list_events),
        web.post(EVENTS, control.add_event),
        web.patch(EVENT, control.change_event),
        web.delete(EVENT, control.remove_event),
        web.get(CALENDARS, control.list_calendars),
        web.post(CALENDARS, control.add_calendar),
        web.patch(CALENDAR, control.rename_calendar),
        web.delete(CALENDAR, control.remove_calendar),
        web.post(MAILBOX, control.make_mailbox),
        web.delete(MAILBOX, control.remove_mailbox),
        web.post("/control/faults", control.add_fault),
        web.get("/control/faults", control.list_faults),
        web.delete("/control/faults", control.clear_faults),
        web.get("/control/stats", control.show_stats),
        web.delete("/control/stats", control.reset_stats),
        web.get("/control/violations", control.list_violations),
        web.delete("/control/violations", control.clear_violations),
    ]
    return [*calls, web.route("*", "/control{rest:(/.*)?}", _no_such_call(calls))]


class _Control:
    def __init__(self, state: State, dialects: dict[str, Dialect]) -> None:
        self._state = state
        self._dialects = dialects

    async def list_events(self, request: web.Request) -> web.Response:
        dialect, mailbox = self._find(request)
        events = [dialect.describe(mailbox, native) for native in dialect.visible(mailbox)]
        return web.json_response({"events": events})

    async def add_event(self, request: web.Request) -> web.Response:
        dialect, mailbox = self._find(request)
        body = await _body(request)
        if "copyOf" in body:
            native = dialect.copy(mailbox, self._event(dialect, mailbox, str(body["copyOf"])))
        else:
            event = {**NEW_EVENT, **_event_fields(mailbox, body)}
            _check_times(event)
            native = dialect.create(mailbox, event)
        return web.json_response(dialect.describe(mailbox, native), status=201)

    async def change_event(self, request: web.Request) -> web.Response:
        """Changes the given fields. With none, only the version moves on, as Exchange does on its own.

        Into another ``calendar`` the event is moved first; where the provider then calls it by another id,
        the answer has that.
        """
        dialect, mailbox = self._find(request)
        native = self._event(dialect, mailbox, request.match_info["id"])
        fields = _event_fields(mailbox, await _body(request))
        _check_times({**dialect.describe(mailbox, native), **fields})
        here = native.get("calendar")
        calendar = fields.pop("calendar", here)
        if calendar != here:
            native = dialect.move(mailbox, native, calendar)
        if fields or calendar == here:
            dialect.change(mailbox, native, fields)
        return web.json_response(dialect.describe(mailbox, native))

    async def remove_event(self, request: web.Request) -> web.Response:
        dialect, mailbox = self._find(request)
        dialect.remove(mailbox, self._event(dialect, mailbox, request.match_info["id"]))
        return web.Response(status=204)

    async def list_calendars(self, request: web.Request) -> web.Response:
        """The default one first, without an id or a name: each provider has its own for it."""
        dialect, mailbox = self._find(request)
        events = Counter(event.get("calendar") for event in dialect.visible(mailbox))
        default = {"id": None, "name": None, "isDefault": True, "events": events[None]}
        others = [_calendar(calendar, events[calendar.id]) for calendar in mailbox.calendars.values()]
        return web.json_response({"calendars": [default, *others]})

    async def add_calendar(self, request: web.Request) -> web.Response:
        dialect, mailbox = self._find(request)
        calendar = dialect.make_calendar(mailbox, _name(await _body(request)))
        return web.json_response(_calendar(calendar, 0), status=201)

    async def rename_calendar(self, request: web.Request) -> web.Response:
        dialect, mailbox = self._find(request)
        calendar = _known_calendar(mailbox, request.match_info["id"])
        calendar.name = _name(await _body(request))
        mailbox.next_serial()
        events = [event for event in dialect.visible(mailbox) if event.get("calendar") == calendar.id]
        return web.json_response(_calendar(calendar, len(events)))

    async def remove_calendar(self, request: web.Request) -> web.Response:
        """The person deletes the calendar, with all that is in it."""
        dialect, mailbox = self._find(request)
        calendar = _known_calendar(mailbox, request.match_info["id"])
        for event in [event for event in dialect.visible(mailbox) if event.get("calendar") == calendar.id]:
            dialect.remove(mailbox, event)
        del mailbox.calendars[calendar.id]
        mailbox.next_serial()
        return web.Response(status=204)

    async def make_mailbox(self, request: web.Request) -> web.Response:
        """Makes it, or sets what the body names where it exists; its events stay."""
        body = await _body(request)
        type_, address = self._dialect(request).type, request.match_info["address"]
        aliases, access = body.get("aliases"), body.get("access")
        if unknown := body.keys() - {"aliases", "access"}:
            _refuse(422, "unknown_field", f"A mailbox has no {listed(unknown)}.")
        if aliases is not None and not is_texts(aliases):
            _refuse(422, "bad_aliases", "aliases has to be a list of addresses.")
        if access is not None and not isinstance(access, bool):
            _refuse(422, "bad_access", "access has to be true or false.")
        mailbox = self._state.mailbox(type_, address) or self._state.add_mailbox(type_, address)
        for alias in aliases or []:
            other = self._state.mailbox(type_, alias)
            if other is not None and other is not mailbox and other.events:
                _refuse(
                    409, "alias_taken", f"{alias} is a mailbox with events of its own: delete that first."
                )
        if aliases is not None:
            self._state.set_aliases(mailbox, aliases)
        if access is not None:
            mailbox.access = access
        answer = {
            "type": type_,
            "address": mailbox.address,
            "aliases": mailbox.aliases,
            "access": mailbox.access,
        }
        return web.json_response(answer, status=201)

    async def remove_mailbox(self, request: web.Request) -> web.Response:
        type_, address = self._dialect(request).type, request.match_info["address"]
        if not self._state.remove_mailbox(type_, address):
            _refuse(404, "no_such_mailbox", f"There is no {type_} mailbox {address}.")
        return web.Response(status=204)

    async def add_fault(self, request: web.Request) -> web.Response:
        try:
            fault = parse_fault(await _body(request), {*self._dialects, "*"})
        except ValueError as error:
            _refuse(422, "bad_fault", str(error))
        self._state.faults.add(fault)
        return web.json_response(_described(fault), status=201)

    async def list_faults(self, request: web.Request) -> web.Response:
        active = self._state.faults.active
        return web.json_response({"faults": [_described(fault) for fault in active]})

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._state.faults.active.clear()
        return web.Response(status=204)

    async def show_stats(self, request: web.Request) -> web.Response:
        stats = self._state.stats
        answer: dict[str, dict[str, dict[str, int]]] = {"requests": {}, "operations": {}, "bytes": {}}
        for name, counter in zip(answer, (stats.requests, stats.operations, stats.bytes), strict=True):
            for (type_, operation), count in sorted(counter.items()):
                answer[name].setdefault(type_, {})[operation] = count
        return web.json_response(answer)

    async def reset_stats(self, request: web.Request) -> web.Response:
        self._state.stats.reset()
        return web.Response(status=204)

    async def list_violations(self, request: web.Request) -> web.Response:
        return web.json_response({"violations": self._state.violations})

    async def clear_violations(self, request: web.Request) -> web.Response:
        self._state.violations.clear()
        return web.Response(status=204)

    def _dialect(self, request: web.Request) -> Dialect:
        type_ = request.match_info["type"]
        if type_ not in self._dialects:
            _refuse(404, "unknown_type", f"{type_} is not one of {listed(self._dialects)}.")
        return self._dialects[type_]

    def _find(self, request: web.Request) -> tuple[Dialect, SandboxMailbox]:
        dialect, address = self._dialect(request), request.match_info["address"]
        mailbox = self._state.mailbox(dialect.type, address)
        if mailbox is None:
            _refuse(404, "no_such_mailbox", f"There is no {dialect.type} mailbox {address}: POST makes one.")
        return dialect, mailbox

    def _event(self, dialect: Dialect, mailbox: SandboxMailbox, id_: str) -> Native:
        found = next((event for event in dialect.visible(mailbox) if event["id"] == id_), None)
        if found is None:
            _refuse(404, "no_such_event", f"There is no event {id_} in {mailbox.address}.")
        return found


def _no_such_call(calls: Sequence[web.RouteDef]) -> Handler:
    """Answers everything else, with the calls that there are."""
    known = [f"{call.method} {call.path.replace(':.+}', '}')}" for call in calls]

    async def refuse(request: web.Request) -> web.StreamResponse:
        _refuse(
            404,
            "no_such_call",
            f"The control API has no {request.method} {request.path}. It has {listed(known)}.",
        )

    return refuse


async def _body(request: web.Request) -> dict[str, Any]:
    """The request's JSON object; nothing at all is an empty one."""
    text = await request.text()
    try:
        body = json.loads(text) if text.strip() else {}
    except ValueError:
        _refuse(400, "bad_json", "The body is not JSON.")
    if not isinstance(body, dict):
        _refuse(400, "bad_json", "The body has to be a JSON object.")
    return body


def _event_fields(mailbox: SandboxMailbox, body: dict[str, Any]) -> dict[str, Any]:
    """The fields in the common shape; a calendar that they name is one of the mailbox's."""
    try:
        fields = event_fields(body)
    except BadFields as error:
        _refuse(422, error.code, str(error))
    if fields.get("calendar") is not None:
        _known_calendar(mailbox, fields["calendar"])
    return fields


def _check_times(event: dict[str, Any]) -> None:
    try:
        check_times(event)
    except BadFields as error:
        _refuse(422, error.code, str(error))


def _known_calendar(mailbox: SandboxMailbox, id_: str) -> SandboxCalendar:
    found = mailbox.calendars.get(id_)
    if found is None:
        _refuse(404, "no_such_calendar", f"There is no calendar {id_} in {mailbox.address}.")
    return found


def _name(body: dict[str, Any]) -> str:
    """The name that a calendar is to have."""
    if unknown := body.keys() - {"name"}:
        _refuse(422, "unknown_field", f"A calendar has no {listed(unknown)}.")
    name = body.get("name")
    if not isinstance(name, str) or not name.strip():
        _refuse(422, "bad_name", "name has to be the calendar's name.")
    return name


def _calendar(calendar: SandboxCalendar, events: int) -> dict[str, Any]:
    return {"id": calendar.id, "name": calendar.name, "isDefault": False, "events": events}


def _described(fault: Fault) -> dict[str, Any]:
    fields = ("id", "type", "fault", "operation", "mailbox", "nth", "rate", "times", "seen", "played")
    return {
        **{name: getattr(fault, name) for name in fields},
        "retryAfter": fault.retry_after,
        **fault.options,
    }


def _refuse(status: int, code: str, message: str) -> NoReturn:
    raise REFUSALS[status](
        text=json.dumps({"error": code, "message": message}), content_type="application/json"
    )
