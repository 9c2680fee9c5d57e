"""The rules of a single event, whatever format it came in, and how the database keeps it."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import msgspec

from app.config import TimetableSettings
from app.errors import Invalid, Problem
from providers.contract import Event

__all__ = [
    "EPOCH",
    "LINE",
    "Problems",
    "check_events",
    "check_text",
    "content_hash",
    "decode",
    "encode",
    "event_name",
]

LINE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What no single line of text may hold: controls (C0, DEL, C1), lone surrogates and noncharacters.

PostgreSQL cannot store some of them, XML 1.0 (EWS) cannot carry others.
"""
LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""The same for a text of several lines, which may hold tabs and line feeds."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Problems:
    """Collects everything that is wrong with an input, so that it can be put right in one go."""

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self.added = 0
        """How often something was added, what was not noted for being there already included."""
        self._noted: set[tuple[str, str | None]] = set()

    def add(self, detail: str, event: str | None = None, field: str | None = None) -> None:
        """Note a problem. ``event`` is a uid or ``#position``.

        One for each field of an event is enough: what follows from the first is not noted.
        """
        self.added += 1
        if event is not None:
            if not self._noted.isdisjoint({(event, field), (event, None)}):
                return
            self._noted.add((event, field))
        self.found.append(Problem(detail=detail, event=event, field=field))

    def raise_any(self) -> None:
        """Raise Invalid (code ``invalid_timetable``) with all problems, if there are any."""
        if not self.found:
            return
        first = self.found[0]
        where = " ".join(part for part in (first.event, first.field) if part)
        where = f"{where}: " if where else ""
        more = f" (and {len(self.found) - 1} more)" if len(self.found) > 1 else ""
        raise Invalid(
            "invalid_timetable",
            f"The timetable was refused and nothing was changed. {where}{first.detail}{more}",
            tuple(self.found),
        )


def event_name(uid: Any, position: int) -> str:
    """What to call an event in a problem: its uid where that can be shown, or its position from 1."""
    if isinstance(uid, str) and uid.strip() and len(uid) <= 255 and not LINE.search(uid):
        return uid
    return f"#{position}"


def check_text(text: str, limit: int, lines: bool = False) -> str | None:
    """What is wrong with a text, or None."""
    if (LINES if lines else LINE).search(text):
        return "Holds a control character, a lone surrogate or a noncharacter; remove it."
    if len(text) > limit:
        return f"Longer than {limit} characters."
    return None


def _check_url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "Not a URL."
    if parts.scheme not in ("http", "https") or not parts.netloc or " " in url:
        return "Not an http or https URL."
    return None


def check_event(event: Event, name: str, limits: TimetableSettings, problems: Problems) -> None:
    """Check the texts of an event whose types are right, and whether its zone had whole minutes then.

    ``name``: its uid or position.
    """

    def check(field: str, text: str, limit: int, lines: bool = False) -> None:
        if detail := check_text(text, limit, lines):
            problems.add(detail, name, field)

    if not event.uid.strip():
        problems.add(
            "Missing: every event needs a uid that stays the same between publications.", name, "uid"
        )
    check("uid", event.uid, limits.max_uid_length)
    check("title", event.title, limits.max_title_length)
    offset = event.local_start.utcoffset()
    if offset is not None and offset.seconds % 60:
        # RFC 3339 has no such offset, and each provider makes another time of it.
        problems.add("From before there was standard time in this time zone.", name, "start")
    if event.location:
        check("location", event.location, limits.max_text_length)
    if event.description:
        check("description", event.description, limits.max_text_length, lines=True)
    if event.categories:
        if len(event.categories) > limits.max_categories:
            problems.add(f"More than {limits.max_categories} categories.", name, "categories")
        for category in event.categories:
            check("categories", category, limits.max_text_length)
    if event.url:
        check("url", event.url, limits.max_text_length)
        if detail := _check_url(event.url):
            problems.add(detail, name, "url")


def check_events(
    events: Iterable[tuple[str, Event]], limits: TimetableSettings, problems: Problems
) -> list[Event]:
    """Check (name, event) pairs one by one and as a timetable: no uid twice."""
    seen: set[str] = set()
    checked = []
    for name, event in events:
        check_event(event, name, limits, problems)
        if event.uid in seen:
            problems.add("This uid is there twice; a uid is unique in a timetable.", name, "uid")
        seen.add(event.uid)
        checked.append(event)
    return checked


def encode(event: Event) -> bytes:
    """The event as the column ``timetable_events.content`` (jsonb) holds it: JSON, times in UTC."""
    return msgspec.json.encode(event)


_decoder = msgspec.json.Decoder(Event)


def decode(content: str | bytes) -> Event:
    """The event from the database's JSON."""
    return _decoder.decode(content)


def content_hash(event: Event) -> bytes:
    """16 bytes that differ when anything that a mailbox could hold differs.

    They are compared with those in the ledger, written by earlier versions: the canonical form must
    never change. It is the SHA-256 (first half) of netstrings, name and value in turn, in this order;
    a field at its default is left out, so that a new field does not change the hash of old events.
    """
    uid, title, zone = event.uid.encode(), event.title.encode(), event.time_zone.encode()
    start, end = _seconds(event.start), _seconds(event.end)
    data = b"3:uid,%d:%b,5:title,%d:%b,5:start,%d:%b,3:end,%d:%b,8:timeZone,%d:%b," % (
        len(uid), uid, len(title), title, len(start), start, len(end), end, len(zone), zone,
    )  # fmt: skip
    if event.all_day:
        data += b"6:allDay,1:1,"
    if event.location:
        data += _named(b"location", event.location)
    if event.description:
        data += _named(b"description", event.description)
    for category in event.categories:
        data += _named(b"category", category)
    if event.url:
        data += _named(b"url", event.url)
    if event.status != "confirmed":
        data += _named(b"status", event.status)
    if event.show_as != "busy":
        data += _named(b"showAs", event.show_as)
    if event.reminder is not None:
        data += _named(b"reminder", str(event.reminder))
    if event.privacy is not None:
        data += _named(b"privacy", event.privacy)
    for category, colour in sorted(event.colours.items()):
        data += _named(b"coloured", category) + _named(b"colour", colour)
    return sha256(data).digest()[:16]


def _seconds(moment: datetime) -> bytes:
    return b"%d" % (moment - EPOCH).total_seconds()


def _named(name: bytes, text: str) -> bytes:
    value = text.encode()
    return b"%d:%b,%d:%b," % (len(name), name, len(value), value)
