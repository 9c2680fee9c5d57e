"""How the adapter follows Graph's change tracking, and what it reads after it."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from providers.contract import Changes, Mailbox, ProviderError, StartOver, Unknown
from providers.o365.adapter import GraphAdapter
from providers.o365.messages import Answer
from tests.unit.providers.test_o365_adapter import (
    ALICE,
    NOW,
    ROOT,
    SETTINGS,
    ScriptedGraph,
    answer,
    batch,
    item,
)

UNI = "uni.example"
GONE = {"@removed": {"reason": "deleted"}}
MISSING = answer(404, "ErrorItemNotFound")


def page(*ids: str, removed: Sequence[str] = (), **link: str) -> Answer:
    """One page of a round: ``next`` leads on in it, ``delta`` to the next one."""
    value = [{"id": id, "subject": "x"} for id in ids] + [{"id": id, **GONE} for id in removed]
    names = {"next": "@odata.nextLink", "delta": "@odata.deltaLink"}
    return answer(200, value=value, **{names[name]: f"{ROOT}/{path}" for name, path in link.items()})


def listing(*items: dict[str, Any]) -> Answer:
    return answer(200, value=[*items])


async def ask(
    graph: ScriptedGraph, since: str | None = None, mailbox: Mailbox = ALICE, now: datetime = NOW
) -> Changes:
    adapter = GraphAdapter(SETTINGS, graph, lambda: now)
    (told,) = [each async for each in adapter.changes(mailbox, UNI, since)]
    return told


async def state(link: str = "delta?$deltatoken=1") -> str:
    told = await ask(ScriptedGraph(page(delta=link), listing()))
    assert told.state is not None
    return told.state


def paths(graph: ScriptedGraph) -> list[str]:
    return [path.partition("?")[0] for _, path, _ in graph.sent]


async def test_the_round_goes_before_the_events_are_read_so_that_nothing_is_missed_in_between() -> None:
    graph = ScriptedGraph(page("a", "b", next="more"), page("c", delta="since"), listing(item(1), item(2)))
    told = await ask(graph)
    assert paths(graph) == [
        "/users/alice@uni.example/calendarView/delta",
        "/more",
        "/users/alice@uni.example/calendar/events",
    ]
    assert [event.id for event in told.events] == ["id1", "id2"]
    assert told.removed == ()


async def test_the_window_is_that_of_timetables_and_pages_are_large() -> None:
    graph = ScriptedGraph(page(next="more"), page(delta="since"), listing())
    await ask(graph)
    assert graph.sent[0][1].partition("?")[2] == (
        "startDateTime=2026-09-22T23:00:00Z&endDateTime=2028-02-24T23:00:00Z"
    )
    assert ["odata.maxpagesize=1000" in each.get("Prefer", "") for each in graph.headers] == [
        True,
        True,
        False,
    ]
    assert 'IdType="ImmutableId"' in graph.headers[1]["Prefer"]


async def test_another_calendar_has_a_round_of_its_own() -> None:
    graph = ScriptedGraph(page(delta="since"), listing())
    await ask(graph, mailbox=msgspec.structs.replace(ALICE, calendar="AAMk+="))
    assert paths(graph) == [
        "/users/alice@uni.example/calendars/AAMk%2B%3D/calendarView/delta",
        "/users/alice@uni.example/calendars/AAMk%2B%3D/events",
    ]


async def test_the_earliest_made_comes_first() -> None:
    copy, original = item(1, id="a", created="2026-03-03"), item(1, id="b", created="2026-02-02")
    told = await ask(ScriptedGraph(page(delta="since"), listing(copy, original)))
    assert [event.id for event in told.events] == ["b", "a"]


async def test_nothing_changed_is_one_request() -> None:
    graph = ScriptedGraph(page(delta="delta?$deltatoken=2"))
    told = await ask(graph, await state())
    assert (told.events, told.removed) == ((), ())
    assert [path for _, path, _ in graph.sent] == ["/delta?$deltatoken=1"]
    assert json.loads(told.state or "")["link"] == f"{ROOT}/delta?$deltatoken=2"


async def test_a_few_are_read_by_their_ids_side_by_side() -> None:
    graph = ScriptedGraph(
        page("id1", "id2", removed=["id3"], delta="since"),
        batch(answer(200, **item(1)), answer(200, **item(2, "other.example")), MISSING),
    )
    told = await ask(graph, await state())
    assert [event.id for event in told.events] == ["id1"]
    # Another instance's, and one that is not there any more.
    assert told.removed == ("id2", "id3")
    requests = (graph.sent[1][2] or {})["requests"]
    assert [each["url"].partition("?")[0] for each in requests] == [
        f"/users/alice@uni.example/events/id{n}" for n in (1, 2, 3)
    ]
    assert not any("dependsOn" in each for each in requests)


async def test_many_are_found_in_the_list() -> None:
    changed, gone = ["id1", "id2", "x"], ["id4", "id5"]
    graph = ScriptedGraph(
        page(*changed, removed=gone, delta="since"), listing(*(item(n) for n in (1, 2, 3, 5)))
    )
    told = await ask(graph, await state())
    # id5 is told as removed and is there: it has changed outside the window.
    assert [event.id for event in told.events] == ["id1", "id2", "id5"]
    assert told.removed == ("id4", "x")
    assert len(graph.sent) == 2


@pytest.mark.parametrize(("here", "expected"), [(["id1"], ["id1"]), ([], []), (["copy"], [])])
async def test_what_is_told_as_removed_and_is_there_may_be_in_another_calendar(
    here: list[str], expected: list[str]
) -> None:
    graph = ScriptedGraph(
        page(removed=["id1"], delta="since"),
        answer(200, **item(1)),
        listing(*(item(1, id=id) for id in here)),
    )
    told = await ask(graph, await state())
    assert [event.id for event in told.events] == expected
    assert told.removed == tuple(sorted({"id1"} - set(expected)))


async def test_an_id_that_is_named_twice_is_as_its_last_mention_says() -> None:
    graph = ScriptedGraph(
        page("id1", removed=["id2"], next="more"),
        page("id2", removed=["id1"], delta="since"),
        batch(MISSING, answer(200, **item(2))),
    )
    told = await ask(graph, await state())
    assert ([event.id for event in told.events], told.removed) == (["id2"], ("id1",))


@pytest.mark.parametrize(
    "forgotten",
    [
        answer(410),
        answer(410, "SyncStateNotFound"),
        answer(404, "resyncRequired"),
        answer(400, "fullSyncRequired"),
        answer(400, "BadRequest"),
    ],
)
async def test_a_link_that_leads_nowhere_any_more_is_to_start_over(forgotten: Answer) -> None:
    with pytest.raises(StartOver):
        await ask(ScriptedGraph(forgotten), await state())


async def test_a_round_that_breaks_off_is_to_start_over() -> None:
    with pytest.raises(StartOver):
        await ask(ScriptedGraph(page("a", next="more"), answer(410, "SyncStateNotFound")), await state())


async def test_a_first_round_that_breaks_off_is_a_failure_or_it_would_start_over_for_ever() -> None:
    with pytest.raises(ProviderError) as error:
        await ask(ScriptedGraph(page("a", next="more"), answer(410, "SyncStateNotFound")))
    assert isinstance(error.value.outcome, Unknown)


async def test_after_a_month_everything_is_read_again() -> None:
    """The window does not move, and what Graph may not have told of is found."""
    begun = await state()
    almost = ScriptedGraph(page(delta="since"))
    told = await ask(almost, begun, now=NOW + timedelta(days=30, seconds=-1))
    graph = ScriptedGraph()
    for each in (begun, told.state):
        with pytest.raises(StartOver):
            await ask(graph, each, now=NOW + timedelta(days=30))
    assert graph.sent == []


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"instance": "other.example"},
        {"identity": "another mailbox"},
        {"calendar": "AAMk"},
        {"link": "https://elsewhere.example/delta"},
        {"link": None},
        {"more": 1},
    ],
    ids=lambda change: "+".join(change),
)
async def test_a_state_of_something_else_is_to_start_over_and_asks_nothing(change: dict[str, Any]) -> None:
    graph = ScriptedGraph()
    with pytest.raises(StartOver):
        await ask(graph, json.dumps(json.loads(await state()) | change))
    assert graph.sent == []


@pytest.mark.parametrize(
    "broken",
    [
        page("a"),
        answer(200, **{"value": [{}], "@odata.deltaLink": "x"}),
        answer(200, **{"value": [None], "@odata.deltaLink": "x"}),
        answer(200, **{"value": [], "@odata.nextLink": "https://elsewhere.example/delta"}),
        answer(200),
        answer(503),
    ],
    ids=["without an end", "without an id", "no item", "to elsewhere", "empty", "503"],
)
@pytest.mark.parametrize("first", [True, False])
async def test_a_round_that_cannot_be_read_is_no_round(broken: Answer, first: bool) -> None:
    graph = ScriptedGraph(broken)
    with pytest.raises(ProviderError) as error:
        await ask(graph, None if first else await state())
    assert isinstance(error.value.outcome, Unknown)
    assert len(graph.sent) == 1


async def test_events_that_cannot_be_read_are_not_taken_for_removed() -> None:
    for lost in (answer(503), answer(429, "ApplicationThrottled"), answer(200, value=[])):
        with pytest.raises(ProviderError):
            await ask(ScriptedGraph(page("id1", delta="since"), lost), await state())
