"""Graph: the master categories, their colours, and what a person sees of those."""

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Control, Graph

ALICE = "alice@uni.example"
CATEGORIES = f"/users/{ALICE}/outlook/masterCategories"

Event = Callable[..., dict[str, Any]]


async def colours(graph: Graph) -> dict[str, str]:
    return {each["displayName"]: each["color"] for each in (await graph.ok("GET", CATEGORIES))["value"]}


async def test_a_new_category_is_beside_those_that_every_mailbox_has(graph: Graph) -> None:
    before = await colours(graph)
    assert before["Red category"] == "preset0"
    status, made = await graph.call("POST", CATEGORIES, {"displayName": "Lecture", "color": "preset7"})
    assert status == 201
    assert (made["displayName"], made["color"]) == ("Lecture", "preset7")
    assert await colours(graph) == before | {"Lecture": "preset7"}
    assert await graph.ok("GET", f"{CATEGORIES}/{made['id']}") == made


async def test_its_colour_changes_and_its_name_does_not(graph: Graph) -> None:
    made = await graph.ok("POST", CATEGORIES, {"displayName": "Lecture", "color": "preset7"})
    path = f"{CATEGORIES}/{made['id']}"
    assert (await graph.ok("PATCH", path, {"color": "Preset0"}))["color"] == "preset0"
    assert (await graph.refused("PATCH", path, {"displayName": "Exam"}))[0] == 400
    assert (await colours(graph))["Lecture"] == "preset0"
    assert await graph.call("DELETE", path) == (204, None)
    assert await graph.refused("PATCH", path, {"color": "preset1"}) == (404, "ErrorItemNotFound")


async def test_a_name_is_there_once(graph: Graph) -> None:
    await graph.ok("POST", CATEGORIES, {"displayName": "Lecture"})
    assert (await graph.refused("POST", CATEGORIES, {"displayName": "LECTURE"}))[0] == 409


@pytest.mark.parametrize(
    "body", [{}, {"name": "x"}, {"displayName": "x", "color": "red"}, {"displayName": 1}]
)
async def test_what_is_no_category_is_refused(graph: Graph, body: dict[str, Any]) -> None:
    assert (await graph.refused("POST", CATEGORIES, body))[0] == 400
    assert "x" not in await colours(graph)


async def test_the_control_api_shows_the_colour_of_the_first_category_that_has_one(
    graph: Graph, control: Control, event: Event
) -> None:
    await graph.ok("POST", CATEGORIES, {"displayName": "Lecture", "color": "preset8"})
    await graph.ok("POST", CATEGORIES, {"displayName": "Plain"})
    for categories, colour in (
        (["Unheard of", "Plain", "lecture", "Red category"], "purple"),
        (["Unheard of"], None),
        ([], None),
    ):
        await graph.ok("POST", f"/users/{ALICE}/events", event(categories=categories))
        assert (await control.events("o365", ALICE))[-1]["colour"] == colour


@pytest.mark.parametrize(
    ("sensitivity", "privacy"),
    [("normal", "normal"), ("personal", "normal"), ("private", "private"), ("confidential", "private")],
)
async def test_the_control_api_shows_what_others_may_see(
    graph: Graph, control: Control, event: Event, sensitivity: str, privacy: str
) -> None:
    await graph.ok("POST", f"/users/{ALICE}/events", event(sensitivity=sensitivity))
    (shown,) = await control.events("o365", ALICE)
    assert shown["privacy"] == privacy


async def test_faults_of_categories(graph: Graph, control: Control) -> None:
    """As for an application without MailboxSettings.ReadWrite."""
    await control.fault(type="o365", operation="create_category", fault="deny")
    refused = await graph.refused("POST", CATEGORIES, {"displayName": "Lecture"})
    assert refused == (403, "ErrorAccessDenied")
    assert "Lecture" not in await colours(graph)
