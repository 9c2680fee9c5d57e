"""The EWS adapter against scripted answers: how many requests, in which order, and what comes of them."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from lxml import etree

from providers.contract import (
    Create,
    Delete,
    Done,
    Gone,
    Mailbox,
    ProviderError,
    Refused,
    Throttled,
    Unknown,
    Update,
)
from providers.ews.adapter import EwsAdapter
from providers.ews.session import HttpStatus, NoAnswer
from tests.clock import SettableClock
from tests.unit.providers.ews_server import (
    ALICE,
    M,
    ScriptedEndpoint,
    T,
    error,
    event,
    fault,
    folder,
    found,
    get_any,
    marker,
    page,
    response,
    scripted,
    success,
    update,
)

SCHEMA = Path(__file__).parents[4] / "shared/reference/schemas/ews/messages-all.xsd"


def create(number: int) -> Create:
    return Create(event=event(number), marker=marker(number))


def delete(number: int) -> Delete:
    return Delete(id=f"id-{number}", version="ck")


def created(request: etree._Element) -> bytes:
    """All of it done."""
    count = len(request.findall(f"{M}Items/{T}CalendarItem"))
    return response("CreateItem", *(success(f"new-{i}", f"v{i}") for i in range(count)))


# ── How many requests ────────────────────────────────────────────────────────────────────────────────────


async def test_a_hundred_creates_are_one_request():
    async with scripted(created) as (adapter, endpoint):
        outcomes = await adapter.apply(ALICE, [create(i) for i in range(100)])

    assert outcomes == [Done(f"new-{i}", f"v{i}") for i in range(100)]
    assert endpoint.operations == ["CreateItem"]


async def test_one_changed_event_is_one_request():
    async with scripted(response("UpdateItem", success("id-1", "v2"))) as (adapter, endpoint):
        assert await adapter.apply(ALICE, [update(1)]) == [Done("id-1", "v2")]

    (change,) = endpoint.requests[0].findall(f".//{T}ItemChange")
    assert change.find(f"{T}ItemId").get("ChangeKey") == "ck"
    fields = [uri.get("FieldURI") for uri in change.iter(f"{T}FieldURI")]
    assert fields == ["item:Subject"]


async def test_each_kind_is_one_request_and_outcomes_keep_the_order_of_the_operations():
    async with scripted(
        response("DeleteItem", success(), success()),
        response("UpdateItem", success("id-2", "v2")),
        response("CreateItem", success("new-1", "v1"), success("new-4", "v4")),
    ) as (adapter, endpoint):
        outcomes = await adapter.apply(ALICE, [create(1), update(2), delete(3), create(4), delete(5)])

    assert endpoint.operations == ["DeleteItem", "UpdateItem", "CreateItem"]
    assert outcomes == [
        Done("new-1", "v1"),
        Done("id-2", "v2"),
        Done("id-3"),
        Done("new-4", "v4"),
        Done("id-5"),
    ]


async def test_an_update_that_changes_nothing_is_done_without_a_request():
    same = Update(id="id-1", version="ck", event=event(1), possible=(event(1),), marker=marker(1))
    async with scripted() as (adapter, endpoint):
        assert await adapter.apply(ALICE, [same]) == [Done("id-1", "ck")]

    assert endpoint.operations == []


async def test_more_operations_than_a_batch_takes_are_a_mistake_of_the_caller():
    async with scripted() as (adapter, _):
        with pytest.raises(ValueError, match="100 are the most"):
            await adapter.apply(ALICE, [create(i) for i in range(101)])


# ── What every request says ──────────────────────────────────────────────────────────────────────────────


async def test_nobody_is_sent_mail_and_deleted_events_do_not_fill_deleted_items():
    async with scripted(
        response("DeleteItem", success()),
        response("UpdateItem", success("id-1")),
        created,
    ) as (adapter, endpoint):
        await adapter.apply(ALICE, [create(1), update(1), delete(1)])

    deletion, change, creation = endpoint.requests
    assert creation.get("SendMeetingInvitations") == "SendToNone"
    assert change.get("SendMeetingInvitationsOrCancellations") == "SendToNone"
    assert deletion.get("SendMeetingCancellations") == "SendToNone"
    assert deletion.get("DeleteType") == "SoftDelete"


async def test_impersonation_names_the_mailbox_and_delegation_does_not():
    impersonated = b"<t:ConnectingSID><t:SmtpAddress>alice@uni.example</t:SmtpAddress></t:ConnectingSID>"

    async with scripted(created) as (adapter, endpoint):
        await adapter.apply(ALICE, [create(1)])
    assert impersonated in endpoint.envelopes[0]

    async with scripted(created, access_type="delegate") as (adapter, endpoint):
        await adapter.apply(ALICE, [create(1)])
    assert b"ExchangeImpersonation" not in endpoint.envelopes[0]
    assert endpoint.requests[0].findtext(f".//{T}EmailAddress") == "alice@uni.example"


@pytest.mark.skipif(not SCHEMA.exists(), reason=f"Microsoft's schemas are not at {SCHEMA}")
async def test_every_request_is_valid_by_microsofts_schema():
    schema = etree.XMLSchema(etree.parse(SCHEMA))
    bare = event(8, title="", location="", description="", categories=(), all_day=True)
    unread = Update(id="id-8", version=None, event=bare, possible=(event(8),), marker=marker(8))
    async with scripted(
        folder(),
        response("DeleteItem", success()),
        get_any,
        response("UpdateItem", success("id-1"), success("id-8")),
        response("UpdateItem", success("id-2")),
        created,
        page([found("id-1", marker(1))], total=1, next_offset=1, last=True),
        get_any,
        page([], total=0, next_offset=0, last=True),
    ) as (adapter, endpoint):
        await adapter.probe(ALICE.address)
        await adapter.apply(
            ALICE,
            [
                create(1),
                Create(event=bare, marker=marker(8)),
                update(1),
                update(2, version=None),
                unread,
                delete(1),
            ],
        )
        await adapter.find(ALICE, "uni.example", [UUID(int=1), UUID(int=2)])
        assert [one async for one in adapter.list(ALICE, "uni.example")] == []

    assert len(endpoint.requests) == 9
    for request in endpoint.requests:
        document = etree.fromstring(etree.tostring(request))
        assert schema.validate(document), schema.error_log


# ── Each input has its own result ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "code", ["ErrorQuotaExceeded", "ErrorCalendarDurationIsTooLong", "ErrorAccessDenied", "ErrorOfTheFuture"]
)
async def test_one_refused_event_does_not_lose_the_ids_of_the_others(code: str):
    answer = response("CreateItem", success("new-1"), error(code), success("new-3"))
    async with scripted(answer) as (adapter, _):
        first, second, third = await adapter.apply(ALICE, [create(1), create(2), create(3)])

    assert (first, third) == (Done("new-1", "ck"), Done("new-3", "ck"))
    assert isinstance(second, Refused)


async def test_items_before_a_busy_one_are_done_and_later_requests_are_not_sent():
    answer = response("DeleteItem", success(), error("ErrorServerBusy", 5000), error("ErrorServerBusy", 5000))
    async with scripted(answer) as (adapter, endpoint):
        outcomes = await adapter.apply(ALICE, [delete(1), delete(2), delete(3), update(4), create(5)])

    busy = Throttled(until=SettableClock()() + timedelta(seconds=5), scope="account", code="ErrorServerBusy")
    assert outcomes == [Done("id-1"), busy, busy, busy, busy]
    assert endpoint.operations == ["DeleteItem"]


@pytest.mark.parametrize("failure", [NoAnswer("dropped"), b"<s:Envelope>", HttpStatus(503)])
async def test_creates_without_a_clear_answer_are_unknown_and_sent_once(failure: bytes | Exception):
    async with scripted(failure) as (adapter, endpoint):
        outcomes = await adapter.apply(ALICE, [create(1), create(2)])

    assert [type(outcome) for outcome in outcomes] == [Unknown, Unknown]
    assert endpoint.operations == ["CreateItem"]


async def test_what_was_not_sent_after_an_unclear_answer_is_not_unknown():
    async with scripted(NoAnswer("dropped")) as (adapter, endpoint):
        outcomes = await adapter.apply(ALICE, [create(1), delete(2)])

    assert outcomes[0] == Throttled(until=SettableClock()(), scope="mailbox", code="not_sent")
    assert isinstance(outcomes[1], Unknown)
    assert endpoint.operations == ["DeleteItem"]


async def test_a_busy_server_is_asked_once():
    async with scripted(fault("ErrorServerBusy", 3000)) as (adapter, endpoint):
        outcomes = await adapter.apply(ALICE, [create(1), update(2), delete(3)])

    wait = Throttled(until=SettableClock()() + timedelta(seconds=3), scope="account", code="ErrorServerBusy")
    assert outcomes == [wait] * 3
    assert endpoint.operations == ["DeleteItem"]


async def test_a_wrong_password_is_tried_once_so_that_the_account_is_not_locked():
    async with scripted(HttpStatus(401)) as (adapter, endpoint):
        outcomes = await adapter.apply(ALICE, [create(1), update(2), delete(3)])

    assert all(isinstance(outcome, Refused) and outcome.scope == "account" for outcome in outcomes)
    assert len(endpoint.operations) == 1


async def test_one_event_that_spoils_the_request_does_not_hold_up_the_others():
    def strict(request: etree._Element) -> bytes:
        return fault("ErrorSchemaValidation") if b"Lecture 3" in etree.tostring(request) else created(request)

    async with scripted(*[strict] * 5) as (adapter, _):
        outcomes = await adapter.apply(ALICE, [create(i) for i in range(1, 5)])

    assert [type(outcome) for outcome in outcomes] == [Done, Done, Refused, Done]


# ── What is gone, and what only seems so ─────────────────────────────────────────────────────────────────


async def test_a_deletion_of_what_is_not_there_is_done_and_an_update_says_so():
    async with scripted(
        response("DeleteItem", error("ErrorItemNotFound")),
        folder(),
        response("UpdateItem", error("ErrorItemNotFound")),
        folder(),
    ) as (adapter, _):
        outcomes = await adapter.apply(ALICE, [delete(1), update(2)])

    assert outcomes[0] == Done("id-1")
    assert isinstance(outcomes[1], Gone)
    assert outcomes[1].what == "event"


@pytest.mark.parametrize(
    "answer",
    [fault("ErrorAccessDenied"), folder(rights="<t:Read>false</t:Read>"), fault("ErrorFolderNotFound")],
    ids=["denied", "cannot read", "cannot see"],
)
async def test_not_found_for_want_of_permission_is_not_taken_for_deleted(answer: bytes):
    async with scripted(
        response("DeleteItem", error("ErrorItemNotFound")), answer, access_type="delegate"
    ) as (adapter, _):
        (outcome,) = await adapter.apply(ALICE, [delete(1)])

    assert isinstance(outcome, Refused)
    assert outcome.scope == "mailbox"


async def test_not_found_is_not_taken_for_deleted_while_nobody_can_tell():
    async with scripted(response("DeleteItem", error("ErrorItemNotFound")), NoAnswer("dropped")) as (
        adapter,
        _,
    ):
        (outcome,) = await adapter.apply(ALICE, [delete(1)])

    assert isinstance(outcome, Throttled)


async def test_a_create_finds_no_calendar():
    async with scripted(response("CreateItem", error("ErrorFolderNotFound"))) as (adapter, _):
        (outcome,) = await adapter.apply(ALICE, [create(1)])

    assert isinstance(outcome, Gone)
    assert outcome.what == "calendar"


# ── Probe ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_probe_learns_the_identity_with_one_request():
    async with scripted(folder("AAMk=")) as (adapter, endpoint):
        assert await adapter.probe("Alice@uni.example") == Mailbox(
            address="Alice@uni.example", identity="AAMk="
        )

    assert endpoint.operations == ["GetFolder"]


async def test_a_calendar_that_may_only_be_read_is_refused():
    rights = "<t:CreateContents>false</t:CreateContents><t:Read>true</t:Read>"
    async with scripted(folder(rights=rights)) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await adapter.probe(ALICE.address)

    assert isinstance(caught.value.outcome, Refused)
    assert caught.value.outcome.scope == "mailbox"


async def test_an_editor_need_not_own_the_folder():
    rights = (
        "<t:CreateContents>true</t:CreateContents><t:Delete>false</t:Delete>"
        "<t:Modify>false</t:Modify><t:Read>true</t:Read>"
    )
    async with scripted(folder(rights=rights)) as (adapter, _):
        assert (await adapter.probe(ALICE.address)).identity == "folder"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (fault("ErrorNonExistentMailbox"), Gone),
        (fault("ErrorImpersonateUserDenied"), Refused),
        (response("GetFolder", error("ErrorAccessDenied")), Refused),
        (HttpStatus(401), Refused),
        (HttpStatus(503), Unknown),
        (HttpStatus(503, "5"), Throttled),
        (NoAnswer("dropped"), Unknown),
        (b"", Unknown),
    ],
)
async def test_a_probe_that_fails_says_why(answer: bytes | Exception, expected: type):
    async with scripted(answer) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await adapter.probe(ALICE.address)

    assert isinstance(caught.value.outcome, expected)


# ── Accounts ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_mailbox_stays_with_its_account_in_any_spelling():
    names = ["svc-1", "svc-2", "svc-3"]
    adapter = EwsAdapter({name: ScriptedEndpoint() for name in names}, "impersonation", SettableClock())
    again = EwsAdapter(
        {name: ScriptedEndpoint() for name in reversed(names)}, "impersonation", SettableClock()
    )
    addresses = [f"User{i}@uni.example" for i in range(200)]

    assert [adapter.account(address) for address in addresses] == [
        again.account(address.lower()) for address in addresses
    ]
    assert {adapter.account(address) for address in addresses} == set(names)
    for one in (adapter, again):
        await one.close()


async def test_another_account_takes_mailboxes_over_and_moves_no_other():
    two = EwsAdapter({name: ScriptedEndpoint() for name in ("a", "b")}, "impersonation", SettableClock())
    three = EwsAdapter(
        {name: ScriptedEndpoint() for name in ("a", "b", "c")}, "impersonation", SettableClock()
    )
    for i in range(100):
        address = f"user{i}@uni.example"
        assert three.account(address) in (two.account(address), "c")
    for one in (two, three):
        await one.close()
