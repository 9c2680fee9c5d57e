"""JSON timetables: CONTRACT §5's E, and what is refused."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import TimetableSettings
from app.errors import Invalid
from app.timetables.document import Reader, to_document
from providers.contract import Event
from tests.properties import examples

LECTURE = {
    "uid": "a",
    "title": "Algorithms",
    "start": "2026-11-23T09:00:00",
    "end": "2026-11-23T10:00:00",
}
reader = Reader(TimetableSettings(), "Europe/Amsterdam")


def read(*events: Any) -> list[Event]:
    return reader.timetable(json.dumps({"events": events}).encode())


def read_one(**changes: Any) -> Event:
    return read(LECTURE | changes)[0]


def problems(*events: Any) -> list[tuple[str | None, str | None]]:
    """Where the problems are: (event, field)."""
    with pytest.raises(Invalid) as caught:
        read(*events)
    return [(problem.event, problem.field) for problem in caught.value.problems]


def test_local_times_are_read_in_the_configured_zone() -> None:
    event = read_one()
    assert event.start == datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert event.start.tzinfo == UTC
    assert event.time_zone == "Europe/Amsterdam"


def test_a_byte_order_mark_is_no_part_of_the_document() -> None:
    assert reader.timetable(b"\xef\xbb\xbf" + json.dumps({"events": [LECTURE]}).encode()) == read(LECTURE)


def test_local_times_are_read_in_the_named_zone() -> None:
    event = read_one(timeZone="America/New_York")
    assert (event.start, event.time_zone) == (datetime(2026, 11, 23, 14, tzinfo=UTC), "America/New_York")


@pytest.mark.parametrize(
    "start", ["2026-11-23T09:00:00Z", "2026-11-23t14:30:00+05:30", "2026-11-23 04:00:00.999999-05:00"]
)
def test_an_offset_says_the_moment_and_the_zone_how_to_show_it(start: str) -> None:
    event = read_one(start=start, end="2026-11-23T12:00:00Z")
    assert (event.start, event.time_zone) == (datetime(2026, 11, 23, 9, tzinfo=UTC), "Europe/Amsterdam")


def test_fractions_of_a_second_are_dropped() -> None:
    assert read_one(start="2026-11-23T09:00:00.999").start == datetime(2026, 11, 23, 8, tzinfo=UTC)


def test_a_time_that_summer_time_skips_is_taken_with_the_offset_before() -> None:
    # RFC 5545 section 3.3.5: 02:30 does not exist on this day; it is 03:30 in summer time.
    event = read_one(start="2026-03-29T02:30:00", end="2026-03-29T04:00:00")
    assert event.start == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert event.local_start.hour == 3


def test_an_event_from_a_skipped_time_until_just_after_the_change_has_no_length() -> None:
    event = read_one(start="2026-03-29T02:30:00", end="2026-03-29T03:00:00")
    assert event.start == event.end == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_a_time_that_occurs_twice_is_the_first_of_the_two() -> None:
    event = read_one(start="2026-10-25T02:30:00", end="2026-10-25T03:30:00")
    assert event.start == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_all_day_events_run_from_midnight_to_midnight() -> None:
    event = read_one(allDay=True, start="2026-10-25", end="2026-10-26")
    assert (event.start, event.end) == (
        datetime(2026, 10, 24, 22, tzinfo=UTC),
        datetime(2026, 10, 25, 23, tzinfo=UTC),
    )
    assert [str(day) for day in event.dates] == ["2026-10-25", "2026-10-26"]


def test_an_event_may_have_no_length_and_no_title() -> None:
    event = read_one(title="", end=LECTURE["start"])
    assert (event.title, event.start) == ("", event.end)


def test_optional_fields_may_be_null_and_unknown_ones_are_ignored() -> None:
    nulls = dict.fromkeys(("timeZone", "allDay", "location", "description", "categories", "url", "status"))
    assert read_one(**nulls, showAs=None, room={"nested": [1]}) == read_one()


def test_a_tentative_event_shows_as_tentative_unless_it_says_otherwise() -> None:
    assert read_one(status="tentative").show_as == "tentative"
    assert read_one(status="tentative", showAs="busy").show_as == "busy"
    assert read_one().show_as == "busy"


def test_a_description_has_lines_and_tabs() -> None:
    assert read_one(description="one\r\ntwo\tthree\n").description == "one\ntwo\tthree\n"


def test_a_category_counts_once_and_a_blank_one_not_at_all() -> None:
    assert read_one(categories=["b", "a", "", "b", " "]).categories == ("b", "a")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"uid": ""}, "uid"),
        ({"uid": " "}, "uid"),
        ({"uid": "a\nb"}, "uid"),
        ({"uid": "x" * 501}, "uid"),
        ({"uid": 5}, "uid"),
        ({"title": None}, "title"),
        ({"title": "tab\there"}, "title"),
        ({"title": "nul\0"}, "title"),
        ({"title": "\x85"}, "title"),
        ({"title": "\ud800"}, "title"),
        ({"title": "\uffff"}, "title"),
        ({"title": "x" * 256}, "title"),
        ({"description": "\x0b"}, "description"),
        ({"description": "a\rb"}, "description"),
        ({"location": "x" * 30_001}, "location"),
        ({"start": "2026-11-23"}, "start"),
        ({"start": "2026-02-30T09:00:00"}, "start"),
        ({"start": "2026-11-23T24:00:00"}, "start"),
        ({"start": "2026-11-23T09:00:00+24:00"}, "start"),
        ({"start": "2026-W48-1T09:00:00"}, "start"),
        ({"start": "٢٠٢٦-11-23T09:00:00"}, "start"),
        ({"start": "1899-12-31T09:00:00"}, "start"),
        ({"start": "1901-01-01T09:00:00"}, "start"),
        ({"end": "2201-01-01T09:00:00"}, "end"),
        ({"end": "2026-11-23T08:59:59"}, "end"),
        ({"end": 1}, "end"),
        ({"allDay": "yes"}, "allDay"),
        ({"allDay": True, "start": "2026-11-23", "end": "2026-11-23"}, "end"),
        ({"allDay": True, "end": "2026-11-24"}, "start"),
        ({"allDay": True, "timeZone": "Pacific/Apia", "start": "2011-12-30", "end": "2012-01-01"}, "start"),
        ({"timeZone": "Mars/Phobos"}, "timeZone"),
        ({"timeZone": "europe/amsterdam"}, "timeZone"),
        ({"timeZone": "../etc/passwd"}, "timeZone"),
        ({"timeZone": "localtime"}, "timeZone"),
        ({"categories": ["ok", 1]}, "categories"),
        ({"categories": "Lecture"}, "categories"),
        ({"categories": [str(n) for n in range(26)]}, "categories"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "https:///nowhere"}, "url"),
        ({"url": "http://[::1"}, "url"),
        ({"status": "maybe"}, "status"),
        ({"showAs": "oof"}, "showAs"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], field: str) -> None:
    assert {where for _, where in problems(LECTURE | changes)} == {field}


def test_a_uid_may_be_there_only_once() -> None:
    assert problems(LECTURE, LECTURE | {"uid": "b"}, LECTURE) == [("a", "uid")]


def test_every_problem_of_every_event_is_listed() -> None:
    found = problems(
        LECTURE,
        {"uid": "b", "start": "soon", "url": "ftp://x"},
        "nonsense",
        LECTURE | {"uid": "", "timeZone": "Mars", "end": "never", "title": 3, "categories": [0]},
    )
    assert set(found) == {
        ("b", "title"),
        ("b", "start"),
        ("b", "end"),
        ("b", "url"),
        ("#3", None),
        ("#4", "uid"),
        ("#4", "timeZone"),
        ("#4", "end"),
        ("#4", "title"),
        ("#4", "categories"),
    }
    assert len(found) == len(set(found))


def test_problems_hold_no_text_of_the_event() -> None:
    with pytest.raises(Invalid) as caught:
        read(LECTURE | {"title": "secret\0", "start": "secret", "status": "secret"})
    assert "secret" not in str([caught.value.message, caught.value.problems])


def test_too_many_events_are_refused() -> None:
    small = Reader(TimetableSettings(max_events=2), "UTC")
    events = [LECTURE | {"uid": str(number)} for number in range(3)]
    with pytest.raises(Invalid) as caught:
        small.timetable(json.dumps({"events": events}).encode())
    assert caught.value.code == "too_many_events"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'{"events": [',
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"events": [{"uid": "\xff"}]}',
        b"[" * 100_000,
        b'{"events": ' + b"[" * 100_000,
    ],
)
def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        reader.timetable(data)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("data", [b"{}", b'{"events": null}', b'{"events": {}}'])
def test_no_list_of_events_is_no_timetable(data: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        reader.timetable(data)
    assert [problem.field for problem in caught.value.problems] == ["events"]


def test_a_patch_says_what_to_put_in_and_what_to_take_out() -> None:
    events, delete = reader.patch(json.dumps({"upsert": [LECTURE], "delete": ["b"]}).encode())
    assert ([event.uid for event in events], delete) == (["a"], ["b"])
    assert reader.patch(b"{}") == ([], [])


@pytest.mark.parametrize(
    "patch", [{"upsert": [LECTURE], "delete": ["a"]}, {"delete": [1]}, {"delete": "a"}, {"delete": ["a\0"]}]
)
def test_a_contradictory_or_malformed_patch_is_refused(patch: Any) -> None:
    with pytest.raises(Invalid) as caught:
        reader.patch(json.dumps(patch).encode())
    assert [problem.field for problem in caught.value.problems] == ["delete"]


def test_a_line_says_whose_timetable_it_is_even_where_it_is_wrong() -> None:
    username, events = reader.line(json.dumps({"username": "alice", "events": [{}]}).encode())
    assert username == "alice"
    assert isinstance(events, Invalid)


@pytest.mark.parametrize("username", ["", "a\0", "x" * 256, 5, None])
def test_a_line_needs_a_username(username: Any) -> None:
    found, events = reader.line(json.dumps({"username": username, "events": []}).encode())
    assert found is None
    assert isinstance(events, Invalid)


texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), max_size=20)
YEARS = datetime(1999, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001 - the zone is given beside them
events_strategy = st.builds(
    Event,
    uid=texts.filter(str.strip),
    title=texts,
    start=st.datetimes(*YEARS, timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0)),
    end=st.just(datetime(2100, 1, 1, tzinfo=UTC)),
    time_zone=st.sampled_from(["Europe/Amsterdam", "UTC", "America/New_York", "Australia/Lord_Howe"]),
    description=texts,
    categories=st.lists(texts.filter(str.strip), max_size=3, unique=True).map(tuple),
    status=st.sampled_from(["confirmed", "tentative", "cancelled"]),
    show_as=st.sampled_from(["busy", "free", "tentative"]),
)


@examples()
@given(events_strategy)
def test_an_event_that_was_given_out_is_the_same_when_read_again(event: Event) -> None:
    document = {"events": [to_document(event)]}
    assert reader.timetable(msgspec.json.encode(document)) == [event]
