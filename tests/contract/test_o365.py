"""What is Microsoft 365's own: tokens, certificates, and the transactionId."""

from asyncio import gather
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.config import load_config
from providers import o365
from providers.adapter import Adapter
from providers.contract import Done, Mailbox, ProviderError, Refused, Unknown
from providers.sandbox.graph import store
from providers.sandbox.server import Sandbox
from providers.settings import O365Settings
from tests.contract.harness import INSTANCE, Control, all_done, create, delete, lecture, put, update

pytestmark = pytest.mark.parametrize("type", ["o365"])


def settings(sandbox: Sandbox, **changes: Any) -> O365Settings:
    """The sandbox's, with changes."""
    config = load_config({"ROOSTER_CONFIG": str(sandbox.config)}, Path.cwd())
    assert config.providers.o365 is not None
    return msgspec.structs.replace(config.providers.o365, **changes)


@asynccontextmanager
async def connected(settings: O365Settings) -> AsyncIterator[Adapter]:
    adapter = await o365.connect(settings, lambda: datetime.now(UTC))
    try:
        yield adapter
    finally:
        await adapter.close()


async def test_a_certificate_in_place_of_a_secret(sandbox: Sandbox, control: Control, address: str) -> None:
    credentials = sandbox.state.credentials
    certificate = credentials.private_key + credentials.certificate
    async with connected(settings(sandbox, client_secret=None, certificate=certificate)) as adapter:
        assert (await adapter.probe(address)).address == address


async def test_a_wrong_secret_says_what_to_do(sandbox: Sandbox, control: Control, address: str) -> None:
    async with connected(settings(sandbox, client_secret="hunter2")) as adapter:
        with pytest.raises(ProviderError) as error:
            await adapter.probe(address)
        (of_apply,) = await adapter.apply(Mailbox(address=address, identity="x"), [create(lecture())])
    assert isinstance(error.value.outcome, Refused)
    assert error.value.outcome.code == "AADSTS7000215"
    assert "client secret" in error.value.outcome.reason
    assert of_apply == error.value.outcome


async def test_a_tenant_that_is_not_there(sandbox: Sandbox, control: Control, address: str) -> None:
    async with connected(settings(sandbox, tenant_id="00000000-0000-0000-0000-000000000000")) as adapter:
        with pytest.raises(ProviderError) as error:
            await adapter.probe(address)
    assert isinstance(error.value.outcome, Refused)
    assert error.value.outcome.scope == "account"
    assert "tenant_id" in error.value.outcome.reason


