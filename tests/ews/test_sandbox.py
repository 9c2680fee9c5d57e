"""The EWS adapter against the sandbox: the shapes in which Exchange throttles, and a lost answer."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from providers.adapter import Adapter
from providers.contract import (
    Create,
    Delete,
    Done,
    Gone,
    Mailbox,
    Outcome,
    ProviderError,
    Throttled,
    Unknown,
    Update,
)
from providers.ews import connect
from providers.sandbox.ews.items import stamp
from providers.sandbox.server import Sandbox
from providers.sandbox.state import Fault
from providers.settings import EwsSettings
from tests.clock import SettableClock
from tests.sandbox.conftest import credentials, sandbox
from tests.unit.providers.ews_server import event, marker

__all__ = ["credentials", "sandbox"]

CREATES = [Create(event=event(i), marker=marker(i)) for i in range(4)]


@pytest.fixture(params=["impersonation"])
async def adapter(
    sandbox: Sandbox, clock: SettableClock, request: pytest.FixtureRequest
) -> AsyncIterator[Adapter]:
    known = sandbox.state.credentials
    adapter = await connect(
        EwsSettings(
            service_endpoint=f"{sandbox.url}/EWS/Exchange.asmx",
            username=known.ews_username,
            password=known.ews_password,
            ca_file=str(sandbox.ca_file),
            access_type=request.param,
        ),
        clock,
    )
    yield adapter
    await adapter.close()


@pytest.fixture
async def alice(adapter: Adapter, sandbox: Sandbox) -> Mailbox:
    mailbox = await adapter.probe("alice@uni.example")
    sandbox.state.stats.requests.clear()
    return mailbox


def plan(sandbox: Sandbox, fault: str, **fields: object) -> None:
    sandbox.state.faults.active.append(Fault(type="ews", fault=fault, **fields))  # type: ignore[arg-type]


def requests(sandbox: Sandbox) -> dict[str, int]:
    return {operation: count for (_, operation), count in sandbox.state.stats.requests.items()}


@pytest.mark.parametrize(("retry_after", "seconds"), [(7, 7), (None, 30)])
async def test_a_busy_fault_holds_the_account(
    adapter: Adapter,
    alice: Mailbox,
    sandbox: Sandbox,
    clock: SettableClock,
    retry_after: float | None,
    seconds: int,
):
    plan(sandbox, "throttle", options={"shape": "fault"}, retry_after=retry_after)
    outcomes = await adapter.apply(alice, CREATES)

    wait = Throttled(until=clock() + timedelta(seconds=seconds), scope="account", code="ErrorServerBusy")
    assert outcomes == [wait] * 4
    assert requests(sandbox) == {"CreateItem": 1}


async def test_items_before_the_busy_ones_are_done(
    adapter: Adapter, alice: Mailbox, sandbox: Sandbox, clock: SettableClock
):
    plan(sandbox, "throttle", operation="create", nth=3, options={"shape": "items"}, retry_after=7)
    outcomes = await adapter.apply(alice, CREATES)

    wait = Throttled(until=clock() + timedelta(seconds=7), scope="account", code="ErrorServerBusy")
    assert [isinstance(outcome, Done) for outcome in outcomes[:2]] == [True, True]
    assert outcomes[2:] == [wait, wait]
    # What is said to be done is there, under its id, and nothing else is.
    attempts = [create.marker.attempt for create in CREATES]
    there = {found.marker.attempt: found.id for found in await adapter.find(alice, "uni.example", attempts)}
    assert there == {attempts[i]: id_of(outcomes[i]) for i in (0, 1)}


def id_of(outcome: Outcome) -> str:
    assert isinstance(outcome, Done)
    return outcome.id


async def test_an_http_503_is_asked_about_before_anything_is_sent_again(
    adapter: Adapter, alice: Mailbox, sandbox: Sandbox
):
    plan(sandbox, "throttle", options={"shape": "503"}, retry_after=7, times=1)
    outcomes = await adapter.apply(alice, CREATES)

    assert [type(outcome) for outcome in outcomes] == [Unknown] * 4
    assert requests(sandbox) == {"CreateItem": 1}
    assert await adapter.find(alice, "uni.example", [CREATES[0].marker.attempt]) == []


@pytest.mark.parametrize("fault", ["commit_then_drop", "commit_then_503"])
async def test_creates_whose_answer_is_lost_are_sent_once_and_found(
    adapter: Adapter, alice: Mailbox, sandbox: Sandbox, fault: str
):
    plan(sandbox, fault, operation="CreateItem", times=1)
    outcomes = await adapter.apply(alice, CREATES)

    assert [type(outcome) for outcome in outcomes] == [Unknown] * 4
    assert requests(sandbox) == {"CreateItem": 1}
    attempts = [create.marker.attempt for create in CREATES]
    found = await adapter.find(alice, "uni.example", attempts)
    assert [one.marker for one in found] == [create.marker for create in CREATES]


async def test_a_refused_item_in_the_middle_keeps_the_ids_of_the_others(
    adapter: Adapter, alice: Mailbox, sandbox: Sandbox
):
    plan(sandbox, "deny", operation="create", nth=2, options={"code": "ErrorQuotaExceeded"})
    outcomes = await adapter.apply(alice, CREATES)
    attempts = [CREATES[i].marker.attempt for i in (0, 2, 3)]

    there = {found.marker.attempt: found.id for found in await adapter.find(alice, "uni.example", attempts)}
    assert there == {CREATES[i].marker.attempt: id_of(outcomes[i]) for i in (0, 2, 3)}


async def test_a_day_of_changes_is_three_requests(adapter: Adapter, alice: Mailbox, sandbox: Sandbox):
    done = [outcome for outcome in await adapter.apply(alice, CREATES) if isinstance(outcome, Done)]
    sandbox.state.stats.requests.clear()
    outcomes = await adapter.apply(
        alice,
        [
            Delete(id=done[0].id, version=done[0].version),
            Update(
                id=done[1].id,
                version=done[1].version,
                event=event(1, location="Room 2"),
                possible=(event(1),),
                marker=marker(1),
            ),
            Create(event=event(9), marker=marker(9)),
        ],
    )

    assert [type(outcome) for outcome in outcomes] == [Done] * 3
    assert requests(sandbox) == {"DeleteItem": 1, "UpdateItem": 1, "CreateItem": 1}


async def test_notes_survive_though_the_persons_client_has_made_html_of_the_event(
    adapter: Adapter, alice: Mailbox, sandbox: Sandbox
):
    before = event(1, description="Bring a book.\n\nAnd a pen.")
    (done,) = await adapter.apply(alice, [Create(event=before, marker=marker(1))])
    assert isinstance(done, Done)
    mailbox = sandbox.state.mailbox("ews", alice.address)
    assert mailbox is not None
    native = mailbox.events[done.id]
    native["fields"]["item:Body"] = {
        "type": "HTML",
        "text": "<p>Sit with <b>Bob</b></p><div>Bring a&nbsp;book.</div><div>And a pen.</div><p>Ask Eve</p>",
    }
    stamp(mailbox, native, alice.address, sandbox.state.now())

    (found,) = await adapter.find(alice, "uni.example", [marker(1).attempt])
    assert found.content is not None
    assert found.content.holds(before)
    after = event(1, description="Bring nothing.")
    change = Update(id=done.id, version=done.version, event=after, possible=(before,), marker=marker(1))
    assert await adapter.apply(alice, [change]) == [Done(done.id, None)]
    (found,) = await adapter.find(alice, "uni.example", [marker(1).attempt])
    assert found.content is not None
    assert found.content.body == "Sit with Bob\n\nBring nothing.\n\nAsk Eve"


async def test_an_answer_whose_document_breaks_off_says_nothing(
    adapter: Adapter, alice: Mailbox, sandbox: Sandbox
):
    plan(sandbox, "partial", operation="CreateItem", options={"shape": "document"}, times=1)
    (outcome,) = await adapter.apply(alice, CREATES[:1])

    assert isinstance(outcome, Unknown)
    assert requests(sandbox) == {"CreateItem": 1}
    (found,) = await adapter.find(alice, "uni.example", [CREATES[0].marker.attempt])
    assert found.marker == CREATES[0].marker


async def test_a_page_that_lacks_events_is_noticed(adapter: Adapter, alice: Mailbox, sandbox: Sandbox):
    await adapter.apply(alice, CREATES)
    plan(sandbox, "partial", operation="FindItem", options={"shape": "page"}, times=1)
    found = [event.marker async for event in adapter.list(alice, "uni.example")]

    assert found == [create.marker for create in CREATES]
    assert requests(sandbox)["FindItem"] == 2


@pytest.mark.parametrize("adapter", ["impersonation", "delegate"], indirect=True)
async def test_a_delegate_too_has_calendars_colours_and_changes(
    adapter: Adapter, alice: Mailbox, sandbox: Sandbox
):
    made = await adapter.make_calendar(alice, "uni.example", "Timetable")
    there = Mailbox(address=alice.address, identity=alice.identity, calendar=made.id)
    coloured = event(1, categories=("Algebra",), colours={"Algebra": "red"})
    outcomes = await adapter.apply(there, [Create(event=coloured, marker=marker(1))])
    *_, page = [page async for page in adapter.changes(there, "uni.example", None)]

    assert [one.id for one in page.events] == [id_of(outcomes[0])]
    assert made in await adapter.calendars(alice, "uni.example")
    assert requests(sandbox)["CreateUserConfiguration"] == 1
    await adapter.apply(there, [Delete(id=id_of(outcomes[0]), version=None)])
    assert [one.removed async for one in adapter.changes(there, "uni.example", page.state)] == [
        (id_of(outcomes[0]),)
    ]
    assert await adapter.remove_calendar(there, "uni.example")


async def read_all(adapter: Adapter, mailbox: Mailbox, how: str) -> list[UUID]:
    if how == "list":
        return [one.marker.attempt async for one in adapter.list(mailbox, "uni.example")]
    pages = [page async for page in adapter.changes(mailbox, "uni.example", None)]
    return [one.marker.attempt for page in pages for one in page.events]


@pytest.mark.parametrize("how", ["list", "changes"])
async def test_a_calendar_of_ours_that_its_owner_threw_away_is_gone(
    adapter: Adapter, alice: Mailbox, sandbox: Sandbox, how: str
):
    """Outlook moves it to Deleted Items, where Exchange would let us go on to fill it."""
    made = await adapter.make_calendar(alice, "uni.example", "Timetable")
    there = Mailbox(address=alice.address, identity=alice.identity, calendar=made.id)
    await adapter.apply(there, CREATES)
    assert await read_all(adapter, there, how) == [create.marker.attempt for create in CREATES]

    mailbox = sandbox.state.mailbox("ews", alice.address)
    assert mailbox is not None
    mailbox.calendars[made.id].native["parent"] = "deleteditems"
    with pytest.raises(ProviderError) as caught:
        await read_all(adapter, there, how)

    assert isinstance(caught.value.outcome, Gone)
    assert caught.value.outcome.what == "calendar"
    assert [one.id for one in await adapter.calendars(alice, "uni.example")] == [alice.identity]


async def test_an_update_of_a_version_that_the_person_has_overtaken_is_read_and_merged(
    adapter: Adapter, alice: Mailbox, sandbox: Sandbox
):
    (done,) = await adapter.apply(alice, CREATES[:1])
    assert isinstance(done, Done)
    mailbox = sandbox.state.mailbox("ews", alice.address)
    assert mailbox is not None
    sandbox.state.stats.requests.clear()
    stamp(mailbox, mailbox.events[done.id], alice.address, sandbox.state.now())
    after = event(0, description="Bring nothing.")
    change = Update(id=done.id, version=done.version, event=after, possible=(event(0),), marker=marker(0))

    (outcome,) = await adapter.apply(alice, [change])

    assert id_of(outcome) == done.id
    assert requests(sandbox) == {"UpdateItem": 2, "GetItem": 1}
