"""Whatever is sent, the answer is events or Invalid: nothing else is raised, and nothing goes on for ever."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.config import TimetableSettings
from app.errors import Invalid
from app.timetables.document import EventDocument, Reader
from app.timetables.icalendar import CalendarReader
from tests.properties import examples

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LIMITS = TimetableSettings(max_events=500)

CALENDAR = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:test
BEGIN:VTIMEZONE
TZID:Custom
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VEVENT
UID:w
DTSTART;TZID=Custom:20261001T090000
DTEND;TZID=Custom:20261001T100000
RRULE:FREQ=WEEKLY;COUNT=10
EXDATE;TZID=Custom:20261119T090000
RDATE;VALUE=PERIOD:20261125T090000Z/PT3H
END:VEVENT
BEGIN:VEVENT
UID:w
DTSTART:20261127T090000
DURATION:PT1H
RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Custom:20261126T090000
END:VEVENT
BEGIN:VEVENT
UID:x
DTSTART;VALUE=DATE:20261127
RRULE:FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20271231
END:VEVENT
END:VCALENDAR""".splitlines()

names = st.sampled_from([*sorted({line.partition(":")[0] for line in CALENDAR}), "EXRULE", "EXDATE", "URL"])
values = st.sampled_from(
    [line.partition(":")[2] for line in CALENDAR]
    + [
        "20261127",
        "99991231T235959Z",
        "00010101T000000",
        "-P1W",
        "P99999999999D",
        "-2400",
        "",
        "\0",
        "\u2028",
    ]
    + ["FREQ=SECONDLY", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31", "FREQ=WEEKLY;UNTIL=00010101", "FREQ=HOURLY"]
)
inserted = st.builds("{}:{}".format, names, values)
position = st.integers(0, len(CALENDAR) - 1)


@examples(150)
@given(st.lists(st.tuples(position, st.none() | inserted, st.booleans()), min_size=1, max_size=4))
def test_calendars_that_went_wrong(changes: list[tuple[int, str | None, bool]]) -> None:
    lines = list(CALENDAR)
    for at, line, replace in changes:
        lines[at : at + (replace or line is None)] = [] if line is None else [line]
    data = "\r\n".join(lines).encode()
    with contextlib.suppress(Invalid):
        CalendarReader(LIMITS, "Europe/Amsterdam").timetable(data, NOW)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
fields = st.sampled_from([field.encode_name for field in msgspec.structs.fields(EventDocument)])
times = st.sampled_from(["2026-11-23T09:00:00", "2026-11-23", "2026-03-29T02:30:00", "9999-12-31T23:59:59Z"])


@examples(300)
@given(st.lists(st.dictionaries(fields, anything | times, max_size=12) | anything, max_size=3))
def test_json_that_went_wrong(events: list[Any]) -> None:
    with contextlib.suppress(Invalid):
        Reader(LIMITS, "Europe/Amsterdam").timetable(msgspec.json.encode({"events": events}))


@examples()
@given(st.binary(max_size=200))
def test_bytes_that_are_nothing(data: bytes) -> None:
    for read in (
        Reader(LIMITS, "UTC").timetable,
        lambda data: CalendarReader(LIMITS, "UTC").timetable(data, NOW),
    ):
        with contextlib.suppress(Invalid):
            read(data)
