"""Events as Microsoft Graph gets them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from providers.contract import Create, Delete, Event, Mailbox, Marker
from providers.marker import PROPERTY_SET
from providers.o365.events import create_request, delete_request

ALICE = Mailbox(address="alice@uni.example", identity="AAMkCalendar")
ATTEMPT = UUID("0b9d4cf2-4f9c-4a41-9d0c-7a3c6a1f52aa")
MARKER = Marker(instance="uni.example", synchronization=7, event="algebra-1", attempt=ATTEMPT)


def event(start: str, end: str, zone: str = "Europe/Amsterdam", **fields: Any) -> Event:
    """An event by the wall clock of its zone; ``fold=1`` in ``start`` and ``end`` is written as ``*``."""
    return Event(
        uid="algebra-1", title="Algebra", start=at(start, zone), end=at(end, zone), time_zone=zone, **fields
    )


def at(local: str, zone: str) -> datetime:
    moment = datetime.fromisoformat(local.rstrip("*"))
    return moment.replace(tzinfo=ZoneInfo(zone), fold=int(local.endswith("*"))).astimezone(UTC)


LECTURE = event("2026-11-23T09:00", "2026-11-23T10:45")


def created(event: Event) -> dict[str, Any]:
    request = create_request(ALICE, Create(event=event, marker=MARKER))
    assert request.body is not None
    return request.body


def test_times_go_by_the_wall_clock_with_the_windows_name_of_the_zone() -> None:
    assert created(LECTURE)["start"] == {
        "dateTime": "2026-11-23T09:00:00",
        "timeZone": "W. Europe Standard Time",
    }
    assert created(LECTURE)["end"] == {
        "dateTime": "2026-11-23T10:45:00",
        "timeZone": "W. Europe Standard Time",
    }


def test_where_we_say_nothing_of_how_it_is_shown_nothing_of_that_is_sent() -> None:
    assert created(LECTURE).keys() == {
        "subject",
        "start",
        "end",
        "isAllDay",
        "location",
        "body",
        "categories",
        "showAs",
        "singleValueExtendedProperties",
        "transactionId",
    }


@pytest.mark.parametrize(
    ("ours", "sent"),
    [
        ({"reminder": 30}, {"isReminderOn": True, "reminderMinutesBeforeStart": 30}),
        ({"reminder": 0}, {"isReminderOn": True, "reminderMinutesBeforeStart": 0}),
        ({"reminder": "none"}, {"isReminderOn": False}),
        ({"privacy": "private"}, {"sensitivity": "private"}),
        ({"privacy": "normal"}, {"sensitivity": "normal"}),
    ],
)
def test_what_we_say_of_how_it_is_shown(ours: dict[str, Any], sent: dict[str, Any]) -> None:
    body = created(event("2026-11-23T09:00", "2026-11-23T10:45", **ours))
    assert {name: body[name] for name in body.keys() - created(LECTURE).keys()} == sent


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        ("America/New_York", "Eastern Standard Time"),
        ("Australia/Sydney", "AUS Eastern Standard Time"),
        ("Asia/Kolkata", "India Standard Time"),
        ("UTC", "UTC"),
    ],
)
def test_every_zone_goes_by_its_windows_name(zone: str, name: str) -> None:
    body = created(event("2026-07-01T09:00", "2026-07-01T10:00", zone))
    assert body["start"] == {"dateTime": "2026-07-01T09:00:00", "timeZone": name}


def test_a_zone_without_a_windows_name_goes_in_utc() -> None:
    body = created(event("2026-07-01T09:00", "2026-07-01T10:00", "Antarctica/Troll"))
    assert body["start"] == {"dateTime": "2026-07-01T07:00:00", "timeZone": "UTC"}


@pytest.mark.parametrize(("local", "utc"), [("02:30", "00:30"), ("02:30*", "01:30")])
def test_a_time_that_the_clock_shows_twice_goes_in_utc(local: str, utc: str) -> None:
    body = created(event(f"2026-10-25T{local}", "2026-10-25T04:00"))
    assert body["start"] == {"dateTime": f"2026-10-25T{utc}:00", "timeZone": "UTC"}
    assert body["end"] == {"dateTime": "2026-10-25T03:00:00", "timeZone": "UTC"}


@pytest.mark.parametrize(
    ("first", "after_last", "zone"),
    [
        ("2026-10-25", "2026-10-26", "Europe/Amsterdam"),
        ("2026-03-28", "2026-03-31", "Europe/Amsterdam"),
        ("2026-04-24", "2026-04-25", "Africa/Cairo"),
    ],
    ids=["25 hours", "three days, one of 23 hours", "clocks go forward at midnight"],
)
def test_an_all_day_event_goes_from_midnight_to_midnight(first: str, after_last: str, zone: str) -> None:
    body = created(event(f"{first}T00:00", f"{after_last}T00:00", zone, all_day=True))
    assert body["isAllDay"] is True
    assert body["start"]["dateTime"] == f"{first}T00:00:00"
    assert body["end"]["dateTime"] == f"{after_last}T00:00:00"
    assert body["start"]["timeZone"] == body["end"]["timeZone"]


def test_an_all_day_event_of_a_zone_without_a_windows_name_keeps_its_dates() -> None:
    body = created(event("2026-07-01T00:00", "2026-07-02T00:00", "Antarctica/Troll", all_day=True))
    assert body["start"] == {"dateTime": "2026-07-01T00:00:00", "timeZone": "UTC"}


def test_nobody_is_invited_and_the_reminder_is_left_alone() -> None:
    body = created(LECTURE)
    assert body.keys() == {
        "subject",
        "start",
        "end",
        "isAllDay",
        "location",
        "body",
        "categories",
        "showAs",
        "singleValueExtendedProperties",
        "transactionId",
    }


def test_a_create_carries_the_marker_and_its_attempt_as_transaction() -> None:
    body = created(LECTURE)
    assert body["transactionId"] == str(ATTEMPT)
    assert {entry["id"]: entry["value"] for entry in body["singleValueExtendedProperties"]} == {
        f"String {{{PROPERTY_SET}}} Name RoosterInstance": "uni.example",
        f"String {{{PROPERTY_SET}}} Name RoosterSynchronization": "7",
        f"String {{{PROPERTY_SET}}} Name RoosterEvent": "algebra-1",
        f"String {{{PROPERTY_SET}}} Name RoosterAttempt": ATTEMPT.hex,
    }


def test_addresses_and_ids_are_percent_encoded() -> None:
    request = delete_request("o'brien#é@uni.example", Delete(id="AAMk+/=", version=None))
    assert request.path == "/users/o%27brien%23%C3%A9@uni.example/events/AAMk%2B%2F%3D"
