"""How the adapter puts operations into requests, and answers together into outcomes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest

from providers.contract import (
    Create,
    Delete,
    Done,
    Event,
    Gone,
    Mailbox,
    Marker,
    Permit,
    ProviderError,
    Refused,
    Throttled,
    Unknown,
    Update,
)
from providers.marker import PROPERTY_SET, to_strings
from providers.o365.adapter import GraphAdapter
from providers.o365.http import Graph
from providers.o365.messages import Answer, NoAnswer
from providers.settings import O365Settings

NOW = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
ROOT = "https://graph.example/v1.0"
SETTINGS = O365Settings(tenant_id="tenant", client_id="client", client_secret="hunter2", graph_url=ROOT)
ALICE = Mailbox(address="alice@uni.example", identity="AAMkCalendar")
EVENT = Event(uid="u", title="Algebra", start=NOW, end=NOW + timedelta(hours=1), time_zone="UTC")


def marker(number: int, instance: str = "uni.example") -> Marker:
    return Marker(instance=instance, synchronization=1, event=f"u{number}", attempt=UUID(int=number))


def create(number: int) -> Create:
    return Create(event=EVENT, marker=marker(number))


def delete(number: int) -> Delete:
    return Delete(id=f"id{number}", version=None)


class ScriptedGraph(Graph):
    """A Graph whose answers the test gives: values, or functions of the request's body."""

    def __init__(self, *answers: Answer | Exception | Callable[[Any], Answer]) -> None:
        self._root = ROOT
        self._answers = list(answers)
        self.sent: list[tuple[str, str, dict[str, Any] | None]] = []
        self.headers: list[dict[str, str]] = []

    async def _send(
        self, method: str, url: str, body: dict[str, Any] | None, headers: dict[str, str], permit: Permit
    ) -> Answer:
        permit()
        self.headers.append(headers)
        self.sent.append((method, url.removeprefix(ROOT), body))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Answer) else answer(body)

    async def close(self) -> None:
        assert not self._answers, "the adapter sent fewer requests than the test expected"


def adapter(graph: ScriptedGraph) -> GraphAdapter:
    return GraphAdapter(SETTINGS, graph, lambda: NOW)


def answer(
    status: int, code: str | None = None, headers: dict[str, str] | None = None, **body: Any
) -> Answer:
    if code is not None:
        body["error"] = {"code": code, "message": "m"}
    return Answer(status=status, headers=headers or {}, body=body or None)


def batch(*responses: Answer) -> Answer:
    """The answer to a ``$batch``, the last item first."""
    items = [
        {"id": str(n), "status": r.status, "headers": dict(r.headers), "body": r.body}
        for n, r in enumerate(responses)
    ]
    return Answer(status=200, headers={}, body={"responses": items[::-1]})


def made(number: int) -> Answer:
    return answer(201, id=f"id{number}", changeKey=f"ck{number}")


def item(
    number: int, instance: str = "uni.example", id: str | None = None, created: str = "2026-01-01"
) -> dict[str, Any]:
    """An event as Graph answers a search."""
    return {
        "id": id or f"id{number}",
        "changeKey": "ck",
        "createdDateTime": created,
        "subject": EVENT.title,
        "start": {"dateTime": f"{EVENT.start:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"},
        "end": {"dateTime": f"{EVENT.end:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"},
        "isAllDay": False,
        "location": {"displayName": ""},
        "body": {"contentType": "text", "content": ""},
        "categories": [],
        "showAs": "busy",
        "sensitivity": "normal",
        "singleValueExtendedProperties": [
            {"id": f"String {{{PROPERTY_SET}}} Name {name}", "value": value}
            for name, value in to_strings(marker(number, instance)).items()
        ],
    }


LEFT_OUT = answer(424, "FailedDependency")


async def test_one_operation_is_one_request_by_itself() -> None:
    graph = ScriptedGraph(made(1))
    assert await adapter(graph).apply(ALICE, [create(1)]) == [Done("id1", "ck1")]
    assert [(method, path) for method, path, _ in graph.sent] == [("POST", "/users/alice@uni.example/events")]


