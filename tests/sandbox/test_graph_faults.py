"""Graph: limits, and the faults that the control API asks for."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from providers.sandbox.graph import limits
from providers.sandbox.server import Sandbox

from .conftest import Control, Graph
from .test_graph_batch import batch, post

ALICE = "alice@uni.example"
EVENTS = f"/users/{ALICE}/events"

Event = Callable[..., dict[str, Any]]


async def held(control: Control) -> int:
    return len(await control.events("o365", ALICE))


async def test_throttle_with_and_without_retry_after(
    graph: Graph, control: Control, event: Event, client: aiohttp.ClientSession
) -> None:
    await control.fault(type="o365", operation="create", fault="throttle", retryAfter=7, times=1)
    await control.fault(type="o365", operation="create", fault="throttle", times=1)
    seen = []
    for _ in range(3):
        async with client.post(graph.url + EVENTS, json=event(), headers=graph.headers) as response:
            seen.append((response.status, response.headers.get("Retry-After")))
    assert seen == [(429, "7"), (429, None), (201, None)]
    assert await held(control) == 1


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("throttle", 429, "ApplicationThrottled"),
        ("unavailable", 503, "serviceNotAvailable"),
        ("deny", 403, "ErrorAccessDenied"),
        ("gone", 404, "ResourceNotFound"),
    ],
)
async def test_what_is_refused_is_not_carried_out(
    graph: Graph, control: Control, event: Event, fault: str, status: int, code: str
) -> None:
    await control.fault(type="o365", operation="create", fault=fault, nth=2)
    assert (await graph.call("POST", EVENTS, event()))[0] == 201
    assert await graph.refused("POST", EVENTS, event()) == (status, code)
    assert (await graph.call("POST", EVENTS, event()))[0] == 201
    assert await held(control) == 2


async def test_commit_then_503_has_carried_it_out(graph: Graph, control: Control, event: Event) -> None:
    await control.fault(type="o365", operation="create", fault="commit_then_503", times=1)
    assert (await graph.refused("POST", EVENTS, event()))[0] == 503
    assert await held(control) == 1


async def test_commit_then_drop_has_carried_it_out(graph: Graph, control: Control, event: Event) -> None:
    await control.fault(type="o365", operation="create", fault="commit_then_drop", times=1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await graph.call("POST", EVENTS, event())
    assert await held(control) == 1


async def test_a_partial_answer_never_becomes_complete(graph: Graph, control: Control, event: Event) -> None:
    await graph.ok("POST", EVENTS, event())
    await control.fault(type="o365", operation="read", fault="partial", times=1)
    with pytest.raises(aiohttp.ClientPayloadError):
        await graph.call("GET", EVENTS)
    assert (await graph.call("GET", EVENTS))[0] == 200


async def test_a_truncated_answer_looks_whole(
    graph: Graph, control: Control, event: Event, client: aiohttp.ClientSession
) -> None:
    await control.fault(type="o365", operation="create", fault="truncated", times=1)
    async with client.post(graph.url + EVENTS, json=event(), headers=graph.headers) as response:
        assert response.status == 201
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            await response.json()
    assert await held(control) == 1


async def test_a_truncated_answer_of_a_batch_and_an_item_that_it_leaves_out(
    graph: Graph, control: Control, event: Event, client: aiohttp.ClientSession
) -> None:
    requests = [post("1", event()), post("2", event())]
    await control.fault(type="o365", operation="create", fault="truncated", nth=2)
    assert (await batch(graph, *requests)).keys() == {"1"}
    await control.fault(type="o365", operation="$batch", fault="truncated", times=1)
    url = f"{graph.url}/$batch"
    async with client.post(url, json={"requests": requests}, headers=graph.headers) as response:
        assert response.status == 200
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            await response.json()
    assert await held(control) == 4


@pytest.mark.parametrize("operation", ["create", "update", "read"])
async def test_versions_move_on_by_themselves(
    graph: Graph, control: Control, event: Event, operation: str
) -> None:
    created = await graph.ok("POST", EVENTS, event())
    path = f"{EVENTS}/{created['id']}"
    await control.fault(type="o365", operation=operation, fault="moves_on", times=1)
    match operation:
        case "create":
            created = await graph.ok("POST", EVENTS, event())
            path = f"{EVENTS}/{created['id']}"
        case "update":
            created = await graph.ok("PATCH", path, {"subject": "x"})
        case "read":
            (created,) = (await graph.ok("GET", EVENTS))["value"]
    stale = {"If-Match": created["@odata.etag"]}
    refused = await graph.refused("PATCH", path, {"subject": "y"}, headers=stale)
    assert refused == (412, "ErrorIrresolvableConflict")
    current = {"If-Match": (await graph.ok("GET", path))["@odata.etag"]}
    assert (await graph.call("PATCH", path, {"subject": "y"}, headers=current))[0] == 200


@pytest.mark.parametrize(
    ("what", "code"),
    [("event", "ErrorItemNotFound"), ("calendar", "ErrorItemNotFound"), ("mailbox", "ResourceNotFound")],
)
async def test_what_is_gone_can_be_said(
    graph: Graph, control: Control, event: Event, what: str, code: str
) -> None:
    created = await graph.ok("POST", EVENTS, event())
    await control.fault(type="o365", operation="read", fault="gone", what=what, times=1)
    assert await graph.refused("GET", f"{EVENTS}/{created['id']}") == (404, code)
    assert await held(control) == (0 if what == "event" else 1)


async def test_gone_takes_the_event_away_first(graph: Graph, control: Control, event: Event) -> None:
    created = await graph.ok("POST", EVENTS, event())
    await control.fault(type="o365", operation="update", fault="gone", times=1)
    path = f"{EVENTS}/{created['id']}"
    assert await graph.refused("PATCH", path, {"subject": "x"}) == (404, "ErrorItemNotFound")
    assert await held(control) == 0


async def test_slow_waits_and_then_carries_it_out(
    graph: Graph, control: Control, sandbox: Sandbox, event: Event
) -> None:
    waited = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    sandbox.state.sleep = sleep
    await control.fault(type="o365", operation="create", fault="slow", delay=3, times=1)
    assert (await graph.call("POST", EVENTS, event()))[0] == 201
    assert waited == [3]


async def test_a_fault_for_one_mailbox_leaves_the_others_alone(
    graph: Graph, control: Control, event: Event
) -> None:
    await control.fault(type="o365", mailbox=ALICE, fault="deny")
    answers = await batch(graph, post("a", event()), post("b", event(), "/users/bob@uni.example/events"))
    assert (answers["a"]["status"], answers["b"]["status"]) == (403, 201)


async def test_a_single_item_of_a_batch_is_throttled(graph: Graph, control: Control, event: Event) -> None:
    await control.fault(type="o365", operation="create", fault="throttle", nth=2, retryAfter=5)
    answers = await batch(graph, *(post(str(n), event()) for n in range(3)))
    assert [answers[str(n)]["status"] for n in range(3)] == [201, 429, 201]
    assert answers["1"]["headers"]["Retry-After"] == "5"


@pytest.mark.parametrize(
    ("fault", "status", "code", "committed"),
    [
        ("throttle", 429, "TooManyRequests", 0),
        ("unavailable", 503, "serviceNotAvailable", 0),
        ("deny", 403, "ErrorAccessDenied", 0),
        ("commit_then_503", 503, "serviceNotAvailable", 2),
    ],
)
async def test_a_batch_as_a_whole_is_refused(
    graph: Graph, control: Control, event: Event, fault: str, status: int, code: str, committed: int
) -> None:
    await control.fault(type="o365", operation="$batch", fault=fault, times=1)
    requests = {"requests": [post("1", event()), post("2", event())]}
    assert await graph.refused("POST", "/$batch", requests) == (status, code)
    assert await held(control) == committed


async def test_a_batch_is_carried_out_and_its_answer_lost(
    graph: Graph, control: Control, event: Event
) -> None:
    await control.fault(type="o365", operation="$batch", fault="commit_then_drop", times=1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await batch(graph, post("1", event()), post("2", event()))
    assert await held(control) == 2


async def test_a_batch_breaks_off_at_an_item(graph: Graph, control: Control, event: Event) -> None:
    await control.fault(type="o365", operation="create", fault="commit_then_drop", nth=2)
    with pytest.raises(aiohttp.ClientConnectionError):
        await batch(graph, *(post(str(n), event()) for n in range(4)))
    assert await held(control) == 2


async def test_half_of_a_batch_is_carried_out(graph: Graph, control: Control, event: Event) -> None:
    await control.fault(type="o365", operation="$batch", fault="partial", times=1)
    answers = await batch(graph, *(post(str(n), event()) for n in range(4)))
    assert [answers[str(n)]["status"] for n in range(4)] == [201, 201, 503, 503]
    assert await held(control) == 2


async def test_a_fifth_request_at_once_for_a_mailbox_is_throttled(
    graph: Graph, control: Control, sandbox: Sandbox, event: Event
) -> None:
    four, go_on, waiting = asyncio.Event(), asyncio.Event(), []

    async def sleep(seconds: float) -> None:
        waiting.append(seconds)
        if len(waiting) == 4:
            four.set()
        await go_on.wait()

    sandbox.state.sleep = sleep
    await control.fault(type="o365", operation="create", fault="slow", times=4)
    under_way = [asyncio.create_task(graph.call("POST", EVENTS, event())) for _ in range(4)]
    await four.wait()
    assert await graph.refused("POST", EVENTS, event()) == (429, "ApplicationThrottled")
    assert (await graph.call("POST", "/users/bob@uni.example/events", event()))[0] == 201
    go_on.set()
    assert {status for status, _ in await asyncio.gather(*under_way)} == {201}
    assert (await graph.call("POST", EVENTS, event()))[0] == 201


async def test_a_mailbox_has_a_quota_for_ten_minutes(
    graph: Graph,
    sandbox: Sandbox,
    event: Event,
    client: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "REQUESTS", 3)
    start = sandbox.state.now()
    sandbox.state.now = lambda: start
    for _ in range(3):
        assert (await graph.call("GET", EVENTS))[0] == 200
    sandbox.state.now = lambda: start + timedelta(minutes=4)
    async with client.get(graph.url + EVENTS, headers=graph.headers) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "360")
    assert (await graph.call("GET", "/users/bob@uni.example/events"))[0] == 200
    sandbox.state.now = lambda: start + timedelta(minutes=10)
    assert (await graph.call("GET", EVENTS))[0] == 200


def test_the_quota_is_the_documented_one() -> None:
    assert (10_000, timedelta(minutes=10), 4) == (limits.REQUESTS, limits.WINDOW, limits.CONCURRENT)
