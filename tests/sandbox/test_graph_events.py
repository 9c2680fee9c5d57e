"""Graph: events created, read, changed and deleted, as strictly as the documentation says."""

from collections.abc import Callable
from typing import Any

import pytest

from providers import marker
from providers.sandbox.server import Sandbox

from .conftest import Control, Graph

ALICE = "/users/alice@uni.example"
EVENTS = f"{ALICE}/events"
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}
NAME = f"String {{{marker.PROPERTY_SET}}} Name Colour"
OTHER = f"String {{{marker.PROPERTY_SET}}} Name Shape"
BERLIN = {"dateTime": "2027-07-01T09:00:00", "timeZone": "Europe/Berlin"}

Event = Callable[..., dict[str, Any]]


def expanded(*names: str) -> str:
    wanted = " or ".join(f"id eq '{name}'" for name in names)
    return f"singleValueExtendedProperties($filter={wanted})"


async def test_a_created_event_is_answered_and_read_alike(graph: Graph, event: Event) -> None:
    status, created = await graph.call("POST", EVENTS, event(categories=["Timetable"], showAs="tentative"))
    assert status == 201
    assert created["subject"] == "Linear algebra"
    assert created["categories"] == ["Timetable"]
    assert created["showAs"] == "tentative"
    assert created["@odata.etag"] == f'W/"{created["changeKey"]}"'
    assert await graph.ok("GET", f"{EVENTS}/{created['id']}") == created


@pytest.mark.parametrize("path", ["/events", "/calendar/events"])
async def test_the_default_calendar_has_two_addresses(graph: Graph, event: Event, path: str) -> None:
    created = await graph.ok("POST", ALICE + path, event())
    assert [e["id"] for e in (await graph.ok("GET", EVENTS))["value"]] == [created["id"]]


async def test_the_calendar_can_be_named_by_its_id(graph: Graph, event: Event) -> None:
    (calendar,) = (await graph.ok("GET", f"{ALICE}/calendars"))["value"]
    path = f"{ALICE}/calendars/{calendar['id']}"
    assert (await graph.ok("GET", path))["isDefaultCalendar"] is True
    created = await graph.ok("POST", f"{path}/events", event())
    assert (await graph.ok("GET", f"{path}/events/{created['id']}"))["subject"] == "Linear algebra"
    other = f"{ALICE}/calendars/AAMkNone/events"
    assert await graph.refused("GET", other) == (404, "ErrorItemNotFound")


async def test_the_calendars_owner_is_the_primary_address(graph: Graph, control: Control) -> None:
    await control.ok("POST", control.mailbox("o365", "alice@uni.example"), {"aliases": ["al@uni.example"]})
    calendar = await graph.ok("GET", "/users/al@uni.example/calendar")
    assert calendar["owner"]["address"] == "alice@uni.example"


async def test_an_alias_is_the_same_mailbox(graph: Graph, control: Control, event: Event) -> None:
    await control.ok("POST", control.mailbox("o365", "alice@uni.example"), {"aliases": ["al@uni.example"]})
    created = await graph.ok("POST", EVENTS, event())
    assert (await graph.ok("GET", f"/users/al@uni.example/events/{created['id']}"))["id"] == created["id"]


async def test_times_are_answered_in_utc_or_in_the_preferred_zone(graph: Graph, event: Event) -> None:
    created = await graph.ok("POST", EVENTS, event())
    assert created["start"] == {"dateTime": "2027-02-01T08:00:00.0000000", "timeZone": "UTC"}
    assert created["originalStartTimeZone"] == "W. Europe Standard Time"
    preferred = {"Prefer": 'outlook.timezone="Eastern Standard Time"'}
    read = await graph.ok("GET", f"{EVENTS}/{created['id']}", headers=preferred)
    assert read["start"] == {"dateTime": "2027-02-01T03:00:00.0000000", "timeZone": "Eastern Standard Time"}


async def test_summer_time_is_that_of_the_zone(graph: Graph, event: Event) -> None:
    created = await graph.ok("POST", EVENTS, event(start=BERLIN, end=BERLIN))
    assert created["start"]["dateTime"] == "2027-07-01T07:00:00.0000000"


