"""Windows time zones as Exchange names them, with the rules of the IANA database behind them."""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from providers.sandbox.ews.soap import ResponseError, attribute

__all__ = ["WINDOWS_IDS", "definition", "display_name", "iana", "text_time", "to_utc", "windows", "zone"]

_IANA = {**WINDOWS_TO_OLSON, "UTC": "Etc/UTC"}
WINDOWS_IDS = tuple(sorted(_IANA))
"""All zones that this server knows (Unicode CLDR windowsZones, territory 001)."""

_RULES_YEAR = 2026
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def zone(windows_id: str) -> ZoneInfo:
    """The rules of a Windows time zone. Raises ``ResponseError`` ErrorTimeZone if it is not known."""
    name = _IANA.get(windows_id)
    if name is None:
        raise ResponseError(
            "ErrorTimeZone", "The time zone in the request is not known: give the Id of a Windows time zone."
        )
    return ZoneInfo(name)


def iana(windows_id: str) -> str:
    """The IANA name by which CLDR translates a Windows zone: one of several that share its rules."""
    return zone(windows_id).key


@cache
def windows(iana_name: str) -> str:
    """The Windows zone with the rules of an IANA zone; UTC where no zone behaves like it.

    CLDR names one IANA zone a Windows zone. Others are found by behaving alike in the years around now.
    """
    for windows_id, name in _IANA.items():
        if name == iana_name:
            return windows_id
    behaviour = _behaviour(ZoneInfo(iana_name))
    alike = (windows_id for windows_id in WINDOWS_IDS if _behaviour_of(windows_id) == behaviour)
    preferred = ("W. Europe Standard Time", "Eastern Standard Time", "China Standard Time")
    candidates = list(alike)
    return next((name for name in preferred if name in candidates), candidates[0] if candidates else "UTC")


@cache
def _behaviour_of(windows_id: str) -> tuple[timedelta, ...]:
    return _behaviour(zone(windows_id))


def _behaviour(rules: ZoneInfo) -> tuple[timedelta, ...]:
    """The offsets in the middle of each week of three years."""
    first = datetime(_RULES_YEAR - 1, 1, 1, 12, tzinfo=UTC)
    moments = (first + timedelta(weeks=week) for week in range(3 * 52))
    return tuple(_offset(moment, rules) for moment in moments)


def text_time(value: datetime) -> str:
    """A moment as Exchange writes it: UTC, whole seconds, Z."""
    return value.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def to_utc(text: str, windows_id: str) -> datetime:
    """An xs:dateTime as an aware moment in UTC; without an offset it is read on the zone's wall clock.

    Raises ``ResponseError`` ErrorInvalidPropertySet if it is none.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone(windows_id))
        return moment.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError) as error:
        raise ResponseError(
            "ErrorInvalidPropertySet", "A date and time of the request is outside of what a calendar holds."
        ) from error


@cache
def display_name(windows_id: str) -> str:
    """The name that people see, such as ``(UTC+01:00) W. Europe``."""
    offset = min(_behaviour_of(windows_id))
    minutes = abs(int(offset.total_seconds())) // 60
    sign = "-" if offset < timedelta(0) else "+"
    at = f"{sign}{minutes // 60:02}:{minutes % 60:02}" if minutes else ""
    return f"(UTC{at}) {windows_id.replace(' Standard Time', '')}"


def _offset(moment: datetime, rules: ZoneInfo) -> timedelta:
    return moment.astimezone(rules).utcoffset() or timedelta(0)


def _duration(value: timedelta) -> str:
    """An xs:duration in hours, minutes and seconds."""
    seconds = int(value.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}PT{seconds // 3600}H{seconds // 60 % 60}M{seconds % 60}S"


@cache
def definition(windows_id: str, full: bool) -> str:
    """The TimeZoneDefinition element; ``full`` adds periods and this decade's transitions.

    [MS-OXWSGTZ] 2.2.4: a bias is what has to be added to local time to get UTC.
    """
    head = f"<t:TimeZoneDefinition Id={attribute(windows_id)} Name={attribute(display_name(windows_id))}"
    if not full:
        return f"{head}/>"
    rules = zone(windows_id)
    changes = _changes(rules)
    standard = min(_behaviour_of(windows_id))
    periods = {"Standard": standard}
    if changes:
        periods["Daylight"] = max(after for _, _, after in changes)
    period_xml = "".join(
        f'<t:Period Bias="{_duration(-offset)}" Name="{name}" Id="trule:{name}"/>'
        for name, offset in periods.items()
    )
    transitions = (
        "".join(
            "<t:RecurringDayTransition>"
            f'<t:To Kind="Period">trule:{"Standard" if after == standard else "Daylight"}</t:To>'
            f"<t:TimeOffset>{_duration(at)}</t:TimeOffset><t:Month>{day.month}</t:Month>"
            f"<t:DayOfWeek>{_DAYS[day.weekday()]}</t:DayOfWeek>"
            f"<t:Occurrence>{_occurrence(day)}</t:Occurrence></t:RecurringDayTransition>"
            for day, at, after in changes
        )
        or '<t:Transition><t:To Kind="Period">trule:Standard</t:To></t:Transition>'
    )
    return (
        f"{head}><t:Periods>{period_xml}</t:Periods>"
        f'<t:TransitionsGroups><t:TransitionsGroup Id="0">{transitions}</t:TransitionsGroup>'
        "</t:TransitionsGroups>"
        '<t:Transitions><t:Transition><t:To Kind="Group">0</t:To></t:Transition></t:Transitions>'
        "</t:TimeZoneDefinition>"
    )


def _occurrence(day: datetime) -> int:
    """Which such weekday of its month; -1 is the last."""
    return -1 if (day + timedelta(days=7)).month != day.month else (day.day - 1) // 7 + 1


def _changes(rules: ZoneInfo) -> list[tuple[datetime, timedelta, timedelta]]:
    """The changes of a year: day, wall-clock time before the change, and the offset after it."""
    found = []
    moment = datetime(_RULES_YEAR, 1, 1, tzinfo=UTC)
    before = _offset(moment, rules)
    while moment.year == _RULES_YEAR:
        moment += timedelta(minutes=30)
        after = _offset(moment, rules)
        if after != before:
            wall = (moment + before).replace(tzinfo=None)
            found.append((wall, timedelta(hours=wall.hour, minutes=wall.minute), after))
            before = after
    return found if len(found) == 2 else []
