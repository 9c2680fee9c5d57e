"""A user's calendars: learn.microsoft.com/graph/api/resources/calendar."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from providers.sandbox.graph import store
from providers.sandbox.graph.errors import (
    GraphError,
    invalid_request,
    item_not_found,
    only,
    request_body_read,
)
from providers.sandbox.graph.messages import Answer, Call
from providers.sandbox.graph.odata import Query, parse_query
from providers.sandbox.graph.paths import Target
from providers.sandbox.graph.properties import merged
from providers.sandbox.graph.resources import CALENDAR
from providers.sandbox.graph.schema import Schema
from providers.sandbox.state import SandboxCalendar, SandboxMailbox

__all__ = ["Calendars", "default_id", "make", "named_calendar"]

DEFAULT_NAME = "Calendar"


class _Property(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    value: str


class _Given(msgspec.Struct, forbid_unknown_fields=True):
    """What a client may set of a calendar."""

    name: str | None = None
    color: str | None = None
    isDefaultCalendar: bool | None = None  # noqa: N815 - Graph's name
    singleValueExtendedProperties: list[_Property] = []  # noqa: N815


class Calendars:
    """The calendars of the sandbox's mailboxes."""

    def __init__(self, schema: Schema, base_url: Callable[[], str]) -> None:
        self._schema = schema
        self._base_url = base_url

    def all(self, call: Call, mailbox: SandboxMailbox) -> Answer:
        """The user's calendars listed, or another one made. Raises ``GraphError``."""
        only(call.method, "GET", "POST")
        if call.method == "POST":
            given = self._given(call)
            if not given.name:
                raise invalid_request("A calendar needs a name.")
            made = make(mailbox, given.name, properties=_properties(given), color=given.color)
            # "The response includes only the new or existing instance but not the new extended property."
            return self._answer(mailbox, made, parse_query({}), status=201)
        options = dict(parse_qsl(call.url.partition("?")[2], keep_blank_values=True))
        query = parse_query(options, CALENDAR)
        shown = [calendar_json(mailbox, each) for each in (None, *mailbox.calendars.values())]
        shown = query.sorted([each for each in shown if query.matches(each)])
        page = [query.selected(each) for each in shown[query.skip : query.skip + query.top]]
        body: dict[str, Any] = {"@odata.context": self._context(mailbox)}
        body["value"] = [self._schema.answered("calendar", each) for each in page]
        if query.skip + query.top < len(shown):
            following = urlencode({**options, "$skip": str(query.skip + query.top)}, quote_via=quote)
            body["@odata.nextLink"] = f"{self._base_url()}/v1.0{call.path}?{following}"
        return Answer(status=200, body=body)

    def one(self, call: Call, mailbox: SandboxMailbox, target: Target) -> Answer:
        """One calendar read, changed or deleted. Raises ``GraphError``."""
        only(call.method, "GET", "PATCH", *(["DELETE"] if target.calendar is not None else []))
        id_ = named_calendar(mailbox, target)
        calendar = None if id_ is None else mailbox.calendars[id_]
        if call.method == "GET":
            query = parse_query(dict(parse_qsl(call.url.partition("?")[2])), CALENDAR)
            return self._answer(mailbox, calendar, query)
        if call.method == "DELETE":
            if calendar is None:
                # "Delete a calendar other than the default calendar."
                raise GraphError(
                    400, "ErrorDeleteDistinguishedFolder", "Distinguished folders cannot be deleted."
                )
            store.remove_calendar(mailbox, calendar.id)
            return Answer(status=204)
        given = self._given(call)
        if calendar is None:
            raise GraphError(403, "ErrorAccessDenied", "The default calendar stays as it is here.")
        if given.name and given.name != calendar.name:
            _check_name(mailbox, given.name, calendar)
            calendar.name = given.name
        properties = merged(calendar.native.get("singleValueExtendedProperties", []), _properties(given))
        calendar.native |= {"singleValueExtendedProperties": properties, "serial": mailbox.next_serial()}
        calendar.native |= {"color": given.color} if given.color else {}
        return self._answer(mailbox, calendar, parse_query({}))

    def _given(self, call: Call) -> _Given:
        self._schema.asked("calendar", call.body)
        try:
            return msgspec.convert(call.body, _Given)
        except msgspec.ValidationError as error:
            raise request_body_read(
                f"The request does not fit 'microsoft.graph.calendar': {error}."
            ) from error

    def _answer(
        self, mailbox: SandboxMailbox, calendar: SandboxCalendar | None, query: Query, status: int = 200
    ) -> Answer:
        shown = self._schema.answered("calendar", query.selected(calendar_json(mailbox, calendar)))
        return Answer(status=status, body={"@odata.context": f"{self._context(mailbox)}/$entity", **shown})

    def _context(self, mailbox: SandboxMailbox) -> str:
        return f"{self._base_url()}/v1.0/$metadata#users('{quote(mailbox.address)}')/calendars"