async def test_a_zone_that_is_not_listed_is_refused(graph: Graph, event: Event) -> None:
    for name in ("Europe/Amsterdam", "Europe/Atlantis", "CET"):
        start = {"dateTime": "2027-02-01T09:00:00", "timeZone": name}
        assert await graph.refused("POST", EVENTS, event(start=start)) == (
            400,
            "TimeZoneNotSupportedException",
        )


async def test_an_all_day_event_keeps_its_dates(graph: Graph, event: Event) -> None:
    zone = "W. Europe Standard Time"
    created = await graph.ok(
        "POST",
        EVENTS,
        event(
            isAllDay=True,
            start={"dateTime": "2027-02-01T00:00:00", "timeZone": zone},
            end={"dateTime": "2027-02-03T00:00:00", "timeZone": zone},
        ),
    )
    assert created["start"] == {"dateTime": "2027-02-01T00:00:00.0000000", "timeZone": "UTC"}
    assert created["end"]["dateTime"] == "2027-02-03T00:00:00.0000000"


@pytest.mark.parametrize(
    ("start", "end", "end_zone"),
    [
        ("2027-02-01T09:00:00", "2027-02-02T00:00:00", "UTC"),
        ("2027-02-01T00:00:00", "2027-02-01T23:59:00", "UTC"),
        ("2027-02-01T00:00:00", "2027-02-01T00:00:00", "UTC"),
        ("2027-02-01T00:00:00", "2027-02-03T00:00:00", "Europe/Berlin"),
    ],
)
async def test_an_all_day_event_is_from_midnight_to_midnight_in_one_zone(
    graph: Graph, event: Event, start: str, end: str, end_zone: str
) -> None:
    body = event(
        isAllDay=True,
        start={"dateTime": start, "timeZone": "UTC"},
        end={"dateTime": end, "timeZone": end_zone},
    )
    assert await graph.refused("POST", EVENTS, body) == (400, "ErrorInvalidRequest")


async def test_an_end_before_the_start_is_refused(graph: Graph, event: Event) -> None:
    end = {"dateTime": "2027-02-01T08:59:59", "timeZone": "W. Europe Standard Time"}
    assert await graph.refused("POST", EVENTS, event(end=end)) == (
        400,
        "ErrorCalendarEndDateIsEarlierThanStartDate",
    )
    at_once = {"dateTime": "2027-02-01T09:00:00", "timeZone": "W. Europe Standard Time"}
    assert (await graph.call("POST", EVENTS, event(end=at_once)))[0] == 201


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"colour": "red"}, "RequestBodyRead"),
        ({"location": {"name": "Aula"}}, "RequestBodyRead"),
        ({"body": {"type": "text"}}, "RequestBodyRead"),
        ({"body": {"contentType": "markdown", "content": "x"}}, "RequestBodyRead"),
        ({"body": "text"}, "RequestBodyRead"),
        ({"categories": "Timetable"}, "RequestBodyRead"),
        ({"categories": [1]}, "RequestBodyRead"),
        ({"isAllDay": "yes"}, "RequestBodyRead"),
        ({"reminderMinutesBeforeStart": "15"}, "RequestBodyRead"),
        ({"showAs": "away"}, "RequestBodyRead"),
        ({"sensitivity": "secret"}, "RequestBodyRead"),
        ({"start": "2027-02-01T09:00:00"}, "RequestBodyRead"),
        ({"start": {"timeZone": "UTC"}}, "RequestBodyRead"),
        ({"start": None}, "ErrorInvalidRequest"),
        ({"start": {"dateTime": "2027-02-01T09:00:00+01:00", "timeZone": "UTC"}}, "ErrorInvalidRequest"),
        ({"start": {"dateTime": "2027-02-30T09:00:00", "timeZone": "UTC"}}, "ErrorInvalidRequest"),
        ({"singleValueExtendedProperties": [{"id": "Colour", "value": "x"}]}, "ErrorInvalidExtendedProperty"),
        ({"singleValueExtendedProperties": [{"id": NAME}]}, "RequestBodyRead"),
        ({"recurrence": {"pattern": {"type": "daily"}}}, "ErrorInvalidRecurrence"),
    ],
)
async def test_what_the_metadata_or_exchange_does_not_allow_is_refused(
    graph: Graph, control: Control, event: Event, changes: dict[str, Any], code: str
) -> None:
    assert await graph.refused("POST", EVENTS, event(**changes)) == (400, code)
    assert await control.events("o365", "alice@uni.example") == []