async def test_several_operations_are_one_batch() -> None:
    graph = ScriptedGraph(batch(made(1), answer(204), made(3)))
    outcomes = await adapter(graph).apply(ALICE, [create(1), delete(2), create(3)])
    assert outcomes == [Done("id1", "ck1"), Done("id2"), Done("id3", "ck3")]
    assert [(method, path) for method, path, _ in graph.sent] == [("POST", "/$batch")]


async def test_an_update_that_changes_nothing_is_done_without_a_request() -> None:
    graph = ScriptedGraph()
    update = Update(id="id1", version="7", event=EVENT, possible=(EVENT,), marker=marker(1))
    assert await adapter(graph).apply(ALICE, [update]) == [Done("id1", "7")]


async def test_what_a_refused_event_kept_from_being_carried_out_is_sent_again() -> None:
    graph = ScriptedGraph(
        batch(made(1), answer(400, "ErrorInvalidRequest"), LEFT_OUT, LEFT_OUT), batch(made(3), made(4))
    )
    outcomes = await adapter(graph).apply(ALICE, [create(n) for n in (1, 2, 3, 4)])
    assert [type(outcome) for outcome in outcomes] == [Done, Refused, Done, Done]
    assert outcomes[3] == Done("id4", "ck4")
    again = cast(dict[str, Any], graph.sent[1][2])["requests"]
    assert [each["body"]["transactionId"] for each in again] == [str(UUID(int=3)), str(UUID(int=4))]


async def test_a_delete_of_a_missing_event_is_done_and_the_rest_goes_on() -> None:
    graph = ScriptedGraph(batch(answer(404, "ErrorItemNotFound"), LEFT_OUT), answer(204))
    assert await adapter(graph).apply(ALICE, [delete(1), delete(2)]) == [Done("id1"), Done("id2")]


async def test_after_a_chain_that_breaks_early_four_at_a_time_go_side_by_side() -> None:
    """Until four are well: then it was an exception, and the rest goes in one chain again."""
    missing = answer(404, "ErrorItemNotFound")
    graph = ScriptedGraph(
        batch(missing, *[LEFT_OUT] * 11),
        batch(answer(204), missing, answer(204), answer(204)),
        batch(*[answer(204)] * 4),
        batch(*[answer(204)] * 3),
    )
    outcomes = await adapter(graph).apply(ALICE, [delete(n) for n in range(12)])
    assert outcomes == [Done(f"id{n}") for n in range(12)]
    sent = [cast(dict[str, Any], body)["requests"] for _, _, body in graph.sent]
    assert [len(items) for items in sent] == [12, 4, 4, 3]
    assert [any("dependsOn" in each for each in items) for items in sent] == [True, False, False, True]


MOVED_ON = answer(412, "ErrorIrresolvableConflict")
LONGER = msgspec.structs.replace(EVENT, description="Bring a book.")


def update(number: int, version: str | None = "old", event: Event = LONGER) -> Update:
    return Update(id=f"id{number}", version=version, event=event, possible=(EVENT,), marker=marker(number))


def patches(body: Any) -> Answer:
    """Graph's answer to a batch of PATCHes: the events as they are then."""
    return batch(
        *(
            answer(200, **item(n) | {"changeKey": "new", "body": each["body"]["body"]})
            for n, each in enumerate(body["requests"])
        )
    )


async def test_an_event_that_has_moved_on_is_read_and_written_over_what_was_read() -> None:
    noted = item(1) | {"changeKey": "moved", "body": {"contentType": "text", "content": "Note"}}
    written = noted | {
        "changeKey": "new",
        "body": {"contentType": "text", "content": "Bring a book.\n\nNote"},
    }
    graph = ScriptedGraph(MOVED_ON, answer(200, **noted), answer(200, **written))
    # Without a version: it would not tell whether there are notes.
    assert await adapter(graph).apply(ALICE, [update(1)]) == [Done("id1", None)]
    assert [method for method, _, _ in graph.sent] == ["PATCH", "GET", "PATCH"]
    assert graph.headers == [{"If-Match": 'W/"old"'}, {}, {"If-Match": 'W/"moved"'}]
    assert cast(dict[str, Any], graph.sent[2][2])["body"] == written["body"]


