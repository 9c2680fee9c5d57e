"""Graph: requests and answers against Microsoft's metadata (a JSON Schema made from it)."""

import importlib.util
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from providers.sandbox.credentials import Credentials
from providers.sandbox.server import Sandbox

from .conftest import SCHEMAS, Control, Graph

EVENTS = "/users/alice@uni.example/events"

Event = Callable[..., dict[str, Any]]

pytestmark = [
    pytest.mark.skipif(
        not SCHEMAS.is_dir(), reason="NOT CHECKED: the vendors' schemas are not on this machine"
    ),
    pytest.mark.skipif(
        importlib.util.find_spec("jsonschema_rs") is None,
        reason="NOT CHECKED: jsonschema-rs is not installed",
    ),
]


@pytest.fixture
async def sandbox(credentials: Credentials) -> AsyncIterator[Sandbox]:
    """The sandbox, checking against the schemas."""
    running = Sandbox(schemas=SCHEMAS)
    running.state.credentials = credentials
    async with running:
        yield running


async def test_what_the_sandbox_answers_fits_the_metadata(
    graph: Graph, control: Control, event: Event
) -> None:
    midnight = {"dateTime": "2027-02-01T00:00:00", "timeZone": "UTC"}
    the_next = {"dateTime": "2027-02-02T00:00:00", "timeZone": "UTC"}
    created = await graph.ok(
        "POST",
        EVENTS,
        event(
            body={"contentType": "html", "content": "<b>x</b>"},
            location={"displayName": "Aula"},
            categories=["Timetable"],
            transactionId="f7a1c0de",
            attendees=[{"type": "required", "emailAddress": {"address": "bob@uni.example"}}],
            singleValueExtendedProperties=[
                {"id": "String {7c6a1f52-4f0e-5d3b-9a2c-0b6d8e41a7f3} Name Colour", "value": "red"}
            ],
        ),
    )
    await graph.ok("POST", EVENTS, event(isAllDay=True, start=midnight, end=the_next))
    await graph.ok("PATCH", f"{EVENTS}/{created['id']}", {"subject": "Calculus"})
    await graph.ok("GET", EVENTS)
    await graph.ok("GET", "/users/alice@uni.example/calendar")
    made = await graph.ok(
        "POST",
        "/users/alice@uni.example/calendars",
        {
            "name": "Timetable",
            "singleValueExtendedProperties": [
                {"id": "String {7c6a1f52-4f0e-5d3b-9a2c-0b6d8e41a7f3} Name Colour", "value": "red"}
            ],
        },
    )
    await graph.ok("PATCH", f"/users/alice@uni.example/calendars/{made['id']}", {"color": "lightBlue"})
    await graph.ok("GET", "/users/alice@uni.example/calendars")
    categories = "/users/alice@uni.example/outlook/masterCategories"
    category = await graph.ok("POST", categories, {"displayName": "Lecture", "color": "preset7"})
    await graph.ok("PATCH", f"{categories}/{category['id']}", {"color": "none"})
    await graph.ok("GET", categories)
    window = {"startDateTime": "2027-01-01", "endDateTime": "2028-01-01"}
    delta = await graph.ok("GET", "/users/alice@uni.example/calendarView/delta", **window)
    assert delta["value"]
    assert await control.ok("GET", "/violations") == {"violations": []}


async def test_a_request_that_violates_the_metadata_is_refused_and_noted(
    graph: Graph, control: Control, event: Event
) -> None:
    assert await graph.refused("POST", EVENTS, event(colour="secret")) == (400, "RequestBodyRead")
    (violation,) = (await control.ok("GET", "/violations"))["violations"]
    assert violation.startswith("o365 request event")
    assert "secret" not in violation


async def test_an_answer_that_violates_the_metadata_is_noted(
    graph: Graph, control: Control, sandbox: Sandbox, event: Event
) -> None:
    await graph.ok("POST", EVENTS, event())
    mailbox = sandbox.state.mailbox("o365", "alice@uni.example")
    assert mailbox is not None
    (native,) = mailbox.events.values()
    native["showAs"] = "away"
    await graph.ok("GET", EVENTS)
    (violation,) = (await control.ok("GET", "/violations"))["violations"]
    assert violation.startswith("o365 answer event: showAs")
