"""iCalendar (RFC 5545) to events: VEVENTs, their recurrences expanded inside the push window.

The icalendar and recurring-ical-events libraries do the reading and expanding. Both trust their input, so
everything that could keep them busy without end is looked at first: see ``app.timetables.recurrence``.

What becomes what: a VEVENT without recurrence keeps its UID, and is taken whatever its date. An
occurrence of a recurring one is named ``UID/20261121T090000Z`` after its RECURRENCE-ID (in UTC; all-day:
``UID/20261121``), which stays when the occurrence is moved. An occurrence whose local time is skipped by
summer time is moved forward, as any time in section 3.3.5.
"""

import threading
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Calendar, vCategory, vDDDLists, vDDDTypes, vDuration, vRecur
from icalendar.error import GloballyUniqueTZIDGuessed
from icalendar.timezone import tzp

from app.config import TimetableSettings
from app.errors import Invalid, Problem
from app.timetables.calendar_structure import check_structure, decoded, not_a_calendar
from app.timetables.event import Problems, check_events, event_name
from app.timetables.occurrences import is_series, occurrences, recurrence_name
from app.timetables.recurrence import Budget, RuleRefused, check_rule
from app.timetables.times import FIRST_YEAR, LAST_YEAR
from app.timetables.vevent import Vevent, text_of, to_event
from app.timetables.zones import ZoneNames
from providers.contract import Event

__all__ = ["CalendarReader"]

MAX_DATES = 20_000
"""RDATE and EXDATE values of a calendar."""
TIME_PROPERTIES = ("DTSTART", "DTEND", "RECURRENCE-ID")
READ_PROPERTIES = frozenset(
    {
        *TIME_PROPERTIES,
        *("UID", "SUMMARY", "DESCRIPTION", "LOCATION", "CATEGORIES", "URL", "STATUS", "TRANSP", "SEQUENCE"),
        *("DURATION", "RRULE", "RDATE", "EXDATE", "X-MICROSOFT-CDO-BUSYSTATUS"),
    }
)
"""Others are ignored, whatever is wrong with them."""

TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(TIME_PROPERTIES, (vDDDTypes,)),
    "DURATION": (vDDDTypes, vDuration),
    "RRULE": (vRecur,),
    "RDATE": (vDDDLists,),
    "EXDATE": (vDDDLists,),
    "CATEGORIES": (vCategory,),
}
"""What the values must be; a VALUE parameter can make something else of them."""

