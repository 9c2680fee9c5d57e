"""What an adapter says when things go wrong: never that something was done, or not done, that was not so."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from providers.adapter import Adapter
from providers.contract import (
    Create,
    Delete,
    Done,
    Gone,
    Mailbox,
    Operation,
    Outcome,
    ProviderError,
    Refused,
    Throttled,
    Unknown,
    Update,
)
from tests.contract.harness import INSTANCE, Control, all_done, create, delete, lecture, put, update

Prepared = list[Operation]


async def prepare(adapter: Adapter, mailbox: Mailbox, control: Control, verb: str, count: int) -> Prepared:
    """``count`` operations of one kind that would all be done."""
    creates = [create(lecture(n)) for n in range(count)]
    if verb == "create":
        return list(creates)
    done = await put(adapter, mailbox, *creates)
    await control.forget()
    if verb == "delete":
        return [delete(d) for d in done]
    return [
        update(d, c, lecture(n, location="Zaal 2.01"))
        for n, (d, c) in enumerate(zip(done, creates, strict=True))
    ]


async def carried_out(control: Control, mailbox: Mailbox, operations: Sequence[Operation]) -> list[bool]:
    """Whether each operation was in truth carried out."""
    events = await control.events(mailbox.address)
    attempts = {event["marker"]["attempt"] for event in events}
    ids = {event["id"]: event for event in events}
    truth = []
    for operation in operations:
        match operation:
            case Create(marker=marker):
                truth.append(marker.attempt.hex in attempts)
            case Update(id=id, event=event):
                truth.append(ids[id]["location"] == event.location)
            case Delete(id=id):
                truth.append(id not in ids)
    return truth


def no_lie(outcomes: Sequence[Outcome], truth: Sequence[bool]) -> None:
    """Done was done; refused, throttled and gone were not; of what is unknown nothing is said."""
    for outcome, was_done in zip(outcomes, truth, strict=True):
        if isinstance(outcome, Done):
            assert was_done, outcomes
        elif not isinstance(outcome, Unknown):
            assert not was_done, outcomes


VERBS = pytest.mark.parametrize("verb", ["create", "update", "delete"])
COUNTS = pytest.mark.parametrize("count", [1, 5], ids=["alone", "in a batch"])


@VERBS
@COUNTS
async def test_throttled_until_the_moment_that_the_provider_names(
    adapter: Adapter, mailbox: Mailbox, control: Control, verb: str, count: int
) -> None:
    operations = await prepare(adapter, mailbox, control, verb, count)
    await control.fault("throttle", operation=verb, retryAfter=30)
    before = datetime.now(UTC)
    outcomes = await adapter.apply(mailbox, operations)
    assert [type(outcome) for outcome in outcomes] == [Throttled] * count, outcomes
    for outcome in outcomes:
        assert isinstance(outcome, Throttled)
        if adapter.type == "googlecalendar":
            # Google's answers do not say how long: any wait of the adapter's own will do.
            assert outcome.until > before
        else:
            assert outcome.until >= before + timedelta(seconds=30)
    no_lie(outcomes, await carried_out(control, mailbox, operations))


@VERBS
async def test_throttled_without_a_moment(
    adapter: Adapter, mailbox: Mailbox, control: Control, verb: str
) -> None:
    (operation,) = await prepare(adapter, mailbox, control, verb, 1)
    await control.fault("throttle", operation=verb)
    before = datetime.now(UTC)
    (outcome,) = await adapter.apply(mailbox, [operation])
    assert isinstance(outcome, Throttled), outcome
    assert outcome.until > before
    assert outcome.until.utcoffset() == timedelta(0)


@VERBS
async def test_throttled_in_the_middle_of_a_batch(
    adapter: Adapter, mailbox: Mailbox, control: Control, verb: str
) -> None:
    operations = await prepare(adapter, mailbox, control, verb, 6)
    await control.fault("throttle", operation=verb, nth=3, retryAfter=30)
    outcomes = await adapter.apply(mailbox, operations)
    assert Throttled in [type(outcome) for outcome in outcomes]
    assert {type(outcome) for outcome in outcomes} <= {Done, Throttled}, outcomes
    no_lie(outcomes, await carried_out(control, mailbox, operations))


@VERBS
@COUNTS
@pytest.mark.parametrize("fault", ["unavailable", "commit_then_503", "commit_then_drop"])
async def test_without_a_clear_answer_nothing_is_claimed(
    adapter: Adapter, mailbox: Mailbox, control: Control, verb: str, count: int, fault: str
) -> None:
    operations = await prepare(adapter, mailbox, control, verb, count)
    await control.fault(fault, operation=verb)
    outcomes = await adapter.apply(mailbox, operations)
    assert {type(outcome) for outcome in outcomes} <= {Unknown, Throttled}, outcomes
    no_lie(outcomes, await carried_out(control, mailbox, operations))


@VERBS
@pytest.mark.parametrize("nth", [1, 3, 5])
@pytest.mark.parametrize("fault", ["unavailable", "commit_then_503", "commit_then_drop", "partial"])
async def test_a_fault_at_any_place_of_a_batch(
    adapter: Adapter, mailbox: Mailbox, control: Control, verb: str, nth: int, fault: str
) -> None:
    operations = await prepare(adapter, mailbox, control, verb, 5)
    await control.fault(fault, operation=verb, nth=nth)
    outcomes = await adapter.apply(mailbox, operations)
    assert len(outcomes) == len(operations)
    assert {type(outcome) for outcome in outcomes} <= {Done, Unknown, Throttled}, outcomes
    assert {type(outcome) for outcome in outcomes} != {Done}
    no_lie(outcomes, await carried_out(control, mailbox, operations))


@VERBS
@COUNTS
async def test_half_an_answer_claims_nothing_for_the_rest(
    adapter: Adapter, mailbox: Mailbox, control: Control, verb: str, count: int
) -> None:
    """The fault of the whole request, whatever is in it."""
    operations = await prepare(adapter, mailbox, control, verb, count)
    await control.fault("partial", times=1)
    outcomes = await adapter.apply(mailbox, operations)
    assert len(outcomes) == count
    no_lie(outcomes, await carried_out(control, mailbox, operations))
    if count > 1:
        assert {type(outcome) for outcome in outcomes} != {Done}


async def test_a_create_whose_answer_was_lost_is_found_by_its_attempt_and_sent_once(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """No library below may send a create again by itself."""
    operations = [create(lecture(n)) for n in range(3)]
    await control.fault("commit_then_drop", operation="create")
    outcomes = await adapter.apply(mailbox, operations)
    await control.forget()
    found = await adapter.find(mailbox, INSTANCE, [operation.marker.attempt for operation in operations])
    events = await control.events(mailbox.address)
    assert sorted(event.id for event in found) == sorted(event["id"] for event in events)
    assert len({event.marker.attempt for event in found}) == len(found)
    truth = [
        operation.marker.attempt in {event.marker.attempt for event in found} for operation in operations
    ]
    assert any(truth)
    no_lie(outcomes, truth)


@VERBS
@COUNTS
@pytest.mark.parametrize("whole", [False, True], ids=["an operation", "a request"])
async def test_of_an_answer_that_breaks_off_nothing_is_claimed(
    adapter: Adapter, mailbox: Mailbox, control: Control, verb: str, count: int, whole: bool
) -> None:
    """Nobody is told that it is not whole. What came of a create is found by its attempt."""
    operations = await prepare(adapter, mailbox, control, verb, count)
    await control.fault("truncated", operation=None if whole else verb, times=1)
    outcomes = await adapter.apply(mailbox, operations)
    await control.forget()
    assert {type(outcome) for outcome in outcomes} <= {Done, Unknown}, outcomes
    no_lie(outcomes, await carried_out(control, mailbox, operations))
    if verb == "create":
        attempts = [operation.marker.attempt for operation in operations if isinstance(operation, Create)]
        found = await adapter.find(mailbox, INSTANCE, attempts)
        truth = [attempt in {event.marker.attempt for event in found} for attempt in attempts]
        assert truth == await carried_out(control, mailbox, operations)
        assert Unknown in [type(outcome) for outcome in outcomes]


@pytest.mark.parametrize("reading", ["list", "changes", "later changes", "find"])
async def test_an_answer_that_breaks_off_is_no_shorter_list(
    adapter: Adapter, mailbox: Mailbox, control: Control, reading: str
) -> None:
    creates = [create(lecture(n)) for n in range(20)]
    since = None
    if reading == "later changes":
        since = [page async for page in adapter.changes(mailbox, INSTANCE, None)][-1].state
    await put(adapter, mailbox, *creates)
    await control.fault("truncated", operation="read", times=1)

    async def read() -> None:
        match reading:
            case "list":
                _ = [each async for each in adapter.list(mailbox, INSTANCE)]
            case "find":
                await adapter.find(mailbox, INSTANCE, [each.marker.attempt for each in creates])
            case _:
                _ = [page async for page in adapter.changes(mailbox, INSTANCE, since)]

    with pytest.raises(ProviderError) as error:
        await read()
    assert isinstance(error.value.outcome, Unknown)


@pytest.mark.parametrize("after", ["create", "update"])
async def test_a_version_that_moves_on_by_itself_does_not_hide_what_the_person_wrote(
    adapter: Adapter, mailbox: Mailbox, control: Control, after: str
) -> None:
    await control.fault("moves_on", operation=after, times=1)
    made = create(lecture(description="One."))
    (done,) = await put(adapter, mailbox, made)
    if after == "update":
        made = Create(event=lecture(description="Two."), marker=made.marker)
        (done,) = all_done(
            await adapter.apply(mailbox, [update(done, create(lecture(description="One.")), made.event)])
        )
    assert (await control.event(mailbox.address))["version"] != done.version
    await control.person_changes(mailbox.address, done.id, description=f"{made.event.body}\n\nSit with Bob")
    all_done(await adapter.apply(mailbox, [update(done, made, lecture(description="Three."))]))
    assert (await control.event(mailbox.address))["description"] == "Three.\n\nSit with Bob"


@VERBS
@COUNTS
async def test_no_permission_is_refused_for_the_mailbox(
    adapter: Adapter, mailbox: Mailbox, control: Control, verb: str, count: int
) -> None:
    operations = await prepare(adapter, mailbox, control, verb, count)
    await control.make(mailbox.address, access=False)
    outcomes = await adapter.apply(mailbox, operations)
    for outcome in outcomes:
        assert isinstance(outcome, Refused), outcome
        assert outcome.scope == "mailbox"
        assert outcome.reason
    await control.make(mailbox.address, access=True)
    assert await carried_out(control, mailbox, operations) == [False] * count


@VERBS
async def test_a_denied_operation_is_refused(
    adapter: Adapter, mailbox: Mailbox, control: Control, verb: str
) -> None:
    (operation,) = await prepare(adapter, mailbox, control, verb, 1)
    await control.fault("deny", operation=verb)
    (outcome,) = await adapter.apply(mailbox, [operation])
    assert isinstance(outcome, Refused), outcome
    assert outcome.scope == "mailbox"
    assert await carried_out(control, mailbox, [operation]) == [False]


@VERBS
@COUNTS
async def test_a_mailbox_that_was_deleted_is_gone(
    adapter: Adapter, mailbox: Mailbox, control: Control, verb: str, count: int
) -> None:
    """Above all, a delete is not Done because the whole mailbox cannot be found."""
    operations = await prepare(adapter, mailbox, control, verb, count)
    await control.remove(mailbox.address)
    for outcome in await adapter.apply(mailbox, operations):
        assert isinstance(outcome, Gone), outcome
        assert outcome.what in ("mailbox", "calendar")


async def test_reasons_hold_no_text_of_the_event(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    secret = create(
        lecture(title="Disciplinary hearing", description="Disciplinary", location="Disciplinary")
    )
    for fault in ("throttle", "unavailable", "commit_then_drop", "deny", "gone"):
        await control.fault(fault, operation="create")
        outcomes = await adapter.apply(mailbox, [secret])
        await control.forget()
        assert "Disciplinary" not in repr(outcomes)


async def test_after_every_fault_the_adapter_works_again(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    for number, fault in enumerate(
        ("throttle", "unavailable", "commit_then_drop", "commit_then_503", "partial")
    ):
        await control.fault(fault, times=1)
        await adapter.apply(mailbox, [create(lecture(number))])
        await control.forget()
        await put(adapter, mailbox, create(lecture(number + 10)))
