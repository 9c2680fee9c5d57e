"""The parts of Google's resources that Rooster reads."""

from datetime import UTC, date, datetime, time
from typing import Any, TypeVar

import msgspec

from providers.contract import Content, Marker, ProviderError, RemoteEvent, ShowAs, Unknown, utc
from providers.googlecalendar import descriptions, presentation
from providers.googlecalendar.replies import Answer
from providers.marker import from_strings

__all__ = [
    "CATEGORIES",
    "FIELDS",
    "LARGEST_PAGE",
    "CalendarEntry",
    "CalendarList",
    "EventResource",
    "Page",
    "Time",
    "read",
]

FIELDS = (
    "id,etag,status,summary,location,description,start,end,transparency,visibility,source,"
    "extendedProperties/private"
)
"""The fields of an event that Rooster reads: those that it owns, and its marker."""

LARGEST_PAGE = 2500
"""As many events as Google gives at once."""

CATEGORIES = "RoosterCategories"
"""Google has no categories. They are kept, as a JSON list, in a private property of this name."""

T = TypeVar("T")


class Properties(msgspec.Struct, frozen=True):
    """Extended properties."""

    private: dict[str, str] = {}


class Time(msgspec.Struct, frozen=True, rename="camel"):
    """The start or end of an event: a day, or a moment and the wall clock by which people read it."""

    day: date | None = msgspec.field(default=None, name="date")
    date_time: datetime | None = None
    time_zone: str | None = None

    @property
    def moment(self) -> datetime | None:
        """In UTC; of a day, its midnight in UTC."""
        if self.day is not None:
            return datetime.combine(self.day, time(), UTC)
        return None if self.date_time is None else utc(self.date_time)

    def is_(self, sent: dict[str, Any]) -> bool:
        """Whether it is what was, or would be, sent as ``sent``."""
        if self.day is not None or sent["date"] is not None:
            return self.day is not None and self.day.isoformat() == sent["date"]
        same = self.date_time == datetime.fromisoformat(sent["dateTime"])
        return same and self.time_zone == sent["timeZone"]


class EventResource(msgspec.Struct, frozen=True, rename="camel"):
    """An event. A deleted one has the status ``cancelled``."""

    id: str
    etag: str | None = None
    status: str = "confirmed"
    summary: str = ""
    location: str = ""
    description: str = ""
    start: Time | None = None
    end: Time | None = None
    transparency: str = "opaque"
    visibility: str = "default"
    source: dict[str, str] | None = None
    extended_properties: Properties = Properties()

    @property
    def marker(self) -> Marker | None:
        """Rooster's marker, if there is a complete one."""
        return from_strings(self.extended_properties.private)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories; none if another program has put something else there."""
        try:
            return msgspec.json.decode(self.extended_properties.private[CATEGORIES], type=tuple[str, ...])
        except (KeyError, msgspec.DecodeError):
            return ()

    @property
    def remote(self) -> RemoteEvent | None:
        """The event for the contract, if it is there and carries a marker."""
        marker = self.marker
        if marker is None or self.status == "cancelled":
            return None
        return RemoteEvent(id=self.id, version=self.etag, marker=marker, content=self.content)

    @property
    def content(self) -> Content:
        """What it holds of the fields that Rooster owns. Raises ``ProviderError`` if it has no times."""
        start, end = (None if side is None else side.moment for side in (self.start, self.end))
        if start is None or end is None:
            raise ProviderError(Unknown(code="unreadable", reason="Google's answer: an event without times."))
        show_as: ShowAs = "tentative" if self.status == "tentative" else "busy"
        return Content(
            title=self.summary,
            start=start,
            end=end,
            all_day=self.start is not None and self.start.day is not None,
            location=self.location,
            body=descriptions.text(self.description),
            categories=self.categories,
            show_as="free" if self.transparency == "transparent" else show_as,
            privacy=presentation.of_visibility(self.visibility),
        )


class Page(msgspec.Struct, frozen=True, rename="camel"):
    """One page of events. The last one of a whole calendar has ``next_sync_token``."""

    items: tuple[EventResource, ...] = ()
    next_page_token: str | None = None
    next_sync_token: str | None = None


class CalendarEntry(msgspec.Struct, frozen=True, rename="camel"):
    """A calendar in a person's list of calendars."""

    id: str
    access_role: str = ""
    summary: str = ""
    description: str = ""
    primary: bool = False
    data_owner: str | None = None
    """The address of the person whose calendar it is; given of secondary calendars alone."""
    time_zone: str | None = None


class CalendarList(msgspec.Struct, frozen=True, rename="camel"):
    """One page of a person's list of calendars."""

    items: tuple[CalendarEntry, ...] = ()
    next_page_token: str | None = None


def read(answer: Answer, type: type[T]) -> T:
    """The answer's body. Raises ``ProviderError`` (Unknown) if it is not what it should be."""
    try:
        return msgspec.convert(answer.body, type)
    except msgspec.ValidationError as error:
        # Its text names fields and types, never a value.
        raise ProviderError(Unknown(code="unreadable", reason=f"Google's answer: {error}.")) from error
