"""Graph: calendars besides the default one, and the events in them."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from providers import marker

from .conftest import Control, Graph

ALICE = "/users/alice@uni.example"
CALENDARS = f"{ALICE}/calendars"
INSTANCE = f"String {{{marker.PROPERTY_SET}}} Name Instance"
EXPAND = {"$expand": f"singleValueExtendedProperties($filter=id eq '{INSTANCE}')"}

Event = Callable[..., dict[str, Any]]


def marked(name: str, value: str = "uni.example") -> dict[str, Any]:
    return {"name": name, "singleValueExtendedProperties": [{"id": INSTANCE, "value": value}]}


def path(calendar: dict[str, Any], *rest: str) -> str:
    return "/".join([CALENDARS, quote(calendar["id"], safe=""), *rest])


async def names(graph: Graph, **params: str) -> list[str]:
    return [each["name"] for each in (await graph.ok("GET", CALENDARS, **params))["value"]]


async def test_a_new_calendar_is_beside_the_default_one(graph: Graph) -> None:
    status, made = await graph.call("POST", CALENDARS, {"name": "Timetable", "color": "lightBlue"})
    assert status == 201
    assert (made["name"], made["color"], made["isDefaultCalendar"]) == ("Timetable", "lightBlue", False)
    assert await names(graph) == ["Calendar", "Timetable"]
    read = await graph.ok("GET", path(made))
    assert read == made


async def test_a_calendar_has_extended_properties_that_are_shown_when_expanded(graph: Graph) -> None:
    made = await graph.ok("POST", CALENDARS, marked("Timetable"))
    properties = [{"id": INSTANCE, "value": "uni.example"}]
    assert "singleValueExtendedProperties" not in made
    assert "singleValueExtendedProperties" not in await graph.ok("GET", path(made))
    assert (await graph.ok("GET", path(made), **EXPAND))["singleValueExtendedProperties"] == properties
    default, listed = (await graph.ok("GET", CALENDARS, **EXPAND, **{"$select": "name"}))["value"]
    assert default.keys() == {"id", "name"}
    assert listed == {"id": made["id"], "name": "Timetable", "singleValueExtendedProperties": properties}


async def test_calendars_are_found_by_an_extended_property(graph: Graph) -> None:
    await graph.ok("POST", CALENDARS, marked("Ours"))
    await graph.ok("POST", CALENDARS, marked("Theirs", "other.example"))
    has = f"singleValueExtendedProperties/any(ep: ep/id eq '{INSTANCE}' and ep/value eq 'uni.example')"
    assert await names(graph, **{"$filter": has}) == ["Ours"]
    assert await names(graph, **{"$filter": "name eq 'theirs'"}) == ["Theirs"]


async def test_calendars_come_in_pages(graph: Graph) -> None:
    for n in range(4):
        await graph.ok("POST", CALENDARS, {"name": f"#{n}"})
    page = await graph.ok("GET", CALENDARS, **{"$top": "3"})
    rest = await graph.ok("GET", page["@odata.nextLink"])
    assert [each["name"] for each in page["value"] + rest["value"]] == ["Calendar", "#0", "#1", "#2", "#3"]
    assert "@odata.nextLink" not in rest


@pytest.mark.parametrize("name", ["timetable", "Calendar"])
async def test_two_calendars_have_two_names(graph: Graph, name: str) -> None:
    made = await graph.ok("POST", CALENDARS, {"name": "Timetable"})
    assert await graph.refused("POST", CALENDARS, {"name": name}) == (409, "ErrorFolderExists")
    other = await graph.ok("POST", CALENDARS, {"name": "Other"})
    assert await graph.refused("PATCH", path(other), {"name": name}) == (409, "ErrorFolderExists")
    assert (await graph.ok("PATCH", path(made), {"name": "timetable"}))["name"] == "timetable"


async def test_a_calendar_is_renamed_and_keeps_its_properties(graph: Graph) -> None:
    made = await graph.ok("POST", CALENDARS, marked("Timetable"))
    renamed = await graph.ok("PATCH", path(made), {"name": "Rooster"})
    assert (renamed["id"], renamed["name"]) == (made["id"], "Rooster")
    assert renamed["changeKey"] != made["changeKey"]
    assert "singleValueExtendedProperties" in await graph.ok("GET", path(made), **EXPAND)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "ErrorInvalidRequest"),
        ({"title": "x"}, "RequestBodyRead"),
        ({"name": 1}, "RequestBodyRead"),
        ({"name": "x", "singleValueExtendedProperties": [{"id": "x"}]}, "RequestBodyRead"),
        (
            {"name": "x", "singleValueExtendedProperties": [{"id": "x", "value": "y"}]},
            "ErrorInvalidExtendedProperty",
        ),
    ],
)
async def test_what_is_no_calendar_is_refused(graph: Graph, body: dict[str, Any], code: str) -> None:
    assert await graph.refused("POST", CALENDARS, body) == (400, code)
    assert await names(graph) == ["Calendar"]


async def test_events_are_in_the_calendar_that_the_path_names(
    graph: Graph, control: Control, event: Event
) -> None:
    made = await graph.ok("POST", CALENDARS, {"name": "Timetable"})
    inside = await graph.ok("POST", path(made, "events"), event(subject="inside"))
    await graph.ok("POST", f"{ALICE}/events", event(subject="outside"))
    window = {"startDateTime": "2027-01-01", "endDateTime": "2028-01-01"}
    for collection, params in (("events", {}), ("calendarView", window)):
        for place, expected in ((path(made), "inside"), (f"{ALICE}/calendar", "outside")):
            found = (await graph.ok("GET", f"{place}/{collection}", **params))["value"]
            assert [each["subject"] for each in found] == [expected]
    calendars = [each["calendar"] for each in await control.events("o365", "alice@uni.example")]
    assert calendars == [made["id"], None]
    # By its id alone it is found wherever it is.
    assert (await graph.ok("GET", f"{ALICE}/events/{inside['id']}"))["subject"] == "inside"
    assert (await graph.ok("GET", path(made, "events", inside["id"])))["subject"] == "inside"
    elsewhere = f"{ALICE}/calendar/events/{inside['id']}"
    assert await graph.refused("GET", elsewhere) == (404, "ErrorItemNotFound")


async def test_a_deleted_calendar_is_gone_with_its_events(
    graph: Graph, control: Control, event: Event
) -> None:
    made = await graph.ok("POST", CALENDARS, {"name": "Timetable"})
    await graph.ok("POST", path(made, "events"), event())
    assert await graph.call("DELETE", path(made)) == (204, None)
    assert await control.events("o365", "alice@uni.example") == []
    for method, place, body in (
        ("GET", path(made), None),
        ("DELETE", path(made), None),
        ("GET", path(made, "events"), None),
        ("POST", path(made, "events"), event()),
        ("GET", path(made, "calendarView", "delta"), None),
    ):
        assert await graph.refused(method, place, body) == (404, "ErrorItemNotFound")
    assert (await graph.call("POST", CALENDARS, {"name": "Timetable"}))[0] == 201


async def test_the_default_calendar_cannot_be_deleted(graph: Graph) -> None:
    (default,) = (await graph.ok("GET", CALENDARS))["value"]
    assert await graph.refused("DELETE", path(default)) == (400, "ErrorDeleteDistinguishedFolder")


async def test_the_person_moves_an_event_and_its_immutable_id_stays(
    graph: Graph, control: Control, event: Event
) -> None:
    immutable = {"Prefer": 'IdType="ImmutableId"'}
    made = await graph.ok("POST", CALENDARS, {"name": "Timetable"})
    created = await graph.ok("POST", f"{ALICE}/events", event(), headers=immutable)
    moved = await control.ok(
        "PATCH",
        control.mailbox("o365", "alice@uni.example", "events", created["id"]),
        {"calendar": made["id"]},
    )
    assert (moved["id"], moved["calendar"]) == (created["id"], made["id"])
    assert moved["version"] != created["changeKey"]
    assert len((await graph.ok("GET", path(made, "events")))["value"]) == 1


async def test_faults_of_calendars(graph: Graph, control: Control, event: Event) -> None:
    await control.fault(type="o365", operation="create_calendar", fault="commit_then_503", times=1)
    assert (await graph.call("POST", f"{ALICE}/events", event()))[0] == 201
    assert (await graph.refused("POST", CALENDARS, {"name": "Timetable"}))[0] == 503
    assert await names(graph) == ["Calendar", "Timetable"]
    (_, made) = (await graph.ok("GET", CALENDARS))["value"]
    await control.fault(type="o365", operation="create", fault="gone", times=1)
    refused = await graph.refused("POST", path(made, "events"), event())
    assert refused == (404, "ErrorItemNotFound")
    assert await names(graph) == ["Calendar"]
