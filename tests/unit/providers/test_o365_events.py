"""Events as Microsoft Graph gets them."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest

from providers.contract import Create, Delete, Event, Marker, Update
from providers.marker import PROPERTY_SET
from providers.o365.events import find_request, list_request, remote_event, request_of

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
    request = request_of("alice@uni.example", Create(event=event, marker=MARKER))
    assert request is not None
    assert request.body is not None
    return request.body


def patched(event: Event, previous: Event | None) -> dict[str, Any]:
    """The body of the PATCH, without the marker."""
    operation = Update(
        id="AAMk=", version=None, event=event, possible=() if previous is None else (previous,), marker=MARKER
    )
    request = request_of("alice@uni.example", operation)
    assert request is not None
    assert request.body is not None
    assert request.body.pop("singleValueExtendedProperties")
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


def test_an_update_patches_what_changed_and_nothing_else() -> None:
    moved = msgspec.structs.replace(LECTURE, location="Room B")
    assert patched(moved, LECTURE) == {"location": {"displayName": "Room B"}}


def test_a_changed_time_patches_both_ends() -> None:
    later = event("2026-11-23T09:00", "2026-11-23T11:45")
    assert patched(later, LECTURE).keys() == {"start", "end", "isAllDay"}


def test_an_update_of_unknown_content_patches_every_owned_field_the_empty_ones_too() -> None:
    body = patched(LECTURE, None)
    assert body.keys() == {"subject", "start", "end", "isAllDay", "location", "body", "categories", "showAs"}
    assert body["location"] == {"displayName": ""}
    assert body["body"] == {"contentType": "text", "content": ""}
    assert body["categories"] == []


def test_an_update_that_changes_nothing_is_no_request() -> None:
    operation = Update(id="AAMk=", version="v", event=LECTURE, possible=(LECTURE,), marker=MARKER)
    assert request_of("alice@uni.example", operation) is None


def test_addresses_and_ids_are_percent_encoded() -> None:
    request = request_of("o'brien#é@uni.example", Delete(id="AAMk+/=", version=None))
    assert request is not None
    assert request.path == "/users/o%27brien%23%C3%A9@uni.example/events/AAMk%2B%2F%3D"


def test_a_search_names_one_property_and_expands_all_four() -> None:
    path = find_request("alice@uni.example", ATTEMPT).path
    query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
    prefix = f"String {{{PROPERTY_SET}}} Name "
    assert query["$filter"] == (
        "singleValueExtendedProperties/Any"
        f"(ep: ep/id eq '{prefix}RoosterAttempt' and ep/value eq '{ATTEMPT.hex}')"
    )
    for name in ("RoosterInstance", "RoosterSynchronization", "RoosterEvent", "RoosterAttempt"):
        assert f"id eq '{prefix}{name}'" in query["$expand"]


def test_a_quote_in_a_search_is_doubled() -> None:
    """OData 4.01 URL conventions, section 5.1.1.14.1: literals."""
    assert "eq%20%27king%27%27s.example%27" in list_request("alice@uni.example", "king's.example").path


def test_a_marker_is_read_back_whatever_the_case_of_the_property_set() -> None:
    values = {"RoosterInstance": "uni.example", "RoosterSynchronization": "7", "RoosterEvent": "algebra-1"}
    values["RoosterAttempt"] = ATTEMPT.hex
    item = {
        "id": "AAMk=",
        "changeKey": "CK",
        "singleValueExtendedProperties": [
            {"id": f"String {{{str(PROPERTY_SET).upper()}}} Name {name}", "value": value}
            for name, value in values.items()
        ],
    }
    found = remote_event(item)
    assert found is not None
    assert (found.id, found.version, found.marker) == ("AAMk=", "CK", MARKER)


def test_an_event_without_a_complete_marker_is_not_ours() -> None:
    other = {"id": f"String {{{PROPERTY_SET}}} Name RoosterInstance", "value": "uni.example"}
    assert remote_event({"id": "AAMk=", "singleValueExtendedProperties": [other]}) is None
