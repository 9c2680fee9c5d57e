"""One calendar of a person: what each call of the events resource does to it.

https://developers.google.com/workspace/calendar/api/v3/reference/events. Deleted events are kept as
``cancelled``: their ids stay taken, ``get`` still finds them, and they can be brought back. An id is
unique in its calendar: a moved event keeps it, and leaves a cancelled one of the same id behind.
"""

from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime
from secrets import choice
from string import ascii_lowercase, digits
from typing import Any

from providers.sandbox.google import rules
from providers.sandbox.google.errors import ApiError, not_found
from providers.sandbox.state import Native, SandboxCalendar, SandboxMailbox

__all__ = ["Calendar", "check_precondition", "move_on", "resource", "serial_of"]

_ID_ALPHABET = digits + ascii_lowercase[:22]
_READ_ONLY = frozenset(
    {"kind", "etag", "created", "creator", "organizer", "htmlLink", "hangoutLink", "locked", "updated"}
)
_KEPT_BY_UPDATE = _READ_ONLY | {"id", "iCalUID", "eventType", "sequence"}
_DEFAULTS: dict[str, Any] = {"transparency": "opaque", "visibility": "default", "summary": "", "location": ""}


class Calendar:
    """A calendar of a mailbox; the primary one, unless it is another."""

    def __init__(
        self, mailbox: SandboxMailbox, now: datetime, secondary: SandboxCalendar | None = None
    ) -> None:
        """``now`` is the moment of the call, aware, in UTC."""
        self.mailbox = mailbox
        self._secondary = secondary
        self._now = now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03}Z"
        self.lost: list[str] = []
        """What the API dropped of the event without a word."""

    def get(self, id: str) -> Native:
        """The event, a deleted one too. Raises ``ApiError`` 404."""
        try:
            return self.mailbox.events[self._key(id)]
        except KeyError:
            raise not_found() from None

    def insert(self, body: dict[str, Any]) -> Native:
        """Make an event. Raises ``ApiError``: 409 if its id was ever taken, 400 if it is not allowed."""
        fields = _without_nulls(body)
        id = fields.pop("id", None)
        if id is None:
            id = "".join(choice(_ID_ALPHABET) for _ in range(26))
        rules.check_id(id)
        if self._key(id) in self.mailbox.events:
            raise ApiError(409, "duplicate", "The requested identifier already exists.")
        event = self._complete(id, {k: v for k, v in fields.items() if k not in _READ_ONLY}, None)
        return self._store(event)

    def import_(self, body: dict[str, Any]) -> Native:
        """Make a private copy of an event elsewhere. Raises ``ApiError`` 409 for a known iCalUID."""
        uid = body.get("iCalUID")
        if not uid:
            raise ApiError(400, "required", "Missing iCalUID.", location="iCalUID", location_type="body")
        if any(event["iCalUID"] == uid for event in self.events()):
            raise ApiError(409, "duplicate", "The requested identifier already exists.")
        return self.insert(body)

    def patch(self, id: str, body: dict[str, Any], *, attachments: bool) -> Native:
        """Change the given fields and no others; null removes one. Objects are merged, lists replaced.

        A deleted event stays deleted unless the status says otherwise.
        """
        old = self.get(id)
        changes = {name: value for name, value in body.items() if name not in _READ_ONLY | {"id", "iCalUID"}}
        if not attachments:
            changes.pop("attachments", None)
        return self._replace(old, _merge(old, changes))

    def update(self, id: str, body: dict[str, Any], *, attachments: bool) -> Native:
        """Replace all fields that a client may write. A status of confirmed brings a deleted event back."""
        old = self.get(id)
        kept = _KEPT_BY_UPDATE if attachments else _KEPT_BY_UPDATE | {"attachments"}
        fields = {name: value for name, value in _without_nulls(body).items() if name not in kept}
        return self._replace(old, {name: old[name] for name in kept if name in old} | fields)

    def delete(self, id: str) -> Native:
        """Cancel the event. Raises ``ApiError`` 404, or 410 if it is deleted already."""
        event = self.get(id)
        if event["status"] == "cancelled":
            raise ApiError(410, "deleted", "Resource has been deleted")
        return self._store(event | {"status": "cancelled"})

    def copy(self, id: str) -> Native:
        """What "Duplicate" in a client does: a new id, the same content, private properties included."""
        fields = deepcopy(self.get(id))
        for name in _KEPT_BY_UPDATE - {"eventType"}:
            fields.pop(name, None)
        return self.insert(fields)

    def move(self, id: str, target: "Calendar") -> Native:
        """Put the event into another calendar of the mailbox. Raises ``ApiError`` 404, 409 or 410."""
        event = self.get(id)
        if event["status"] == "cancelled":
            raise ApiError(410, "deleted", "Resource has been deleted")
        there = self.mailbox.events.get(target._key(id))
        if there is not None and there["status"] != "cancelled":
            raise ApiError(409, "duplicate", "The requested identifier already exists.")
        moved = target._store(target._complete(id, deepcopy(event), None))
        self.delete(id)
        return moved

    def events(self) -> Iterator[Native]:
        """The calendar's events, the deleted ones too, in the order in which they were made."""
        here = None if self._secondary is None else self._secondary.id
        return (event for event in self.mailbox.events.values() if event.get("calendar") == here)

    def _key(self, id: str) -> str:
        return id if self._secondary is None else f"{self._secondary.id}/{id}"

    def _replace(self, old: Native, fields: dict[str, Any]) -> Native:
        new = self._complete(old["id"], deepcopy(fields), old)
        if new == old:
            return old
        if (new["start"], new["end"]) != (old["start"], old["end"]):
            new["sequence"] = max(new["sequence"], old["sequence"] + 1)
        return self._store(new)

    def _complete(self, id: str, fields: dict[str, Any], old: Native | None) -> Native:
        """The event with everything that the API adds or normalises. Raises ``ApiError`` 400."""
        start, end = (rules.normalise_time(name, fields.get(name)) for name in ("start", "end"))
        person = {"email": self.mailbox.address, "self": True}
        organizer = person
        if self._secondary is not None:
            organizer = {"email": self._secondary.id, "displayName": self._secondary.name, "self": True}
        event: Native = {
            "kind": "calendar#event",
            "etag": "",
            "id": id,
            "status": "confirmed",
            "htmlLink": f"https://www.google.com/calendar/event?eid={id}",
            "created": self._now,
            "updated": self._now,
            "creator": person,
            "organizer": organizer,
            "iCalUID": f"{id}@google.com",
            "sequence": 0,
            "reminders": {"useDefault": True},
            "eventType": "default",
        }
        event |= (old and {name: old[name] for name in _KEPT_BY_UPDATE if name in old}) or {}
        event |= fields | {"start": start, "end": end, "organizer": organizer}
        event.pop("calendar", None)
        if self._secondary is not None:
            event["calendar"] = self._secondary.id
        for name, default in _DEFAULTS.items():
            if event.get(name) == default:
                del event[name]
        rules.check_event(event)
        if not event["reminders"].get("overrides", True):
            event["reminders"] = {"useDefault": event["reminders"].get("useDefault", False)}
        self.lost = rules.normalise_properties(event)
        return event

    def _store(self, event: Native) -> Native:
        event["etag"] = _next_etag(self.mailbox)
        event["updated"] = self._now
        # In place: whoever holds the event sees the change.
        kept = self.mailbox.events.setdefault(self._key(event["id"]), {})
        if kept is not event:
            kept.clear()
            kept.update(event)
        return kept


