"""``Adapter.apply``: an outcome for each operation, in few requests, and one event never in another's way."""

from asyncio import gather
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest

from providers.adapter import Adapter
from providers.contract import Delete, Done, Gone, Mailbox, Refused, Update
from tests.contract.harness import (
    Control,
    all_done,
    create,
    delete,
    lecture,
    mark,
    put,
    seen,
    shown,
    update,
)


async def test_nothing_to_do(adapter: Adapter, mailbox: Mailbox, control: Control) -> None:
    assert await adapter.apply(mailbox, []) == []
    assert await control.requests() == 0


async def test_outcomes_come_in_the_order_of_the_operations(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    first = [create(lecture(n)) for n in range(4)]
    done = await put(adapter, mailbox, *first)
    moved = lecture(1, location="Zaal 2.01")
    added = create(lecture(9))
    outcomes = all_done(
        await adapter.apply(
            mailbox, [delete(done[0]), update(done[1], first[1], moved), added, delete(done[2])]
        )
    )
    assert [outcomes[0].id, outcomes[1].id, outcomes[3].id] == [done[0].id, done[1].id, done[2].id]
    found = {event["id"]: seen(event) for event in await control.events(mailbox.address)}
    assert found == {
        done[1].id: shown(moved),
        done[3].id: shown(first[3].event),
        outcomes[2].id: shown(added.event),
    }


async def test_each_create_is_answered_with_the_id_of_its_own_event(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    creates = [create(lecture(n)) for n in range(min(adapter.batch, 20))]
    done = await put(adapter, mailbox, *creates)
    found = {event["id"]: event["marker"]["attempt"] for event in await control.events(mailbox.address)}
    assert found == {d.id: c.marker.attempt.hex for d, c in zip(done, creates, strict=True)}


async def test_a_delete_takes_out_that_event_alone(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    done = await put(adapter, mailbox, *(create(lecture(n)) for n in range(3)))
    own = await control.person_adds(mailbox.address)
    before = {event["id"]: event for event in await control.events(mailbox.address)}
    assert all_done(await adapter.apply(mailbox, [delete(done[1])]))[0].id == done[1].id
    after = {event["id"]: event for event in await control.events(mailbox.address)}
    assert after == {id: event for id, event in before.items() if id != done[1].id}
    assert own["id"] in after


async def test_a_delete_leaves_the_persons_copy(adapter: Adapter, mailbox: Mailbox, control: Control) -> None:
    (done,) = await put(adapter, mailbox, create(lecture()))
    copy = await control.person_copies(mailbox.address, done.id)
    all_done(await adapter.apply(mailbox, [delete(done)]))
    assert [event["id"] for event in await control.events(mailbox.address)] == [copy["id"]]


async def test_a_delete_of_a_deleted_event_is_done(adapter: Adapter, mailbox: Mailbox) -> None:
    (done,) = await put(adapter, mailbox, create(lecture()))
    all_done(await adapter.apply(mailbox, [delete(done)]))
    assert all_done(await adapter.apply(mailbox, [delete(done)]))[0].id == done.id


async def test_a_delete_of_an_event_that_the_person_deleted_is_done(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    (done,) = await put(adapter, mailbox, create(lecture()))
    await control.person_deletes(mailbox.address, done.id)
    all_done(await adapter.apply(mailbox, [delete(done)]))


async def test_a_delete_of_an_event_that_the_person_changed_is_done(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """What we put in we take out, whatever version it has come to."""
    (done,) = await put(adapter, mailbox, create(lecture()))
    await control.person_changes(mailbox.address, done.id, title="Mine now")
    all_done(await adapter.apply(mailbox, [delete(done)]))
    assert await control.events(mailbox.address) == []


async def test_an_update_of_an_event_that_the_person_changed_is_done(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(mailbox.address, done.id, reminderMinutes=45)
    moved = lecture(location="Zaal 2.01")
    all_done(await adapter.apply(mailbox, [update(done, operation, moved)]))
    assert seen(await control.event(mailbox.address)) == shown(moved)


async def test_an_update_without_a_version_is_done(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    moved = lecture(location="Zaal 2.01")
    all_done(await adapter.apply(mailbox, [update(Done(done.id), operation, moved)]))
    all_done(await adapter.apply(mailbox, [Delete(id=done.id, version=None)]))


@pytest.mark.parametrize("by_person", [True, False], ids=["by the person", "by us"])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "patch"])
async def test_an_update_of_a_deleted_event_is_gone_and_makes_no_new_one(
    adapter: Adapter, mailbox: Mailbox, control: Control, by_person: bool, whole: bool
) -> None:
    operation = create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    if by_person:
        await control.person_deletes(mailbox.address, done.id)
    else:
        all_done(await adapter.apply(mailbox, [delete(done)]))
    moved = lecture(location="Zaal 2.01")
    (outcome,) = await adapter.apply(mailbox, [update(done, operation, moved, whole=whole)])
    assert isinstance(outcome, Gone), outcome
    assert outcome.what == "event"
    assert await control.events(mailbox.address) == []


async def test_an_attempt_that_is_already_there_makes_no_second_event(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(lecture())
    if not adapter.idempotent_create:
        pytest.skip("the provider does not promise it: the caller makes a new attempt instead")
    (first,) = await put(adapter, mailbox, operation)
    (second,) = await put(adapter, mailbox, operation)
    assert second.id == first.id
    assert len(await control.events(mailbox.address)) == 1


async def test_new_attempts_make_new_events(adapter: Adapter, mailbox: Mailbox, control: Control) -> None:
    event = lecture()
    await put(adapter, mailbox, create(event), create(event))
    await put(adapter, mailbox, create(event))
    assert len(await control.events(mailbox.address)) == 3


async def test_after_a_delete_a_new_attempt_makes_the_event_anew(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    (done,) = await put(adapter, mailbox, create(lecture()))
    all_done(await adapter.apply(mailbox, [delete(done)]))
    await put(adapter, mailbox, create(lecture()))
    assert seen(await control.event(mailbox.address)) == shown(lecture())


async def test_one_bad_event_does_not_stop_the_others(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """An event that ends before it starts, one that is not there any more, and good ones around them."""
    good = lecture(0)
    bad = lecture(1, end=lecture(1).start - timedelta(hours=1))
    kept, removed = create(lecture(2)), create(lecture(3))
    there, gone = await put(adapter, mailbox, kept, removed)
    await control.person_deletes(mailbox.address, gone.id)
    moved = lecture(2, location="Zaal 2.01")
    outcomes = await adapter.apply(
        mailbox,
        [
            create(bad),
            create(good),
            update(gone, removed, lecture(3, location="Zaal 2.01")),
            delete(gone),
            create(bad),
            update(there, kept, moved),
        ],
    )
    assert [type(outcome) for outcome in outcomes] == [Refused, Done, Gone, Done, Refused, Done], outcomes
    refused = outcomes[0]
    assert isinstance(refused, Refused)
    assert (refused.scope, refused.permanent) == ("event", True)
    assert bad.title not in refused.reason
    found = [seen(event) for event in await control.events(mailbox.address)]
    assert sorted(found, key=lambda event: event["start"]) == [shown(good), shown(moved)]


async def test_two_events_of_one_uid_keep_apart(adapter: Adapter, mailbox: Mailbox, control: Control) -> None:
    """Two synchronizations of one mailbox may hold the same event."""
    event = lecture()
    first, second = create(event), create(event)
    done, other = await put(adapter, mailbox, first, second)
    all_done(await adapter.apply(mailbox, [delete(done)]))
    assert (await control.event(mailbox.address))["id"] == other.id


async def test_ids_and_versions_of_other_events_are_refused_or_gone(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    event = lecture()
    operation = Update(id="AAAA", version=None, event=event, possible=(), marker=mark(event))
    (outcome,) = await adapter.apply(mailbox, [operation])
    assert isinstance(outcome, Refused | Gone), outcome
    assert await control.events(mailbox.address) == []


async def test_a_single_change_is_one_request(adapter: Adapter, mailbox: Mailbox, control: Control) -> None:
    operation = create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    assert await control.requests() == 1
    (done,) = all_done(await adapter.apply(mailbox, [update(done, operation, lecture(location="B"))]))
    assert await control.requests() == 2
    all_done(await adapter.apply(mailbox, [delete(done)]))
    assert await control.requests() == 3


async def test_many_changes_are_one_request(adapter: Adapter, mailbox: Mailbox, control: Control) -> None:
    creates = [create(lecture(n)) for n in range(min(adapter.batch, 20))]
    done = await put(adapter, mailbox, *creates)
    assert await control.requests() == 1
    moved = [
        update(d, c, msgspec.structs.replace(c.event, location="B"))
        for d, c in zip(done, creates, strict=True)
    ]
    all_done(await adapter.apply(mailbox, moved))
    assert await control.requests() == 2
    all_done(await adapter.apply(mailbox, [delete(d) for d in done]))
    assert await control.requests() == 3
    assert await control.events(mailbox.address) == []


async def test_an_update_that_changes_nothing_asks_nothing(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    await control.forget()
    assert all_done(await adapter.apply(mailbox, [update(done, operation, lecture())]))[0].id == done.id
    assert await control.requests() == 0


async def test_mailboxes_do_not_get_in_each_others_way(
    adapter: Adapter, control: Control, address: str
) -> None:
    """One adapter, many mailboxes at once."""

    async def fill(number: int) -> None:
        mailbox = await adapter.probe(f"{number}-{address}")
        await put(adapter, mailbox, *(create(lecture(n), attempt=uuid4()) for n in range(3)))

    await gather(*(fill(number) for number in range(8)))
    for number in range(8):
        assert len(await control.events(f"{number}-{address}")) == 3