async def test_a_token_that_graph_no_longer_accepts_is_renewed_on_the_way(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """It expires by the server's clock, of which the adapter's knows nothing."""
    earlier = sandbox.state.now
    sandbox.state.now = lambda: earlier() + timedelta(hours=2)
    try:
        await put(adapter, mailbox, create(lecture(0)), create(lecture(1)))
    finally:
        sandbox.state.now = earlier
    assert len(await control.events(mailbox.address)) == 2


async def test_many_mailboxes_at_once_share_one_token(
    sandbox: Sandbox, control: Control, address: str
) -> None:
    async with connected(settings(sandbox)) as adapter:
        await gather(*(adapter.probe(f"{n}-{address}") for n in range(30)))
    assert sandbox.state.stats.requests["o365", "token"] == 1


async def test_a_server_whose_certificate_does_not_hold_is_named_as_the_reason(
    sandbox: Sandbox, other_sandbox: Sandbox, control: Control, address: str
) -> None:
    async with connected(settings(sandbox, ca_file=str(other_sandbox.ca_file))) as adapter:
        with pytest.raises(ProviderError) as error:
            await adapter.probe(address)
    assert isinstance(error.value.outcome, Refused)
    assert "ca_file" in error.value.outcome.reason


async def test_a_repeated_create_is_dropped_by_its_transaction_id(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """Nobody promises it, so the caller does not build on it."""
    operation = create(lecture())
    (first,) = await put(adapter, mailbox, operation)
    (second,) = await put(adapter, mailbox, operation)
    assert second.id == first.id
    assert len(await control.events(mailbox.address)) == 1


@pytest.mark.parametrize(
    ("missing", "requests"),
    [(range(20), 6), ([0], 3), ([7], 2), ([19], 1), (range(0, 20, 2), 6)],
    ids=["all", "the first", "one in the middle", "the last", "every other one"],
)
async def test_deletes_of_what_is_gone_do_not_take_a_request_each(
    adapter: Adapter, mailbox: Mailbox, control: Control, missing: Sequence[int], requests: int
) -> None:
    """Graph carries out nothing of a chain after an item that fails, and a missing event is a failure."""
    done = await put(adapter, mailbox, *(create(lecture(n)) for n in range(20)))
    for number in missing:
        await control.person_deletes(mailbox.address, done[number].id)
    await control.forget()
    all_done(await adapter.apply(mailbox, [delete(each) for each in done]))
    assert await control.events(mailbox.address) == []
    assert await control.requests() <= requests


async def test_updates_of_many_events_that_all_moved_on_take_three_requests(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """As they do by themselves, seconds after they were made."""
    creates = [create(lecture(n, description="One.")) for n in range(20)]
    done = await put(adapter, mailbox, *creates)
    for each in done:
        await control.person_changes(mailbox.address, each.id, reminderMinutes=45)
    await control.forget()
    changes = [
        update(each, made, msgspec.structs.replace(made.event, description="Two."))
        for each, made in zip(done, creates, strict=True)
    ]
    all_done(await adapter.apply(mailbox, changes))
    assert {event["description"] for event in await control.events(mailbox.address)} == {"Two."}
    assert await control.requests() == 3


@pytest.mark.parametrize("operation", ["create", "read"])
async def test_a_version_that_moves_on_by_itself_is_no_edit_of_the_persons(
    adapter: Adapter, mailbox: Mailbox, control: Control, operation: str
) -> None:
    """After a create, seconds later; and once more, between our reading and our writing."""
    await control.fault("moves_on", operation="create")
    made = create(lecture(description="One."))
    (done,) = await put(adapter, mailbox, made)
    if operation == "read":
        await control.fault("moves_on", operation="read", times=1)
    change = update(done, made, msgspec.structs.replace(made.event, description="Two."))
    (outcome,) = await adapter.apply(mailbox, [change])
    if operation == "read":
        assert isinstance(outcome, Refused)
        assert not outcome.permanent
        (outcome,) = await adapter.apply(mailbox, [change])
    assert outcome == Done(done.id, (await control.event(mailbox.address))["version"])
    assert (await control.event(mailbox.address))["description"] == "Two."


@pytest.mark.parametrize(
    ("operation", "count", "lost"), [("create", 1, [0]), ("create", 3, [0]), ("$batch", 3, [0, 1, 2])]
)
async def test_a_truncated_answer_is_no_answer(
    adapter: Adapter, mailbox: Mailbox, control: Control, operation: str, count: int, lost: list[int]
) -> None:
    await control.fault("truncated", operation=operation, times=1)
    creates = [create(lecture(n)) for n in range(count)]
    outcomes = await adapter.apply(mailbox, creates)
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Unknown)] == lost
    assert len(await control.events(mailbox.address)) == count
    found = await adapter.find(mailbox, INSTANCE, [each.marker.attempt for each in creates])
    assert len(found) == count


async def test_a_truncated_page_is_no_short_list(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    await put(adapter, mailbox, *(create(lecture(n)) for n in range(20)))
    await control.fault("truncated", operation="read", times=1)
    with pytest.raises(ProviderError) as error:
        _ = [each async for each in adapter.list(mailbox, INSTANCE)]
    assert isinstance(error.value.outcome, Unknown)


async def test_what_events_hold_takes_no_requests_of_its_own(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    creates = [create(lecture(n)) for n in range(20)]
    await put(adapter, mailbox, *creates)
    await control.forget()
    found = await adapter.find(mailbox, INSTANCE, [operation.marker.attempt for operation in creates])
    assert len(found) == 20
    assert await control.requests() == 1
    listed = [event async for event in adapter.list(mailbox, INSTANCE)]
    assert len(listed) == 20
    assert await control.requests() == 2


async def test_notes_survive_though_the_persons_client_has_made_html_of_the_event(
    sandbox: Sandbox, adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    before = lecture(description="Bring a book.\n\nAnd a pen.", url="https://uni.example/?a=1&b=2")
    operation = create(before)
    (done,) = await put(adapter, mailbox, operation)
    held = sandbox.state.mailbox("o365", mailbox.address)
    assert held is not None
    page = (
        "<html><head><style>p {color: red}</style></head><body><p>Sit with <b>Bob</b></p>"
        '<div class="PlainText">Bring a&nbsp;book.<br>\r\n<br>\r\nAnd a pen.</div>'
        "<div>https://uni.example/?a=1&amp;b=2</div><p>Ask Eve</p></body></html>"
    )
    html = {"body": {"contentType": "html", "content": page}}
    store.change(held, held.events[done.id], html, sandbox.state.now())

    (found,) = await adapter.find(mailbox, INSTANCE, [operation.marker.attempt])
    assert found.content.holds(before), found.content
    after = lecture(description="Bring nothing.")
    (again,) = all_done(await adapter.apply(mailbox, [update(done, operation, after)]))
    assert again.version is None
    lines = (await control.event(mailbox.address))["description"].split("\n")
    assert [line for line in lines if line.strip()] == ["Sit with Bob", "Bring nothing.", "Ask Eve"]
