"""How items are read: the marker, and what they hold of ours."""

from datetime import UTC, datetime

import pytest
from lxml import etree

from providers.contract import Content
from providers.ews.reading import FoundItem, HeldItem, read_found, read_item
from providers.ews.soap import Malformed
from tests.unit.providers.ews_server import envelope, event, found, held, marker


def item(xml: str) -> etree._Element:
    return etree.fromstring(envelope(xml))[0][0]


def test_a_found_item_is_read_with_its_marker():
    read = read_found(item(found("id-1", marker(1))))

    assert read == FoundItem(id="id-1", marker=marker(1))


def test_the_property_set_is_recognised_in_capitals_too():
    assert read_found(item(found("id", marker(), "7C6A1F52-4F0E-5D3B-9A2C-0B6D8E41A7F3"))) is not None


def test_an_item_without_our_marker_is_none_of_ours():
    assert read_found(item(found("id", None))) is None
    assert read_found(item(found("id", marker(), "00000000-4f0e-5d3b-9a2c-0b6d8e41a7f3"))) is None


def test_all_that_an_item_holds_is_read():
    read = read_item(item(held("id-1", event(1), marker(1), version="v7")))

    assert read == HeldItem(
        id="id-1",
        version="v7",
        marker=marker(1),
        content=Content(
            title="Lecture 1",
            start=datetime(2026, 9, 1, 9, tzinfo=UTC),
            end=datetime(2026, 9, 1, 10, tzinfo=UTC),
            all_day=False,
            location="Room 1",
            body="Bring a book.",
            categories=("Mathematics",),
            show_as="busy",
            longest=255,
        ),
        time_zone="W. Europe Standard Time",
    )
    assert read.content.holds(event(1))


@pytest.mark.parametrize(
    ("title", "changes"),
    [("🐓" * 127 + "…", ()), ("🐓" * 126 + "…", ("title",)), ("🐓" * 127, ("title",))],
    ids=["cut", "cut by somebody else", "without the sign"],
)
def test_what_exchange_had_no_room_for_is_no_change(title: str, changes: tuple[str, ...]):
    content = read_item(item(held("id-1", event(1, title=title), marker(1)))).content

    assert content.changes(event(1, title="🐓" * 255)) == changes


def test_what_exchange_leaves_out_is_empty():
    bare = item(
        '<t:CalendarItem><t:ItemId Id="id-1"/><t:Start>2026-09-01T09:00:00Z</t:Start>'
        "<t:End>2026-09-01T10:00:00Z</t:End></t:CalendarItem>"
    )
    read = read_item(bare)

    assert (read.version, read.marker, read.time_zone) == (None, None, "")
    assert (read.content.title, read.content.location, read.content.body) == ("", "", "")
    assert (read.content.categories, read.content.all_day) == ((), False)


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        ("W. Europe Standard Time", datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC)),
        ("Europe/Copenhagen", datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC)),
        ("UTC", datetime(2026, 10, 24, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)),
        ("Europe", datetime(2026, 10, 24, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)),
        ("tzone://Microsoft/Custom", datetime(2026, 10, 24, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)),
    ],
)
def test_an_all_day_event_has_the_days_of_its_own_zone(zone: str, first: datetime, last: datetime):
    # The last day of summer time: 25 hours long.
    start, end = datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)
    read = read_item(item(held("id", event(1, all_day=True, start=start, end=end), None, zone=zone)))

    assert (read.content.start, read.content.end) == (first, last)


@pytest.mark.parametrize(
    ("free_busy", "show_as"),
    [
        ("Free", "free"),
        ("Tentative", "tentative"),
        ("Busy", "busy"),
        ("OOF", "busy"),
        ("WorkingElsewhere", "free"),
        ("NoData", "busy"),
    ],
)
def test_exchange_knows_more_ways_of_being_busy(free_busy: str, show_as: str):
    assert read_item(item(held("id", event(1), None, free_busy=free_busy))).content.show_as == show_as


@pytest.mark.parametrize("old", ['Id="id-1"', "<t:Start>2026-09-01T09:00:00Z", "09:00:00Z</t:Start>"])
def test_an_item_without_what_every_item_has_is_no_answer(old: str):
    xml = held("id-1", event(1), None)
    assert old in xml
    broken = xml.replace(
        old, 'Id=""' if "Id" in old else "<t:Start>" if "<t:Start>" in old else "x</t:Start>"
    )

    with pytest.raises(Malformed):
        read_item(item(broken))
