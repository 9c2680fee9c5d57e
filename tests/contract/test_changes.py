"""``Adapter.changes``: everything at first, then only what has changed, and nothing missed in between."""

from typing import Any

import msgspec
import pytest

from providers.adapter import Adapter
from providers.contract import Mailbox
from providers.sandbox.server import Sandbox
from tests.contract.following import Followed, listed, removed, told
from tests.contract.harness import INSTANCE, Control, all_done, create, delete, lecture, put, update

OTHER_INSTANCE = "other.example"


@pytest.fixture
def followed(adapter: Adapter, mailbox: Mailbox) -> Followed:
    """The mailbox's default calendar, of which nothing is known yet."""
    return Followed(adapter, mailbox)


async def test_an_empty_calendar_has_a_state_all_the_same(followed: Followed) -> None:
    (page,) = await followed.ask()
    assert (page.events, page.removed) == ((), ())


async def test_at_first_everything_is_told_as_list_tells_it(
    adapter: Adapter, mailbox: Mailbox, control: Control, followed: Followed
) -> None:
    await put(adapter, mailbox, *(create(lecture(n)) for n in range(30)))
    await control.person_adds(mailbox.address)
    pages = await followed.ask()
    assert removed(pages) == set()
    assert followed.events == await listed(adapter, mailbox)
    assert len(followed.events) == 30


async def test_later_only_what_has_changed_is_told(
    adapter: Adapter, mailbox: Mailbox, control: Control, followed: Followed
) -> None:
    operations = [create(lecture(n)) for n in range(5)]
    done = await put(adapter, mailbox, *operations)
    await followed.ask()
    moved = update(done[1], operations[1], lecture(1, location="Zaal 2.01"))
    all_done(await adapter.apply(mailbox, [moved, delete(done[2])]))
    (new,) = await put(adapter, mailbox, create(lecture(9)))
    pages = await followed.ask()
    assert told(pages) == {done[1].id, new.id}
    assert removed(pages) == {done[2].id}
    assert followed.events == await listed(adapter, mailbox)
    assert followed.events[done[1].id].content.location == "Zaal 2.01"


async def test_nothing_new_is_an_empty_page_and_a_state(
    adapter: Adapter, mailbox: Mailbox, followed: Followed
) -> None:
    await put(adapter, mailbox, create(lecture()))
    await followed.ask()
    for _ in range(2):
        pages = await followed.ask()
        assert (told(pages), removed(pages)) == (set(), set())
    assert len(followed.events) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Mine"},
        {"description": "Bring cake.\n\nBring a book."},
        {"start": "2029-01-01T08:00:00Z", "end": "2029-01-01T09:00:00Z"},
        {"categories": ["Mine"]},
        {"privacy": "private"},
    ],
    ids=lambda change: "+".join(change),
)
async def test_what_the_person_changes_is_told_with_what_it_holds_now(
    adapter: Adapter, mailbox: Mailbox, control: Control, followed: Followed, change: dict[str, Any]
) -> None:
    (done,) = await put(adapter, mailbox, create(lecture(description="Bring a book.")))
    await followed.ask()
    before = followed.events[done.id]
    await control.person_changes(mailbox.address, done.id, **change)
    assert told(await followed.ask()) == {done.id}
    assert followed.events == await listed(adapter, mailbox)
    assert followed.events[done.id].content != before.content


async def test_what_the_person_deletes_is_removed(
    adapter: Adapter, mailbox: Mailbox, control: Control, followed: Followed
) -> None:
    done = await put(adapter, mailbox, create(lecture(0)), create(lecture(1)))
    await followed.ask()
    await control.person_deletes(mailbox.address, done[0].id)
    assert done[0].id in removed(await followed.ask())
    assert followed.events.keys() == {done[1].id}


async def test_what_came_and_went_between_two_questions_is_not_there(
    adapter: Adapter, mailbox: Mailbox, control: Control, followed: Followed
) -> None:
    await followed.ask()
    (done,) = await put(adapter, mailbox, create(lecture()))
    await control.person_deletes(mailbox.address, done.id)
    await followed.ask()
    assert followed.events == {}


async def test_copies_come_after_their_originals(
    adapter: Adapter, mailbox: Mailbox, control: Control, followed: Followed
) -> None:
    operations = [create(lecture(n)) for n in range(3)]
    done = await put(adapter, mailbox, *operations)
    copies = [(await control.person_copies(mailbox.address, one.id))["id"] for one in done]
    await followed.ask()
    order = list(followed.events)
    assert sorted(order) == sorted([one.id for one in done] + copies)
    for one, copy in zip(done, copies, strict=True):
        assert order.index(one.id) < order.index(copy)
        assert followed.events[one.id].marker == followed.events[copy].marker


