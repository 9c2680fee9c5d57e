"""What an update writes, and on which condition, so that what the person added to the event survives."""

from datetime import UTC, datetime, time
from typing import Any

import msgspec

from providers.additions import merged_body, merged_categories, only_ours
from providers.contract import Done, Event, Update
from providers.ews.items import (
    TIMES,
    OwnedItem,
    changed_names,
    cut,
    event_fields,
    marker_fields,
    privacy_fields,
    reminder_fields,
)
from providers.ews.reading import HeldItem
from providers.texts import plain

__all__ = ["Change"]

SHARED = frozenset({"body", "categories"})
"""The fields to which people add, and which can only be written whole."""


class Change:
    """An update under way.

    It is written on the condition that the item has not moved on since ``version``. Where it has, and a
    shared field changes, it is read and merged; other fields are then set whatever the item is like.

    ``Done.version`` is one at which the shared fields held nothing of the person's, or None: the next
    update of them relies on it, or reads them first.
    """

    def __init__(self, update: Update) -> None:
        self.id = update.id
        self.version = update.version
        self.fields: dict[str, Any] = {}
        """What to write, by field names; None empties the field. Unknown while ``must_read``."""
        self._event = cut(update.event)
        self._possible = tuple(map(cut, update.possible))
        self._marker = update.marker
        self._reminder = reminder_fields(update.event.reminder) if _differs(update, "reminder") else {}
        self._names: set[str] | None = None
        """What the timetable has changed, if that is known for sure."""
        if update.previous is not None:
            self._names = changed_names(update.event, update.previous)
            self.fields = _chosen(event_fields(self._event), self._names) | self._reminder
            if _differs(update, "privacy"):
                self.fields |= privacy_fields(update.event.privacy)
            if self.fields:
                self.fields |= marker_fields(self._marker)
        self.must_read = self._names is None or (update.version is None and bool(self._names & SHARED))
        self.overwrite = update.version is None and not self.must_read
        """Whether the fields are written whatever has become of the item."""
        self._ours_alone = True

    def conflict(self) -> None:
        """Exchange refused the version; nothing was changed."""
        shared = self._names is None or self._names & SHARED
        self.overwrite = not (shared or self.must_read or self.overwrite)
        self.must_read = not self.overwrite

    def take(self, held: HeldItem) -> None:
        """Write what differs from this, which was read, merged with what the person added."""
        names = self._differing(held) if self._names is None else self._names
        body = merged_body(held.content.body, self._possible, self._event)
        categories = merged_categories(held.content.categories, self._possible, self._event)
        fields = _chosen(event_fields(self._event), names - SHARED) | self._reminder | self._privacy(held)
        if "body" in names and plain(body) != plain(held.content.body):
            fields["body"] = body or None
        if "categories" in names and set(categories) != set(held.content.categories):
            fields["categories"] = list(categories) or None
        if fields or held.marker != self._marker:
            fields |= marker_fields(self._marker)
        self.version, self.fields = held.version, fields
        now = {"body": body, "categories": categories}
        content = msgspec.structs.replace(held.content, **_chosen(now, names))
        self._ours_alone = only_ours(content, self._event)

    def item(self) -> tuple[OwnedItem, list[str]]:
        """The change as UpdateItem takes it."""
        return OwnedItem(id=self.id, changekey=self.version, **self.fields), list(self.fields)

    def done(self, id: str, version: str | None) -> Done:
        """The outcome, once the item is as it should be, in this version."""
        return Done(id, version if self._ours_alone and not self.overwrite else None)

    def _privacy(self, held: HeldItem) -> dict[str, Any]:
        ours = self._event.privacy
        if ours is None and all(event.privacy is None for event in self._possible):
            return {}
        return {} if held.content.privacy == (ours or "normal") else privacy_fields(ours)

    def _differing(self, held: HeldItem) -> set[str]:
        event, content, fields = self._event, held.content, event_fields(self._event)
        differing = set(SHARED)
        if content.title != event.title:
            differing.add("subject")
        if content.location != event.location:
            differing.add("location")
        if content.show_as != event.show_as:
            differing.add("legacy_free_busy_status")
        times = (content.start, content.end, content.all_day, held.time_zone)
        if times != (*_times(event), event.all_day, fields["start_timezone"].ms_id):
            differing |= TIMES
        return differing


def _differs(update: Update, name: str) -> bool:
    """Whether what people may choose for themselves is to be written, by what we may have written before."""
    ours = getattr(update.event, name)
    if not update.possible:
        return ours is not None
    return any(getattr(event, name) != ours for event in update.possible)


def _times(event: Event) -> tuple[datetime, datetime]:
    """Start and end as ``Content`` has them."""
    if not event.all_day:
        return event.start, event.end
    first, after_last = (datetime.combine(day, time(), UTC) for day in event.dates)
    return first, after_last


def _chosen(fields: dict[str, Any], names: frozenset[str] | set[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in names}