async def test_read_only_properties_have_no_effect(graph: Graph, event: Event) -> None:
    created = await graph.ok("POST", EVENTS, event(changeKey="abc", isCancelled=True, id="AAMkabc"))
    assert created["changeKey"] != "abc"
    assert created["id"] != "AAMkabc"
    path = f"{EVENTS}/{created['id']}"
    changed = await graph.ok("PATCH", path, {"originalStartTimeZone": "UTC", "type": "occurrence"})
    assert changed["originalStartTimeZone"] == created["originalStartTimeZone"]
    assert (changed["type"], changed["isCancelled"]) == ("singleInstance", False)


async def test_annotations_are_not_properties(graph: Graph, event: Event) -> None:
    body = event(**{"@odata.type": "#microsoft.graph.event", "body@odata.type": "microsoft.graph.itemBody"})
    assert (await graph.call("POST", EVENTS, body))[0] == 201


async def test_enumerations_are_read_without_case(graph: Graph, event: Event) -> None:
    created = await graph.ok(
        "POST", EVENTS, event(showAs="OOF", body={"contentType": "HTML", "content": "x"})
    )
    assert (created["showAs"], created["body"]["contentType"]) == ("oof", "html")


async def test_a_text_body_is_answered_as_html_unless_text_is_preferred(graph: Graph, event: Event) -> None:
    text = "Room <A> & B\nBring a pen"
    created = await graph.ok("POST", EVENTS, event(body={"contentType": "text", "content": text}))
    assert created["body"]["contentType"] == "html"
    assert "Room &lt;A&gt; &amp; B<br>" in created["body"]["content"]
    assert created["bodyPreview"] == text
    preferred = {"Prefer": 'outlook.body-content-type="text"'}
    read = await graph.ok("GET", f"{EVENTS}/{created['id']}", headers=preferred)
    assert read["body"] == {"contentType": "text", "content": text}


async def test_location_and_locations_correspond(graph: Graph, event: Event) -> None:
    created = await graph.ok("POST", EVENTS, event(location={"displayName": "Aula"}))
    assert [location["displayName"] for location in created["locations"]] == ["Aula"]
    path = f"{EVENTS}/{created['id']}"
    two = [{"displayName": "Lab 1"}, {"displayName": "Lab 2"}]
    changed = await graph.ok("PATCH", path, {"locations": two})
    assert changed["location"]["displayName"] == "Lab 1"
    assert [location["displayName"] for location in changed["locations"]] == ["Lab 1", "Lab 2"]
    changed = await graph.ok("PATCH", path, {"location": {"displayName": ""}})
    assert (changed["location"]["displayName"], changed["locations"]) == ("", [])


async def test_a_patch_changes_what_it_names_and_nothing_else(graph: Graph, event: Event) -> None:
    created = await graph.ok(
        "POST",
        EVENTS,
        event(
            body={"contentType": "text", "content": "Bring a pen"},
            reminderMinutesBeforeStart=45,
            sensitivity="private",
            location={"displayName": "Aula"},
        ),
    )
    changed = await graph.ok("PATCH", f"{EVENTS}/{created['id']}", {"subject": "Calculus"})
    differing = {name for name in created if created[name] != changed[name]}
    assert differing == {"@odata.etag", "changeKey", "lastModifiedDateTime", "subject"}


async def test_a_refused_patch_changes_nothing(graph: Graph, event: Event) -> None:
    created = await graph.ok("POST", EVENTS, event())
    path = f"{EVENTS}/{created['id']}"
    end = {"dateTime": "2020-01-01T00:00:00", "timeZone": "UTC"}
    assert (await graph.refused("PATCH", path, {"subject": "Calculus", "end": end}))[0] == 400
    assert await graph.ok("GET", path) == created