def resource(event: Native) -> dict[str, Any]:
    """The event as the API gives it: in which calendar it is, the path of the call says."""
    return {name: value for name, value in event.items() if name != "calendar"}


def move_on(mailbox: SandboxMailbox, etag: str) -> None:
    """The event of this version gets another one, as if by itself; all else stays."""
    for event in mailbox.events.values():
        if event["etag"] == etag:
            event["etag"] = _next_etag(mailbox)


def _next_etag(mailbox: SandboxMailbox) -> str:
    return f'"{mailbox.next_serial():016d}"'


def serial_of(event: Native) -> int:
    """The mailbox's serial at the last change of the event."""
    return int(event["etag"].strip('"'))


def check_precondition(event: Native, if_match: str | None) -> None:
    """Raise ``ApiError`` 412 if the client's ``If-Match`` names another version (RFC 9110 §13.1.1)."""
    if if_match is None or if_match == "*":
        return
    if event["etag"] not in [tag.strip() for tag in if_match.split(",")]:
        raise ApiError(
            412, "conditionNotMet", "Precondition Failed", location="If-Match", location_type="header"
        )


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    return _merge({}, value)


def _merge(old: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """JSON Merge Patch (RFC 7396), which is what the API's patch does."""
    merged = deepcopy(old)
    for name, value in changes.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            inner = merged.get(name)
            merged[name] = _merge(inner if isinstance(inner, dict) else {}, value)
        else:
            merged[name] = deepcopy(value)
    return merged