def make(
    mailbox: SandboxMailbox,
    name: str,
    *,
    properties: list[dict[str, Any]] | None = None,
    color: str | None = None,
) -> SandboxCalendar:
    """Another calendar for the user. Raises ``GraphError`` (409) if there is one of that name."""
    _check_name(mailbox, name, None)
    serial = mailbox.next_serial()
    native: dict[str, Any] = {"serial": serial, "color": color or "auto"}
    native["singleValueExtendedProperties"] = merged([], properties or [])
    calendar = SandboxCalendar(id=_id(f"{mailbox.address}:{serial}"), name=name, native=native)
    mailbox.calendars[calendar.id] = calendar
    return calendar


def default_id(mailbox: SandboxMailbox) -> str:
    """The id of the default calendar; calendars have no immutable ids, as theirs never change."""
    return _id(mailbox.address)


def named_calendar(mailbox: SandboxMailbox, target: Target) -> str | None:
    """The id of the calendar that a path names; None for the default one. Raises ``GraphError`` (404)."""
    if target.calendar is None or target.calendar == default_id(mailbox):
        return None
    if target.calendar not in mailbox.calendars:
        raise item_not_found()
    return target.calendar


def calendar_json(mailbox: SandboxMailbox, calendar: SandboxCalendar | None) -> dict[str, Any]:
    """A calendar, or the default one, with its extended properties.

    Its owner is the primary address, whichever alias was asked for.
    """
    native = {} if calendar is None else calendar.native
    return {
        "id": default_id(mailbox) if calendar is None else calendar.id,
        "name": DEFAULT_NAME if calendar is None else calendar.name,
        "color": native.get("color", "auto"),
        "hexColor": "",
        "isDefaultCalendar": calendar is None,
        "changeKey": store.change_key(mailbox, native.get("serial", 0)),
        "canShare": True,
        "canViewPrivateItems": True,
        "canEdit": True,
        "isTallyingResponses": calendar is None,
        "isRemovable": calendar is not None,
        "allowedOnlineMeetingProviders": ["teamsForBusiness"],
        "defaultOnlineMeetingProvider": "teamsForBusiness",
        "owner": {"name": mailbox.address, "address": mailbox.address},
        "singleValueExtendedProperties": native.get("singleValueExtendedProperties", []),
    }


def _id(name: str) -> str:
    return "AAMkALgAAAAAA" + name.encode().hex().upper() + "="


def _check_name(mailbox: SandboxMailbox, name: str, but: SandboxCalendar | None) -> None:
    """Calendars are folders: two beside each other have two names."""
    others = [each.name for each in mailbox.calendars.values() if each is not but]
    if name.casefold() in (other.casefold() for other in (DEFAULT_NAME, *others)):
        raise GraphError(409, "ErrorFolderExists", "A folder with the specified name already exists.")


def _properties(given: _Given) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(each) for each in given.singleValueExtendedProperties]
