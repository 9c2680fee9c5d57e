"""Graph: what has changed in a calendar view, round after round."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from providers.sandbox.graph import store

from .conftest import Control, Graph

ALICE = "/users/alice@uni.example"
EVENTS = f"{ALICE}/events"
DELTA = f"{ALICE}/calendarView/delta"
YEAR = {"startDateTime": "2027-01-01T00:00:00Z", "endDateTime": "2028-01-01T00:00:00Z"}

Event = Callable[..., dict[str, Any]]


def at(year: int) -> dict[str, Any]:
    return {
        field: {"dateTime": f"{year}-05-05T{hour}:00:00", "timeZone": "UTC"}
        for field, hour in (("start", "09"), ("end", "10"))
    }


async def round_of(
    graph: Graph, url: str, page: int = 2, **params: str
) -> tuple[list[dict[str, Any]], str, int]:
    """All that a round says, the link to the next one, and of how many pages it was."""
    found, pages = [], 0
    while True:
        answer = await graph.ok("GET", url, headers={"Prefer": f"odata.maxpagesize={page}"}, **params)
        found += answer["value"]
        pages += 1
        assert ("@odata.nextLink" in answer) != ("@odata.deltaLink" in answer)
        if "@odata.deltaLink" in answer:
            return found, answer["@odata.deltaLink"], pages
        url, params = answer["@odata.nextLink"], {}


async def test_the_first_round_tells_all_that_is_in_the_window_page_by_page(
    graph: Graph, event: Event
) -> None:
    created = [await graph.ok("POST", EVENTS, event(subject=f"#{n}")) for n in range(5)]
    await graph.ok("POST", EVENTS, event(**at(2026)))
    found, _, pages = await round_of(graph, DELTA, **YEAR)
    assert [each["id"] for each in found] == [each["id"] for each in created]
    assert found[0].items() >= {name: created[0][name] for name in ("subject", "start", "body")}.items()
    assert pages == 3


async def test_the_next_round_tells_what_has_changed_since_and_no_more(graph: Graph, event: Event) -> None:
    one, two, three = [await graph.ok("POST", EVENTS, event(subject=f"#{n}")) for n in range(3)]
    _, link, _ = await round_of(graph, DELTA, **YEAR)
    assert await round_of(graph, link) == ([], link, 1)
    await graph.ok("PATCH", f"{EVENTS}/{one['id']}", {"subject": "changed"})
    await graph.call("DELETE", f"{EVENTS}/{two['id']}")
    four = await graph.ok("POST", EVENTS, event(subject="new"))
    found, after, _ = await round_of(graph, link)
    shown = {each["id"]: each.get("subject") for each in found}
    assert shown == {one["id"]: "changed", two["id"]: None, four["id"]: "new"}
    (removed,) = (each for each in found if "@removed" in each)
    assert (removed["id"], removed["@removed"]) == (two["id"], {"reason": "deleted"})
    assert three["id"] not in shown
    assert (await round_of(graph, after))[0] == []
    # A link can be followed again.
    assert {each["id"] for each in (await round_of(graph, link))[0]} == shown.keys()


async def test_what_changes_outside_the_window_is_told_as_removed(graph: Graph, event: Event) -> None:
    """Also what was added or changed there: "Response" at learn.microsoft.com/graph/api/event-delta."""
    inside = await graph.ok("POST", EVENTS, event())
    outside = await graph.ok("POST", EVENTS, event(**at(2026)))
    _, link, _ = await round_of(graph, DELTA, **YEAR)
    await graph.ok("PATCH", f"{EVENTS}/{inside['id']}", at(2029))
    await graph.ok("PATCH", f"{EVENTS}/{outside['id']}", {"subject": "changed"})
    added = await graph.ok("POST", EVENTS, event(**at(2030)))
    found, _, _ = await round_of(graph, link)
    assert {each["id"] for each in found} == {inside["id"], outside["id"], added["id"]}
    assert all("@removed" in each for each in found)


async def test_each_calendar_has_changes_of_its_own(graph: Graph, control: Control, event: Event) -> None:
    made = await graph.ok("POST", f"{ALICE}/calendars", {"name": "Timetable"})
    there = f"{ALICE}/calendars/{quote(made['id'], safe='')}/calendarView/delta"
    created = await graph.ok("POST", EVENTS, event(), headers={"Prefer": 'IdType="ImmutableId"'})
    _, default_link, _ = await round_of(graph, DELTA, **YEAR)
    found, other_link, _ = await round_of(graph, there, **YEAR)
    assert found == []
    mailbox = control.mailbox("o365", "alice@uni.example", "events", created["id"])
    await control.ok("PATCH", mailbox, {"calendar": made["id"]})
    (gone,), _, _ = await round_of(graph, default_link)
    (came,), _, _ = await round_of(graph, other_link)
    assert ("@removed" in gone, "@removed" in came) == (True, False)
    assert gone["id"] == came["id"]


async def test_ids_are_immutable_where_preferred_whatever_the_link_was_made_with(
    graph: Graph, event: Event
) -> None:
    created = await graph.ok("POST", EVENTS, event())
    immutable = {"Prefer": 'IdType="ImmutableId"'}
    link = (await graph.ok("GET", DELTA, **YEAR))["@odata.deltaLink"]
    own = (await graph.ok("GET", f"{EVENTS}/{created['id']}", headers=immutable))["id"]
    await graph.call("DELETE", f"{EVENTS}/{created['id']}")
    for headers, id_ in ((immutable, own), ({}, created["id"])):
        ((removed,)) = (await graph.ok("GET", link, headers=headers))["value"]
        assert removed["id"] == id_


async def test_what_changes_while_a_round_goes_on_is_in_it_or_in_the_next(graph: Graph, event: Event) -> None:
    created = [await graph.ok("POST", EVENTS, event(subject=f"#{n}")) for n in range(4)]
    preferred = {"Prefer": "odata.maxpagesize=2"}
    page = await graph.ok("GET", DELTA, headers=preferred, **YEAR)
    await graph.ok("PATCH", f"{EVENTS}/{created[0]['id']}", {"subject": "changed"})
    await graph.call("DELETE", f"{EVENTS}/{created[1]['id']}")
    rest, link, _ = await round_of(graph, page["@odata.nextLink"])
    later, _, _ = await round_of(graph, link)
    last = {each["id"]: each.get("subject") for each in [*page["value"], *rest, *later]}
    assert last == {
        created[0]["id"]: "changed",
        created[1]["id"]: None,
        created[2]["id"]: "#2",
        created[3]["id"]: "#3",
    }


@pytest.mark.parametrize("option", ["$select", "$expand", "$filter", "$orderby", "$search", "$top"])
async def test_options_that_change_tracking_does_not_know_are_refused(graph: Graph, option: str) -> None:
    refused = await graph.refused("GET", DELTA, **YEAR, **{option: "1"})
    assert refused == (400, "ErrorInvalidUrlQuery")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "ErrorInvalidRequest"),
        ({"startDateTime": "2027-01-01"}, "ErrorInvalidRequest"),
        ({"startDateTime": "2027-01-01", "endDateTime": "2026-01-01"}, "RequestBroker--ParseUri"),
        ({"startDateTime": "2027-01-01", "endDateTime": "2033-01-01"}, "ErrorCalendarViewRangeTooBig"),
        ({"$deltatoken": "made up"}, "RequestBroker--ParseUri"),
    ],
)
async def test_a_round_needs_a_window_or_a_link(graph: Graph, params: dict[str, str], code: str) -> None:
    assert await graph.refused("GET", DELTA, **params) == (400, code)


async def test_a_state_that_is_too_old_is_gone(
    graph: Graph, event: Event, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "REMEMBERED", 1)
    _, link, _ = await round_of(graph, DELTA, **YEAR)
    for _ in range(2):
        created = await graph.ok("POST", EVENTS, event())
        await graph.call("DELETE", f"{EVENTS}/{created['id']}")
    assert await graph.refused("GET", link) == (410, "SyncStateNotFound")
    _, fresh, _ = await round_of(graph, DELTA, **YEAR)
    assert (await round_of(graph, fresh))[0] == []
    await control.fault(type="o365", operation="read", fault="expired_state", times=4)
    assert await graph.refused("GET", fresh) == (410, "SyncStateNotFound")
    # Who shows no state has none that is too old.
    await graph.ok("GET", EVENTS)
    await graph.ok("GET", DELTA, **YEAR)
    assert await graph.refused("GET", fresh) == (410, "SyncStateNotFound")
    await control.fault(type="o365", operation="read", fault="expired_state", times=1)
    await graph.ok("GET", EVENTS)  # asks for no changes since a state


async def test_the_function_has_a_long_name_too(graph: Graph) -> None:
    assert "@odata.deltaLink" in await graph.ok(
        "GET", f"{ALICE}/calendarView/microsoft.graph.delta()", **YEAR
    )
