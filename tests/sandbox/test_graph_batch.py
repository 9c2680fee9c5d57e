"""Graph: JSON batching."""

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Control, Graph

EVENTS = "/users/alice@uni.example/events"
JSON = {"Content-Type": "application/json"}

Event = Callable[..., dict[str, Any]]
Answers = dict[str, dict[str, Any]]


def post(id: str, body: dict[str, Any], url: str = EVENTS, **rest: Any) -> dict[str, Any]:
    return {"id": id, "method": "POST", "url": url, "headers": JSON, "body": body, **rest}


def get(id: str, url: str = EVENTS, **rest: Any) -> dict[str, Any]:
    return {"id": id, "method": "GET", "url": url, **rest}


async def batch(graph: Graph, *requests: dict[str, Any]) -> Answers:
    answer = await graph.ok("POST", "/$batch", {"requests": list(requests)})
    return {response["id"]: response for response in answer["responses"]}


def chained(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {**request, "dependsOn": [requests[n - 1]["id"]]} if n else request
        for n, request in enumerate(requests)
    ]


async def test_every_item_has_its_own_answer(graph: Graph, event: Event) -> None:
    answers = await batch(
        graph,
        post("a", event(subject="First"), headers=JSON | {"Prefer": 'IdType="ImmutableId"'}),
        post("b", event(colour="red")),
        get("c", "/users/bob@other.example/calendar"),
    )
    assert {id_: answer["status"] for id_, answer in answers.items()} == {"a": 201, "b": 400, "c": 404}
    assert answers["a"]["body"]["subject"] == "First"
    assert answers["b"]["body"]["error"]["code"] == "RequestBodyRead"
    read = await graph.ok("GET", EVENTS, headers={"Prefer": 'IdType="ImmutableId"'})
    assert [e["id"] for e in read["value"]] == [answers["a"]["body"]["id"]]


async def test_answers_do_not_come_in_the_order_of_the_requests(graph: Graph) -> None:
    requests = [get(str(n)) for n in range(3)]
    answer = await graph.ok("POST", "/$batch", {"requests": requests})
    order = [response["id"] for response in answer["responses"]]
    assert sorted(order) == ["0", "1", "2"]
    assert order != ["0", "1", "2"]


async def test_a_delete_is_answered_without_a_body(graph: Graph, event: Event) -> None:
    created = await graph.ok("POST", EVENTS, event())
    answers = await batch(graph, {"id": "1", "method": "DELETE", "url": f"{EVENTS}/{created['id']}"})
    assert answers["1"]["status"] == 204
    assert "body" not in answers["1"]


async def test_a_query_needs_no_encoding_inside_a_batch(graph: Graph, event: Event) -> None:
    await graph.ok("POST", EVENTS, event(subject="Linear algebra"))
    answers = await batch(graph, get("1", f"{EVENTS}?$filter=subject eq 'Linear algebra'&$select=subject"))
    assert len(answers["1"]["body"]["value"]) == 1


async def test_a_failed_item_fails_what_depends_on_it(graph: Graph, control: Control, event: Event) -> None:
    requests = chained(
        post("1", event(subject="First")),
        post("2", event(colour="red")),
        post("3", event()),
        post("4", event()),
    )
    answers = await batch(graph, *requests)
    assert {id_: answer["status"] for id_, answer in answers.items()} == {
        "1": 201,
        "2": 400,
        "3": 424,
        "4": 424,
    }
    assert [e["title"] for e in await control.events("o365", "alice@uni.example")] == ["First"]


async def test_a_chain_of_twenty_for_one_mailbox_is_carried_out_in_order(
    graph: Graph, control: Control, event: Event
) -> None:
    requests = chained(*(post(str(n), event(subject=f"#{n}")) for n in range(20)))
    answers = await batch(graph, *requests)
    assert {answer["status"] for answer in answers.values()} == {201}
    titles = [e["title"] for e in await control.events("o365", "alice@uni.example")]
    assert titles == [f"#{n}" for n in range(20)]


async def test_more_than_four_at_once_for_one_mailbox_are_throttled(
    graph: Graph, control: Control, event: Event
) -> None:
    answers = await batch(graph, *(post(str(n), event()) for n in range(6)))
    statuses = sorted(answer["status"] for answer in answers.values())
    assert statuses == [201] * 4 + [429] * 2
    throttled = [answer for answer in answers.values() if answer["status"] == 429]
    assert {answer["body"]["error"]["code"] for answer in throttled} == {"ApplicationThrottled"}
    assert len(await control.events("o365", "alice@uni.example")) == 4


async def test_aliases_do_not_get_around_the_limit(graph: Graph, control: Control, event: Event) -> None:
    await control.ok("POST", control.mailbox("o365", "alice@uni.example"), {"aliases": ["al@uni.example"]})
    urls = [EVENTS, "/users/al@uni.example/events"] * 3
    answers = await batch(graph, *(post(str(n), event(), url) for n, url in enumerate(urls)))
    assert sorted(answer["status"] for answer in answers.values()) == [201] * 4 + [429] * 2


async def test_twenty_at_once_for_five_mailboxes_are_not_throttled(graph: Graph, event: Event) -> None:
    answers = await batch(
        graph, *(post(str(n), event(), f"/users/p{n % 5}@uni.example/events") for n in range(20))
    )
    assert {answer["status"] for answer in answers.values()} == {201}


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [get(str(n)) for n in range(21)],
        [get("1"), get("1")],
        [get("a"), get("A")],
        [get("")],
        [{"method": "GET", "url": EVENTS}],
        [{"id": 1, "method": "GET", "url": EVENTS}],
        [get("1", dependsOn=["2"]), get("2")],
        [get("1", dependsOn=["1"])],
        [{"id": "1", "method": "POST", "url": EVENTS, "body": {"subject": "x"}}],
        "none",
    ],
)
async def test_a_batch_that_cannot_be_is_refused_as_a_whole(
    graph: Graph, control: Control, requests: Any
) -> None:
    assert await graph.refused("POST", "/$batch", {"requests": requests}) == (400, "BadRequest")
    assert "read" not in (await control.stats())["operations"]["o365"]


async def test_a_batch_needs_a_token(graph: Graph) -> None:
    refused = await graph.refused("POST", "/$batch", {"requests": [get("1")]}, headers={"Authorization": ""})
    assert refused == (401, "InvalidAuthenticationToken")


async def test_a_batch_is_one_request_and_its_items_are_operations(
    graph: Graph, control: Control, event: Event
) -> None:
    await control.ok("DELETE", "/stats")
    await batch(graph, *chained(post("1", event()), post("2", event()), get("3")))
    stats = await control.stats()
    assert stats["requests"] == {"o365": {"$batch": 1}}
    assert stats["operations"] == {"o365": {"create": 2, "read": 1}}
    assert stats["bytes"]["o365"]["$batch"] > 500
