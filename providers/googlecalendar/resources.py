"""The parts of Google's resources that Rooster reads."""

from typing import TypeVar

import msgspec

from providers.contract import Marker, ProviderError, RemoteEvent, Unknown
from providers.googlecalendar.replies import Answer
from providers.marker import from_strings

__all__ = ["CalendarEntry", "EventResource", "Page", "read"]

T = TypeVar("T")


class Properties(msgspec.Struct, frozen=True):
    """Extended properties."""

    private: dict[str, str] = {}


class EventResource(msgspec.Struct, frozen=True, rename="camel"):
    """An event. A deleted one has the status ``cancelled``."""

    id: str
    etag: str | None = None
    status: str = "confirmed"
    extended_properties: Properties = Properties()

    @property
    def marker(self) -> Marker | None:
        """Rooster's marker, if there is a complete one."""
        return from_strings(self.extended_properties.private)

    @property
    def remote(self) -> RemoteEvent | None:
        """The event for the contract, if it is there and carries a marker."""
        marker = self.marker
        if marker is None or self.status == "cancelled":
            return None
        return RemoteEvent(id=self.id, version=self.etag, marker=marker)


class Page(msgspec.Struct, frozen=True, rename="camel"):
    """One page of events."""

    items: tuple[EventResource, ...] = ()
    next_page_token: str | None = None


class CalendarEntry(msgspec.Struct, frozen=True, rename="camel"):
    """A calendar in a person's list of calendars."""

    id: str
    access_role: str


def read(answer: Answer, type: type[T]) -> T:
    """The answer's body. Raises ``ProviderError`` (Unknown) if it is not what it should be."""
    try:
        return msgspec.convert(answer.body, type)
    except msgspec.ValidationError as error:
        # Its text names fields and types, never a value.
        raise ProviderError(Unknown(code="unreadable", reason=f"Google's answer: {error}.")) from error
