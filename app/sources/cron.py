"""Times by the clock, as cron knows them, in a named zone.

Where the zone changes to summer time, what falls into the hour that is skipped happens right after it, once;
where it changes back, what falls into the hour that comes twice happens the first time only. What is due
every hour or more often goes by real time instead (as in Debian's cron).
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from app.errors import Problem
from app.timetables.times import is_zone

__all__ = ["UnknownZone", "check_schedule", "next_time"]

FIELDS = 5
MAX_LENGTH = 200


class UnknownZone(Exception):
    """The time zone data of this machine does not hold the zone (any more)."""


def check_schedule(cron_expression: str, time_zone: str, now: datetime) -> list[Problem]:
    """What is wrong with an expression and its zone."""
    problems = []
    if not is_zone(time_zone):
        detail = "Not the IANA name of a time zone, for example Europe/Amsterdam."
        problems.append(Problem(field="time_zone", detail=detail))
        time_zone = "UTC"
    try:
        if len(cron_expression) > MAX_LENGTH or not cron_expression.isascii():
            raise CronSimError("Too long, or not ASCII")
        if len(cron_expression.split()) != FIELDS:
            raise CronSimError("Wrong number of fields")
        next_time(cron_expression, time_zone, now)
    except (CronSimError, StopIteration, OverflowError) as error:
        detail = (
            f"{error or 'It never comes'}. Expected minute, hour, day of the month, month and day of the"
            " week, for example 30 5 * * MON-FRI."
        )
        problems.append(Problem(field="cron_expression", detail=detail))
    return problems


def next_time(cron_expression: str, time_zone: str, after: datetime) -> datetime:
    """The first time after ``after``, in UTC. For an expression and a zone that were checked.

    Raises UnknownZone: the zone may have been known to another machine, or before an update.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # not there, no name, or a folder of zones
        raise UnknownZone from None
    times = CronSim(cron_expression, after.astimezone(zone))
    while True:
        moment = next(times).astimezone(UTC)
        # Begun within the hour that comes twice, it gives the hour's first time, which is over.
        if moment > after:
            return moment
