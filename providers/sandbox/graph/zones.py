"""The time zones that Graph knows, and its ``dateTimeTimeZone``.

"The timeZone property can be set to any of the time zones supported by Windows, as well as the following
time zone names": learn.microsoft.com/graph/api/resources/datetimetimezone. Other IANA names, such as
Europe/Amsterdam, are not on that list; a client that sends them relies on what nobody promised.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from exchangelib.winzone import CLDR_TO_MS_TIMEZONE_MAP, MS_TIMEZONE_TO_IANA_MAP

from providers.sandbox.graph.errors import GraphError

__all__ = ["bound", "iana_name", "moment", "of_iana", "present", "zone"]

_LISTED = """
    Etc/GMT+12 Etc/GMT+11 Pacific/Honolulu America/Anchorage America/Santa_Isabel America/Los_Angeles
    America/Phoenix America/Chihuahua America/Denver America/Guatemala America/Chicago America/Mexico_City
    America/Regina America/Bogota America/New_York America/Indiana/Indianapolis America/Caracas
    America/Asuncion America/Halifax America/Cuiaba America/La_Paz America/Santiago America/St_Johns
    America/Sao_Paulo America/Argentina/Buenos_Aires America/Cayenne America/Godthab America/Montevideo
    America/Bahia Etc/GMT+2 Atlantic/Azores Atlantic/Cape_Verde Africa/Casablanca Etc/GMT Europe/London
    Atlantic/Reykjavik Europe/Berlin Europe/Budapest Europe/Paris Europe/Warsaw Africa/Lagos Africa/Windhoek
    Europe/Bucharest Asia/Beirut Africa/Cairo Asia/Damascus Africa/Johannesburg Europe/Kyiv Europe/Kiev
    Europe/Istanbul Asia/Jerusalem Asia/Amman Asia/Baghdad Europe/Kaliningrad Asia/Riyadh Africa/Nairobi
    Asia/Tehran Asia/Dubai Asia/Baku Europe/Moscow Indian/Mauritius Asia/Tbilisi Asia/Yerevan Asia/Kabul
    Asia/Karachi Asia/Tashkent Asia/Kolkata Asia/Colombo Asia/Kathmandu Asia/Almaty Asia/Dhaka
    Asia/Yekaterinburg Asia/Yangon Asia/Rangoon Asia/Bangkok Asia/Novosibirsk Asia/Shanghai Asia/Krasnoyarsk
    Asia/Singapore Australia/Perth Asia/Taipei Asia/Ulaanbaatar Asia/Irkutsk Asia/Tokyo Asia/Seoul
    Australia/Adelaide Australia/Darwin Australia/Brisbane Australia/Sydney Pacific/Port_Moresby
    Australia/Hobart Asia/Yakutsk Pacific/Guadalcanal Asia/Vladivostok Pacific/Auckland Etc/GMT-12
    Pacific/Fiji Asia/Magadan Pacific/Tongatapu Pacific/Apia Pacific/Kiritimati
"""
LISTED = frozenset(_LISTED.split())
WINDOWS = {name.casefold(): iana for name, iana in MS_TIMEZONE_TO_IANA_MAP.items()}

# A date and time without offset, up to Graph's seven digits of a second.
LOCAL = re.compile(r"(\d{4}-\d{2}-\d{2})(?:T(\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,7}))?)?")


@lru_cache(maxsize=1024)
def iana_name(name: str) -> str | None:
    """The IANA zone behind a name that Graph takes, Windows' or listed; None if it takes no such name."""
    if name in LISTED or name == "UTC":
        return name
    return WINDOWS.get(name.casefold())


def of_iana(name: str) -> str:
    """A name that Graph takes for an IANA zone; UTC for a zone that Windows does not know."""
    if iana_name(name) is not None:
        return name
    windows = CLDR_TO_MS_TIMEZONE_MAP.get(name)
    return "UTC" if windows is None else str(windows[0])


def zone(name: str) -> ZoneInfo:
    """The zone of a name that Graph takes. Raises ``GraphError``."""
    iana = iana_name(name)
    if iana is None:
        # The code as clients have seen it when they sent such names.
        raise GraphError(
            400,
            "TimeZoneNotSupportedException",
            f"A valid TimeZone value must be specified. '{name}' is not.",
        )
    return ZoneInfo(iana)


def moment(value: dict[str, Any], field: str) -> datetime:
    """The moment that a checked ``dateTimeTimeZone`` names, aware, in its own zone. Raises ``GraphError``."""
    match = LOCAL.fullmatch(value["dateTime"])
    if match is None:
        raise GraphError(
            400,
            "ErrorInvalidRequest",
            f"{field}.dateTime has to be a date and time without an offset; timeZone says where it is read.",
        )
    date, time, fraction = match.groups()
    try:
        local = datetime.fromisoformat(f"{date}T{time or '00:00'}")
    except ValueError as error:
        raise GraphError(400, "ErrorInvalidRequest", f"{field}.dateTime is no date and time.") from error
    micros = int((fraction or "0").ljust(6, "0")[:6])
    return local.replace(microsecond=micros, tzinfo=zone(value.get("timeZone") or "UTC"))


def present(value: datetime, zone_name: str) -> dict[str, str]:
    """A moment as Graph answers it: seven digits of a second, in the zone of that name."""
    local = value.astimezone(UTC if zone_name == "UTC" else zone(zone_name))
    return {"dateTime": f"{local:%Y-%m-%dT%H:%M:%S.%f}0", "timeZone": zone_name}


def bound(text: str) -> datetime:
    """A bound of a calendar view, ISO 8601, in UTC where it has no offset. Raises ``GraphError``."""
    try:
        value = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise GraphError(400, "ErrorInvalidRequest", f"'{text}' is no date and time.") from error
    return value if value.tzinfo else value.replace(tzinfo=UTC)