async def test_an_event_that_moves_on_again_is_refused_for_now() -> None:
    graph = ScriptedGraph(MOVED_ON, answer(200, **item(1)), MOVED_ON)
    (outcome,) = await adapter(graph).apply(ALICE, [update(1)])
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.permanent, outcome.scope) == ("ErrorIrresolvableConflict", False, "event")


async def test_an_event_that_has_moved_on_and_is_gone_is_gone() -> None:
    graph = ScriptedGraph(MOVED_ON, answer(404, "ErrorItemNotFound"))
    (outcome,) = await adapter(graph).apply(ALICE, [update(1)])
    assert isinstance(outcome, Gone)
    assert outcome.what == "event"


async def test_a_read_that_is_throttled_holds_up_what_comes_after_it() -> None:
    graph = ScriptedGraph(answer(429, "ApplicationThrottled", {"retry-after": "7"}))
    throttled = Throttled(until=NOW + timedelta(seconds=7), scope="mailbox", code="ApplicationThrottled")
    assert await adapter(graph).apply(ALICE, [create(2), update(1, None)]) == [throttled, throttled]


@pytest.mark.parametrize("lost", [NoAnswer("timeout"), answer(503), answer(200), answer(200, id="id1")])
async def test_an_update_whose_event_cannot_be_read_is_not_written(lost: Answer | Exception) -> None:
    outcomes = await adapter(ScriptedGraph(lost)).apply(ALICE, [update(1, None), create(2)])
    assert isinstance(outcomes[0], Unknown)
    assert outcomes[1] == Throttled(until=NOW, scope="mailbox", code="not_sent")


async def test_with_the_first_that_has_moved_on_the_others_are_read_along() -> None:
    graph = ScriptedGraph(
        batch(answer(204), MOVED_ON, *[LEFT_OUT] * 4),
        batch(*(answer(200, **item(n)) for n in range(5))),
        patches,
    )
    outcomes = await adapter(graph).apply(ALICE, [delete(9), *(update(n) for n in range(5))])
    assert outcomes == [Done("id9"), *(Done(f"id{n}", "new") for n in range(5))]


async def test_a_version_stands_for_our_text_alone() -> None:
    """The PATCH of a title does not ask for it, and yet tells whether the person has made notes."""
    renamed = update(1, event=msgspec.structs.replace(EVENT, title="Exam"))
    plain = item(1) | {"changeKey": "new"}
    noted = plain | {"body": {"contentType": "text", "content": "Note"}}
    assert await adapter(ScriptedGraph(answer(200, **plain))).apply(ALICE, [renamed]) == [Done("id1", "new")]
    assert await adapter(ScriptedGraph(answer(200, **noted))).apply(ALICE, [renamed]) == [Done("id1", None)]


async def test_what_is_written_over_our_text_alone_is_our_text_alone() -> None:
    """Whatever the answer shows: Graph documents the wish for plain text where events are read."""
    html = item(1) | {"changeKey": "new", "body": {"contentType": "html", "content": "<html></html>"}}
    assert await adapter(ScriptedGraph(answer(200, **html))).apply(ALICE, [update(1)]) == [Done("id1", "new")]


async def test_after_a_throttled_item_the_rest_is_throttled_until_the_same_moment() -> None:
    graph = ScriptedGraph(
        batch(made(1), answer(429, "ApplicationThrottled", {"Retry-After": "7"}), LEFT_OUT, LEFT_OUT)
    )
    outcomes = await adapter(graph).apply(ALICE, [create(n) for n in (1, 2, 3, 4)])
    throttled = Throttled(until=NOW + timedelta(seconds=7), scope="mailbox", code="ApplicationThrottled")
    assert outcomes == [Done("id1", "ck1"), throttled, throttled, throttled]


