"""The control API: makes mailboxes, acts for the people who own them, plays faults, tells what is there.

Errors are JSON, ``{"error": code, "message": sentence}``.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from aiohttp import web

from providers.sandbox.faults import parse_fault
from providers.sandbox.state import Dialect, Fault, Native, SandboxMailbox, State

__all__ = ["Handler", "routes"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAILBOX = "/control/mailboxes/{type}/{address}"
EVENTS = MAILBOX + "/events"
EVENT = EVENTS + "/{id:.+}"

TEXTS = ("title", "location", "description")
EVENT_FIELDS = {*TEXTS, "start", "end", "timeZone", "allDay", "categories", "showAs", "reminderMinutes"}
NEW_EVENT = {"title": "", "timeZone": "Europe/Amsterdam", "allDay": False}
"""What an event of the person's own has where the request does not say."""
REFUSALS: dict[int, type[web.HTTPClientError]] = {
    400: web.HTTPBadRequest,
    404: web.HTTPNotFound,
    409: web.HTTPConflict,
    422: web.HTTPUnprocessableEntity,
}
SHOW_AS = ("busy", "free", "tentative")


def routes(state: State, dialects: dict[str, Dialect]) -> list[web.AbstractRouteDef]:
    """The control API's routes, under ``/control``."""
    control = _Control(state, dialects)
    return [
        web.get(EVENTS, control.list_events),
        web.post(EVENTS, control.add_event),
        web.patch(EVENT, control.change_event),
        web.delete(EVENT, control.remove_event),
        web.post(MAILBOX, control.make_mailbox),
        web.delete(MAILBOX, control.remove_mailbox),
        web.post("/control/faults", control.add_fault),
        web.get("/control/faults", control.list_faults),
        web.delete("/control/faults", control.clear_faults),
        web.get("/control/stats", control.show_stats),
        web.delete("/control/stats", control.reset_stats),
        web.get("/control/violations", control.list_violations),
        web.delete("/control/violations", control.clear_violations),
        web.route("*", "/control{rest:(/.*)?}", _no_such_call),
    ]


class _Control:
    def __init__(self, state: State, dialects: dict[str, Dialect]) -> None:
        self._state = state
        self._dialects = dialects

    async def list_events(self, request: web.Request) -> web.Response:
        dialect, mailbox = self._find(request)
        return web.json_response({"events": [dialect.describe(e) for e in dialect.visible(mailbox)]})

    async def add_event(self, request: web.Request) -> web.Response:
        dialect, mailbox = self._find(request)
        body = await _body(request)
        if "copyOf" in body:
            native = dialect.copy(mailbox, self._event(dialect, mailbox, str(body["copyOf"])))
        else:
            event = {**NEW_EVENT, **_fields(body)}
            _check_times(event)
            native = dialect.create(mailbox, event)
        return web.json_response(dialect.describe(native), status=201)

    async def change_event(self, request: web.Request) -> web.Response:
        """Changes the given fields. With none, only the version moves on, as Exchange does on its own."""
        dialect, mailbox = self._find(request)
        native = self._event(dialect, mailbox, request.match_info["id"])
        fields = _fields(await _body(request))
        _check_times({**dialect.describe(native), **fields})
        dialect.change(mailbox, native, fields)
        return web.json_response(dialect.describe(native))

    async def remove_event(self, request: web.Request) -> web.Response:
        dialect, mailbox = self._find(request)
        dialect.remove(mailbox, self._event(dialect, mailbox, request.match_info["id"]))
        return web.Response(status=204)

    async def make_mailbox(self, request: web.Request) -> web.Response:
        """Makes it, or sets what the body names where it exists; its events stay."""
        body = await _body(request)
        type_, address = self._dialect(request).type, request.match_info["address"]
        aliases, access = body.get("aliases"), body.get("access")
        if unknown := body.keys() - {"aliases", "access"}:
            _refuse(422, "unknown_field", f"A mailbox has no {_listed(unknown)}.")
        if aliases is not None and not _is_texts(aliases):
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
            _refuse(404, "unknown_type", f"{type_} is not one of {_listed(self._dialects)}.")
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


async def _no_such_call(request: web.Request) -> web.Response:
    _refuse(404, "no_such_call", f"The control API has no {request.method} {request.path}.")


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


def _fields(body: dict[str, Any]) -> dict[str, Any]:
    """The event's fields in the common shape, each checked by itself."""
    if unknown := body.keys() - EVENT_FIELDS:
        _refuse(422, "unknown_field", f"An event has no {_listed(unknown)}; it has {_listed(EVENT_FIELDS)}.")
    problems = [
        *(f"{name} has to be a string" for name in TEXTS if not isinstance(body.get(name, ""), str)),
        *(
            f"{name} has to be a time"
            for name in ("start", "end")
            if not _is_time(body.get(name, "2000-01-01"))
        ),
        *(["timeZone has to be an IANA name"] if not _is_zone(body.get("timeZone", "UTC")) else []),
        *(["allDay has to be true or false"] if not isinstance(body.get("allDay", False), bool) else []),
        *(["categories has to be a list of strings"] if not _is_texts(body.get("categories", [])) else []),
        *(
            [f"showAs has to be one of {_listed(SHOW_AS)}"]
            if body.get("showAs", "busy") not in SHOW_AS
            else []
        ),
        *(
            ["reminderMinutes has to be a number or null"]
            if not isinstance(body.get("reminderMinutes", 0), int | None)
            else []
        ),
    ]
    if problems:
        _refuse(422, "bad_event", "; ".join(problems) + ".")
    return body


def _check_times(event: dict[str, Any]) -> None:
    """Start and end of a whole event are there and fit each other and ``allDay``."""
    if not {"start", "end"} <= event.keys():
        _refuse(422, "missing_field", "An event needs a start and an end.")
    start, end = (datetime.fromisoformat(event[field]) for field in ("start", "end"))
    if event["allDay"] and any(len(event[field]) != len("2000-01-01") for field in ("start", "end")):
        _refuse(422, "bad_event", "start and end of an all-day event have to be dates, the end exclusive.")
    zone = ZoneInfo(event["timeZone"])
    start, end = (time if time.tzinfo else time.replace(tzinfo=zone) for time in (start, end))
    if end < start or (event["allDay"] and end == start):
        _refuse(422, "bad_event", "The end has to be after the start.")


def _is_time(value: object) -> bool:
    try:
        datetime.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _is_zone(value: object) -> bool:
    try:
        ZoneInfo(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OSError, KeyError):
        return False
    return True


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _listed(names: object) -> str:
    return ", ".join(sorted(names))  # type: ignore[call-overload]


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
