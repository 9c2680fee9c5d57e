"""The occurrences of the VEVENTs with one UID: which there are, their names, and how long they last."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from icalendar import Calendar, vDDDTypes
from recurring_ical_events import CalendarQuery

from app.timetables.vevent import Vevent

__all__ = ["is_series", "occurrences", "recurrence_name"]


def is_series(group: Sequence[Vevent]) -> bool:
    """Whether the VEVENTs with one UID are more than one event without recurrence."""
    return len(group) > 1 or any(p in group[0] for p in ("RRULE", "RDATE", "RECURRENCE-ID"))


def occurrences(group: Sequence[Vevent], window: tuple[datetime, datetime]) -> Iterator[tuple[str, Vevent]]:
    """The occurrences inside the window, each with its name: the start that its rule gave it, in UTC.

    The components have been checked, and their times are aware. Raises what the libraries raise where dates
    do not fit together.
    """
    calendar = Calendar()
    for component in group:
        calendar.add_component(component)
    master = next((component for component in group if "RECURRENCE-ID" not in component), None)
    changed = {_recurrence_id(component): component for component in group if component is not master}
    periods = _periods(master)
    for series in CalendarQuery(calendar).series:
        for occurrence in series.between(*window):
            component = occurrence.as_component(False)
            origin = changed.get(_recurrence_id(component), master)
            _set_end(component, origin, periods)
            yield _original(component, master, origin), component


def recurrence_name(moment: Any) -> str:
    """A RECURRENCE-ID as part of a name: ``20261121T090000Z``, ``20261121`` of a date."""
    if isinstance(moment, datetime):
        return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    return f"{moment:%Y%m%d}"


def _recurrence_id(component: Vevent) -> str:
    return recurrence_name(component["RECURRENCE-ID"].dt)


def _periods(master: Vevent | None) -> dict[str, Any]:
    """The ends, or durations, of the RDATEs that are periods, by their starts."""
    values = master.get("RDATE", []) if master is not None else []
    moments = (item.dt for given in (values if isinstance(values, list) else [values]) for item in given.dts)
    return {recurrence_name(moment[0]): moment[1] for moment in moments if isinstance(moment, tuple)}


def _set_end(occurrence: Vevent, origin: Vevent | None, periods: Mapping[str, Any]) -> None:
    """Let it last as its ``origin`` does, the VEVENT that describes it.

    By DTEND for exactly as long, by DURATION as many days on the clock and hours (RFC 5545 section 3.8.5.3).
    The library adds both on the clock, which is too little, or nothing, where summer time begins.
    """
    start: date = occurrence["DTSTART"].dt
    if origin is None or not isinstance(start, datetime) or not isinstance(origin["DTSTART"].dt, datetime):
        return
    end = None if "RECURRENCE-ID" in origin else periods.get(recurrence_name(start))
    del occurrence["DTEND"]
    if end is not None:
        occurrence["DTEND" if isinstance(end, datetime) else "DURATION"] = vDDDTypes(end)
    elif "DTEND" in origin:
        length = origin["DTEND"].dt.astimezone(UTC) - origin["DTSTART"].dt.astimezone(UTC)
        occurrence["DTEND"] = vDDDTypes(start.astimezone(UTC) + length)
    elif "DURATION" in origin:
        occurrence["DURATION"] = origin["DURATION"]


def _original(component: Vevent, master: Vevent | None, origin: Vevent | None) -> str:
    """The name of an occurrence by the start that its rule gave it, wherever it has been moved since."""
    recurrence = component["RECURRENCE-ID"]
    original = recurrence.dt
    if recurrence.params.get("RANGE") == "THISANDFUTURE":
        # The library names all later occurrences after the first one that was moved: take the move back.
        assert origin is not None
        original = component["DTSTART"].dt - (origin["DTSTART"].dt - original)
    if (
        master is not None
        and not isinstance(master["DTSTART"].dt, datetime)
        and isinstance(original, datetime)
    ):
        original = original.date()  # some programs give a time where the series has dates
    return recurrence_name(original)
