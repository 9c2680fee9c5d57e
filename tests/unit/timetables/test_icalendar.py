"""iCalendar (RFC 5545) timetables: what becomes of VEVENTs, recurrences, zones, and what is refused."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.config import TimetableSettings
from app.errors import Invalid
from app.timetables.icalendar import CalendarReader
from providers.contract import Event

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
LOCAL = ";TZID=Europe/Amsterdam:"
reader = CalendarReader(TimetableSettings(), "Europe/Amsterdam")


def calendar(*components: str) -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test", *components, "END:VCALENDAR", ""]
    return "\r\n".join(lines).encode()


def vevent(*lines: str, uid: str = "a", start: str = ":20261123T090000") -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", f"DTSTART{start}", *lines, "END:VEVENT"])


def zone(tzid: str, standard: str, daylight: str, rule: str = "FREQ=YEARLY;BYDAY=-1SU;BYMONTH=") -> str:
    return "\r\n".join(
        [
            *("BEGIN:VTIMEZONE", f"TZID:{tzid}"),
            *("BEGIN:STANDARD", "DTSTART:16010101T030000", f"TZOFFSETFROM:{daylight}"),
            *(f"TZOFFSETTO:{standard}", f"RRULE:{rule}10", "END:STANDARD"),
            *("BEGIN:DAYLIGHT", "DTSTART:16010101T020000", f"TZOFFSETFROM:{standard}"),
            *(f"TZOFFSETTO:{daylight}", f"RRULE:{rule}3", "END:DAYLIGHT"),
            "END:VTIMEZONE",
        ]
    )


def read(*components: str) -> list[Event]:
    return reader.timetable(calendar(*components), NOW)


def read_one(*lines: str, start: str = ":20261123T090000") -> Event:
    (event,) = read(vevent(*lines, start=start))
    return event


def starts(*components: str) -> dict[str, str]:
    """Each occurrence's uid and its start on Amsterdam's clock."""
    return {event.uid: f"{event.start.astimezone(AMSTERDAM):%m-%d %H:%M}" for event in read(*components)}


def refused(*components: str) -> list[tuple[str | None, str | None]]:
    with pytest.raises(Invalid) as caught:
        read(*components)
    return [(problem.event, problem.field) for problem in caught.value.problems]


def refused_code(data: bytes) -> str:
    with pytest.raises(Invalid) as caught:
        reader.timetable(data, NOW)
    return caught.value.code


@pytest.mark.parametrize("fold", [b"\r\n ", b"\n\t"])
def test_lines_may_be_folded_in_the_middle_of_a_character(fold: bytes) -> None:
    """As programs do that count octets: unfolding comes before decoding (RFC 5545 section 3.1)."""
    title = "Théorie des ensembles 📐"
    encoded = title.encode()
    whole = calendar(vevent(f"SUMMARY:{title}"))
    for cut in range(1, len(encoded)):
        folded = whole.replace(encoded, encoded[:cut] + fold + encoded[cut:])
        (event,) = reader.timetable(folded, NOW)
        assert event.title == title


def test_a_line_that_the_library_cannot_follow_is_refused() -> None:
    """It looks for a zone of this name part by part, one inside of the other."""
    absurd = vevent(start=f";TZID={'A/' * 30_000}:20261201T110000")
    assert refused_code(calendar(absurd)) == "invalid_calendar"


@pytest.mark.timeout(30)
@pytest.mark.parametrize("line", [b"\n", b"\r\n"])
def test_blank_lines_are_passed_over_in_no_time(line: bytes) -> None:
    """300,000 of them: hours, where each would be looked at from each of those before it."""
    event = vevent("SUMMARY:x", f"DESCRIPTION:folded{'BREAK' * 3} here")
    data = calendar(event).replace(b"VERSION", line * 300_000 + b"VERSION")
    (event_read,) = reader.timetable(data.replace(b"BREAK", line), NOW)
    assert event_read.description == "foldedhere"


class TestOneEvent:
    def test_everything_is_taken_over(self) -> None:
        assert read_one(
            "DTEND:20261123T104500",
            r"SUMMARY:Algorithms\, part 1\; introduction",
            r"LOCATION:Main Street 1\nRoom 2",
            r"DESCRIPTION:First line\nsecond \\ line",
            r"CATEGORIES:Lecture,Year 1\, BSc",
            "CATEGORIES:Lecture",
            "URL:https://uni.example/a?b=c",
            "STATUS:TENTATIVE",
        ) == Event(
            uid="a",
            title="Algorithms, part 1; introduction",
            start=datetime(2026, 11, 23, 8, tzinfo=UTC),
            end=datetime(2026, 11, 23, 9, 45, tzinfo=UTC),
            time_zone="Europe/Amsterdam",
            location="Main Street 1, Room 2",
            description="First line\nsecond \\ line",
            categories=("Lecture", "Year 1, BSc"),
            url="https://uni.example/a?b=c",
            status="tentative",
            show_as="tentative",
        )

    def test_folded_lines_are_joined(self) -> None:
        assert read_one("SUMMARY:Algo\r\n rith\r\n\tms").title == "Algorithms"

    @pytest.mark.parametrize(
        ("lines", "end"),
        [
            (["DTEND:20261123T100000"], datetime(2026, 11, 23, 9, tzinfo=UTC)),
            (["DURATION:PT90M"], datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
            ([], datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ],
    )
    def test_a_time_ends_by_dtend_or_duration_or_at_once(self, lines: list[str], end: datetime) -> None:
        assert read_one(*lines).end == end  # RFC 5545 section 3.6.1

    @pytest.mark.parametrize(
        ("lines", "end"),
        [
            (["DTEND;VALUE=DATE:20261126"], date(2026, 11, 26)),
            (["DURATION:P2D"], date(2026, 11, 25)),
            ([], date(2026, 11, 24)),
        ],
    )
    def test_a_date_lasts_a_day_unless_it_says_otherwise(self, lines: list[str], end: date) -> None:
        event = read_one(*lines, start=";VALUE=DATE:20261123")
        assert (event.all_day, event.dates) == (True, (date(2026, 11, 23), end))

    def test_a_day_of_duration_is_a_day_on_the_clock_and_an_hour_is_an_hour(self) -> None:
        # Section 3.3.6; the clock goes back in the night to 25 October.
        day = read_one("DURATION:P1D", start=LOCAL + "20261024T090000")
        hours = read_one("DURATION:PT23H", start=LOCAL + "20261024T090000")
        assert (day.local_end.hour, hours.local_end.hour) == (9, 7)

    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            ([], "busy"),
            (["TRANSP:TRANSPARENT"], "free"),
            (["X-MICROSOFT-CDO-BUSYSTATUS:FREE"], "free"),
            (["X-MICROSOFT-CDO-BUSYSTATUS:OOF", "TRANSP:TRANSPARENT"], "busy"),
            (["STATUS:TENTATIVE", "X-MICROSOFT-CDO-BUSYSTATUS:BUSY"], "busy"),
        ],
    )
    def test_how_it_shows(self, lines: list[str], expected: str) -> None:
        assert read_one(*lines).show_as == expected

    def test_a_cancelled_event_is_kept_as_cancelled(self) -> None:
        assert read_one("STATUS:CANCELLED").status == "cancelled"

    def test_without_recurrence_the_window_does_not_matter(self) -> None:
        assert read_one(start=":19990101T090000").uid == "a"

    def test_components_and_properties_that_are_not_ours_are_ignored(self) -> None:
        alarm = "BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT15M\r\nEND:VALARM"
        todo = "BEGIN:VTODO\r\nUID:t\r\nEND:VTODO"
        assert len(read(vevent(alarm, "ATTENDEE:mailto:x@y.example", "X-FOO:bar"), todo)) == 1


class TestZones:
    def test_a_floating_time_is_in_the_configured_zone(self) -> None:
        assert read_one().start == datetime(2026, 11, 23, 8, tzinfo=UTC)

    def test_a_time_in_utc_is_shown_in_the_configured_zone(self) -> None:
        event = read_one(start=":20261123T090000Z")
        assert (event.start.hour, event.time_zone) == (9, "Europe/Amsterdam")

    @pytest.mark.parametrize(
        ("tzid", "name", "hour"),
        [
            ("America/New_York", "America/New_York", 14),
            ("Eastern Standard Time", "America/New_York", 14),
            ('"W. Europe Standard Time"', "Europe/Berlin", 8),
            ("/mozilla.org/20050126_1/Europe/Paris", "Europe/Paris", 8),
            ("Etc/UTC", "Etc/UTC", 9),
        ],
    )
    def test_iana_and_windows_names(self, tzid: str, name: str, hour: int) -> None:
        event = read_one(start=f";TZID={tzid}:20261123T090000")
        assert (event.time_zone, event.start.hour) == (name, hour)

    @pytest.mark.parametrize(
        ("standard", "daylight", "name", "hour"),
        [
            ("+0100", "+0200", "Europe/Amsterdam", 8),
            ("+0000", "+0100", "Europe/London", 9),
            ("+0337", "+0437", "Europe/Amsterdam", 5),
        ],
    )
    def test_a_zone_of_the_calendars_own(self, standard: str, daylight: str, name: str, hour: int) -> None:
        # The moment is as defined; the name is that of a zone with the same clock, or the configured one.
        (event,) = read(zone("Our Zone", standard, daylight), vevent(start=";TZID=Our Zone:20261123T090000"))
        assert (event.start.hour, event.time_zone) == (hour, name)

    def test_two_calendars_may_use_one_name_for_different_zones(self) -> None:
        component = vevent(start=";TZID=Customized Time Zone:20261123T090000")
        (first,) = read(zone("Customized Time Zone", "+0100", "+0200"), component)
        (second,) = read(zone("Customized Time Zone", "+0500", "+0600"), component)
        assert (first.start.hour, second.start.hour) == (8, 4)

    def test_a_zone_may_be_defined_after_its_use(self) -> None:
        (event,) = read(vevent(start=";TZID=Later:20261123T090000"), zone("Later", "+0500", "+0600"))
        assert event.start.hour == 4

    def test_an_unknown_zone_is_refused(self) -> None:
        assert refused(vevent("DTEND;TZID=Mars:20261123T100000")) == [("a", "dtend")]

    def test_a_zone_whose_definition_makes_no_sense_is_refused(self) -> None:
        definition = zone("Odd", "+0100", "+0200").replace(
            "END:STANDARD", "EXDATE;TZID=Europe/Amsterdam:20200101T000000\r\nEND:STANDARD"
        )
        assert refused(definition, vevent(start=";TZID=Odd:20261123T090000")) == [("a", "dtstart")]

    def test_a_zone_that_changes_every_second_is_refused(self) -> None:
        rule = "FREQ=SECONDLY;BYMONTH="
        assert refused(zone("Mad", "+0100", "+0200", rule), vevent())[0] == (None, "VTIMEZONE RRULE")

    @pytest.mark.parametrize(
        "line", ["EXRULE:FREQ=DAILY", "RRU\r\n\r\n LE:FREQ=SECONDLY", "RRULE;X=1:FREQ=SECONDLY"]
    )
    def test_no_rule_of_a_zone_escapes_notice(self, line: str) -> None:
        definition = zone("Mad", "+0100", "+0200").replace("END:STANDARD", f"{line}\r\nEND:STANDARD")
        assert refused(definition, vevent())[0][1] in ("VTIMEZONE RRULE", "VTIMEZONE EXRULE")


class TestRecurrence:
    def test_occurrences_keep_the_clock_and_are_named_after_their_start_in_utc(self) -> None:
        assert starts(vevent("RRULE:FREQ=WEEKLY;COUNT=3", start=LOCAL + "20270321T090000")) == {
            "a/20270321T080000Z": "03-21 09:00",
            "a/20270328T070000Z": "03-28 09:00",
            "a/20270404T070000Z": "04-04 09:00",
        }

    def test_only_the_push_window_is_expanded(self) -> None:
        events = read(vevent("RRULE:FREQ=DAILY", start=LOCAL + "20200101T090000"))
        assert f"{events[0].start:%Y-%m-%d}" == "2026-10-23"  # 30 days back, at 12:00 UTC
        assert f"{events[-1].start:%Y-%m-%d}" == "2027-12-26"  # 400 days ahead
        assert len(events) == 430

    def test_dates_are_taken_out_and_put_in(self) -> None:
        assert starts(
            vevent(
                "RRULE:FREQ=DAILY;UNTIL=20261125T080000Z",
                f"EXDATE{LOCAL}20261124T090000",
                f"RDATE{LOCAL}20261130T100000,20261201T100000",
                start=LOCAL + "20261123T090000",
            )
        ) == {
            "a/20261123T080000Z": "11-23 09:00",
            "a/20261125T080000Z": "11-25 09:00",
            "a/20261130T090000Z": "11-30 10:00",
            "a/20261201T090000Z": "12-01 10:00",
        }

    def test_a_period_has_its_own_length(self) -> None:
        events = read(
            vevent(
                f"RDATE;VALUE=PERIOD{LOCAL}20261124T090000/PT3H,20270328T013000/20270328T033000",
                start=LOCAL + "20261123T090000",
            )
        )
        assert [(event.end - event.start).seconds for event in events] == [0, 3 * 3600, 3600]

    @pytest.mark.parametrize(
        ("start", "line", "hours"),
        [
            ("20270327T023000", f"DTEND{LOCAL}20270327T033000", [1, 1, 1]),  # 02:30 is skipped on the 28th
            ("20270327T023000", "DURATION:PT1H", [1, 1, 1]),
            ("20270326T220000", f"DTEND{LOCAL}20270327T060000", [8, 8, 8]),  # the second over the change
            ("20270327T220000", f"DTEND{LOCAL}20270328T060000", [7, 7, 7]),  # the first
            ("20271029T220000", f"DTEND{LOCAL}20271030T060000", [8, 8, 8]),
            ("20270326T090000", "DURATION:P1D", [24, 23, 24]),
            ("20270326T090000", "DURATION:P1DT1H", [25, 24, 25]),
            ("20270326T090000", "TRANSP:OPAQUE", [0, 0, 0]),
        ],
    )
    def test_by_dtend_all_last_exactly_as_long_and_by_duration_as_many_days_and_hours(
        self, start: str, line: str, hours: list[int]
    ) -> None:
        events = read(vevent("RRULE:FREQ=DAILY;COUNT=3", line, start=LOCAL + start))
        assert [(event.end - event.start) / timedelta(hours=1) for event in events] == hours

    def test_changing_all_later_occurrences_changes_how_long_they_last(self) -> None:
        events = read(
            vevent("RRULE:FREQ=DAILY;COUNT=3", "DURATION:PT1H", start=LOCAL + "20270326T023000"),
            vevent(
                f"RECURRENCE-ID;RANGE=THISANDFUTURE{LOCAL}20270327T023000",
                f"DTEND{LOCAL}20270327T043000",
                start=LOCAL + "20270327T023000",
            ),
        )
        assert [(event.end - event.start) / timedelta(hours=1) for event in events] == [1, 2, 2]

    def test_a_moved_occurrence_keeps_its_name(self) -> None:
        assert starts(
            vevent("RRULE:FREQ=DAILY;COUNT=2", start=LOCAL + "20261123T090000"),
            vevent(f"RECURRENCE-ID{LOCAL}20261124T090000", start=LOCAL + "20261127T150000"),
        ) == {"a/20261123T080000Z": "11-23 09:00", "a/20261124T080000Z": "11-27 15:00"}

    def test_moving_all_later_occurrences_keeps_their_names(self) -> None:
        assert starts(
            vevent("RRULE:FREQ=DAILY;COUNT=3", start=LOCAL + "20261123T090000"),
            vevent(
                f"RECURRENCE-ID;RANGE=THISANDFUTURE{LOCAL}20261124T090000", start=LOCAL + "20261124T110000"
            ),
        ) == {
            "a/20261123T080000Z": "11-23 09:00",
            "a/20261124T080000Z": "11-24 11:00",
            "a/20261125T080000Z": "11-25 11:00",
        }

    def test_a_cancelled_occurrence_is_a_cancelled_event(self) -> None:
        events = read(
            vevent("RRULE:FREQ=DAILY;COUNT=2", start=LOCAL + "20261123T090000"),
            vevent(
                "STATUS:CANCELLED", f"RECURRENCE-ID{LOCAL}20261124T090000", start=LOCAL + "20261124T090000"
            ),
        )
        assert [event.status for event in events] == ["confirmed", "cancelled"]

    def test_all_day_series(self) -> None:
        events = read(
            vevent("RRULE:FREQ=DAILY;COUNT=3", "EXDATE;VALUE=DATE:20261124", start=";VALUE=DATE:20261123"),
            vevent("RECURRENCE-ID:20261125T000000", start=LOCAL + "20261125T140000"),
        )
        assert [(event.uid, event.all_day) for event in events] == [
            ("a/20261123", True),
            ("a/20261125", False),
        ]

    @pytest.mark.parametrize("until", ["20261125", "20261125T090000", "20261125T080000Z"])
    def test_a_series_ends_with_its_until_however_it_is_written(self, until: str) -> None:
        rule = f"RRULE:FREQ=DAILY;UNTIL={until}"
        assert len(read(vevent(rule, start=LOCAL + "20261123T090000"))) == 3
        assert len(read(vevent(rule))) == 3

    def test_a_series_of_a_zone_of_the_calendars_own_follows_its_summer_time(self) -> None:
        events = read(
            zone("Our Zone", "+0100", "+0200"),
            vevent("RRULE:FREQ=WEEKLY;COUNT=2", start=";TZID=Our Zone:20270321T090000"),
        )
        assert [event.start.hour for event in events] == [8, 7]


class TestRefused:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"hello",
            b"/etc/passwd",
            b"BEGIN:VCALENDAR",
            calendar(vevent())[:-20],
            calendar(vevent())[:60],
            vevent().encode(),
            b"\xff" + calendar(),
            calendar("BEGIN:VEVENT", "END:VTODO"),
            calendar("END:VCALENDAR"),
            calendar("BEGIN:VEVENT", "UID:a", vevent(), "END:VEVENT"),
            calendar("BEGIN;X=1:VTIMEZONE", "END;X=1:VTIMEZONE"),
            calendar("no colon here"),
            b"BEGIN:VCALENDAR\r\n" * 100_000,
        ],
    )
    def test_what_is_no_complete_calendar(self, data: bytes) -> None:
        assert refused_code(data) == "invalid_calendar"

    @pytest.mark.parametrize(
        ("lines", "field"),
        [
            (["DTEND:20261123T080000"], "dtend"),
            (["DTEND;VALUE=DATE:20261124"], "dtend"),
            (["DTEND:tomorrow"], "dtend"),
            (["DTEND:99991231T235959"], "dtend"),
            (["DURATION:-PT1H"], "duration"),
            (["DURATION:P99999W"], "duration"),
            (["DTSTART:20261124T090000"], "dtstart"),
            (["URL:javascript:alert(1)"], "url"),
            (["DURATION;VALUE=TEXT:PT1H"], "duration"),
            (["SUMMARY:nul\0"], "title"),
            (["SUMMARY:" + "x" * 256], "title"),
            (["no colon here"], None),
            (["RRULE:FREQ=DAILY;COUNT=2", "EXRULE:FREQ=WEEKLY"], "exrule"),
            (["RRULE:FREQ=DAILY;COUNT=2", "RRULE:FREQ=WEEKLY;COUNT=2"], "rrule"),
            (["RRULE:FREQ=DAILY;COUNT=2", "RECURRENCE-ID:20261123T090000"], "rrule"),
            (["RECURRENCE-ID:20261123T090000Z/PT1H"], "recurrence-id"),
            (["RDATE:20261323T090000"], "rdate"),
            (["EXDATE;TZID=Mars:20261123T090000"], "exdate"),
        ],
    )
    def test_events_that_make_no_sense(self, lines: list[str], field: str | None) -> None:
        assert refused(vevent(*lines)) == [("a", field)]

    def test_a_date_with_hours_of_duration(self) -> None:
        assert refused(vevent("DURATION:PT1H", start=";VALUE=DATE:20261123")) == [("a", "duration")]

    def test_events_without_uid_or_start(self) -> None:
        no_uid = "BEGIN:VEVENT\r\nDTSTART:20261123T090000\r\nEND:VEVENT"
        no_start = "BEGIN:VEVENT\r\nUID:b\r\nEND:VEVENT"
        assert refused(no_uid, no_start) == [("#1", "uid"), ("b", "dtstart")]

    def test_a_uid_twice(self) -> None:
        assert refused(vevent(), vevent()) == [("a", "uid")]
        moved = vevent("RECURRENCE-ID:20261123T090000")
        assert refused(vevent("RRULE:FREQ=DAILY"), moved, moved) == [("a", "uid")]

    def test_every_problem_is_listed(self) -> None:
        assert refused(
            vevent("DTEND:20261123T080000", "RRULE:FREQ=SECONDLY"),
            vevent("DURATION:-PT1H", uid="b"),
            vevent(uid="c"),
        ) == [("a", "dtend"), ("a", "rrule"), ("b", "duration")]

    def test_more_occurrences_than_a_timetable_may_have(self) -> None:
        hours = ",".join(str(hour) for hour in range(24))
        with pytest.raises(Invalid) as caught:
            read(vevent("RRULE:FREQ=DAILY", uid="b"), vevent(f"RRULE:FREQ=DAILY;BYHOUR={hours}"))
        assert caught.value.code == "too_many_events"
        assert caught.value.message.startswith("a: ")
        assert [problem.event for problem in caught.value.problems] == ["a"]

    def test_more_events_than_a_timetable_may_have_and_none_is_to_blame(self) -> None:
        small = CalendarReader(TimetableSettings(max_events=2), "Europe/Amsterdam")
        with pytest.raises(Invalid) as caught:
            small.timetable(calendar(*(vevent(uid=str(number)) for number in range(3))), NOW)
        assert (caught.value.code, caught.value.problems) == ("too_many_events", ())
        assert caught.value.message == "More than 2 events in one timetable."

    def test_more_dates_than_anybody_lists(self) -> None:
        dates = ",".join(["20261123T090000Z"] * 20_001)
        assert refused_code(calendar(vevent(f"RDATE:{dates}"))) == "too_many_events"

    def test_more_zones_than_there_are(self) -> None:
        zones = [zone(f"Z{number}", "+0100", "+0200") for number in range(151)]
        assert refused_code(calendar(*zones, vevent())) == "too_many_zones"
