"""``Adapter.find`` and ``Adapter.list``: all of ours, and nothing else."""

from asyncio import gather
from uuid import uuid4

import pytest

from providers.adapter import Adapter
from providers.contract import Gone, Mailbox, ProviderError, Refused, RemoteEvent, Throttled, Unknown
from tests.contract.harness import INSTANCE, Control, create, lecture, put


async def listed(adapter: Adapter, mailbox: Mailbox, instance: str = INSTANCE) -> list[RemoteEvent]:
    return [event async for event in adapter.list(mailbox, instance)]


async def test_find_gives_the_event_of_an_attempt_with_its_whole_marker(
    adapter: Adapter, mailbox: Mailbox
) -> None:
    wanted, other = create(lecture(uid="Ålgebra/1 'x' & \"y\"")), create(lecture(1))
    done, _ = await put(adapter, mailbox, wanted, other)
    (found,) = await adapter.find(mailbox, INSTANCE, [wanted.marker.attempt])
    assert (found.id, found.marker) == (done.id, wanted.marker)


async def test_find_of_attempts_that_are_not_there(adapter: Adapter, mailbox: Mailbox) -> None:
    await put(adapter, mailbox, create(lecture()))
    assert await adapter.find(mailbox, INSTANCE, [uuid4(), uuid4()]) == []


async def test_find_of_nothing_asks_nothing(adapter: Adapter, mailbox: Mailbox, control: Control) -> None:
    assert await adapter.find(mailbox, INSTANCE, []) == []
    assert await control.requests() == 0


async def test_find_of_many_attempts_at_once(adapter: Adapter, mailbox: Mailbox) -> None:
    creates = [create(lecture(n)) for n in range(45)]
    await put(adapter, mailbox, *creates)
    attempts = [operation.marker.attempt for operation in creates]
    found = await adapter.find(mailbox, INSTANCE, [*attempts[:40], uuid4(), attempts[0]])
    assert sorted(event.marker.attempt for event in found) == sorted(attempts[:40])


async def test_find_gives_the_original_before_the_persons_copies(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    copies = [await control.person_copies(mailbox.address, done.id) for _ in range(2)]
    found = await adapter.find(mailbox, INSTANCE, [operation.marker.attempt])
    assert found[0].id == done.id
    assert {event.id for event in found[1:]} == {copy["id"] for copy in copies}
    assert {event.marker for event in found} == {operation.marker}


async def test_find_does_not_see_deleted_events(adapter: Adapter, mailbox: Mailbox, control: Control) -> None:
    operation = create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    await control.person_deletes(mailbox.address, done.id)
    assert await adapter.find(mailbox, INSTANCE, [operation.marker.attempt]) == []
    assert await listed(adapter, mailbox) == []


async def test_find_sees_an_event_that_the_person_changed(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(
        mailbox.address, done.id, title="Mine", start="2029-01-01T08:00:00Z", end="2029-01-01T09:00:00Z"
    )
    assert [event.id for event in await adapter.find(mailbox, INSTANCE, [operation.marker.attempt])] == [
        done.id
    ]
    assert [event.id for event in await listed(adapter, mailbox)] == [done.id]


@pytest.mark.parametrize(
    "other", ["other.example", "UNI.example", "uni.example2", "uni.exampl", "Üni.example"]
)
async def test_the_events_of_another_instance_are_not_ours(
    adapter: Adapter, mailbox: Mailbox, other: str
) -> None:
    """Exchange and Graph match values without case."""
    ours, theirs = create(lecture(0)), create(lecture(1), instance=other)
    done, foreign = await put(adapter, mailbox, ours, theirs)
    attempts = [ours.marker.attempt, theirs.marker.attempt]
    assert [event.id for event in await adapter.find(mailbox, INSTANCE, attempts)] == [done.id]
    assert [event.id for event in await adapter.find(mailbox, other, attempts)] == [foreign.id]
    assert [event.id for event in await listed(adapter, mailbox)] == [done.id]
    assert [event.id for event in await listed(adapter, mailbox, other)] == [foreign.id]


async def test_an_instance_with_a_quote_in_its_name(adapter: Adapter, mailbox: Mailbox) -> None:
    instance = "king's & <queen's>"
    operation = create(lecture(), instance=instance)
    (done,) = await put(adapter, mailbox, operation)
    assert [event.id for event in await listed(adapter, mailbox, instance)] == [done.id]
    assert [event.id for event in await adapter.find(mailbox, instance, [operation.marker.attempt])] == [
        done.id
    ]


async def test_the_persons_own_events_are_not_listed(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    await control.person_adds(mailbox.address)
    (done,) = await put(adapter, mailbox, create(lecture()))
    await control.person_adds(mailbox.address, title="Another")
    assert [event.id for event in await listed(adapter, mailbox)] == [done.id]


async def test_list_gives_the_persons_copies_too(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """They carry our marker; the ledger tells them apart."""
    (done,) = await put(adapter, mailbox, create(lecture()))
    copy = await control.person_copies(mailbox.address, done.id)
    assert {event.id for event in await listed(adapter, mailbox)} == {done.id, copy["id"]}


async def test_list_of_an_empty_mailbox(adapter: Adapter, mailbox: Mailbox) -> None:
    assert await listed(adapter, mailbox) == []


async def test_a_long_list_goes_on_to_its_last_page_or_fails(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """Longer than the longest page of any provider: Google gives up to 2,500 events."""
    operation = create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    copies = await gather(*(control.person_copies(mailbox.address, done.id) for _ in range(2_600)))
    expected = sorted([done.id, *(copy["id"] for copy in copies)])
    await control.forget()
    assert sorted(event.id for event in await listed(adapter, mailbox)) == expected
    assert await control.requests() >= 2, "it fitted on one page: the test shows nothing"
    found = await adapter.find(mailbox, INSTANCE, [operation.marker.attempt])
    assert sorted(event.id for event in found) == expected
    assert found[0].id == done.id

    await control.fault("unavailable", operation="read", nth=2)
    with pytest.raises(ProviderError):
        await listed(adapter, mailbox)
    await control.fault("unavailable", operation="read", nth=2)
    with pytest.raises(ProviderError):
        await adapter.find(mailbox, INSTANCE, [operation.marker.attempt])


@pytest.mark.parametrize("fault", ["throttle", "unavailable", "commit_then_drop", "partial", "deny"])
async def test_a_read_that_fails_is_an_error_and_never_an_empty_mailbox(
    adapter: Adapter, mailbox: Mailbox, control: Control, fault: str
) -> None:
    operation = create(lecture())
    await put(adapter, mailbox, operation)
    await control.fault(fault, operation="read")
    with pytest.raises(ProviderError) as of_list:
        await listed(adapter, mailbox)
    with pytest.raises(ProviderError) as of_find:
        await adapter.find(mailbox, INSTANCE, [operation.marker.attempt])
    for error in (of_list, of_find):
        assert isinstance(error.value.outcome, Throttled | Unknown | Refused)


async def test_a_mailbox_that_was_deleted_is_gone_and_not_empty(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(lecture())
    await put(adapter, mailbox, operation)
    await control.remove(mailbox.address)
    with pytest.raises(ProviderError) as of_list:
        await listed(adapter, mailbox)
    with pytest.raises(ProviderError) as of_find:
        await adapter.find(mailbox, INSTANCE, [operation.marker.attempt])
    for error in (of_list, of_find):
        outcome = error.value.outcome
        assert isinstance(outcome, Gone), outcome
        assert outcome.what in ("mailbox", "calendar")
