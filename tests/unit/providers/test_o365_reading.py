"""Events as Microsoft Graph shows them."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from providers.contract import Content, Mailbox, Marker
from providers.marker import PROPERTY_SET, to_strings
from providers.o365.reading import event_request, find_request, held_in, list_request, remote_event

ALICE = Mailbox(address="alice@uni.example", identity="AAMkCalendar")
ATTEMPT = UUID("0b9d4cf2-4f9c-4a41-9d0c-7a3c6a1f52aa")
MARKER = Marker(instance="uni.example", synchronization=7, event="algebra-1", attempt=ATTEMPT)
PREFIX = f"String {{{PROPERTY_SET}}} Name "

# As in the documentation of "Get event" (https://learn.microsoft.com/graph/api/event-get).
ITEM: dict[str, Any] = {
    "@odata.etag": 'W/"CK"',
    "id": "AAMk=",
    "changeKey": "CK",
    "subject": "Algebra",
    "start": {"dateTime": "2026-11-23T08:00:00.0000000", "timeZone": "UTC"},
    "end": {"dateTime": "2026-11-23T09:45:00.0000000", "timeZone": "UTC"},
    "isAllDay": False,
    "location": {"displayName": "Room A", "locationType": "default", "uniqueIdType": "unknown"},
    "body": {"contentType": "text", "content": "Bring a book.\r\n"},
    "categories": ["Lecture"],
    "showAs": "tentative",
    "sensitivity": "private",
    "singleValueExtendedProperties": [
        {"id": PREFIX + name, "value": value} for name, value in to_strings(MARKER).items()
    ],
}


def test_a_search_names_one_property_and_expands_all_four() -> None:
    path = find_request(ALICE, ATTEMPT).path
    query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
    prefix = f"String {{{PROPERTY_SET}}} Name "
    assert query["$filter"] == (
        "singleValueExtendedProperties/Any"
        f"(ep: ep/id eq '{prefix}RoosterAttempt' and ep/value eq '{ATTEMPT.hex}')"
    )
    for name in ("RoosterInstance", "RoosterSynchronization", "RoosterEvent", "RoosterAttempt"):
        assert f"id eq '{prefix}{name}'" in query["$expand"]


@pytest.mark.parametrize(
    ("calendar", "path"),
    [
        (None, "/users/alice@uni.example/calendar/events"),
        ("AAMk+/=", "/users/alice@uni.example/calendars/AAMk%2B%2F%3D/events"),
    ],
)
def test_a_search_is_in_the_calendar_that_is_meant(calendar: str | None, path: str) -> None:
    mailbox = Mailbox(address="alice@uni.example", identity="AAMkCalendar", calendar=calendar)
    for request in (find_request(mailbox, ATTEMPT), list_request(mailbox, "uni.example")):
        assert request.path.partition("?")[0] == path


def test_a_quote_in_a_search_is_doubled() -> None:
    """OData 4.01 URL conventions, section 5.1.1.14.1: literals."""
    assert "eq%20%27king%27%27s.example%27" in list_request(ALICE, "king's.example").path


def test_all_that_is_ours_is_asked_for_in_the_same_request() -> None:
    for request in (
        find_request(ALICE, ATTEMPT),
        list_request(ALICE, "uni.example"),
        event_request("alice@uni.example", "AAMk="),
    ):
        query = parse_qs(urlsplit(request.path).query)
        assert ITEM.keys() - {"@odata.etag", "singleValueExtendedProperties"} <= set(
            query["$select"][0].split(",")
        )
        assert "RoosterSynchronization" in query["$expand"][0]


def test_an_event_is_read_with_its_content() -> None:
    found = remote_event(ITEM)
    assert found is not None
    assert (found.id, found.version, found.marker) == ("AAMk=", "CK", MARKER)
    assert found.content == Content(
        title="Algebra",
        start=datetime(2026, 11, 23, 8, 0, tzinfo=UTC),
        end=datetime(2026, 11, 23, 9, 45, tzinfo=UTC),
        all_day=False,
        location="Room A",
        body="Bring a book.\r\n",
        categories=("Lecture",),
        show_as="tentative",
        privacy="private",
    )


def test_what_graph_leaves_empty_is_empty() -> None:
    content = held_in(ITEM | {"subject": None, "location": None, "body": None, "categories": []}).content
    assert (content.title, content.location, content.body, content.categories) == ("", "", "", ())


@pytest.mark.parametrize("zone", ["UTC", "W. Europe Standard Time"])
def test_an_all_day_event_is_on_its_days_whatever_the_zone(zone: str) -> None:
    times = {
        name: {"dateTime": f"2026-11-{day}T00:00:00.0000000", "timeZone": zone}
        for name, day in (("start", 23), ("end", 25))
    }
    content = held_in(ITEM | times | {"isAllDay": True}).content
    assert content.all_day
    assert (content.start, content.end) == (
        datetime(2026, 11, 23, tzinfo=UTC),
        datetime(2026, 11, 25, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        ("free", "free"),
        ("workingElsewhere", "free"),
        ("tentative", "tentative"),
        ("busy", "busy"),
        ("oof", "busy"),
        ("unknown", "busy"),
    ],
)
def test_every_way_to_show_the_time(shown: str, read: str) -> None:
    assert held_in(ITEM | {"showAs": shown}).content.show_as == read


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        ("normal", "normal"),
        ("personal", "normal"),
        ("private", "private"),
        ("confidential", "private"),
        (None, "normal"),
    ],
)
def test_every_sensitivity(shown: str | None, read: str) -> None:
    assert held_in(ITEM | {"sensitivity": shown}).content.privacy == read


@pytest.mark.parametrize(
    "broken",
    [
        {"start": {"dateTime": "2026-11-23T09:00:00.0000000", "timeZone": "W. Europe Standard Time"}},
        {"start": None},
        {"end": {"dateTime": "soon", "timeZone": "UTC"}},
        {"body": {"contentType": "html", "content": "<html></html>"}},
        {"categories": None},
    ],
)
def test_an_event_in_another_form_than_was_asked_for_is_not_guessed_at(broken: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        remote_event(ITEM | broken)


def test_a_marker_is_read_back_whatever_the_case_of_the_property_set() -> None:
    shouted = [
        entry | {"id": entry["id"].replace(str(PROPERTY_SET), str(PROPERTY_SET).upper())}
        for entry in ITEM["singleValueExtendedProperties"]
    ]
    found = remote_event(ITEM | {"singleValueExtendedProperties": shouted})
    assert found is not None
    assert found.marker == MARKER


def test_an_event_without_a_complete_marker_is_not_ours() -> None:
    incomplete = ITEM | {"singleValueExtendedProperties": ITEM["singleValueExtendedProperties"][:3]}
    assert remote_event(incomplete) is None
    assert held_in(incomplete).marker is None
