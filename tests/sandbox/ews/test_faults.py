"""The faults of the control API in the shapes that Exchange gives them, and its limit of connections."""

import asyncio
from typing import Any

import aiohttp
import pytest
from lxml import etree

from providers.sandbox.ews.faults import MAX_CONNECTIONS
from providers.sandbox.ews.identifiers import folder_id
from providers.sandbox.state import Fault
from tests.sandbox.ews.soap import (
    ALICE,
    CALENDAR,
    Answer,
    E,
    Exchange,
    impersonating,
    lecture,
    set_field,
    uri,
)

BOB = "bob@uni.example"


def play(exchange: Exchange, fault: str, **fields: Any) -> None:
    known = {name: fields.pop(name) for name in list(fields) if name in Fault.__struct_fields__}
    exchange.state.faults.add(Fault(type="ews", fault=fault, options=fields, **known))


def subjects(exchange: Exchange) -> list[str]:
    mailbox = exchange.state.mailbox("ews", ALICE)
    assert mailbox is not None
    return [native["fields"]["item:Subject"] for native in mailbox.events.values()]


def back_off(answer: Answer) -> list[str]:
    return [one.text for one in answer.all(".//t:Value") if one.get("Name") == "BackOffMilliseconds"]


@pytest.mark.parametrize("operation", [None, "create", "CreateItem"])
@pytest.mark.parametrize(("retry_after", "milliseconds"), [(2.5, ["2500"]), (None, [])])
async def test_throttled_by_a_soap_fault(
    exchange: Exchange, operation: str | None, retry_after: float | None, milliseconds: list[str]
) -> None:
    play(exchange, "throttle", operation=operation, retry_after=retry_after, times=1)
    answer = await exchange.create(lecture())
    assert (answer.status, answer.fault) == (500, "ErrorServerBusy")
    assert answer.find(".//faultcode").text == "a:ErrorServerBusy"
    assert answer.find(f".//{{{E}}}Message").text
    assert back_off(answer) == milliseconds
    assert subjects(exchange) == []
    assert (await exchange.create(lecture())).codes == ["NoError"]


@pytest.mark.parametrize("fault", ["throttle", "unavailable"])
@pytest.mark.parametrize(("retry_after", "header"), [(7, "7"), (None, None)])
async def test_throttled_or_down_by_http(
    exchange: Exchange, fault: str, retry_after: float | None, header: str | None
) -> None:
    play(exchange, fault, retry_after=retry_after, shape="503")
    answer = await exchange.create(lecture())
    assert (answer.status, answer.headers.get("Retry-After")) == (503, header)
    assert "Service Unavailable" in answer.text
    assert subjects(exchange) == []


async def test_throttled_for_too_many_connections(exchange: Exchange) -> None:
    play(exchange, "throttle", shape="connections")
    answer = await exchange.create(lecture())
    assert (answer.status, answer.fault) == (500, "ErrorExceededConnectionCount")
    assert subjects(exchange) == []


async def test_throttled_in_the_middle_of_a_batch(exchange: Exchange) -> None:
    play(exchange, "throttle", operation="create", nth=3, shape="items", retry_after=1)
    answer = await exchange.create(*(lecture(name) for name in "abcd"))
    assert answer.status == 200
    assert answer.codes == ["NoError", "NoError", "ErrorServerBusy", "ErrorServerBusy"]
    assert back_off(answer) == ["1000", "1000"]
    assert subjects(exchange) == ["a", "b"]


@pytest.mark.parametrize(("options", "done"), [({}, "ab"), ({"n": 3}, "abc"), ({"n": 0}, "")])
async def test_a_part_of_a_batch_is_done(exchange: Exchange, options: dict[str, int], done: str) -> None:
    play(exchange, "partial", operation="create", times=1, **options)
    answer = await exchange.create(*(lecture(name) for name in "abcd"))
    assert answer.codes == ["NoError"] * len(done) + ["ErrorServerBusy"] * (4 - len(done))
    assert subjects(exchange) == list(done)


async def test_half_an_answer(exchange: Exchange) -> None:
    play(exchange, "partial", operation="CreateItem", times=1)
    with pytest.raises(aiohttp.ClientPayloadError):
        await exchange.create(lecture())
    assert subjects(exchange) == ["Lecture"]


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ({"fault": "partial", "operation": "CreateItem", "shape": "document"}, "a"),
        ({"fault": "truncated", "operation": "CreateItem"}, "ab"),
        ({"fault": "truncated", "operation": "create", "nth": 2}, "ab"),
    ],
)
async def test_a_whole_answer_of_which_the_document_breaks_off(
    exchange: Exchange, fault: dict[str, Any], names: str
) -> None:
    play(exchange, **fault, times=1)
    with pytest.raises(etree.XMLSyntaxError):
        await exchange.create(*(lecture(name) for name in names))
    assert subjects(exchange) == list(names)


async def test_a_truncated_page(exchange: Exchange) -> None:
    play(exchange, "truncated", operation="FindItem", times=1)
    with pytest.raises(etree.XMLSyntaxError):
        await exchange.find()


async def test_the_version_of_one_item_moves_on_by_itself(exchange: Exchange) -> None:
    play(exchange, "moves_on", operation="create", nth=2)
    made = (await exchange.create(*(lecture(name) for name in "abc"))).ids
    held = (await exchange.get(*(id for id, _ in made))).ids
    assert [now == then for now, then in zip(held, made, strict=True)] == [True, False, True]
    assert subjects(exchange) == list("abc")


