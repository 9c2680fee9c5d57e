"""Recurrence rules from strangers: whether it is safe to expand one, decided before it is done.

dateutil, which does the expanding, runs through every period from the start of a rule, and looks for the
next match until the year 9999. A rule can therefore keep it busy for hours. What a rule may cost is
bounded here beforehand, counted in days (or hours) that dateutil has to look at, never in seconds: the
same calendar is accepted or refused on every machine.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from dateutil.rrule import rrulestr
from icalendar import vRecur

__all__ = ["Budget", "RuleRefused", "check_rule"]

PARTS = frozenset(
    {
        *("FREQ", "UNTIL", "COUNT", "INTERVAL", "WKST", "BYSECOND", "BYMINUTE", "BYHOUR", "BYDAY"),
        *("BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS"),
    }
)
"""The parts of a rule that RFC 5545 section 3.3.10 knows."""

MAX_RULE_LENGTH = 2_000
MAX_INTERVAL = 10_000
MAX_PER_DAY = 24
MAX_COST = 200_000
"""Of one rule: four daily occurrences since 1900."""
NEVER_COST = 150_000
"""About what it costs to find out that a rule never matches."""

GREGORIAN_CYCLE = 400
"""After so many years the calendar repeats itself, days of the week and leap years included."""
LAST_PROBED_START = 9_900
"""Leaves a rule at least 99 years until dateutil's last, enough for any leap day on any day of the week."""


class RuleRefused(ValueError):
    """The rule is not acceptable; the message says why, and holds no text of it."""


class Budget:
    """What the rules of one calendar may cost together."""

    def __init__(self, days: int = 5_000_000) -> None:
        self._left = days

    def spend(self, days: int) -> None:
        """Take this much. Raises RuleRefused where nothing is left."""
        self._left -= days
        if self._left < 0:
            raise RuleRefused("The recurrences of this calendar are too many and too dense taken together.")


def check_rule(rule: vRecur, start: date, window_end: date, budget: Budget) -> None:
    """Whether the rule of an event that starts at ``start`` can be expanded until ``window_end``.

    Raises RuleRefused: not a rule, too dense, without any occurrence, or too expensive to follow.
    """
    if len(_text(rule)) > MAX_RULE_LENGTH:
        raise RuleRefused(f"The rule is longer than {MAX_RULE_LENGTH} characters.")
    if unknown := {str(part).upper() for part in rule} - PARTS:
        known = ", ".join(sorted(unknown & {"RSCALE", "SKIP", "BYEASTER"}))
        raise RuleRefused(f"The rule has parts that RFC 5545 does not know{': ' + known if known else ''}.")
    frequency = _single(rule, "FREQ", "")
    interval = _single(rule, "INTERVAL", 1)
    count = _single(rule, "COUNT", None)
    until = _single(rule, "UNTIL", None)
    if not 1 <= interval <= MAX_INTERVAL:
        raise RuleRefused(f"INTERVAL is not from 1 to {MAX_INTERVAL}.")
    if count is not None and count < 1:
        raise RuleRefused("COUNT is not positive.")
    if count is not None and until is not None:
        raise RuleRefused("The rule has both COUNT and UNTIL.")
    if frequency in ("SECONDLY", "MINUTELY"):
        raise RuleRefused(f"FREQ={frequency} is too dense for a timetable.")
    if frequency not in ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
        raise RuleRefused("FREQ is missing or unknown.")
    first, last = _naive(start), _naive(window_end)
    if until is not None:
        last = min(last, _naive(until) + timedelta(days=1))
    if frequency == "HOURLY":
        if any(part.startswith("BY") for part in rule):
            raise RuleRefused("FREQ=HOURLY with BY… parts: write it as FREQ=DAILY with BYHOUR.")
        hours = max(0, (last - first) // timedelta(hours=interval)) + 1
        _spend(hours if count is None else min(hours, count), budget)
        return
    per_day = len(rule.get("BYHOUR", "1")) * len(rule.get("BYMINUTE", "1")) * len(rule.get("BYSECOND", "1"))
    if per_day > MAX_PER_DAY:
        raise RuleRefused(f"More than {MAX_PER_DAY} occurrences a day are too dense for a timetable.")
    _spend((max(0, (last - first).days) + 1) * per_day, budget)
    _check_that_it_occurs(rule, first, budget)


def _spend(cost: int, budget: Budget) -> None:
    if cost > MAX_COST:
        raise RuleRefused("The rule starts too long ago, or reaches too far, for being that dense.")
    budget.spend(cost)


def _check_that_it_occurs(rule: vRecur, first: datetime, budget: Budget) -> None:
    """Try the rule in the last centuries that dateutil knows: there, looking in vain soon ends."""
    cycles = (LAST_PROBED_START - first.year) // GREGORIAN_CYCLE
    shifted = first.replace(year=first.year + cycles * GREGORIAN_CYCLE)
    endless = vRecur({part: value for part, value in rule.items() if part not in ("COUNT", "UNTIL")})
    try:
        found = next(iter(rrulestr(_text(endless), dtstart=shifted)), None)
    except (ValueError, TypeError, IndexError, OverflowError):
        raise RuleRefused("Not a rule as RFC 5545 section 3.3.10 describes it.") from None
    if found is None:
        budget.spend(NEVER_COST)
        raise RuleRefused("The rule never has an occurrence.")


def _text(rule: vRecur) -> str:
    return bytes(rule.to_ical()).decode()  # type: ignore[no-untyped-call]


def _single(rule: vRecur, part: str, default: object) -> Any:
    values = rule.get(part)
    if values is None:
        return default
    if not isinstance(values, list):
        return values
    if len(values) != 1:
        raise RuleRefused(f"{part} has not exactly one value.")
    return values[0]


def _naive(value: date) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a day, compared with its like
