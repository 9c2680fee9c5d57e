"""Rules that are refused before they are expanded, and what a whole calendar may cost."""

from datetime import date, datetime

import pytest
from dateutil import rrule as dateutil_rrule
from hypothesis import given
from hypothesis import strategies as st
from icalendar import vRecur

from app.timetables.recurrence import Budget, RuleRefused, check_rule
from tests.properties import examples

START = datetime(2026, 9, 7, 9)  # noqa: DTZ001 - a rule is looked at on its own clock
WINDOW_END = date(2027, 12, 26)
HOURS = ",".join(str(hour) for hour in range(24))
MINUTES = ",".join(str(minute) for minute in range(60))


def check(rule: str, start: date = START, budget: Budget | None = None) -> None:
    check_rule(vRecur.from_ical(rule), start, WINDOW_END, budget or Budget())


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=WEEKLY",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;COUNT=20;WKST=SU",
        "FREQ=MONTHLY;BYDAY=-1FR",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=YEARLY;BYWEEKNO=53",
        "FREQ=DAILY;BYHOUR=9,14;UNTIL=20270101",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "FREQ=HOURLY;COUNT=5",
        "FREQ=DAILY;COUNT=1000000",
    ],
)
def test_rules_of_timetables_are_accepted(rule: str) -> None:
    check(rule)


def test_a_daily_rule_may_be_very_old() -> None:
    check("FREQ=DAILY", date(1900, 1, 1))


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY",
        "FREQ=MINUTELY;COUNT=2",
        "FREQ=HOURLY;BYDAY=MO",
        f"FREQ=DAILY;BYHOUR={HOURS};BYMINUTE=0,30",
        f"FREQ=YEARLY;BYHOUR={HOURS};BYMINUTE={MINUTES};BYSECOND={MINUTES}",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;INTERVAL=10001",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;COUNT=2;UNTIL=20270101",
        "FREQ=YEARLY;BYEASTER=0",
        "RSCALE=GREGORIAN;FREQ=YEARLY;SKIP=FORWARD",
        "BYDAY=MO",
        "FREQ=DAILY;BYHOUR=77",
        "FREQ=YEARLY;BYMONTHDAY=" + ",".join(["1"] * 2000),
    ],
)
def test_rules_that_are_too_dense_or_none_are_refused(rule: str) -> None:
    with pytest.raises(RuleRefused):
        check(rule)


@pytest.mark.parametrize("frequency", ["YEARLY", "MONTHLY", "WEEKLY", "DAILY"])
def test_a_rule_that_never_matches_is_refused(frequency: str) -> None:
    with pytest.raises(RuleRefused, match="never"):
        check(f"FREQ={frequency};BYMONTH=2;BYMONTHDAY=30")


def test_an_old_and_dense_rule_is_refused() -> None:
    with pytest.raises(RuleRefused, match="too long ago"):
        check(f"FREQ=DAILY;BYHOUR={HOURS}", date(1950, 1, 1))


def test_rules_that_are_harmless_alone_can_be_too_much_together() -> None:
    budget = Budget(days=100_000)
    for _ in range(2):
        check("FREQ=DAILY", date(1900, 1, 1), budget)
    with pytest.raises(RuleRefused, match="taken together"):
        check("FREQ=DAILY", date(1900, 1, 1), budget)


parts = st.fixed_dictionaries(
    {"FREQ": st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"])},
    optional={
        "INTERVAL": st.integers(1, 400),
        "COUNT": st.integers(1, 10**6),
        "BYMONTH": st.integers(1, 12),
        "BYMONTHDAY": st.sampled_from([-31, -1, 1, 28, 29, 30, 31]),
        "BYYEARDAY": st.sampled_from([-366, -1, 1, 60, 366]),
        "BYWEEKNO": st.sampled_from([-53, 1, 20, 53]),
        "BYDAY": st.sampled_from(["MO", "SA,SU", "5FR", "-1SU", "53MO"]),
        "BYHOUR": st.sampled_from(["0", "9,14", HOURS]),
        "BYSETPOS": st.sampled_from(["1", "-1", "366"]),
        "WKST": st.sampled_from(["MO", "SU"]),
    },
)


@examples(60)
@given(parts, st.dates(date(1900, 1, 1), date(2040, 1, 1)))
def test_an_accepted_rule_makes_dateutil_look_at_a_bounded_number_of_periods(
    rule: dict[str, object], start: date
) -> None:
    looked_at = 0
    rebuild = dateutil_rrule._iterinfo.rebuild

    def counting(self: object, year: int, month: int) -> None:
        nonlocal looked_at
        looked_at += 1
        assert looked_at < 500_000, "it does not end"
        rebuild(self, year, month)

    text = ";".join(f"{name}={value}" for name, value in rule.items())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dateutil_rrule._iterinfo, "rebuild", counting)
        try:
            check(text, start)
        except RuleRefused:
            return
        first = datetime(start.year, start.month, start.day)  # noqa: DTZ001
        end = datetime(WINDOW_END.year, WINDOW_END.month, WINDOW_END.day)  # noqa: DTZ001
        dateutil_rrule.rrulestr(text, dtstart=first).between(first, end, inc=True)