async def test_the_versions_of_all_items_that_are_changed_move_on(exchange: Exchange) -> None:
    (made,) = (await exchange.create(lecture())).ids
    play(exchange, "moves_on", operation="UpdateItem", times=1)
    subject = set_field(uri("item:Subject"), "<t:Subject>Other</t:Subject>")
    (changed,) = (await exchange.update(made, subject)).ids
    assert (await exchange.get(made[0])).ids != [changed]
    assert subjects(exchange) == ["Other"]


async def test_half_a_page_that_is_said_to_be_the_last(exchange: Exchange) -> None:
    await exchange.create(*(lecture(name) for name in "abcd"))
    play(exchange, "partial", operation="FindItem", times=1, shape="page")
    answer = await exchange.find()
    assert len(answer.ids) == 2
    root = answer.find(".//m:RootFolder")
    assert (root.get("TotalItemsInView"), root.get("IncludesLastItemInRange")) == ("4", "true")


async def test_a_state_that_has_expired_meets_who_shows_one(exchange: Exchange) -> None:
    first = await exchange.sync()
    play(exchange, "expired_state", operation="SyncFolderItems", times=1)
    assert (await exchange.sync(first.state)).codes == ["ErrorInvalidSyncStateData"]
    play(exchange, "expired_state", operation="SyncFolderItems", times=1)
    assert (await exchange.sync()).codes == ["NoError"]


async def test_committed_and_then_the_connection_is_cut(exchange: Exchange) -> None:
    play(exchange, "commit_then_drop", operation="create", nth=2)
    with pytest.raises(aiohttp.ClientConnectionError):
        await exchange.create(lecture("a"), lecture("b"))
    assert subjects(exchange) == ["a", "b"]


async def test_committed_and_then_unavailable(exchange: Exchange) -> None:
    play(exchange, "commit_then_503", times=1)
    assert (await exchange.create(lecture())).status == 503
    assert subjects(exchange) == ["Lecture"]


async def test_slow(exchange: Exchange) -> None:
    waited = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    exchange.state.sleep = sleep
    play(exchange, "slow", delay=30, times=1)
    assert (await exchange.create(lecture())).codes == ["NoError"]
    assert waited == [30]


async def test_access_is_denied(exchange: Exchange) -> None:
    play(exchange, "deny", mailbox=ALICE)
    assert (await exchange.create(lecture())).fault == "ErrorImpersonateUserDenied"
    folder = CALENDAR.replace("/>", f"><t:Mailbox><t:EmailAddress>{ALICE}</t:EmailAddress></t:Mailbox>")
    folder += "</t:DistinguishedFolderId>"
    assert (await exchange.create(lecture(), folder=folder, header="")).codes == ["ErrorAccessDenied"]
    assert (await exchange.create(lecture(), header=impersonating(BOB))).codes == ["NoError"]


async def test_a_fault_of_one_mailbox_meets_a_delegates_ids(exchange: Exchange) -> None:
    made = (await exchange.create(lecture())).ids[0]
    other = (await exchange.create(lecture(), header=impersonating(BOB))).ids[0]
    play(exchange, "unavailable", mailbox=ALICE)
    assert (await exchange.get(other[0], header="")).codes == ["NoError"]
    assert (await exchange.get(made[0], header="")).status == 503
    for address, status in ((ALICE, 503), (BOB, 200)):
        folder = f'<t:FolderId Id="{folder_id(address, "calendar")}"/>'
        assert (await exchange.find(folder=folder, header="")).status == status


async def test_one_item_is_refused_with_any_code(exchange: Exchange) -> None:
    play(exchange, "deny", operation="create", nth=2, code="ErrorQuotaExceeded")
    answer = await exchange.create(*(lecture(name) for name in "abc"))
    assert answer.codes == ["NoError", "ErrorQuotaExceeded", "NoError"]
    assert subjects(exchange) == ["a", "c"]


async def test_gone(exchange: Exchange) -> None:
    await exchange.create(lecture())
    play(exchange, "gone", times=1)
    assert (await exchange.find()).fault == "ErrorNonExistentMailbox"
    play(exchange, "gone", what="calendar", times=1)
    assert (await exchange.find()).codes == ["ErrorFolderNotFound"]
    play(exchange, "gone", what="event", times=1)
    assert (await exchange.find()).codes == ["ErrorItemNotFound"]
    assert subjects(exchange) == ["Lecture"]


@pytest.mark.parametrize("operation", ["update", "delete"])
async def test_gone_takes_the_event_away_first(exchange: Exchange, operation: str) -> None:
    first = (await exchange.create(lecture("a"), lecture("b"))).ids[0]
    play(exchange, "gone", operation=operation, times=1)
    change = set_field(uri("item:Subject"), "<t:Subject>x</t:Subject>")
    answer = await (exchange.update(first, change) if operation == "update" else exchange.delete(first[0]))
    assert answer.codes == ["ErrorItemNotFound"]
    assert subjects(exchange) == ["b"]


async def test_an_account_has_27_connections_at_a_time(exchange: Exchange) -> None:
    go, waiting = asyncio.Event(), asyncio.Semaphore(0)

    async def sleep(_: float) -> None:
        waiting.release()
        await go.wait()

    exchange.state.sleep = sleep
    play(exchange, "slow", times=MAX_CONNECTIONS)
    running = [asyncio.create_task(exchange.find()) for _ in range(MAX_CONNECTIONS)]
    for _ in running:
        await waiting.acquire()

    refused = await exchange.find()

    assert (refused.status, refused.fault) == (500, "ErrorExceededConnectionCount")
    go.set()
    assert {one.get("Name"): one.text for one in refused.all(".//t:Value")}["MaxConcurrencyLimit"] == "27"
    assert [answer.codes for answer in await asyncio.gather(*running)] == [["NoError"]] * MAX_CONNECTIONS
    assert (await exchange.find()).codes == ["NoError"]
