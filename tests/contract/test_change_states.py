"""The state of ``Adapter.changes``: how long it is good, and what becomes of it when a question fails."""

from asyncio import gather
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from providers.adapter import Adapter
from providers.contract import Gone, Mailbox, ProviderError, Refused, StartOver, Throttled, Unknown
from providers.sandbox.server import Sandbox
from tests.contract.following import Followed, listed, told
from tests.contract.harness import INSTANCE, Control, connect, create, lecture, put


@pytest.fixture
def followed(adapter: Adapter, mailbox: Mailbox) -> Followed:
    """The mailbox's default calendar, of which nothing is known yet."""
    return Followed(adapter, mailbox)


async def test_a_state_can_be_shown_again(adapter: Adapter, mailbox: Mailbox, followed: Followed) -> None:
    """Of somebody who was stopped before they had written down what they heard."""
    await followed.ask()
    before = followed.state
    (done,) = await put(adapter, mailbox, create(lecture()))
    for _ in range(2):
        followed.state = before
        assert told(await followed.ask()) == {done.id}


async def test_a_state_outlives_the_adapter(
    adapter: Adapter, mailbox: Mailbox, sandbox: Sandbox, type: str, followed: Followed
) -> None:
    await put(adapter, mailbox, create(lecture(0)))
    await followed.ask()
    (new,) = await put(adapter, mailbox, create(lecture(1)))
    followed.adapter = await connect(type, sandbox.config)
    assert told(await followed.ask()) == {new.id}
    await followed.adapter.close()


async def test_a_state_of_another_calendar_is_none(
    adapter: Adapter, mailbox: Mailbox, followed: Followed
) -> None:
    await followed.ask()
    made = await adapter.make_calendar(mailbox, INSTANCE, "Timetable")
    followed.mailbox = msgspec.structs.replace(mailbox, calendar=made.id)
    with pytest.raises(StartOver):
        await followed.ask()


@pytest.mark.parametrize(
    "state",
    ["", "nonsense", "0", '{"version": 0}', "ews1.x.", "ews0.0123456789abcdef.RjE="],
    ids=["empty", "word", "number", "json", "incomplete", "another version"],
)
async def test_what_is_no_state_is_to_start_over_and_asks_nothing(
    followed: Followed, control: Control, state: str
) -> None:
    followed.state = state
    with pytest.raises(StartOver):
        await followed.ask()
    assert await control.requests() == 0


async def test_a_state_that_the_provider_has_forgotten_is_to_start_over(
    adapter: Adapter, mailbox: Mailbox, control: Control, followed: Followed
) -> None:
    (done,) = await put(adapter, mailbox, create(lecture()))
    await followed.ask()
    await control.fault("expired_state", times=1)
    with pytest.raises(StartOver):
        await followed.ask()
    followed.state = None
    assert told(await followed.ask()) == {done.id}


@pytest.mark.parametrize("first", [True, False], ids=["all", "since"])
@pytest.mark.parametrize(
    "fault", ["throttle", "unavailable", "commit_then_drop", "commit_then_503", "partial", "deny"]
)
async def test_a_question_that_fails_is_neither_an_answer_nor_a_new_beginning(
    adapter: Adapter, mailbox: Mailbox, control: Control, followed: Followed, fault: str, first: bool
) -> None:
    await put(adapter, mailbox, create(lecture(0)))
    if not first:
        await followed.ask()
        await put(adapter, mailbox, create(lecture(1)))
    await control.fault(fault)
    with pytest.raises(ProviderError) as caught:
        await followed.ask()
    assert isinstance(caught.value.outcome, Refused | Throttled | Unknown)
    await control.forget()
    await followed.ask()
    assert followed.events == await listed(adapter, mailbox)


async def test_a_later_request_that_fails_fails_the_whole(
    adapter: Adapter, mailbox: Mailbox, control: Control, followed: Followed
) -> None:
    """Whatever had been told before."""
    (done,) = await put(adapter, mailbox, create(lecture()))
    await gather(*(control.person_copies(mailbox.address, done.id) for _ in range(600)))
    await control.forget()
    await followed.ask()
    count = await control.requests()
    if count == 1:
        pytest.skip("this provider tells it all in one request")
    followed.state = None
    for nth in range(2, count + 1):
        await control.forget()
        await control.fault("unavailable", operation="read", nth=nth)
        with pytest.raises(ProviderError):
            await followed.ask()


Loss = Callable[[Control, str], Awaitable[None]]


async def without_access(control: Control, address: str) -> None:
    await control.make(address, access=False)


async def without_mailbox(control: Control, address: str) -> None:
    await control.remove(address)


@pytest.mark.parametrize("first", [True, False], ids=["all", "since"])
@pytest.mark.parametrize(("loss", "kind"), [(without_access, Refused), (without_mailbox, Gone)])
async def test_a_mailbox_that_cannot_be_read_is_not_an_empty_one(
    adapter: Adapter,
    mailbox: Mailbox,
    control: Control,
    followed: Followed,
    loss: Loss,
    kind: type,
    first: bool,
) -> None:
    await put(adapter, mailbox, create(lecture()))
    if not first:
        await followed.ask()
    await loss(control, mailbox.address)
    with pytest.raises(ProviderError) as caught:
        await followed.ask()
    assert isinstance(caught.value.outcome, kind)
    await control.make(mailbox.address, access=True)


@pytest.mark.parametrize("first", [True, False], ids=["all", "since"])
async def test_a_calendar_that_is_gone_is_not_an_empty_one(
    adapter: Adapter, mailbox: Mailbox, control: Control, first: bool
) -> None:
    made = await adapter.make_calendar(mailbox, INSTANCE, "Timetable")
    followed = Followed(adapter, msgspec.structs.replace(mailbox, calendar=made.id))
    await put(adapter, followed.mailbox, create(lecture()))
    if not first:
        await followed.ask()
    await control.person_deletes_calendar(mailbox.address, made.id)
    with pytest.raises((ProviderError, StartOver)) as caught:
        await followed.ask()
    if isinstance(caught.value, StartOver):  # and then
        followed.state = None
        with pytest.raises(ProviderError) as caught:
            await followed.ask()
    assert isinstance(caught.value, ProviderError)
    assert isinstance(caught.value.outcome, Gone)
    assert caught.value.outcome.what == "calendar"