async def test_after_an_unclear_item_the_rest_was_not_sent_and_is_not_unknown() -> None:
    graph = ScriptedGraph(batch(made(1), answer(503), LEFT_OUT))
    outcomes = await adapter(graph).apply(ALICE, [create(n) for n in (1, 2, 3)])
    assert outcomes[0] == Done("id1", "ck1")
    assert isinstance(outcomes[1], Unknown)
    assert outcomes[2] == Throttled(until=NOW, scope="mailbox", code="not_sent")


async def test_no_access_is_said_once_for_all() -> None:
    graph = ScriptedGraph(batch(answer(403, "ErrorAccessDenied"), LEFT_OUT))
    outcomes = await adapter(graph).apply(ALICE, [create(1), create(2)])
    assert isinstance(outcomes[0], Refused)
    assert outcomes[0] == outcomes[1]


async def test_a_batch_that_is_throttled_as_a_whole_was_not_carried_out() -> None:
    graph = ScriptedGraph(answer(429, "TooManyRequests", {"retry-after": "3"}))
    outcomes = await adapter(graph).apply(ALICE, [create(1), create(2)])
    assert (
        outcomes == [Throttled(until=NOW + timedelta(seconds=3), scope="account", code="TooManyRequests")] * 2
    )


@pytest.mark.parametrize(
    "lost",
    [NoAnswer("timeout"), answer(503), answer(504), answer(200, surprise=True), answer(200)],
    ids=["no answer", "503", "504", "unreadable", "empty"],
)
async def test_a_batch_without_a_clear_answer_is_unknown_item_by_item(lost: Answer | Exception) -> None:
    outcomes = await adapter(ScriptedGraph(lost)).apply(ALICE, [create(1), create(2)])
    assert [type(outcome) for outcome in outcomes] == [Unknown, Unknown]


async def test_an_item_that_the_answer_leaves_out_is_unknown() -> None:
    outcomes = await adapter(ScriptedGraph(batch(made(1)))).apply(ALICE, [create(1), create(2)])
    assert outcomes[0] == Done("id1", "ck1")
    assert isinstance(outcomes[1], Unknown)


async def test_a_batch_of_which_nothing_is_begun_is_not_sent_for_ever() -> None:
    outcomes = await adapter(ScriptedGraph(batch(LEFT_OUT, LEFT_OUT))).apply(ALICE, [create(1), create(2)])
    assert [type(outcome) for outcome in outcomes] == [Unknown, Unknown]


@pytest.mark.parametrize("status", [400, 409])
async def test_a_create_that_graph_has_seen_before_is_looked_up(status: int) -> None:
    page = answer(200, value=[item(1, id="copy", created="2026-02-02"), item(1, id="first")])
    graph = ScriptedGraph(answer(status, "ErrorDuplicateTransactionId"), page)
    assert await adapter(graph).apply(ALICE, [create(1)]) == [Done("first", None)]


async def test_a_create_that_graph_has_seen_before_and_that_is_not_there_is_unknown() -> None:
    graph = ScriptedGraph(answer(409, "ErrorDuplicateTransactionId"), answer(200, value=[]))
    (outcome,) = await adapter(graph).apply(ALICE, [create(1)])
    assert isinstance(outcome, Unknown)


async def test_a_create_that_graph_has_seen_before_and_that_cannot_be_looked_up_is_unknown() -> None:
    graph = ScriptedGraph(answer(409, "ErrorDuplicateTransactionId"), answer(429, "ApplicationThrottled"))
    (outcome,) = await adapter(graph).apply(ALICE, [create(1)])
    assert isinstance(outcome, Unknown)


async def test_more_than_four_megabytes_go_in_several_batches() -> None:
    long = msgspec.structs.replace(EVENT, description="x" * 2_000_000)
    graph = ScriptedGraph(made(1), made(2))
    outcomes = await adapter(graph).apply(ALICE, [Create(event=long, marker=marker(n)) for n in (1, 2)])
    assert outcomes == [Done("id1", "ck1"), Done("id2", "ck2")]


