"""Times by the clock in a named zone, over both changes of the clock."""

from datetime import UTC, datetime

import pytest

from app.sources.cron import UnknownZone, check_schedule, next_time

ZONE = "Europe/Amsterdam"
"""Summer time skips 02:00 to 03:00 on 28 March 2027; 02:00 to 03:00 came twice on 25 October 2026."""


def times(cron_expression: str, after: str, count: int = 3) -> list[str]:
    """The next times in UTC, each reckoned from the one before."""
    found, moment = [], datetime.fromisoformat(after).replace(tzinfo=UTC)
    for _ in range(count):
        moment = next_time(cron_expression, ZONE, moment)
        found.append(moment.strftime("%m-%d %H:%M"))
    return found


def test_a_time_in_its_zone() -> None:
    assert times("30 5 * * MON-FRI", "2026-09-03 12:00") == ["09-04 03:30", "09-07 03:30", "09-08 03:30"]


def test_a_time_that_is_skipped_in_spring_comes_once_right_after() -> None:
    assert times("30 2 * * *", "2027-03-27 12:00", 2) == ["03-28 01:00", "03-29 00:30"]


def test_a_time_that_comes_twice_in_autumn_counts_once() -> None:
    assert times("30 2 * * *", "2026-10-24 12:00", 2) == ["10-25 00:30", "10-26 01:30"]


@pytest.mark.parametrize("minute", ["00:31", "00:59", "01:00", "01:10", "01:30", "01:45"])
def test_it_counts_once_also_for_whoever_looks_within_the_second_of_the_two_hours(minute: str) -> None:
    assert times("30 2 * * *", f"2026-10-25 {minute}", 1) == ["10-26 01:30"]


def test_what_happens_every_hour_goes_on_hour_by_hour() -> None:
    assert times("0 * * * *", "2027-03-28 00:30") == ["03-28 01:00", "03-28 02:00", "03-28 03:00"]
    assert times("0 * * * *", "2026-10-24 23:30", 4) == [
        "10-25 00:00",
        "10-25 01:00",
        "10-25 02:00",
        "10-25 03:00",
    ]


@pytest.mark.parametrize(
    "cron_expression",
    [
        "",
        "x",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "0 24 * * *",
        "0 0 31 2 *",
        "@daily",
        "٣ 0 * * *",
        "* " * 500,
    ],
)
def test_what_is_no_expression(cron_expression: str) -> None:
    [problem] = check_schedule(cron_expression, ZONE, datetime(2026, 9, 1, tzinfo=UTC))
    assert problem.field == "cron_expression"
    assert "30 5 * * MON-FRI" in problem.detail


@pytest.mark.parametrize("time_zone", ["", "Mars/Olympus", "W. Europe Standard Time", "../etc/passwd"])
def test_what_is_no_zone(time_zone: str) -> None:
    [problem] = check_schedule("0 0 * * *", time_zone, datetime(2026, 9, 1, tzinfo=UTC))
    assert problem.field == "time_zone"


@pytest.mark.parametrize("time_zone", ["", "Mars/Olympus", "Europe", "../etc/passwd"])
def test_a_zone_that_the_machine_does_not_hold(time_zone: str) -> None:
    with pytest.raises(UnknownZone):
        next_time("0 0 * * *", time_zone, datetime(2026, 9, 1, tzinfo=UTC))
