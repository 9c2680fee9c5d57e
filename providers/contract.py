"""What Rooster and an adapter say to each other: events, operations, and their outcomes.

An adapter (see ``providers.adapter``) knows its provider and this. Nothing else knows a provider's error
codes: all that the rest of Rooster sees of a provider are the outcomes defined here.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from providers.texts import plain, shortened

__all__ = [
    "Calendar",
    "Changes",
    "Clock",
    "Colour",
    "Content",
    "Create",
    "Delete",
    "Done",
    "Event",
    "Gone",
    "Mailbox",
    "Marker",
    "Move",
    "Operation",
    "Outcome",
    "Permit",
    "Privacy",
    "ProviderError",
    "Refused",
    "RemoteEvent",
    "ShowAs",
    "StartOver",
    "Throttled",
    "Unknown",
    "Update",
    "always",
    "utc",
]

ShowAs = Literal["busy", "free", "tentative"]
Privacy = Literal["normal", "private"]
Colour = Literal["red", "orange", "yellow", "green", "teal", "blue", "purple", "cranberry", "grey"]
"""The colours that all providers have, each under a name of its own."""
Status = Literal["confirmed", "tentative", "cancelled"]

Clock = Callable[[], datetime]
"""Says what time it is: aware, in UTC. Injected, so that a test can choose the time."""

Permit = Callable[[], None]
"""Called right before each request that writes, from any thread; raises if it may not be sent any more."""


def always() -> None:
    """The permit that is always given."""


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One event of a timetable: the fields that Rooster owns in a mailbox, and no others.

    ``start`` and ``end`` are aware and in UTC; ``time_zone`` (IANA) is the wall clock by which people
    read them. An all-day event runs from local midnight to local midnight, the end exclusive.
    """

    uid: str
    title: str
    start: datetime
    end: datetime
    time_zone: str
    all_day: bool = False
    location: str = ""
    description: str = ""
    categories: tuple[str, ...] = ()
    url: str = ""
    status: Status = "confirmed"
    show_as: ShowAs = "busy"
    reminder: int | Literal["none"] | None = None
    """Minutes before the start; "none": no reminder. None: the provider's default, and the person's own."""
    privacy: Privacy | None = None
    """None: the provider's default, and the person's own."""
    colours: dict[str, Colour] = {}
    """Of some of its categories. Where an event has one colour, it is that of the first category with one."""

    @property
    def local_start(self) -> datetime:
        """The start on the wall clock of ``time_zone``, aware."""
        return self.start.astimezone(ZoneInfo(self.time_zone))

    @property
    def local_end(self) -> datetime:
        """The end on the wall clock of ``time_zone``, aware."""
        return self.end.astimezone(ZoneInfo(self.time_zone))

    @property
    def dates(self) -> tuple[date, date]:
        """First day and the day after the last, on the wall clock; for all-day events.

        Without an end, that is the first day alone (RFC 5545 section 3.6.1).
        """
        first, after = self.local_start.date(), self.local_end.date()
        return first, max(after, first + timedelta(days=1))

    @property
    def body(self) -> str:
        """The text that people read in the event: the description, then the URL on its own line.

        No provider has a field for a URL that every client shows, so it is part of the text.
        """
        return "\n\n".join(part for part in (self.description, self.url) if part)


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a mailbox holds of an event, in the fields that Rooster owns.

    ``start`` and ``end`` are aware and in UTC; of an all-day event they are midnights (UTC) of its first
    day and of the day after its last. ``body`` is plain text.
    """

    title: str
    start: datetime
    end: datetime
    all_day: bool
    location: str
    body: str
    categories: tuple[str, ...]
    show_as: ShowAs
    privacy: Privacy = "normal"
    longest: int | None = None
    """UTF-16 code units that this provider takes of a title and of a category; see ``shortened``."""

    def changes(self, event: Event) -> tuple[str, ...]:
        """The fields that are not as Rooster wrote them in this event, whatever the person has added.

        Notes around our text and categories of their own are additions, and so are reminders and colours,
        which everybody chooses for themselves; everything else is a change. What the provider has no room
        for was never written, and is none.
        """
        title = shortened(event.title, self.longest)
        categories = {shortened(category, self.longest) for category in event.categories}
        start, end = event.start, event.end
        if event.all_day:
            start, end = (datetime.combine(day, time(), UTC) for day in event.dates)
        same = {
            "title": self.title == title,
            "start": self.start == start,
            "end": self.end == end,
            "allDay": self.all_day == event.all_day,
            "location": self.location == event.location,
            "showAs": self.show_as == event.show_as,
            "description": plain(event.body) in plain(self.body),
            "categories": categories <= set(self.categories),
            "privacy": event.privacy in (None, self.privacy),
        }
        return tuple(field for field, is_same in same.items() if not is_same)

    def holds(self, event: Event) -> bool:
        """Whether this is the event as Rooster wrote it, whatever the person has added: no ``changes``."""
        return not self.changes(event)


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """What every pushed event carries, so that it can be found and recognised as ours.

    ``event`` identifies the event within the synchronization (see ``providers.marker.event_identity``);
    ``attempt`` identifies one attempt to create it. A copy that a person makes has the same attempt.
    """

    instance: str
    synchronization: int
    event: str
    attempt: UUID


class Mailbox(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox as an adapter reaches it.

    ``identity`` is the provider's own stable name of the mailbox behind all its addresses: two
    addresses with one identity are one mailbox. ``calendar`` is the provider's id of the calendar in it
    that is meant; None: the default one.
    """

    address: str
    identity: str
    calendar: str | None = None


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar of a mailbox. ``ours``: the instance that asks has made it, whatever it is called by now."""

    id: str
    name: str
    is_default: bool
    ours: bool


class Create(msgspec.Struct, frozen=True, kw_only=True):
    """Put a new event into the mailbox, carrying ``marker``."""

    event: Event
    marker: Marker


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """Make event ``id`` what ``event`` says, and keep what the person has added to it.

    ``possible`` is what the mailbox may hold of ours: several events if an answer never came, none if
    nothing is known. ``changed`` says that somebody has changed the event there. Only fields that differ
    from what the mailbox holds are written: where that is not known for sure, the event is read first.

    What the person added survives: reminders, attachments, notes around our text, categories of their
    own. So where the text or the categories change, the write is made conditional on ``version``; if
    the event has moved on since, it is read, and their additions are merged. ``version`` is what the
    provider last called the event's version, or None.

    Reminder and colour, which people choose for themselves, are not read: they are written where ours is
    not the same as in each of ``possible``, and where nothing is known, if there is one of ours. Where
    there was one of ours and is none now, the provider's default takes its place. So it is with a privacy
    that is not ours any more.
    """

    id: str
    version: str | None
    event: Event
    possible: tuple[Event, ...]
    marker: Marker
    changed: bool = False

    @property
    def previous(self) -> Event | None:
        """What the mailbox holds of ours, if that is known for sure."""
        return self.possible[0] if len(self.possible) == 1 and not self.changed else None


class Delete(msgspec.Struct, frozen=True, kw_only=True):
    """Remove event ``id``. Nobody is sent a cancellation."""

    id: str
    version: str | None


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """Put event ``id`` of the mailbox's calendar into another one of the same mailbox, as it is.

    All that anybody has added to it goes along. ``calendar`` is the provider's id; None: the default one.
    ``marker`` is that of the event afterwards (see ``Adapter.moves_by_copying``), and ``time_zone`` (IANA)
    the wall clock by which people read it.
    """

    id: str
    calendar: str | None
    marker: Marker
    time_zone: str


Operation = Create | Update | Delete | Move


class Done(msgspec.Struct, frozen=True):
    """The provider has done it.

    After a Delete, ``id`` is that of the deleted event; after a Move, that which the event has from now on.
    ``version`` is given where the text and the categories hold nothing but ours at that version, so that
    a later Update may write them whole on that condition; else it is None.
    """

    id: str
    version: str | None = None


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The provider answered that it will not do it; nothing was changed.

    ``scope`` says what is refused: this one event, everything in this mailbox (no permission), or
    everything with this account (wrong credentials). ``permanent`` is False where the same request may
    succeed later without a change on our side. ``reason`` is a sentence for an administrator and holds
    no title, text, token or secret. ``code`` is the provider's own, for support.
    """

    code: str
    reason: str
    permanent: bool = True
    scope: Literal["event", "mailbox", "account"] = "event"


