"""The EWS adapter against scripted answers: how many requests, in which order, and what comes of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from lxml import etree

from providers.contract import (
    Create,
    Delete,
    Done,
    Event,
    Gone,
    Mailbox,
    ProviderError,
    Refused,
    RemoteEvent,
    Throttled,
    Unknown,
    Update,
)
from providers.ews.adapter import EwsAdapter
from providers.ews.reading import read_item
from providers.ews.session import HttpStatus, NoAnswer
from tests.clock import SettableClock
from tests.unit.providers.ews_server import (
    M,
    Responder,
    ScriptedEndpoint,
    T,
    envelope,
    error,
    event,
    fault,
    folder,
    found,
    get_any,
    got,
    held,
    marker,
    page,
    response,
    success,
)

ALICE = Mailbox(address="alice@uni.example", identity="folder")
SCHEMA = Path(__file__).parents[4] / "shared/reference/schemas/ews/messages-all.xsd"


@asynccontextmanager
async def scripted(
    *script: Responder | bytes | Exception, access_type: str = "impersonation"
) -> AsyncIterator[tuple[EwsAdapter, ScriptedEndpoint]]:
    """An adapter whose Exchange answers by the script, all of which must be used."""
    endpoint = ScriptedEndpoint(*script)
    adapter = EwsAdapter({"svc": endpoint}, access_type, SettableClock())
    try:
        yield adapter, endpoint
        assert not endpoint.script, "answers that nobody asked for"
    finally:
        await adapter.close()


def create(number: int) -> Create:
    return Create(event=event(number), marker=marker(number))


def update(number: int, version: str | None = "ck") -> Update:
    return Update(
        id=f"id-{number}",
        version=version,
        event=event(number, title="Changed"),
        possible=(event(number),),
        marker=marker(number),
    )


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


# ── Updates and ChangeKeys ───────────────────────────────────────────────────────────────────────────────

OUR_TEXT = "Bring two books."


def rewrite(number: int, version: str | None = "ck", **others: Any) -> Update:
    """A change of the text, around which the person may have put notes."""
    return Update(
        id=f"id-{number}",
        version=version,
        event=event(number, description=OUR_TEXT),
        possible=others.get("possible", (event(number),)),
        marker=marker(number),
    )


def written(request: etree._Element) -> dict[str, list[tuple[str, str | None]]]:
    """The fields that an UpdateItem sets, marker aside: names and texts by the id of the item."""
    return {
        change.find(f"{T}ItemId").get("Id"): [
            (etree.QName(field).localname, field.text)
            for field in change.iterfind(f"{T}Updates/{T}SetItemField/{T}CalendarItem/*")
            if field.tag != f"{T}ExtendedProperty"
        ]
        for change in request.iter(f"{T}ItemChange")
    }


CONFLICT = error("ErrorIrresolvableConflict")
UNCHANGED = event(1)


async def test_an_item_that_has_moved_on_is_refused_by_exchange_itself():
    async with scripted(response("UpdateItem", success("id-1", "v2"), success("id-2", "v2"))) as (
        adapter,
        endpoint,
    ):
        outcomes = await adapter.apply(ALICE, [update(1), rewrite(2)])

    assert outcomes == [Done("id-1", "v2"), Done("id-2", "v2")]
    assert endpoint.requests[0].get("ConflictResolution") == "NeverOverwrite"
    assert {id.get("ChangeKey") for id in endpoint.requests[0].iter(f"{T}ItemId")} == {"ck"}


async def test_a_text_that_the_person_added_to_is_read_and_merged():
    noted = held("id-2", event(2), marker(2), version="theirs", body="Mine\nBring a book.\nToo")
    async with scripted(
        response("UpdateItem", success("id-1", "v2"), CONFLICT),
        got(noted),
        response("UpdateItem", success("id-2", "v3")),
    ) as (adapter, endpoint):
        outcomes = await adapter.apply(ALICE, [rewrite(1), rewrite(2)])

    # No version for what holds notes now: the next change of the text must not rely on it.
    assert outcomes == [Done("id-1", "v2"), Done("id-2", None)]
    again = endpoint.requests[2]
    assert written(again) == {"id-2": [("Body", f"Mine\n{OUR_TEXT}\nToo")]}
    assert again.get("ConflictResolution") == "NeverOverwrite"
    assert again.find(f".//{T}ItemId").get("ChangeKey") == "theirs"


async def test_a_change_key_that_moved_by_itself_is_trusted_again():
    async with scripted(
        response("UpdateItem", CONFLICT),
        got(held("id-1", event(1), marker(1), version="moved")),
        response("UpdateItem", success("id-1", "v3")),
    ) as (adapter, endpoint):
        assert await adapter.apply(ALICE, [rewrite(1)]) == [Done("id-1", "v3")]

    assert written(endpoint.requests[2]) == {"id-1": [("Body", OUR_TEXT)]}


async def test_a_text_of_unknown_version_is_read_first():
    async with scripted(get_any, response("UpdateItem", success("id-1", "v2"))) as (adapter, endpoint):
        assert await adapter.apply(ALICE, [rewrite(1, version=None)]) == [Done("id-1", "v2")]

    assert endpoint.requests[1].find(f".//{T}ItemId").get("ChangeKey") == "ck-id-1"
    assert endpoint.requests[0].findtext(f"{M}ItemShape/{T}BodyType") == "Text"


async def test_other_fields_are_written_whatever_the_person_did_meanwhile():
    async with scripted(response("UpdateItem", CONFLICT), response("UpdateItem", success("id-1", "v3"))) as (
        adapter,
        endpoint,
    ):
        assert await adapter.apply(ALICE, [update(1)]) == [Done("id-1", None)]

    assert endpoint.requests[1].get("ConflictResolution") == "AlwaysOverwrite"
    assert written(endpoint.requests[1]) == {"id-1": [("Subject", "Changed")]}


async def test_other_fields_of_unknown_version_are_written_at_once():
    async with scripted(response("UpdateItem", success("id-1", "v2"))) as (adapter, endpoint):
        assert await adapter.apply(ALICE, [update(1, version=None)]) == [Done("id-1", None)]

    assert endpoint.requests[0].get("ConflictResolution") == "AlwaysOverwrite"


async def test_an_exchange_that_wants_a_change_key_even_so_gets_one():
    async with scripted(
        response("UpdateItem", error("ErrorChangeKeyRequired")),
        get_any,
        response("UpdateItem", success("id-1", "v2")),
    ) as (adapter, endpoint):
        assert await adapter.apply(ALICE, [update(1, version=None)]) == [Done("id-1", "v2")]

    assert endpoint.requests[2].find(f".//{T}ItemId").get("ChangeKey") == "ck-id-1"


@pytest.mark.parametrize("operation", [update, rewrite])
async def test_a_conflict_that_stays_is_refused_for_now(operation: Callable[[int], Update]):
    reading = [get_any] if operation is rewrite else []
    async with scripted(response("UpdateItem", CONFLICT), *reading, response("UpdateItem", CONFLICT)) as (
        adapter,
        _,
    ):
        (outcome,) = await adapter.apply(ALICE, [operation(1)])

    assert isinstance(outcome, Refused)
    assert not outcome.permanent
    assert outcome.code == "ErrorIrresolvableConflict"


@pytest.mark.parametrize("possible", [(), (UNCHANGED, event(1, description=OUR_TEXT))])
async def test_what_is_not_known_for_sure_is_read_and_only_the_difference_is_written(
    possible: tuple[Event, ...],
):
    there = held("id-1", event(1, title="Theirs", description=OUR_TEXT), marker(1), version="v1")
    async with scripted(got(there), response("UpdateItem", success("id-1", "v2"))) as (adapter, endpoint):
        assert await adapter.apply(ALICE, [rewrite(1, possible=possible)]) == [Done("id-1", "v2")]

    assert written(endpoint.requests[1]) == {"id-1": [("Subject", "Lecture 1")]}


async def test_what_is_there_already_is_read_and_not_written():
    there = held("id-1", event(1, description=OUR_TEXT), marker(1), version="v1")
    async with scripted(got(there)) as (adapter, _):
        assert await adapter.apply(ALICE, [rewrite(1, possible=())]) == [Done("id-1", "v1")]


async def test_what_is_there_already_among_notes_has_no_version_to_rely_on():
    there = held("id-1", event(1), marker(1), version="v1", body=f"{OUR_TEXT}\nMine")
    async with scripted(got(there)) as (adapter, _):
        assert await adapter.apply(ALICE, [rewrite(1, possible=())]) == [Done("id-1", None)]


async def test_a_marker_of_another_synchronization_is_written_even_alone():
    there = held("id-1", event(1, description=OUR_TEXT), marker(1, synchronization=3))
    async with scripted(got(there), response("UpdateItem", success("id-1", "v2"))) as (adapter, endpoint):
        assert await adapter.apply(ALICE, [rewrite(1, possible=())]) == [Done("id-1", "v2")]

    assert len(endpoint.requests[1].findall(f".//{T}ExtendedProperty")) == 4


async def test_no_update_ever_touches_a_reminder():
    nothing_right = event(9, title="x", location="x", show_as="free", time_zone="UTC", categories=())
    there = held("id-1", nothing_right, None, zone="UTC", free_busy="Free")
    async with scripted(got(there), response("UpdateItem", success("id-1", "v2"))) as (adapter, endpoint):
        await adapter.apply(ALICE, [rewrite(1, possible=())])

    names = {name for name, _ in written(endpoint.requests[1])["id-1"]}
    assert names == {
        "Subject", "Body", "Categories", "Start", "End", "IsAllDayEvent", "LegacyFreeBusyStatus", "Location",
        "StartTimeZone", "EndTimeZone",
    }  # fmt: skip


async def test_only_what_must_be_read_is_read_and_all_in_one_request():
    async with scripted(
        get_any,
        response("UpdateItem", *(success(f"id-{n}", "v2") for n in (1, 2, 4))),
        response("UpdateItem", success("id-3", "v2")),
    ) as (adapter, endpoint):
        outcomes = await adapter.apply(
            ALICE,
            [rewrite(1), rewrite(2, version=None), update(3, version=None), rewrite(4, possible=())],
        )

    assert outcomes == [Done("id-1", "v2"), Done("id-2", "v2"), Done("id-3", None), Done("id-4", None)]
    assert [id.get("Id") for id in endpoint.requests[0].iter(f"{T}ItemId")] == ["id-2", "id-4"]


async def test_an_update_that_was_never_sent_is_not_unknown():
    async with scripted(NoAnswer("dropped")) as (adapter, endpoint):
        outcomes = await adapter.apply(ALICE, [rewrite(1, version=None)])

    assert endpoint.operations == ["GetItem"]
    assert isinstance(outcomes[0], Throttled)


async def test_an_item_that_cannot_be_made_out_is_not_written():
    async with scripted(response("GetItem", success("id-1", "v1"))) as (adapter, _):
        (outcome,) = await adapter.apply(ALICE, [rewrite(1, version=None)])

    assert isinstance(outcome, Throttled)


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
        (HttpStatus(503), Throttled),
        (NoAnswer("dropped"), Unknown),
        (b"", Unknown),
    ],
)
async def test_a_probe_that_fails_says_why(answer: bytes | Exception, expected: type):
    async with scripted(answer) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await adapter.probe(ALICE.address)

    assert isinstance(caught.value.outcome, expected)


# ── Find and list ────────────────────────────────────────────────────────────────────────────────────────


def remote(id: str, number: int) -> RemoteEvent:
    content = read_item(etree.fromstring(envelope(held(id, event(number), marker(number))))[0][0]).content
    return RemoteEvent(id=id, version=f"ck-{id}", marker=marker(number), content=content)


async def test_find_gives_copies_too_and_nothing_that_exchange_merely_thinks_alike():
    other = marker(1, instance="UNI.example")
    items = [found("a", marker(1)), found("copy", marker(1)), found("b", other), found("c", None)]
    async with scripted(page(items, total=4, next_offset=4, last=True), get_any) as (adapter, endpoint):
        events = await adapter.find(ALICE, "uni.example", [UUID(int=1)])

    assert events == [remote("a", 1), remote("copy", 1)]
    (constant,) = endpoint.requests[0].iter(f"{T}Constant")
    assert constant.get("Value") == UUID(int=1).hex


async def test_find_of_many_attempts_asks_in_portions():
    empty = page([], total=0, next_offset=0, last=True)
    async with scripted(empty, empty, empty) as (adapter, endpoint):
        assert await adapter.find(ALICE, "uni.example", [UUID(int=i) for i in range(120)]) == []

    assert [len(request.findall(f".//{T}Constant")) for request in endpoint.requests] == [50, 50, 20]


async def test_find_of_nothing_asks_nothing():
    async with scripted() as (adapter, _):
        assert await adapter.find(ALICE, "uni.example", []) == []


async def test_a_find_that_fails_on_a_later_page_is_no_answer():
    first = page([found("a", marker(1))], total=2, next_offset=1, last=False)
    async with scripted(first, get_any, fault("ErrorServerBusy")) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await adapter.find(ALICE, "uni.example", [UUID(int=1)])

    assert isinstance(caught.value.outcome, Throttled)


def paged(*pages: tuple[list[int], int]) -> Callable[[etree._Element], bytes]:
    """A calendar of which the next request sees the next state: (numbers that are there, page size)."""
    states = iter(pages)

    def answer(request: etree._Element) -> bytes:
        numbers, size = next(states)
        offset = int(request.find(f"{M}IndexedPageItemView").get("Offset"))
        shown = numbers[offset : offset + size]
        return page(
            [found(f"id-{number}", marker(number)) for number in shown],
            total=len(numbers),
            next_offset=offset + len(shown),
            last=offset + size >= len(numbers),
        )

    return answer


async def listed(adapter: EwsAdapter) -> list[int]:
    return [int(one.id.removeprefix("id-")) async for one in adapter.list(ALICE, "uni.example")]


async def test_list_goes_page_by_page():
    calendar = list(range(1, 6))
    answer = paged((calendar, 2), (calendar, 2), (calendar, 2))
    async with scripted(*[answer, get_any] * 3) as (adapter, endpoint):
        assert await listed(adapter) == [1, 2, 3, 4, 5]

    views = [request.find(f"{M}IndexedPageItemView") for request in endpoint.requests[::2]]
    assert [view.get("Offset") for view in views] == ["0", "2", "4"]
    assert {view.get("MaxEntriesReturned") for view in views} == {"250"}


async def test_list_misses_nothing_when_events_vanish_between_the_pages():
    # 1 goes after the first page, so that 3 slips to where the list has been already.
    before, after = [1, 2, 3, 4, 5], [2, 3, 4, 5]
    answer = paged((before, 2), (after, 2), (after, 2), (after, 2))
    async with scripted(*[answer, get_any] * 3, answer) as (adapter, _):
        assert sorted(await listed(adapter)) == [1, 2, 3, 4, 5]


async def test_list_of_a_calendar_that_never_holds_still_is_no_answer():
    def restless(request: etree._Element) -> bytes:
        return page([found("id-1", marker(1))], total=2, next_offset=1, last=True)

    async with scripted(restless, get_any, *[restless] * 19) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await listed(adapter)

    assert isinstance(caught.value.outcome, Unknown)


async def test_list_ends_where_the_offset_does_not_move():
    stuck = page([found("id-1", marker(1))], total=1, next_offset=0, last=False)
    async with scripted(stuck, get_any) as (adapter, _):
        assert await listed(adapter) == [1]


def two_on_a_page(request: etree._Element) -> bytes:
    return page([found("id-1", marker(1)), found("id-2", marker(2))], total=2, next_offset=2, last=True)


async def test_an_event_that_vanishes_while_it_is_read_is_looked_for_once_more():
    one = page([found("id-1", marker(1))], total=1, next_offset=1, last=True)
    half = got(held("id-1", event(1), marker(1)), error("ErrorItemNotFound"))
    async with scripted(two_on_a_page, half, one) as (adapter, _):
        assert await listed(adapter) == [1]


async def test_events_that_may_not_be_read_any_more_are_no_empty_calendar():
    gone = got(error("ErrorItemNotFound"), error("ErrorItemNotFound"))
    async with scripted(two_on_a_page, gone, response("FindItem", error("ErrorAccessDenied"))) as (
        adapter,
        _,
    ):
        with pytest.raises(ProviderError) as caught:
            await listed(adapter)

    assert isinstance(caught.value.outcome, Refused)


@pytest.mark.parametrize(
    "answer",
    [
        got(held("id-1", event(1), marker(1)), error("ErrorServerBusy")),
        response("GetItem", success("id-1"), success("id-2")),
        NoAnswer("dropped"),
    ],
)
async def test_a_page_of_which_not_all_can_be_read_is_no_answer(answer: bytes | Exception):
    async with scripted(two_on_a_page, answer) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await listed(adapter)

    assert isinstance(caught.value.outcome, Throttled | Unknown)


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
