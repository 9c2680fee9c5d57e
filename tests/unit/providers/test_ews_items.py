"""What an event looks like in the requests to Exchange."""

from datetime import UTC, datetime, timedelta

import pytest
from exchangelib.version import EXCHANGE_2013_SP1, Version
from exchangelib.winzone import IANA_TO_MS_TIMEZONE_MAP
from lxml import etree
from msgspec.structs import replace

from providers.contract import Event
from providers.ews.items import TIMES, changed_names, new_item
from tests.unit.providers.ews_server import T, event, marker

VERSION = Version(build=EXCHANGE_2013_SP1, api_version="Exchange2013_SP1")


def created(event: Event) -> etree._Element:
    return new_item(event, marker()).to_xml(VERSION)


def text(element: etree._Element, name: str) -> str | None:
    return element.findtext(f"t:{name}", namespaces=element.nsmap) or element.findtext(f"{T}{name}")


def test_a_new_item_says_what_the_event_says():
    item = created(event(1, show_as="tentative", url="https://uni.example/course"))

    assert text(item, "Subject") == "Lecture 1"
    assert text(item, "Body") == "Bring a book.\n\nhttps://uni.example/course"
    assert item.find(f"{T}Body").get("BodyType") == "Text"
    assert text(item, "Start") == "2026-09-01T11:00:00+02:00"
    assert text(item, "End") == "2026-09-01T12:00:00+02:00"
    assert item.find(f"{T}StartTimeZone").get("Id") == "W. Europe Standard Time"
    assert item.find(f"{T}EndTimeZone").get("Id") == "W. Europe Standard Time"
    assert text(item, "LegacyFreeBusyStatus") == "Tentative"
    assert text(item, "Location") == "Room 1"
    assert [category.text for category in item.find(f"{T}Categories")] == ["Mathematics"]


def test_a_new_item_carries_the_marker():
    item = created(event())

    assert {
        (uri.get("PropertySetId"), uri.get("PropertyName"), uri.get("PropertyType"), uri.getnext().text)
        for uri in item.iter(f"{T}ExtendedFieldURI")
    } == {
        ("7c6a1f52-4f0e-5d3b-9a2c-0b6d8e41a7f3", "RoosterInstance", "String", "uni.example"),
        ("7c6a1f52-4f0e-5d3b-9a2c-0b6d8e41a7f3", "RoosterSynchronization", "String", "7"),
        ("7c6a1f52-4f0e-5d3b-9a2c-0b6d8e41a7f3", "RoosterEvent", "String", "uid-1"),
        ("7c6a1f52-4f0e-5d3b-9a2c-0b6d8e41a7f3", "RoosterAttempt", "String", "0" * 31 + "1"),
    }


def test_a_new_item_leaves_everything_else_to_the_mailbox_and_its_owner():
    names = {etree.QName(child).localname for child in created(event())}

    assert names == {
        "Subject",
        "Body",
        "Categories",
        "ExtendedProperty",
        "Start",
        "End",
        "IsAllDayEvent",
        "LegacyFreeBusyStatus",
        "Location",
        "StartTimeZone",
        "EndTimeZone",
    }


def test_empty_fields_are_left_out_of_a_new_item():
    item = created(event(1, location="", description="", categories=(), title=""))

    assert [text(item, name) for name in ("Location", "Body", "Categories", "Subject")] == [None] * 4


def test_an_all_day_event_runs_from_local_midnight_to_local_midnight():
    # The last day of summer time: 25 hours long.
    start, end = datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)
    item = created(event(1, all_day=True, start=start, end=end))

    assert text(item, "Start") == "2026-10-25T00:00:00+02:00"
    assert text(item, "End") == "2026-10-26T00:00:00+01:00"
    assert text(item, "IsAllDayEvent") in ("true", "1")


@pytest.mark.parametrize(
    ("hour", "local"),
    [(0, "2026-10-25T02:30:00+02:00"), (1, "2026-10-25T01:30:00Z")],
)
def test_an_hour_that_the_clock_shows_twice_is_told_apart_by_its_offset(hour: int, local: str):
    start = datetime(2026, 10, 25, hour, 30, tzinfo=UTC)

    assert text(created(event(1, start=start, end=start + timedelta(hours=1))), "Start") == local


def test_a_zone_without_a_windows_name_is_sent_as_the_same_moment_in_utc(monkeypatch: pytest.MonkeyPatch):
    # As with a zone that is newer than the table; today's zones are all in it.
    monkeypatch.delitem(IANA_TO_MS_TIMEZONE_MAP, "Pacific/Kanton")
    item = created(event(1, time_zone="Pacific/Kanton"))

    assert text(item, "Start") == "2026-09-01T09:00:00Z"
    assert item.find(f"{T}StartTimeZone").get("Id") == "UTC"


def test_a_title_longer_than_exchange_takes_is_cut_between_characters():
    # An emoji is two of the 255 UTF-16 units that Exchange counts.
    subject = text(created(event(1, title="🎓" * 200)), "Subject")

    assert subject == "🎓" * 127 + "…"
    assert len(subject.encode("utf-16-le")) // 2 == 255


def test_a_title_of_just_the_length_that_exchange_takes_is_left_alone():
    assert text(created(event(1, title="x" * 255)), "Subject") == "x" * 255


def test_only_what_differs_is_changed():
    before = event()

    assert changed_names(replace(before, title="New", location=""), before) == {"subject", "location"}
    assert changed_names(replace(before, url="https://uni.example/"), before) == {"body"}
    assert changed_names(replace(before, show_as="free"), before) == {"legacy_free_busy_status"}
    assert changed_names(replace(before, categories=()), before) == {"categories"}


@pytest.mark.parametrize(
    "changes",
    [
        {"end": datetime(2026, 9, 1, 11, tzinfo=UTC)},
        {"time_zone": "Europe/Lisbon"},
        {
            "all_day": True,
            "start": datetime(2026, 8, 31, 22, tzinfo=UTC),
            "end": datetime(2026, 9, 1, 22, tzinfo=UTC),
        },
    ],
    ids=["end", "zone", "all day"],
)
def test_a_change_of_time_sends_start_end_and_zones_together(changes: dict):
    before = event()

    assert changed_names(replace(before, **changes), before) == TIMES


def test_nothing_is_changed_where_exchange_sees_no_difference():
    assert changed_names(event(1, status="tentative"), event(1)) == set()
    assert changed_names(event(1, title="x" * 300), event(1, title="x" * 301)) == set()
