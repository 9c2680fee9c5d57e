"""Time zones as calendars name them, and the IANA zone that each of them means."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from app.timetables.times import is_zone

__all__ = ["ZoneNames"]

SAMPLES = 26
SAMPLE_STEP = timedelta(days=30)
"""Two years, a month apart: a zone with other rules for summer time differs in at least one."""


@cache
def _candidates() -> tuple[str, ...]:
    """One well-known zone for each that Windows knows, in a stable order."""
    return tuple(dict.fromkeys(name for name in WINDOWS_TO_OLSON.values() if is_zone(name)))


class ZoneNames:
    """Finds the IANA name by which people read the times of a calendar.

    The moments are always those of the calendar's own definition; only the name is chosen here.
    """

    def __init__(self, default: str, now: datetime) -> None:
        self._default = default
        self._samples = [now.astimezone(UTC) + SAMPLE_STEP * (step - 2) for step in range(SAMPLES)]
        self._known: dict[str, str] = {}

    def name(self, zone: tzinfo, tzid: str | None) -> str:
        """The IANA name: the zone's own, the one in or behind its TZID, one with the same offsets.

        The configured zone where none fits, and for times in UTC, which say nothing about the place.
        """
        if tzid is None:
            return self._default
        if tzid not in self._known:
            self._known[tzid] = self._by_name(tzid) or self._by_offsets(zone)
        return self._known[tzid]

    def _by_name(self, tzid: str) -> str | None:
        cleaned = tzid.strip("/")
        if is_zone(cleaned):
            return cleaned
        windows = WINDOWS_TO_OLSON.get(cleaned)
        if windows is not None and is_zone(windows):
            return windows
        # A globally unique TZID ends in the name: /mozilla.org/20050126_1/Europe/Amsterdam
        parts = re.split("/", cleaned)
        return next((name for i in range(1, len(parts)) if is_zone(name := "/".join(parts[i:]))), None)

    def _by_offsets(self, zone: tzinfo) -> str:
        offsets = [moment.astimezone(zone).utcoffset() for moment in self._samples]
        for name in (self._default, *_candidates()):
            if offsets == [moment.astimezone(ZoneInfo(name)).utcoffset() for moment in self._samples]:
                return name
        return self._default
