"""Times as people write them, and the moments that they mean.

A local time is read as RFC 5545 section 3.3.5 says: one that a change to summer time skips is taken with
the offset from before the change, one that occurs twice is the first of the two. That is what ``fold=0``
means (PEP 495).
"""

import re
from datetime import UTC, date, datetime, time
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

__all__ = ["FIRST_YEAR", "LAST_YEAR", "is_zone", "local_midnight", "parse_date", "parse_time", "to_utc"]

FIRST_YEAR = 1900
LAST_YEAR = 2200
"""Years outside are mistakes; inside, no arithmetic on a date can overflow."""

NOT_PLACES = frozenset({"Factory", "localtime", "posixrules"})
"""Entries of the time zone database that depend on the machine, or mean nothing."""

TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]"
    r"([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - NOT_PLACES)


def is_zone(name: str) -> bool:
    """Whether this is the name of an IANA time zone, written exactly as IANA does."""
    return name in _zones()


def to_utc(local: datetime, zone: str) -> datetime:
    """The moment that a naive local time means in an IANA zone, in UTC."""
    return local.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)


def local_midnight(day: date, zone: str) -> datetime:
    """The moment at which a day begins in an IANA zone, in UTC.

    Raises ValueError where the zone skipped the whole day (Pacific/Apia had no 30 December 2011).
    """
    moment = to_utc(datetime.combine(day, time()), zone)
    if moment.astimezone(ZoneInfo(zone)).date() != day:
        raise ValueError("A day that does not exist in this time zone")
    return moment


def _in_range(year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"A year outside {FIRST_YEAR} to {LAST_YEAR}")


@lru_cache(maxsize=16_384)  # a campus has few distinct times: the hours at which lectures begin
def parse_time(text: str, zone: str) -> tuple[datetime, datetime | None]:
    """The moment (UTC) and the naive local time that a text means; None for one with an offset.

    RFC 3339 with an offset, or without one: then read in ``zone``. Seconds may be absent; a fraction of
    a second is dropped, as no provider keeps one. Raises ValueError with what is wrong.
    """
    match = TIME.fullmatch(text)
    if match is None:
        if DATE.fullmatch(text):
            raise ValueError("A date; give a time as well, or allDay")
        raise ValueError("Not a time as RFC 3339 writes it, for example 2026-11-21T09:00:00+01:00")
    day, clock, offset = match.groups()
    try:
        local = datetime.fromisoformat(f"{day}T{clock}{(offset or '').upper()}")
    except ValueError:
        raise ValueError("Not a time that exists") from None
    _in_range(local.year)
    if local.tzinfo is not None:
        return local.astimezone(UTC), None
    return to_utc(local, zone), local


def parse_date(text: str, zone: str) -> datetime:
    """The moment (UTC) at which a day begins in ``zone``. Raises ValueError with what is wrong."""
    if not DATE.fullmatch(text):
        raise ValueError("Not a date, for example 2026-11-21; an all-day event has no times")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError("Not a date that exists") from None
    _in_range(day.year)
    return local_midnight(day, zone)
