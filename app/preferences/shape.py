"""How preferences make of a published event the one that is put into the mailbox, or none."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

import msgspec
import structlog

from app.preferences.patterns import Patterns, patterns
from app.preferences.rules import read_rules
from app.preferences.templates import FAILURES, MAX_RESULT, Template, template
from app.timetables.event import LINE, LINES
from providers.contract import Colour, Event, Privacy, ShowAs

__all__ = ["NO_REMINDER", "LeftOut", "Shape"]

MAX_TITLE = 255
"""Characters of a title; Exchange refuses a longer subject."""
NO_REMINDER = -1
"""presentation.reminderMinutes where there is to be none."""

log = structlog.get_logger(__name__)


class LeftOut(msgspec.Struct, frozen=True):
    """An event that is not for the mailbox; ``preference`` (``section.key``) keeps it out."""

    preference: str


class Shape:
    """Effective preferences, ready to be applied to any number of events.

    Selection comes first, and sees the event as published. Then come title and description; then categories,
    colours, how it shows, reminder and privacy, by the published categories. Without preferences, events stay
    as they are.
    """

    def __init__(self, preferences: Mapping[str, Any]) -> None:
        read = _Reader(preferences)
        self._include = read.categories("selection.includeCategories")
        self._exclude = read.categories("selection.excludeCategories")
        self._include_titles = read.patterns("selection.includeTitles")
        self._exclude_titles = read.patterns("selection.excludeTitles")
        self._title = read.template("presentation.titleTemplate")
        self._description = read.template("presentation.descriptionTemplate")
        self._names = read.rules("presentation.categoryNames")
        self._colours = cast(dict[str, Colour], read.rules("presentation.colourByCategory", get_args(Colour)))
        self._show_as = cast(ShowAs | None, read.choice("presentation.showAs", get_args(ShowAs)))
        self._show_as_by_category = cast(
            dict[str, ShowAs], read.rules("presentation.showAsByCategory", get_args(ShowAs))
        )
        self._privacy = cast(Privacy | None, read.choice("presentation.privacy", get_args(Privacy)))
        minutes = read.number("presentation.reminderMinutes")
        self._reminder = "none" if minutes is not None and minutes <= NO_REMINDER else minutes

    @classmethod
    def parse(cls, preferences: Mapping[str, Any]) -> "Shape":
        """The shape by effective preferences, ``{"section.key": value}``; unknown ones are ignored.

        Never raises: a value that cannot be used (none that was checked when it was set is) counts as none.
        """
        return cls(preferences)

    def shape(self, event: Event) -> Event | LeftOut:
        """The event for the mailbox, or what keeps it out. Never raises.

        A template that fails on this event leaves that text as published.
        """
        folded = [category.casefold() for category in event.categories]
        if preference := self._keeps_out(event, folded):
            return LeftOut(preference)
        changes: dict[str, Any] = {}
        if self._title and (title := _one_line(_render(self._title, event, MAX_RESULT))):
            changes["title"] = title[:MAX_TITLE].rstrip()
        if self._description and (text := _render(self._description, event, MAX_RESULT)) is not None:
            changes["description"] = LINES.sub("", text)
        if self._names or self._colours:
            changes["categories"], changes["colours"] = self._in_mailbox(event.categories, folded)
        show_as = next(filter(None, map(self._show_as_by_category.get, folded)), self._show_as)
        if show_as is not None:
            changes["show_as"] = show_as
        if self._reminder is not None:
            changes["reminder"] = self._reminder
        if self._privacy is not None:
            changes["privacy"] = self._privacy
        return msgspec.structs.replace(event, **changes) if changes else event

    def _keeps_out(self, event: Event, folded: Sequence[str]) -> str | None:
        if self._include and self._include.isdisjoint(folded):
            return "selection.includeCategories"
        if self._exclude and not self._exclude.isdisjoint(folded):
            return "selection.excludeCategories"
        if self._include_titles and not self._include_titles.match(event.title):
            return "selection.includeTitles"
        if self._exclude_titles and self._exclude_titles.match(event.title):
            return "selection.excludeTitles"
        return None

    def _in_mailbox(
        self, published: Sequence[str], folded: Sequence[str]
    ) -> tuple[tuple[str, ...], dict[str, Colour]]:
        """The categories by their names in the mailbox, none twice, and the colours of those that have one.

        A category that is left off has no colour either: there is nothing to colour.
        """
        named: dict[str, str] = {}
        colours: dict[str, Colour] = {}
        for category, key in zip(published, folded, strict=True):
            name = self._names.get(key, category)
            if not name:
                continue
            name = named.setdefault(name.casefold(), name)
            if colour := self._colours.get(key):
                colours.setdefault(name, colour)
        return tuple(named.values()), colours


def _render(made: Template, event: Event, limit: int) -> str | None:
    """The text, or None where the template fails on this event: what is published is better than nothing."""
    try:
        return made.render(event, limit)
    except FAILURES:
        return None


def _one_line(text: str | None) -> str:
    return " ".join(LINE.sub(" ", text).split()) if text else ""


class _Reader:
    """Reads values, each as what it has to be; what is not that counts as none, and the log says so."""

    def __init__(self, preferences: Mapping[str, Any]) -> None:
        self._preferences = preferences

    def _unusable(self, preference: str) -> None:
        log.warning("preference_unusable", preference=preference)

    def _list(self, preference: str) -> tuple[str, ...]:
        value = self._preferences.get(preference)
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
        if value is not None:
            self._unusable(preference)
        return ()

    def categories(self, preference: str) -> frozenset[str]:
        return frozenset(item.strip().casefold() for item in self._list(preference))

    def patterns(self, preference: str) -> Patterns | None:
        try:
            return patterns(of) if (of := self._list(preference)) else None
        except ValueError:
            self._unusable(preference)
            return None

    def rules(self, preference: str, allowed: Sequence[str] | None = None) -> dict[str, str]:
        return read_rules(self._list(preference), allowed)

    def template(self, preference: str) -> Template | None:
        text = self._preferences.get(preference)
        try:
            if isinstance(text, str):
                return template(text)
        except ValueError:
            text = ""
        if text is not None:
            self._unusable(preference)
        return None

    def choice(self, preference: str, allowed: Sequence[str]) -> str | None:
        value = self._preferences.get(preference)
        if isinstance(value, str) and value in allowed:
            return value
        if value is not None:
            self._unusable(preference)
        return None

    def number(self, preference: str) -> int | None:
        value = self._preferences.get(preference)
        if isinstance(value, int | float) and not isinstance(value, bool) and value == int(value):
            return int(value)
        if value is not None:
            self._unusable(preference)
        return None
