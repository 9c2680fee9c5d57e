"""The requests that see to the colours of categories, and the answers that they may get."""

from typing import Any

import msgspec
import pytest

from providers.contract import Create, Done, Gone, Mailbox, Refused, Throttled
from providers.o365 import categories
from providers.o365.messages import Answer, NoAnswer
from tests.unit.providers.test_o365_adapter import (
    ALICE,
    EVENT,
    NOW,
    ROOT,
    ScriptedGraph,
    adapter,
    answer,
    create,
    made,
)

NOT_SENT = Throttled(until=NOW, scope="mailbox", code="not_sent")
PATH = "/users/alice@uni.example/outlook/masterCategories"
WRITTEN = answer(201, id="c", displayName="Lecture", color="preset0")
COLOURED = msgspec.structs.replace(EVENT, categories=("Lecture",), colours={"Lecture": "red"})


def coloured(number: int = 1) -> Create:
    return msgspec.structs.replace(create(number), event=COLOURED)


def listing(*names: str, color: str = "preset7", **link: Any) -> Answer:
    return answer(200, value=[{"id": f"id {n}", "displayName": n, "color": color} for n in names], **link)


def sent(graph: ScriptedGraph) -> list[tuple[str, str]]:
    return [(method, path) for method, path, _ in graph.sent]


async def test_a_category_that_is_not_there_is_made_before_the_event() -> None:
    graph = ScriptedGraph(listing("Other"), WRITTEN, made(1))
    assert await adapter(graph).apply(ALICE, [coloured()]) == [Done("id1", "ck1")]
    assert sent(graph) == [("GET", PATH), ("POST", PATH), ("POST", "/users/alice@uni.example/events")]
    assert graph.sent[1][2] == {"displayName": "Lecture", "color": "preset0"}
    assert graph.sent[2][2] is not None
    assert graph.sent[2][2]["categories"] == ["Lecture"]


async def test_events_without_colours_take_no_other_requests_than_ever() -> None:
    graph = ScriptedGraph(made(1))
    plain = msgspec.structs.replace(create(1), event=msgspec.structs.replace(COLOURED, colours={}))
    assert await adapter(graph).apply(ALICE, [plain]) == [Done("id1", "ck1")]


async def test_every_page_of_the_list_is_read() -> None:
    graph = ScriptedGraph(listing(**{"@odata.nextLink": f"{ROOT}/next"}), listing("LECTURE"), made(1))
    assert await adapter(graph).apply(ALICE, [coloured()]) == [Done("id1", "ck1")]
    assert [method for method, _ in sent(graph)] == ["GET", "GET", "POST"]


@pytest.mark.parametrize(
    "meanwhile",
    [answer(409, "ErrorDuplicateCategory"), answer(404, "ErrorItemNotFound"), NoAnswer("timeout")],
)
async def test_a_list_that_changes_between_our_looking_and_our_writing_is_looked_at_again(
    meanwhile: Answer | Exception,
) -> None:
    graph = ScriptedGraph(listing(), meanwhile, listing("Lecture"), made(1))
    at_work = adapter(graph)
    assert await at_work.apply(ALICE, [coloured()]) == [NOT_SENT]
    assert await at_work.apply(ALICE, [coloured()]) == [Done("id1", "ck1")]


@pytest.mark.parametrize(
    "unreadable",
    [
        answer(200),
        answer(200, value=[{"displayName": "Lecture"}]),
        answer(200, value=[{"id": "c", "displayName": "Lecture", "color": "red"}]),
        answer(200, value=[{"id": "c", "displayName": None, "color": "none"}]),
    ],
)
async def test_a_list_that_cannot_be_read_is_not_an_empty_one(unreadable: Answer) -> None:
    graph = ScriptedGraph(unreadable)
    assert await adapter(graph).apply(ALICE, [coloured()]) == [NOT_SENT]
    assert len(graph.sent) == 1


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (answer(429, "ApplicationThrottled"), Throttled),
        (answer(401, "InvalidAuthenticationToken"), Refused),
        (answer(404, "MailboxNotEnabledForRESTAPI"), Gone),
    ],
)
async def test_what_concerns_the_events_too_is_said_of_each(failure: Answer, kind: type) -> None:
    graph = ScriptedGraph(failure)
    outcomes = await adapter(graph).apply(ALICE, [coloured(1), coloured(2)])
    assert [type(outcome) for outcome in outcomes] == [kind, kind]
    assert len(graph.sent) == 1


@pytest.mark.parametrize(
    "refusal", [answer(403, "ErrorAccessDenied"), answer(400, "BadRequest"), answer(501, "NotImplemented")]
)
async def test_clouds_and_permissions_without_categories_hold_nothing_up(refusal: Answer) -> None:
    """Azure China has no master categories at all."""
    tries = 3 if refusal.status == 501 else 1
    graph = ScriptedGraph(*[refusal] * tries, made(1), made(2))
    at_work = adapter(graph)
    for _ in range(tries - 1):
        assert await at_work.apply(ALICE, [coloured(1)]) == [NOT_SENT]
    assert await at_work.apply(ALICE, [coloured(1)]) == [Done("id1", "ck1")]
    assert await at_work.apply(ALICE, [coloured(2)]) == [Done("id2", "ck2")]


async def test_not_every_mailbox_of_a_campus_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(categories, "MAILBOXES", 1)
    bob = Mailbox(address="bob@uni.example", identity="AAMkOther")
    graph = ScriptedGraph(*[each for n in range(3) for each in (listing("Lecture"), made(n))], made(3))
    at_work = adapter(graph)
    for n, mailbox in enumerate([ALICE, bob, ALICE, ALICE]):
        assert await at_work.apply(mailbox, [coloured(n)]) == [Done(f"id{n}", f"ck{n}")]
    assert [method for method, _ in sent(graph)] == ["GET", "POST"] * 3 + ["POST"]
