"""What is looked at in a calendar before the icalendar library may: is it whole, and is it safe to read?

The library takes a calendar that was cut off for one without components, and follows the rules of a
VTIMEZONE wherever they lead, while it is still reading.
"""

import re
from collections import defaultdict
from datetime import date

from icalendar import vRecur

from app.config import TimetableSettings
from app.errors import Invalid
from app.timetables.event import Problems
from app.timetables.recurrence import Budget, RuleRefused, check_rule

__all__ = ["check_structure", "decoded", "not_a_calendar"]

VEVENTS_PER_EVENT = 4
"""So many times ``max_events`` VEVENTs may be in a calendar: those outside the window do not count."""
MAX_ZONES = 100
MAX_OBSERVANCES = 300
"""STANDARD and DAYLIGHT parts of all VTIMEZONEs together; some programs write one for each year."""
MAX_DEPTH = 4
"""VCALENDAR, VTIMEZONE, STANDARD; VCALENDAR, VEVENT, VALARM."""

FOLD = re.compile(rb"(?:(?<!\n)\r\n|(?<![\r\n])\n)(?:\r?\n)*[ \t]")
"""Where a line goes on; blank lines before that are passed over, as the library does. It is looked for from
the first of several line breaks only: from each of them would take time by the square of their number."""


def not_a_calendar(why: str) -> Invalid:
    """The error that says so (code ``invalid_calendar``)."""
    return Invalid("invalid_calendar", f"Not a complete iCalendar object (RFC 5545): {why}.")


def decoded(data: bytes) -> str:
    """The text, with long lines whole again: simple programs fold them in the middle of a character.

    "Implementations need to unfold lines in such a way to properly restore the original sequence", octet
    by octet (RFC 5545 section 3.1). Raises Invalid (code ``invalid_calendar``) for what is not UTF-8.
    """
    try:
        return FOLD.sub(b"", data).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise not_a_calendar("it is not UTF-8") from None


def check_structure(
    text: str, limits: TimetableSettings, window_end: date, budget: Budget, problems: Problems
) -> None:
    """Whether components begin and end as they should, and whether there are not too many of them.

    ``text`` is unfolded: a line of it is a content line.
    Notes problems with rules of time zones; raises Invalid for all else.
    """
    open_components: list[str] = []
    counts: defaultdict[str, int] = defaultdict(int)
    for line in text.split("\n"):
        name, _, value = line.strip().upper().partition(":")
        keyword, semicolon, _ = name.partition(";")
        if keyword in ("BEGIN", "END") and semicolon:
            raise not_a_calendar("BEGIN and END have no parameters")
        if keyword == "BEGIN":
            if not open_components and value != "VCALENDAR":
                raise not_a_calendar("it does not begin with BEGIN:VCALENDAR")
            if value == "VEVENT" and open_components != ["VCALENDAR"]:
                raise not_a_calendar("a VEVENT is inside of another component")
            open_components.append(value)
            counts[value] += 1
            if len(open_components) > MAX_DEPTH:
                raise not_a_calendar("components are nested too deeply")
        elif keyword == "END":
            if not open_components or open_components.pop() != value:
                raise not_a_calendar("a component ends that is not the one that began last")
        elif "VTIMEZONE" in open_components:
            if keyword in ("RRULE", "EXRULE"):
                _check_zone_rule(keyword, value, window_end, budget, problems)
            elif keyword in ("RDATE", "EXDATE"):
                counts["STANDARD"] += 1 + value.count(",")
    if open_components:
        raise not_a_calendar(f"it was cut off: there is no END:{open_components[-1]}")
    if not counts["VCALENDAR"]:
        raise not_a_calendar("it does not begin with BEGIN:VCALENDAR")
    if counts["VEVENT"] > limits.max_events * VEVENTS_PER_EVENT:
        raise Invalid("too_many_events", f"More than {limits.max_events * VEVENTS_PER_EVENT} VEVENTs.")
    if counts["VTIMEZONE"] > MAX_ZONES or counts["STANDARD"] + counts["DAYLIGHT"] > MAX_OBSERVANCES:
        raise Invalid("too_many_zones", "More definitions of time zones than any calendar needs.")


def _check_zone_rule(keyword: str, text: str, window_end: date, budget: Budget, problems: Problems) -> None:
    try:
        rule = vRecur.from_ical(text)
        if keyword != "RRULE" or rule.get("FREQ") != ["YEARLY"] or rule.get("INTERVAL", [1]) != [1]:
            raise RuleRefused("The changes of a time zone are yearly.")
        check_rule(rule, date(1970, 1, 1), window_end, budget)
    except RuleRefused as error:
        problems.add(str(error), None, f"VTIMEZONE {keyword}")
    except ValueError:
        problems.add("Not a recurrence rule.", None, f"VTIMEZONE {keyword}")
