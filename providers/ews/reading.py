"""What an item in the calendar holds, as Exchange shows it: the marker, and the fields that Rooster owns."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from exchangelib.ewsdatetime import EWSTimeZone
from exchangelib.fields import FieldPath
from exchangelib.services import GetItem
from exchangelib.util import create_element
from lxml import etree

from providers.contract import Content, Marker, ShowAs, utc
from providers.ews.items import MAX_TEXT, OwnedItem
from providers.ews.soap import TNS, Malformed
from providers.marker import PROPERTY_SET, from_strings

__all__ = ["ALL_FIELDS", "FoundItem", "GetItemAsText", "HeldItem", "properties", "read_found", "read_item"]

ALL_FIELDS = [FieldPath(field=field) for field in OwnedItem.FIELDS if not field.name.startswith("reminder")]
"""Everything that ``read_item`` reads, as additional properties of a shape. Reminders are not read."""

_SHOW_AS: dict[str, ShowAs] = {"Free": "free", "WorkingElsewhere": "free", "Tentative": "tentative"}
"""Anything else is some way of being busy."""


class GetItemAsText(GetItem):  # type: ignore[misc]
    """GetItem that has the server turn bodies into plain text: clients may have made HTML or RTF of ours."""

    def get_payload(
        self, items: list[object], additional_fields: list[FieldPath], shape: str
    ) -> etree._Element:
        """The request as exchangelib writes it, with BodyType in its place ([MS-OXWSCDATA] 2.2.4.44)."""
        payload: etree._Element = super().get_payload(items, additional_fields, shape)
        body_type: etree._Element = create_element("t:BodyType")
        body_type.text = "Text"
        payload[0].insert(1, body_type)
        return payload


class FoundItem(msgspec.Struct, frozen=True, kw_only=True):
    """What a search tells of an item."""

    id: str
    marker: Marker


class HeldItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item as it is in the calendar now."""

    id: str
    version: str | None
    marker: Marker | None
    content: Content
    time_zone: str
    """Windows' name of the zone in which the event starts; empty if Exchange names none."""


def read_item(element: etree._Element) -> HeldItem:
    """The item in an answer to a request for ``ALL_FIELDS``. Raises Malformed if it lacks what all have."""
    item_id = element.find(f"{{{TNS}}}ItemId")
    if item_id is None or not item_id.get("Id"):
        raise Malformed("an item without an id")
    start, end = (_moment(element.findtext(f"{{{TNS}}}{name}")) for name in ("Start", "End"))
    zones = [_zone_id(element, f"{name}TimeZone") for name in ("Start", "End")]
    all_day = _text(element, "IsAllDayEvent") in ("true", "1")
    if all_day:
        start, end = (
            datetime.combine(_date(moment, zone), time(), UTC)
            for moment, zone in ((start, zones[0]), (end, zones[1] or zones[0]))
        )
    return HeldItem(
        id=item_id.get("Id", ""),
        version=item_id.get("ChangeKey"),
        marker=_marker(element),
        content=Content(
            title=_text(element, "Subject"),
            start=start,
            end=end,
            all_day=all_day,
            location=_text(element, "Location"),
            body=_text(element, "Body"),
            categories=tuple(one.text or "" for one in element.iterfind(f"{{{TNS}}}Categories/*")),
            show_as=_SHOW_AS.get(_text(element, "LegacyFreeBusyStatus"), "busy"),
            privacy="normal" if _text(element, "Sensitivity") in ("", "Normal") else "private",
            longest=MAX_TEXT,
        ),
        time_zone=zones[0],
    )


def read_found(element: etree._Element) -> FoundItem | None:
    """The item that was found, or None if it carries no complete marker."""
    item_id, marker = element.find(f"{{{TNS}}}ItemId"), _marker(element)
    if item_id is None or marker is None:
        return None
    return FoundItem(id=item_id.get("Id", ""), marker=marker)


def _text(element: etree._Element, name: str) -> str:
    return element.findtext(f"{{{TNS}}}{name}") or ""


def _zone_id(element: etree._Element, name: str) -> str:
    zone = element.find(f"{{{TNS}}}{name}")
    return "" if zone is None else zone.get("Id", "")


def _moment(text: str | None) -> datetime:
    try:
        return utc(datetime.fromisoformat((text or "").strip()))
    except ValueError as error:
        raise Malformed("an item without a time in UTC") from error


def _date(midnight: datetime, zone_id: str) -> date:
    """The day that begins at this moment in the zone; in UTC, if it is one that a client made up.

    Exchange gives Windows' names, and IANA's where a client used those.
    """
    try:
        zone: tzinfo = ZoneInfo(EWSTimeZone.MS_TO_IANA_MAP.get(zone_id, zone_id))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = UTC
    return midnight.astimezone(zone).date()


def _marker(element: etree._Element) -> Marker | None:
    return from_strings(dict(properties(element)))


def properties(element: etree._Element) -> Iterator[tuple[str, str]]:
    """Our named properties of an item or a folder: names and values."""
    for prop in element.iterfind(f"{{{TNS}}}ExtendedProperty"):
        uri = prop.find(f"{{{TNS}}}ExtendedFieldURI")
        if uri is not None and uri.get("PropertySetId", "").casefold() == str(PROPERTY_SET):
            yield uri.get("PropertyName", ""), prop.findtext(f"{{{TNS}}}Value") or ""