async def test_if_match_protects_another_version(graph: Graph, event: Event) -> None:
    created = await graph.ok("POST", EVENTS, event())
    path, first = f"{EVENTS}/{created['id']}", {"If-Match": created["@odata.etag"]}
    changed = await graph.ok("PATCH", path, {"subject": "Calculus"}, headers=first)
    assert changed["@odata.etag"] != created["@odata.etag"]
    assert await graph.refused("PATCH", path, {"subject": "Physics"}, headers=first) == (
        412,
        "ErrorIrresolvableConflict",
    )
    assert await graph.refused("DELETE", path, headers=first) == (412, "ErrorIrresolvableConflict")
    assert (await graph.ok("GET", path))["subject"] == "Calculus"
    assert (await graph.call("DELETE", path, headers={"If-Match": "*"}))[0] == 204


async def test_a_deleted_event_is_not_found(graph: Graph, event: Event) -> None:
    path = f"{EVENTS}/{(await graph.ok('POST', EVENTS, event()))['id']}"
    assert await graph.call("DELETE", path) == (204, None)
    for method, body in (("GET", None), ("PATCH", {"subject": "x"}), ("DELETE", None)):
        assert await graph.refused(method, path, body) == (404, "ErrorItemNotFound")


async def test_immutable_ids_are_other_ids_for_the_same_event(graph: Graph, event: Event) -> None:
    created = await graph.ok("POST", EVENTS, event())
    read = await graph.ok("GET", f"{EVENTS}/{created['id']}", headers=IMMUTABLE)
    assert read["id"] != created["id"]
    assert (await graph.ok("GET", f"{EVENTS}/{read['id']}"))["id"] == created["id"]


async def test_ids_are_case_sensitive(graph: Graph, event: Event) -> None:
    created = await graph.ok("POST", EVENTS, event(), headers=IMMUTABLE)
    other = created["id"][:4] + created["id"][4:].swapcase()
    assert await graph.refused("GET", f"{EVENTS}/{other}") == (404, "ErrorItemNotFound")
    assert await graph.refused("GET", f"{EVENTS}/nonsense") == (400, "ErrorInvalidIdMalformed")


async def test_a_repeated_transaction_makes_no_second_event(
    graph: Graph, control: Control, event: Event
) -> None:
    body = event(transactionId="f7a1c0de")
    first = await graph.ok("POST", EVENTS, body)
    again = await graph.ok("POST", EVENTS, body)
    assert again["id"] == first["id"]
    await graph.ok("POST", EVENTS, event(transactionId="another"))
    await graph.ok("POST", "/users/bob@uni.example/events", body)
    assert len(await control.events("o365", "alice@uni.example")) == 2
    assert len(await control.events("o365", "bob@uni.example")) == 1


async def test_a_transaction_id_cannot_be_changed(graph: Graph, event: Event) -> None:
    created = await graph.ok("POST", EVENTS, event(transactionId="f7a1c0de"))
    path = f"{EVENTS}/{created['id']}"
    assert await graph.refused("PATCH", path, {"transactionId": "x"}) == (400, "ErrorInvalidPropertySet")


async def test_extended_properties_are_shown_only_when_expanded(graph: Graph, event: Event) -> None:
    properties = [{"id": NAME, "value": "Red"}, {"id": OTHER, "value": "Round"}]
    created = await graph.ok("POST", EVENTS, event(singleValueExtendedProperties=properties))
    assert "singleValueExtendedProperties" not in created
    path = f"{EVENTS}/{created['id']}"
    assert "singleValueExtendedProperties" not in await graph.ok("GET", path)
    one = await graph.ok("GET", path, **{"$expand": expanded(OTHER)})
    assert one["singleValueExtendedProperties"] == [{"id": OTHER, "value": "Round"}]
    both = await graph.ok("GET", path, **{"$expand": expanded(OTHER, NAME)})
    assert both["singleValueExtendedProperties"] == properties


async def test_a_patch_merges_extended_properties_by_id(graph: Graph, event: Event) -> None:
    properties = [{"id": NAME, "value": "Red"}, {"id": OTHER, "value": "Round"}]
    created = await graph.ok("POST", EVENTS, event(singleValueExtendedProperties=properties))
    path = f"{EVENTS}/{created['id']}"
    spelled_otherwise = NAME.replace("String {7c6a", "string {7C6A")
    await graph.ok(
        "PATCH", path, {"singleValueExtendedProperties": [{"id": spelled_otherwise, "value": "Blue"}]}
    )
    read = await graph.ok("GET", path, **{"$expand": expanded(NAME, OTHER)})
    assert read["singleValueExtendedProperties"] == [
        {"id": NAME, "value": "Blue"},
        {"id": OTHER, "value": "Round"},
    ]