class Throttled(msgspec.Struct, frozen=True, kw_only=True):
    """Not done: the provider asks us to wait until ``until`` (aware, UTC).

    ``scope`` says for whom: this mailbox alone, or all that the account (see ``Adapter.account``) does.
    """

    until: datetime
    scope: Literal["mailbox", "account"]
    code: str = "throttled"


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """Not done: the event, the calendar or the whole mailbox is not there."""

    what: Literal["event", "calendar", "mailbox"]
    code: str
    reason: str


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody knows whether it was done: no answer, a cut answer, a 5xx after the request was sent.

    The caller finds out by ``Adapter.find`` before it sends anything again; where the provider asks to wait
    (``wait``), not earlier than that.
    """

    code: str
    reason: str
    wait: Throttled | None = None


Outcome = Done | Refused | Throttled | Gone | Unknown


class ProviderError(Exception):
    """A probe, find or list could not be answered; ``outcome`` says why. Never Done."""

    def __init__(self, outcome: Refused | Throttled | Gone | Unknown) -> None:
        super().__init__(type(outcome).__name__)
        self.outcome = outcome


class RemoteEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of this or another instance of Rooster, as found in a mailbox by its marker.

    ``content`` is what it holds now, and ``version`` the version of that. Where it holds more than ours
    (see ``providers.additions.only_ours``), no Update may rely on this version: it would write over it.
    """

    id: str
    version: str | None
    marker: Marker
    content: Content


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """One page of what has changed in a calendar.

    ``events`` are there, new or changed or perhaps the same; ``removed`` are ids of what is not there any
    more, some of them perhaps never ours. An id that is named twice is as its last mention says. ``state`` is
    given on the last page, and there only: what ``Adapter.changes`` takes to go on from here.
    """

    events: tuple[RemoteEvent, ...] = ()
    removed: tuple[str, ...] = ()
    state: str | None = None


class StartOver(Exception):
    """The provider does not know any more what has changed since that state: everything has to be read."""


def utc(value: datetime) -> datetime:
    """The same moment in UTC. Raises ValueError for a naive value."""
    if value.tzinfo is None:
        raise ValueError("a datetime without a time zone")
    return value.astimezone(UTC)
