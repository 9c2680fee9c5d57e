"""What an update writes: what differs and nothing else, with what the person added left in it."""

from datetime import UTC, datetime, time
from typing import Any

from providers.additions import merged_body, merged_categories, only_ours
from providers.contract import Event, Update
from providers.o365.events import TIMES, event_path, fields_of, last_day_after, properties_of
from providers.o365.messages import Request
from providers.o365.presentation import presentation_changed
from providers.o365.reading import Held, held_in

__all__ = ["has_to_be_read", "update_request", "version_after", "version_held"]

_SHARED = frozenset({"body", "categories"})
"""The fields in which people put things of their own."""


def has_to_be_read(update: Update) -> bool:
    """Whether the event has to be read before it can be written.

    So it is where we do not know for sure what it holds of ours, and where a shared field changes and
    there is no version to tell whether they have added to it.
    """
    previous = update.previous
    return previous is None or (
        update.version is None and not _SHARED.isdisjoint(_changed(update.event, previous))
    )


def update_request(address: str, update: Update, held: Held | None) -> Request | None:
    """The PATCH that carries the update out; None if there is nothing to change.

    ``held`` is what the event holds, if it was read. Only where a shared field changes does the PATCH
    depend on the version: nothing that a person or Exchange itself does to an event may hold up a changed
    lecture hall.
    """
    fields = _merged(update, held) if held is not None else _changed(update.event, update.previous)
    fields |= presentation_changed(update, held.content.privacy if held and not update.previous else None)
    version = update.version if held is None else held.version
    if not fields and (held is None or held.marker == update.marker):
        return None
    return Request(
        method="PATCH",
        path=event_path(address, update.id),
        # With the marker, as an adopted event gets a new synchronization, and as some clients
        # drop properties that they do not know.
        body=fields | properties_of(update.marker),
        version=None if _SHARED.isdisjoint(fields) else version,
    )


def version_after(event: Event, item: dict[str, Any] | None) -> str | None:
    """The version of what Graph answers that it has written, as ``version_held``.

    None also where the answer does not tell.
    """
    try:
        return None if item is None else version_held(event, held_in(item))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def version_held(event: Event, held: Held) -> str | None:
    """The version, if the event holds our text and categories and nothing of the person's beside them.

    None otherwise: the next update of those has to look first, as the version would not tell of theirs.
    """
    return held.version if only_ours(held.content, event) else None


def _changed(event: Event, previous: Event | None) -> dict[str, Any]:
    """The fields that differ from what we wrote before."""
    fields = fields_of(event)
    assert previous is not None, "an update of unknown content has to be read first"
    before = fields_of(previous)
    return _whole_times(fields, {name for name, value in fields.items() if value != before[name]})


def _merged(update: Update, held: Held) -> dict[str, Any]:
    """The fields to write over what was read."""
    event, now = update.event, held.content
    fields = fields_of(event)
    if update.previous is not None:
        # What the person has made of other fields is theirs until the timetable changes those.
        names = set(_changed(event, update.previous))
    else:
        same = {
            "subject": now.title == event.title,
            "location": now.location == event.location,
            "showAs": now.show_as == event.show_as,
            "start": (now.start, now.end, now.all_day) == (*_moments(event), event.all_day)
            # Times are read in UTC: they do not show by which clock the event goes.
            and all(before.time_zone == event.time_zone for before in update.possible),
        }
        names = set(_SHARED) | {name for name in same if not same[name]}
    if "body" in names:
        text = merged_body(now.body, update.possible, event)
        fields["body"] = {"contentType": "text", "content": text}
        if text == now.body:
            names.remove("body")
    if "categories" in names:
        categories = merged_categories(now.categories, update.possible, event)
        fields["categories"] = list(categories)
        if set(categories) == set(now.categories):
            names.remove("categories")
    return _whole_times(fields, names)


def _whole_times(fields: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The named fields, with all of the times if one of them is among them.

    Graph checks them against each other: an all-day event has to run from midnight to midnight.
    """
    if not names.isdisjoint(TIMES):
        names = names.union(TIMES)
    return {name: value for name, value in fields.items() if name in names}


def _moments(event: Event) -> tuple[datetime, datetime]:
    """Start and end as ``Content`` has them."""
    if not event.all_day:
        return event.start, event.end
    midnight = time(tzinfo=UTC)
    return datetime.combine(event.dates[0], midnight), datetime.combine(last_day_after(event), midnight)