async def test_find_asks_for_twenty_attempts_at_a_time() -> None:
    empty = answer(200, value=[])
    graph = ScriptedGraph(batch(*[empty] * 20), batch(answer(200, value=[item(21)]), empty))
    found = await adapter(graph).find(ALICE, "uni.example", [UUID(int=n) for n in range(1, 23)])
    assert [event.marker for event in found] == [marker(21)]
    assert [path for _, path, _ in graph.sent] == ["/$batch", "/$batch"]


async def test_find_of_nothing_asks_nothing() -> None:
    assert await adapter(ScriptedGraph()).find(ALICE, "uni.example", []) == []


async def test_find_compares_exactly_and_gives_the_original_before_its_copies() -> None:
    page = answer(
        200,
        value=[
            item(1, id="copy", created="2026-03-03T00:00:00.0000000Z"),
            item(1, id="foreign", instance="UNI.example"),
            item(1, id="original", created="2026-01-01T00:00:00.0000000Z"),
            {"id": "unmarked"},
        ],
    )
    found = await adapter(ScriptedGraph(page)).find(ALICE, "uni.example", [UUID(int=1)])
    assert [event.id for event in found] == ["original", "copy"]


async def test_pages_are_followed_verbatim() -> None:
    link = f"{ROOT}/users/alice@uni.example/events?%24skiptoken=a%2Bb%3D%3D&x=%27"
    first = answer(200, **{"value": [item(1)], "@odata.nextLink": link})
    graph = ScriptedGraph(first, answer(200, value=[item(2), item(3, instance="UNI.example")]))
    listed = [event.id async for event in adapter(graph).list(ALICE, "uni.example")]
    assert listed == ["id1", "id2"]
    assert graph.sent[1][1] == link.removeprefix(ROOT)


@pytest.mark.parametrize(
    "broken",
    [
        NoAnswer("timeout"),
        answer(503),
        answer(200),
        answer(200, surprise=True),
        answer(200, value=[{"changeKey": 1}, "?"]),
    ],
    ids=["no answer", "503", "empty", "no page", "not events"],
)
async def test_a_page_that_fails_is_an_error_and_never_the_end(broken: Answer | Exception) -> None:
    first = answer(200, **{"value": [item(1)], "@odata.nextLink": f"{ROOT}/next"})
    with pytest.raises(ProviderError) as error:
        async for _ in adapter(ScriptedGraph(first, broken)).list(ALICE, "uni.example"):
            pass
    assert isinstance(error.value.outcome, Unknown)


async def test_our_token_does_not_follow_a_link_to_elsewhere() -> None:
    first = answer(200, **{"value": [], "@odata.nextLink": "https://elsewhere.example/v1.0/next"})
    graph = ScriptedGraph(first)
    with pytest.raises(ProviderError):
        await adapter(graph).find(ALICE, "uni.example", [UUID(int=1)])
    assert len(graph.sent) == 1


async def test_the_identity_is_the_calendars_id_as_it_outlives_every_address() -> None:
    graph = ScriptedGraph(answer(200, id="AAMkCalendar", canEdit=True))
    assert await adapter(graph).probe("alias@uni.example") == Mailbox(
        address="alias@uni.example", identity="AAMkCalendar"
    )


async def test_a_calendar_that_cannot_be_written_to_is_refused() -> None:
    with pytest.raises(ProviderError) as error:
        await adapter(ScriptedGraph(answer(200, id="AAMkCalendar", canEdit=False))).probe("alice@uni.example")
    assert isinstance(error.value.outcome, Refused)
    assert error.value.outcome.scope == "mailbox"


async def test_a_mailbox_without_a_calendar_is_gone() -> None:
    with pytest.raises(ProviderError) as error:
        await adapter(ScriptedGraph(answer(404, "ErrorItemNotFound"))).probe("alice@uni.example")
    assert isinstance(error.value.outcome, Gone)
    assert error.value.outcome.what == "calendar"


async def test_the_limits_count_by_application() -> None:
    assert adapter(ScriptedGraph()).account("alice@uni.example") == "client@tenant"
