"""Graph: lists of events, by page, filtered, in order, and with chosen properties."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from providers import marker

from .conftest import Graph

ALICE = "/users/alice@uni.example"
EVENTS = f"{ALICE}/events"
NAME = f"String {{{marker.PROPERTY_SET}}} Name Colour"
OTHER = f"String {{{marker.PROPERTY_SET}}} Name colour"

Event = Callable[..., dict[str, Any]]


def coloured(colour: str, name: str = NAME) -> dict[str, Any]:
    return {"singleValueExtendedProperties": [{"id": name, "value": colour}]}


def has(colour: str, name: str = NAME) -> str:
    return f"singleValueExtendedProperties/Any(ep: ep/id eq '{name}' and ep/value eq '{colour}')"


async def subjects(graph: Graph, **params: str) -> list[str]:
    return [event["subject"] for event in (await graph.ok("GET", EVENTS, **params))["value"]]


async def test_ten_events_are_a_page_and_next_link_leads_on(graph: Graph, event: Event) -> None:
    for n in range(23):
        await graph.ok("POST", EVENTS, event(subject=f"#{n}"))
    found, sizes, url = [], [], EVENTS
    while url:
        page = await graph.ok("GET", url)
        found += [e["subject"] for e in page["value"]]
        sizes.append(len(page["value"]))
        url = page.get("@odata.nextLink")
    assert sizes == [10, 10, 3]
    assert found == [f"#{n}" for n in range(23)]


async def test_next_link_keeps_what_was_asked_for(graph: Graph, event: Event) -> None:
    for n in range(5):
        await graph.ok("POST", EVENTS, event(subject=f"#{n}", **coloured("red")))
    params = {
        "$filter": has("red"),
        "$expand": f"singleValueExtendedProperties($filter=id eq '{NAME}')",
        "$select": "subject",
        "$top": "2",
    }
    page = await graph.ok("GET", EVENTS, **params)
    asked = {name: value for name, (value,) in parse_qs(urlsplit(page["@odata.nextLink"]).query).items()}
    assert asked == params | {"$skip": "2"}
    following = await graph.ok("GET", page["@odata.nextLink"])
    assert [e["subject"] for e in following["value"]] == ["#2", "#3"]
    assert following["value"][0]["singleValueExtendedProperties"] == [{"id": NAME, "value": "red"}]


async def test_the_preferred_page_size_counts_without_top(graph: Graph, event: Event) -> None:
    for _ in range(3):
        await graph.ok("POST", EVENTS, event())
    preferred = {"Prefer": "odata.maxpagesize=2"}
    assert len((await graph.ok("GET", EVENTS, headers=preferred))["value"]) == 2
    assert len((await graph.ok("GET", EVENTS, headers=preferred, **{"$top": "3"}))["value"]) == 3


async def test_count_is_of_all_that_match(graph: Graph, event: Event) -> None:
    for _ in range(3):
        await graph.ok("POST", EVENTS, event())
    answer = await graph.ok("GET", EVENTS, **{"$count": "true", "$top": "1"})
    assert (answer["@odata.count"], len(answer["value"])) == (3, 1)


async def test_events_are_found_by_an_extended_property(graph: Graph, event: Event) -> None:
    await graph.ok("POST", EVENTS, event(subject="red", **coloured("Red")))
    await graph.ok("POST", EVENTS, event(subject="blue", **coloured("Blue")))
    await graph.ok("POST", EVENTS, event(subject="none"))
    await graph.ok("POST", EVENTS, event(subject="another property", **coloured("Red", OTHER)))
    assert await subjects(graph, **{"$filter": has("Red")}) == ["red"]
    assert await subjects(graph, **{"$filter": has("RED")}) == ["red"], "values are compared without case"
    assert await subjects(graph, **{"$filter": has("Red", OTHER)}) == ["another property"]
    assert await subjects(graph, **{"$filter": f"{has('Red')} or {has('Blue')}"}) == ["red", "blue"]
    assert await subjects(graph, **{"$filter": f"{has('Red')} and {has('Blue')}"}) == []
    combined = f"({has('Red')} or {has('Blue')}) and not {has('Red')}"
    assert await subjects(graph, **{"$filter": combined}) == ["blue"]


async def test_a_value_can_be_searched_in(graph: Graph, event: Event) -> None:
    for colour in ("Dark red", "Red", "Blue"):
        await graph.ok("POST", EVENTS, event(subject=colour, **coloured(colour)))
    await graph.ok("POST", EVENTS, event(subject="none"))
    for test, expected in (
        ("contains(ep/value, 'RED')", ["Dark red", "Red"]),
        ("startswith(ep/value, 'red')", ["Red"]),
        ("ep/value ne 'Red'", ["Dark red", "Blue"]),
        ("ep/value ne null", ["Dark red", "Red", "Blue"]),
    ):
        wanted = f"singleValueExtendedProperties/any(ep: ep/id eq '{NAME}' and {test})"
        assert await subjects(graph, **{"$filter": wanted}) == expected, test


async def test_a_quote_in_a_value_is_doubled(graph: Graph, event: Event) -> None:
    await graph.ok("POST", EVENTS, event(subject="it", **coloured("pupil's")))
    assert await subjects(graph, **{"$filter": has("pupil''s")}) == ["it"]


async def test_events_are_found_by_time_and_subject(graph: Graph, event: Event) -> None:
    for day in (1, 2, 3):
        times = {
            field: {"dateTime": f"2027-02-0{day}T{hour}:00:00", "timeZone": "W. Europe Standard Time"}
            for field, hour in (("start", "09"), ("end", "10"))
        }
        await graph.ok("POST", EVENTS, event(subject=f"Day {day}", **times))
    after = "start/dateTime ge '2027-02-02T08:00:00Z'"
    assert await subjects(graph, **{"$filter": after}) == ["Day 2", "Day 3"]
    assert await subjects(graph, **{"$filter": f"{after} and end/dateTime lt '2027-02-03T00:00:00'"}) == [
        "Day 2"
    ]
    assert await subjects(graph, **{"$filter": "subject eq 'day 3'"}) == ["Day 3"]
    assert await subjects(graph, **{"$filter": "startswith(subject,'Day')", "$skip": "2"}) == ["Day 3"]
    assert await subjects(graph, **{"$orderby": "start/dateTime desc"}) == ["Day 3", "Day 2", "Day 1"]


async def test_a_calendar_view_shows_what_overlaps(graph: Graph, event: Event) -> None:
    await graph.ok("POST", EVENTS, event())  # 08:00 to 09:45 UTC
    for start, end, expected in (
        ("2027-02-01T09:00:00Z", "2027-02-01T12:00:00Z", 1),
        ("2027-02-01T10:00:00+01:00", "2027-02-01T10:30:00+01:00", 1),
        ("2027-02-01T09:45:00", "2027-02-01T12:00:00", 0),
        ("2027-01-01T00:00:00", "2027-02-01T08:00:00", 0),
    ):
        for path in ("/calendarView", "/calendar/calendarView"):
            answer = await graph.ok("GET", ALICE + path, startDateTime=start, endDateTime=end)
            assert len(answer["value"]) == expected, (start, end)
    assert await graph.refused("GET", f"{ALICE}/calendarView") == (400, "ErrorInvalidRequest")


async def test_select_leaves_the_id_and_the_version(graph: Graph, event: Event) -> None:
    created = await graph.ok("POST", EVENTS, event())
    read = await graph.ok("GET", f"{EVENTS}/{created['id']}", **{"$select": "subject"})
    assert set(read) == {"@odata.context", "@odata.etag", "id", "subject"}


@pytest.mark.parametrize(
    "params",
    [
        {"$select": "colour"},
        {"$filter": "colour eq 'red'"},
        {"$filter": "subject eq"},
        {"$filter": "subject eq 'x"},
        {"$filter": "subject is 'x'"},
        {"$filter": "(subject eq 'x'"},
        {"$filter": "subject eq 'x' subject eq 'y'"},
        {"$filter": "start/dateTime ge 'monday'"},
        {"$filter": "singleValueExtendedProperties/Any(ep: ep/value eq 'x')"},
        {"$filter": f"singleValueExtendedProperties/Any(ep: ep/id eq '{NAME}')"},
        {"$filter": f"singleValueExtendedProperties/Any(ep: ep/id eq '{NAME}' or ep/value eq 'x')"},
        {"$filter": f"singleValueExtendedProperties/Any(ep: ep/id eq '{NAME}' and ep/value gt 'x')"},
        {"$filter": "singleValueExtendedProperties/Any(ep: ep/id eq 'Colour' and ep/value eq 'x')"},
        {"$expand": "colours"},
        {"$expand": "singleValueExtendedProperties"},
        {"$expand": "singleValueExtendedProperties($filter=value eq 'x')"},
        {"$expand": "singleValueExtendedProperties($filter=id eq 'Colour')"},
        {"$expand": "singleValueExtendedProperties($filter=id eq 'x'"},
        {"$orderby": "colour"},
        {"$orderby": "subject sideways"},
        {"$top": "0"},
        {"$top": "1001"},
        {"$top": "many"},
        {"$skip": "-1"},
        {"$apply": "groupby((subject))"},
    ],
)
async def test_a_query_that_cannot_be_read_is_refused(
    graph: Graph, event: Event, params: dict[str, str]
) -> None:
    await graph.ok("POST", EVENTS, event())
    status, code = await graph.refused("GET", EVENTS, **params)
    assert status == 400
    assert code in ("RequestBroker--ParseUri", "ErrorInvalidRequest", "ErrorInvalidExtendedProperty")


async def test_an_unknown_preferred_zone_is_refused(graph: Graph) -> None:
    preferred = {"Prefer": 'outlook.timezone="Europe/Atlantis"'}
    assert await graph.refused("GET", EVENTS, headers=preferred) == (400, "TimeZoneNotSupportedException")