async def test_a_copy_is_told_later_too(
    adapter: Adapter, mailbox: Mailbox, control: Control, followed: Followed
) -> None:
    (done,) = await put(adapter, mailbox, create(lecture()))
    await followed.ask()
    copy = await control.person_copies(mailbox.address, done.id)
    assert copy["id"] in told(await followed.ask())
    assert followed.events.keys() == {done.id, copy["id"]}


async def test_other_peoples_events_are_never_told_as_ours(
    adapter: Adapter, mailbox: Mailbox, control: Control, followed: Followed
) -> None:
    """At the most as an id that is not there any more."""
    (done,) = await put(adapter, mailbox, create(lecture(0)))
    own = await control.person_adds(mailbox.address)
    foreign = create(lecture(1), instance=OTHER_INSTANCE)
    (other,) = await put(adapter, mailbox, foreign)
    await followed.ask()
    theirs = Followed(adapter, mailbox, OTHER_INSTANCE)
    await theirs.ask()
    await control.person_changes(mailbox.address, own["id"], title="Doctor")
    all_done(await adapter.apply(mailbox, [update(other, foreign, lecture(1, title="Changed"))]))
    await followed.ask()
    await theirs.ask()
    await control.person_deletes(mailbox.address, own["id"])
    await followed.ask()
    assert followed.events.keys() == {done.id}
    assert {id: event.content.title for id, event in theirs.events.items()} == {other.id: "Changed"}


async def test_a_calendar_of_ours_has_changes_of_its_own(
    adapter: Adapter, mailbox: Mailbox, control: Control, followed: Followed
) -> None:
    made = await adapter.make_calendar(mailbox, INSTANCE, "Timetable")
    there = msgspec.structs.replace(mailbox, calendar=made.id)
    in_ours = Followed(adapter, there)
    await put(adapter, mailbox, create(lecture(0)))
    (done,) = await put(adapter, there, create(lecture(1)))
    await followed.ask()
    await in_ours.ask()
    assert in_ours.events.keys() == {done.id}
    assert done.id not in followed.events
    await control.person_changes(mailbox.address, done.id, calendar=None)
    await followed.ask()
    await in_ours.ask()
    assert in_ours.events == {}
    assert len(followed.events) == 2


FIRST_OF_A_THOUSAND = {"ews": 4, "o365": 3, "googlecalendar": 1}
"""Requests for a first read of 1,000 events, with the largest pages that each provider gives.

Exchange: SyncFolderItems of 512, and a GetItem for each. Graph: the list in pages of 999, and one round for
the state. Google: pages of 2,500.
"""


async def test_few_requests_are_enough(
    adapter: Adapter,
    mailbox: Mailbox,
    control: Control,
    followed: Followed,
    type: str,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A thousand creates are more than Google takes in a minute.
    monkeypatch.setattr(sandbox.state, "quotas", False)
    await put(adapter, mailbox, *(create(lecture(n)) for n in range(1_000)))
    (done, *_) = await listed(adapter, mailbox)
    await control.forget()
    await followed.ask()
    assert len(followed.events) == 1_000
    assert await control.requests() <= FIRST_OF_A_THOUSAND[type]

    await control.forget()
    await followed.ask()
    assert await control.requests() == 1, "where nothing has changed"

    await control.person_changes(mailbox.address, done, title="Mine")
    await control.forget()
    assert told(await followed.ask()) == {done}
    assert await control.requests() <= 2, "where one event has changed"


async def test_however_it_goes_on_whoever_follows_knows_what_is_there(
    adapter: Adapter, mailbox: Mailbox, control: Control, followed: Followed
) -> None:
    """Changes of ours and of the person, in all kinds of turns, with a question after each few."""
    operations = {operation.event.uid: operation for operation in (create(lecture(n)) for n in range(12))}
    done = dict(zip(operations, await put(adapter, mailbox, *operations.values()), strict=True))
    for n, (uid, one) in enumerate(done.items()):
        match n % 4:
            case 0:
                await control.person_changes(mailbox.address, one.id, title=f"Mine {n}")
            case 1:
                await control.person_copies(mailbox.address, one.id)
                await control.person_deletes(mailbox.address, one.id)
            case 2:
                changed = lecture(n, location=f"Room {n}")
                all_done(await adapter.apply(mailbox, [update(one, operations[uid], changed)]))
            case 3:
                all_done(await adapter.apply(mailbox, [delete(one)]))
        if n % 3 == 2:
            await followed.ask()
            assert followed.events == await listed(adapter, mailbox)
