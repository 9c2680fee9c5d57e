"""Timetables given out as iCalendar."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from app.config import TimetableSettings
from app.timetables.icalendar import CalendarReader
from app.timetables.output import to_icalendar
from app.timetables.times import local_midnight
from providers.contract import Event
from tests.properties import examples

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ZONE = "Europe/Amsterdam"
reader = CalendarReader(TimetableSettings(), ZONE)

LECTURE = Event(
    uid="a/20261123T080000Z",
    title="Algorithms, part 1; introduction",
    start=datetime(2026, 11, 23, 8, tzinfo=UTC),
    end=datetime(2026, 11, 23, 9, tzinfo=UTC),
    time_zone="America/New_York",
    location="Room \\1",
    description="one\ntwo\n",
    categories=("Lecture", "a,b;c"),
    url="https://uni.example/a?b=c;d,e",
)


def test_it_holds_the_definition_of_every_zone_that_it_names() -> None:
    calendar = Calendar.from_ical(to_icalendar([LECTURE], ZONE))
    assert [str(zone["TZID"]) for zone in calendar.walk("VTIMEZONE")] == ["America/New_York"]
    (vevent,) = calendar.walk("VEVENT")
    assert vevent["DTSTART"].to_ical() == b"20261123T030000"


def test_the_same_timetable_is_the_same_text() -> None:
    assert to_icalendar([LECTURE], ZONE) == to_icalendar([LECTURE], ZONE)


def test_an_empty_timetable_is_a_calendar() -> None:
    assert reader.timetable(to_icalendar([], ZONE), NOW) == []


lines = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"]), max_size=30)
descriptions = st.lists(lines, max_size=3).map("\n".join)
hours = st.integers(0, 24 * 500).map(lambda hour: datetime.fromtimestamp(1_767_225_600 + hour * 3600, UTC))
zones = st.sampled_from([ZONE, "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])


@st.composite
def events(draw: st.DrawFn) -> Event:
    zone = draw(zones)
    all_day = draw(st.booleans())
    start, end = sorted([draw(hours), draw(hours)])
    if all_day:
        start = local_midnight(start.date(), zone)
        end = local_midnight(datetime.fromtimestamp(end.timestamp() + 2 * 86_400, UTC).date(), zone)
    return Event(
        uid=draw(lines.map(str.strip).filter(bool)),
        title=draw(lines),
        start=start,
        end=end,
        time_zone=zone,
        all_day=all_day,
        location=draw(lines),
        description=draw(descriptions),
        categories=draw(st.lists(lines.map(str.strip).filter(bool), max_size=3, unique=True).map(tuple)),
        status=draw(st.sampled_from(["confirmed", "tentative", "cancelled"])),
        show_as=draw(st.sampled_from(["busy", "free", "tentative"])),
    )


@examples(200)
@given(st.lists(events(), max_size=3, unique_by=lambda event: event.uid))
def test_what_was_given_out_is_the_same_when_read_again(timetable: list[Event]) -> None:
    assert reader.timetable(to_icalendar(timetable, ZONE), NOW) == timetable


@pytest.mark.parametrize("zone", [ZONE, "America/New_York"])
def test_both_hours_that_the_clock_shows_twice_come_back(zone: str) -> None:
    timetable = [
        Event(
            uid=str(hour),
            title="",
            start=datetime(2026, 11 if zone != ZONE else 10, 1 if zone != ZONE else 25, hour, 30, tzinfo=UTC),
            end=datetime(2026, 12, 1, tzinfo=UTC),
            time_zone=zone,
        )
        for hour in range(8)
    ]
    assert reader.timetable(to_icalendar(timetable, ZONE), NOW) == timetable