LIBRARY_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What the libraries raise, sooner or later, for input that makes no sense."""

_parsing = threading.Lock()
"""icalendar keeps the zones that calendars define in one place for the whole process, by TZID: without a
fresh start for each calendar, one person's "Customized Time Zone" would be used for another's."""


class CalendarReader:
    """Reads iCalendar by the configured limits, with times without a zone in the configured one."""

    def __init__(self, limits: TimetableSettings, zone: str) -> None:
        self.limits = limits
        self.zone = zone

    def timetable(self, data: bytes, now: datetime) -> list[Event]:
        """The events of a calendar, as of ``now``. Raises Invalid with every problem.

        Slow for large calendars (a second for some thousand events): call it in a thread.
        """
        reading = _Reading(self.limits, self.zone, now)
        events = reading.read(data)
        reading.problems.raise_any()
        return events

    def readable(self, data: bytes, now: datetime) -> tuple[list[Event], list[Problem]]:
        """The events that can be read, and what is wrong with the others; for a calendar that we fetched.

        An event of a series of which anything is wrong is not among them. Raises Invalid where the calendar
        as a whole is none, was cut off, or is over a limit. As slow as ``timetable``.
        """
        reading = _Reading(self.limits, self.zone, now)
        events = reading.read(data)
        return events, reading.problems.found


class _Reading:
    """One calendar being read."""

    def __init__(self, limits: TimetableSettings, zone: str, now: datetime) -> None:
        self.limits = limits
        self.zone = zone
        self.default = ZoneInfo(zone)
        self.window = (
            now.astimezone(UTC) - timedelta(days=limits.window_days_back),
            now.astimezone(UTC) + timedelta(days=limits.window_days_ahead),
        )
        self.names = ZoneNames(zone, now)
        self.budget = Budget()
        self.dates = 0
        self.problems = Problems()

    def read(self, data: bytes) -> list[Event]:
        """The events of the series with which nothing is wrong; ``problems`` has what is with the others."""
        text = decoded(data)
        check_structure(text, self.limits, self.window[1], self.budget, self.problems)
        self.problems.raise_any()
        calendars = _parse(text)
        series = self.group(component for calendar in calendars for component in calendar.walk("VEVENT"))
        events: list[tuple[str, Event]] = []
        for group in series.values():
            for named in self.expand(group):
                events.append(named)
                if len(events) > self.limits.max_events:
                    raise self.too_many([name for name, _ in events])
        check_events(events, self.limits, self.problems)
        wrong = {problem.event for problem in self.problems.found}
        return [event for name, event in events if name not in wrong]

    def too_many(self, names: list[str]) -> Invalid:
        """The refusal of more events than allowed: it names the series, if any, that has the most so far."""
        ((name, count),) = Counter(names).most_common(1)
        detail = f"More than {self.limits.max_events} events in one timetable"
        if count == 1:
            return Invalid("too_many_events", f"{detail}.")
        detail += f", recurrences expanded; {count} or more are of this one."
        return Invalid("too_many_events", f"{name}: {detail}", (Problem(detail=detail, event=name),))

    def group(self, components: Iterator[Vevent]) -> dict[str, list[tuple[str, Vevent]]]:
        """The VEVENTs with their names in problems, by UID, all checked and with aware times.

        Series of which anything is wrong are left out.
        """
        groups: defaultdict[str, list[tuple[str, Vevent]]] = defaultdict(list)
        seen: set[tuple[str, str]] = set()
        wrong: set[str] = set()
        for position, component in enumerate(components, 1):
            uid = text_of(component, "UID").strip()
            name = event_name(uid, position)
            if not uid:
                self.problems.add("Missing: every VEVENT needs one (RFC 5545 section 3.6.1).", name, "uid")
                continue
            if not self.check_component(component, name):
                wrong.add(uid)
                continue
            key = (
                uid,
                recurrence_name(component["RECURRENCE-ID"].dt) if "RECURRENCE-ID" in component else "",
            )
            if key in seen:
                self.problems.add(
                    "This UID is there twice with the same RECURRENCE-ID, or none.", name, "uid"
                )
                wrong.add(uid)
            seen.add(key)
            groups[uid].append((name, component))
        return {uid: group for uid, group in groups.items() if uid not in wrong}

    def check_component(self, component: Vevent, name: str) -> bool:
        """Check everything that the libraries rely on. False: it must not be given to them."""
        before = self.problems.added
        for property, _ in component.errors:
            if property is None:
                self.problems.add("A line of it could not be understood.", name)
            elif property.upper() in READ_PROPERTIES:
                self.problems.add("The value could not be understood.", name, property.lower())
        if "DTSTART" not in component:
            self.problems.add("Missing (RFC 5545 section 3.6.1).", name, "dtstart")
        for property in (*TIME_PROPERTIES, "DURATION", "RRULE"):
            if isinstance(component.get(property), list):
                self.problems.add("There more than once.", name, property.lower())
        for property, types in TYPES.items():
            values = component.get(property, [])
            if any(not isinstance(v, types) for v in (values if isinstance(values, list) else [values])):
                self.problems.add("The value could not be understood.", name, property.lower())
        if "EXRULE" in component:
            self.problems.add("EXRULE is not supported; RFC 5545 has done away with it.", name, "exrule")
        if self.problems.added > before:
            return False
        for property in TIME_PROPERTIES:
            if property in component:
                component[property] = self.localized(component[property], component, name, property)
        if self.problems.added > before:
            return False
        self.check_span(component, name)
        self.check_recurrence(component, name)
        return self.problems.added == before

    def localized(self, value: vDDDTypes, component: Vevent, name: str, property: str) -> vDDDTypes:
        """The value with an aware time: a floating one is read in the configured zone."""
        moment = value.dt
        if isinstance(moment, tuple) and property == "RDATE":  # a period
            moment = moment[0]
        if not isinstance(moment, date):
            self.problems.add("Not a date or a time.", name, property.lower())
        elif not FIRST_YEAR <= moment.year <= LAST_YEAR:
            self.problems.add(f"A year outside {FIRST_YEAR} to {LAST_YEAR}.", name, property.lower())
        elif isinstance(moment, datetime) and moment.tzinfo is None:
            if "TZID" in value.params:
                self.problems.add(
                    "TZID names no IANA zone, no Windows zone and no VTIMEZONE of this calendar.",
                    name,
                    property.lower(),
                )
            value = _with_zone(value, self.default)
        elif isinstance(moment, datetime):
            try:
                moment.astimezone(UTC)
            except LIBRARY_ERRORS:  # dateutil looks at the rules of a VTIMEZONE only now
                self.problems.add("The definition of its time zone makes no sense.", name, property.lower())
        return value

    def check_span(self, component: Vevent, name: str) -> None:
        start = component["DTSTART"].dt
        if not isinstance(start, date):
            return
        all_day = not isinstance(start, datetime)
        if "DURATION" in component:
            duration = component["DURATION"].dt
            if not isinstance(duration, timedelta) or duration < timedelta():
                self.problems.add("Not a duration that is positive.", name, "duration")
            elif duration > timedelta(days=36_525):
                self.problems.add("Longer than a century.", name, "duration")
            elif all_day and (duration.seconds or not duration):
                self.problems.add("An all-day event lasts whole days.", name, "duration")
        if "DTEND" in component:
            end = component["DTEND"].dt
            if not isinstance(end, date):
                return
            if isinstance(end, datetime) == all_day:
                self.problems.add("DTSTART and DTEND are not both dates or both times.", name, "dtend")
            elif all_day and end <= start:
                self.problems.add(
                    "Not after the start; the end of an all-day event is exclusive.", name, "dtend"
                )
            elif (
                isinstance(end, datetime)
                and isinstance(start, datetime)
                and end.astimezone(UTC) < start.astimezone(UTC)
            ):
                self.problems.add("Before the start.", name, "dtend")

    def check_recurrence(self, component: Vevent, name: str) -> None:
        start = component["DTSTART"].dt
        if not isinstance(start, date):
            return
        for property in ("RDATE", "EXDATE"):
            values = component.get(property, [])
            lists = values if isinstance(values, list) else [values]
            for given in lists:
                self.dates += len(given.dts)
                given.dts = [
                    self.localized_like(item, start, given, component, name, property) for item in given.dts
                ]
        if self.dates > MAX_DATES:
            raise Invalid("too_many_events", f"More than {MAX_DATES} values of RDATE and EXDATE.")
        rule = component.get("RRULE")
        if rule is None:
            return
        try:
            if "RECURRENCE-ID" in component:
                raise RuleRefused("A changed occurrence (RECURRENCE-ID) has no rule of its own.")
            _localize_until(rule, start, self.default)
            check_rule(rule, start, self.window[1], self.budget)
        except RuleRefused as error:
            self.problems.add(str(error), name, "rrule")

    def localized_like(
        self, item: vDDDTypes, start: date, given: Any, component: Vevent, name: str, property: str
    ) -> vDDDTypes:
        """A value of RDATE or EXDATE, a floating one in the zone of the start."""
        moment = item.dt[0] if isinstance(item.dt, tuple) else item.dt
        if isinstance(moment, datetime) and moment.tzinfo is None and "TZID" not in given.params:
            return _with_zone(item, start.tzinfo if isinstance(start, datetime) else None)
        item.params.update(given.params)
        if isinstance(item.dt, tuple):
            self.localized(item, component, name, property)
            return item
        return self.localized(item, component, name, property)

    def expand(self, group: Sequence[tuple[str, Vevent]]) -> Iterator[tuple[str, Event]]:
        """The events of the VEVENTs with one UID."""
        name = group[0][0]
        try:
            for event in self.events([component for _, component in group]):
                yield name, event
        except LIBRARY_ERRORS:
            self.problems.add("Its dates, or those of its time zone, do not fit together.", name)

    def events(self, group: Sequence[Vevent]) -> Iterator[Event]:
        uid = text_of(group[0], "UID").strip()
        if not is_series(group):
            yield to_event(group[0], uid, self.zone, self.names)
            return
        for name, component in occurrences(group, self.window):
            yield to_event(component, f"{uid}/{name}", self.zone, self.names)


def _parse(text: str) -> list[Vevent]:
    with _parsing, warnings.catch_warnings():
        warnings.simplefilter("ignore", GloballyUniqueTZIDGuessed)
        tzp.use_default()
        try:
            # As bytes: the library takes a text without line breaks for the path of a file.
            return Calendar.from_ical(text.encode(), multiple=True)
        except LIBRARY_ERRORS:
            raise not_a_calendar("a line could not be understood") from None


def _with_zone(value: vDDDTypes, zone: tzinfo | None) -> vDDDTypes:
    moment: Any = value.dt
    if isinstance(moment, tuple):
        begin, end = (part.replace(tzinfo=zone) if isinstance(part, datetime) else part for part in moment)
        return vDDDTypes((begin, end))
    return vDDDTypes(moment.replace(tzinfo=zone))


def _localize_until(rule: vRecur, start: date, default: ZoneInfo) -> None:
    """Make UNTIL what dateutil wants: UTC for a rule of times, a date for one of dates.

    A date as the end of a rule of times, which many programs write, includes that day.
    """
    values = rule.get("UNTIL")
    if not isinstance(values, list) or len(values) != 1 or not isinstance(values[0], date):
        return
    until = values[0]
    if until.year < FIRST_YEAR:
        raise RuleRefused("UNTIL is before any date that a timetable has.")
    if until.year > LAST_YEAR:
        until = until.replace(year=LAST_YEAR, day=1)
    if isinstance(start, datetime):
        if not isinstance(until, datetime):
            until = datetime.combine(until, time(23, 59, 59))
        if until.tzinfo is None:
            until = until.replace(tzinfo=start.tzinfo)
        rule["UNTIL"] = [until.astimezone(UTC)]
    elif isinstance(until, datetime):
        rule["UNTIL"] = [until.astimezone(default).date() if until.tzinfo else until.date()]