async def test_attendees_are_invited_and_cancelled_and_that_is_counted(
    graph: Graph, control: Control, event: Event
) -> None:
    attendee = {"type": "required", "emailAddress": {"address": "bob@uni.example"}}
    plain = await graph.ok("POST", EVENTS, event())
    await graph.call("DELETE", f"{EVENTS}/{plain['id']}")
    assert not {"invitation", "cancellation"} & (await control.stats())["operations"]["o365"].keys()
    meeting = await graph.ok("POST", EVENTS, event(attendees=[attendee]))
    await graph.call("DELETE", f"{EVENTS}/{meeting['id']}")
    operations = (await control.stats())["operations"]["o365"]
    assert (operations["invitation"], operations["cancellation"]) == (1, 1)


async def test_a_recurring_event_is_a_series_master(graph: Graph, event: Event) -> None:
    recurrence = {
        "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]},
        "range": {"type": "numbered", "startDate": "2027-02-01", "numberOfOccurrences": 3},
    }
    created = await graph.ok("POST", EVENTS, event(recurrence=recurrence))
    assert (created["type"], created["recurrence"]) == ("seriesMaster", recurrence)


async def test_nobody_of_that_name(graph: Graph) -> None:
    assert await graph.refused("GET", "/users/bob@other.example/calendar") == (404, "ResourceNotFound")


async def test_a_user_whose_mailbox_is_not_there_any_more(graph: Graph, control: Control) -> None:
    await control.ok("DELETE", control.mailbox("o365", "alice@uni.example"))
    assert await graph.refused("GET", f"{ALICE}/calendar") == (404, "MailboxNotEnabledForRESTAPI")


async def test_a_mailbox_whose_access_was_withdrawn(graph: Graph, control: Control) -> None:
    await control.ok("POST", control.mailbox("o365", "alice@uni.example"), {"access": False})
    assert await graph.refused("GET", f"{ALICE}/calendar") == (403, "ErrorAccessDenied")
    await control.ok("POST", control.mailbox("o365", "alice@uni.example"), {"access": True})
    assert (await graph.call("GET", f"{ALICE}/calendar"))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/me/events", 400),
        ("GET", "/users", 400),
        ("GET", "/users/alice@uni.example/messages", 400),
        ("GET", "/users/alice@uni.example/events/AAMkx/instances", 400),
        ("PUT", "/users/alice@uni.example/events", 405),
        ("DELETE", "/users/alice@uni.example/calendar", 405),
    ],
)
async def test_what_is_not_there_is_refused(graph: Graph, method: str, path: str, status: int) -> None:
    assert (await graph.refused(method, path))[0] == status


async def test_a_body_that_is_no_json_is_refused(graph: Graph, sandbox: Sandbox) -> None:
    async with graph._client.post(graph.url + EVENTS, data=b"{", headers=graph.headers) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (400, "BadRequest")


async def test_the_control_api_shows_the_marker(graph: Graph, control: Control, event: Event) -> None:
    values = {
        marker.INSTANCE: "uni.example",
        marker.SYNCHRONIZATION: "12",
        marker.EVENT: "algebra-1",
        marker.ATTEMPT: "0123456789abcdef0123456789abcdef",
    }
    properties = [
        {"id": f"String {{{marker.PROPERTY_SET}}} Name {name}", "value": value}
        for name, value in values.items()
    ]
    await graph.ok("POST", EVENTS, event(singleValueExtendedProperties=properties))
    (shown,) = await control.events("o365", "alice@uni.example")
    assert shown["marker"] == {
        "instance": "uni.example",
        "synchronization": 12,
        "event": "algebra-1",
        "attempt": "0123456789abcdef0123456789abcdef",
    }
    copied = await control.add("o365", "alice@uni.example", copyOf=shown["id"])
    assert copied["marker"] == shown["marker"]
