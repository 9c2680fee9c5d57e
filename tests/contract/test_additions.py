"""What people add to our events survives every update: notes around our text, categories, reminders."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from providers.adapter import Adapter
from providers.contract import Done, Event, Mailbox, Update
from tests.contract.harness import Control, all_done, create, mark, put, seen, shown, update
from tests.contract.test_content import FULL

BEFORE = "Naast Bob zitten."
AFTER = "Vraag: telt hoofdstuk 3 mee?"
NOTED = {
    "description": f"{BEFORE}\n\n{FULL.body}\n\n{AFTER}",
    "categories": ["Mijn", *FULL.categories],
    "reminderMinutes": 45,
}
"""What the person makes of the event: the timetable's own text and categories are still in it."""

CHANGES: list[dict[str, Any]] = [
    {"title": "Moved"},
    {"start": FULL.start + timedelta(hours=1), "end": FULL.end + timedelta(hours=1)},
    {"location": "Zaal 2.01"},
    {"description": "Zonder boek."},
    {"description": "", "url": ""},
    {"categories": ("Exam", "Mathematics")},
    {"categories": ()},
    {"url": "https://uni.example/other"},
    {"show_as": "busy"},
    {"description": "Zonder boek.", "categories": ("Exam",), "title": "Moved"},
]

each_change = pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: "+".join(changes))


def changed(**changes: Any) -> Event:
    return msgspec.structs.replace(FULL, **changes)


def with_additions(event: Event) -> dict[str, Any]:
    """What the person should see of the event after their additions."""
    text = "\n\n".join(part for part in (BEFORE, event.body, AFTER) if part)
    return shown(event) | {"description": text, "categories": sorted([*event.categories, "Mijn"])}


async def look(control: Control, mailbox: Mailbox) -> dict[str, Any]:
    common = await control.event(mailbox.address)
    common["description"] = common["description"].replace("\r\n", "\n").strip()
    return common


@each_change
@pytest.mark.parametrize("known", ["one", "several", "no version"])
async def test_what_the_person_added_survives(
    adapter: Adapter, mailbox: Mailbox, control: Control, changes: dict[str, Any], known: str
) -> None:
    """Whether we know what the mailbox holds of ours, or an answer never came."""
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(mailbox.address, done.id, **NOTED)
    change = update(
        Done(done.id) if known == "no version" else done,
        operation,
        changed(**changes),
        whole=known == "several",
    )
    all_done(await adapter.apply(mailbox, [change]))
    common = await look(control, mailbox)
    assert seen(common) == with_additions(change.event)
    assert common["reminderMinutes"] == 45


async def test_it_survives_one_update_after_the_other(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """The version of an event that holds notes is no proof that it holds nothing but ours."""
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(mailbox.address, done.id, **NOTED)
    held = FULL
    for changes in (
        {"title": "Moved"},
        {"description": "Een."},
        {"description": "Twee."},
        {"categories": ("Exam",)},
    ):
        event = msgspec.structs.replace(held, **changes)
        change = Update(
            id=done.id, version=done.version, event=event, possible=(held,), marker=operation.marker
        )
        (done,) = all_done(await adapter.apply(mailbox, [change]))
        held = event
        assert seen(await look(control, mailbox)) == with_additions(held)


async def test_notes_made_between_two_updates_survive(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(FULL)
    (first,) = await put(adapter, mailbox, operation)
    moved = changed(description="Zonder boek.")
    (second,) = all_done(await adapter.apply(mailbox, [update(first, operation, moved)]))
    note = f"{moved.body}\n\n{AFTER}"
    await control.person_changes(mailbox.address, first.id, description=note)
    back = Update(
        id=second.id, version=second.version, event=FULL, possible=(moved,), marker=operation.marker
    )
    all_done(await adapter.apply(mailbox, [back]))
    assert (await look(control, mailbox))["description"] == f"{FULL.body}\n\n{AFTER}"


async def test_an_update_that_was_carried_out_before_is_not_carried_out_twice(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """Its answer never came, and the person has added to it since."""
    event = changed(description="Neem je boek mee, en een pen.", url="", categories=("Exam",))
    operation = create(event)
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(
        mailbox.address, done.id, description=f"{event.body}\n\n{AFTER}", categories=["Mijn", "Exam"]
    )
    before = await control.event(mailbox.address)
    again = Update(
        id=done.id, version=done.version, event=event, possible=(FULL, event), marker=operation.marker
    )
    all_done(await adapter.apply(mailbox, [again]))
    assert await control.event(mailbox.address) == before


async def test_a_text_that_the_person_rewrote_comes_after_ours(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(mailbox.address, done.id, description="Boek mee!", categories=["Mijn"])
    event = changed(description="Zonder boek.", categories=("Exam",))
    all_done(await adapter.apply(mailbox, [update(done, operation, event)]))
    common = await look(control, mailbox)
    assert common["description"] == f"{event.body}\n\nBoek mee!"
    assert sorted(common["categories"]) == ["Exam", "Mijn"]


async def test_of_an_event_of_which_nothing_is_known_all_is_kept(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """Its fields are made ours, and what is in the text and the categories may be the person's."""
    operation = create(changed(title="Algebra", location="", description="Een", url="", categories=("Oud",)))
    (done,) = await put(adapter, mailbox, operation)
    change = Update(id=done.id, version=None, event=FULL, possible=(), marker=mark(FULL))
    all_done(await adapter.apply(mailbox, [change]))
    assert seen(await look(control, mailbox)) == shown(FULL) | {
        "description": f"{FULL.body}\n\nEen",
        "categories": sorted([*FULL.categories, "Oud"]),
    }


@each_change
async def test_what_nobody_touched_takes_one_request(
    adapter: Adapter, mailbox: Mailbox, control: Control, changes: dict[str, Any]
) -> None:
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    await control.forget()
    for event, before in ((changed(**changes), FULL), (FULL, changed(**changes))):
        change = Update(
            id=done.id, version=done.version, event=event, possible=(before,), marker=operation.marker
        )
        (done,) = all_done(await adapter.apply(mailbox, [change]))
        assert seen(await control.event(mailbox.address)) == shown(event)
    assert await control.requests() == 2


async def test_what_the_person_touched_elsewhere_takes_one_request_too(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """Neither their text nor their categories are at stake.

    Exchange takes two: its answer to an update does not tell what else the item holds, so it is first
    asked on condition that nobody has touched it. That is what keeps the next change of the text, of
    what nobody did touch, at one request.
    """
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(mailbox.address, done.id, **NOTED)
    await control.forget()
    all_done(await adapter.apply(mailbox, [update(done, operation, changed(location="Zaal 2.01"))]))
    assert await control.requests() == (2 if adapter.type == "ews" else 1)


async def test_one_change_after_the_other_of_what_nobody_touched_takes_one_request_each(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """A change of the title does not make a later one of the text any dearer."""
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    await control.forget()
    held = FULL
    for changes in CHANGES:
        event = msgspec.structs.replace(held, **changes)
        change = Update(
            id=done.id, version=done.version, event=event, possible=(held,), marker=operation.marker
        )
        (done,) = all_done(await adapter.apply(mailbox, [change]))
        held = event
    assert await control.requests() == len(CHANGES)
    assert seen(await control.event(mailbox.address)) == shown(held)


async def test_in_a_batch_only_what_the_person_touched_takes_more_requests(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """However many: what has moved on is read together, and written together."""
    count = min(adapter.batch, 12)
    creates = [
        create(changed(uid=f"{n}", start=FULL.start + timedelta(days=n), end=FULL.end + timedelta(days=n)))
        for n in range(count)
    ]
    done = await put(adapter, mailbox, *creates)
    touched = {1, 4, count - 1}
    for number in touched:
        await control.person_changes(mailbox.address, done[number].id, **NOTED)
    await control.forget()
    changes = [
        update(d, c, msgspec.structs.replace(c.event, description="Zonder boek.", categories=("Exam",)))
        for d, c in zip(done, creates, strict=True)
    ]
    all_done(await adapter.apply(mailbox, changes))
    assert await control.requests() <= 4
    found = {common["id"]: common for common in await control.events(mailbox.address)}
    for number, change in enumerate(changes):
        expected = with_additions(change.event) if number in touched else shown(change.event)
        assert seen(found[change.id]) == expected


async def test_events_of_which_nothing_is_known_for_sure_are_read_together(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    creates = [create(changed(uid=f"{n}")) for n in range(min(adapter.batch, 12))]
    done = await put(adapter, mailbox, *creates)
    await control.forget()
    changes = [
        update(d, c, changed(uid=c.event.uid, location="Zaal 2.01"), whole=True)
        for d, c in zip(done, creates, strict=True)
    ]
    all_done(await adapter.apply(mailbox, changes))
    assert await control.requests() == 2
    for common in await control.events(mailbox.address):
        assert common["location"] == "Zaal 2.01"


async def test_what_turns_out_to_be_there_is_not_written(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    await control.forget()
    (again,) = all_done(await adapter.apply(mailbox, [update(done, operation, FULL, whole=True)]))
    assert again.id == done.id
    assert await control.requests() == 1


async def test_the_wall_clock_of_an_event_of_which_nothing_is_known_for_sure(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    """By the clock of another zone it is the same moment, so that reading it does not tell."""
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    event = changed(time_zone="America/New_York")
    all_done(await adapter.apply(mailbox, [update(done, operation, event, whole=True)]))
    common = await control.event(mailbox.address)
    assert seen(common) == shown(event)
    local = event.start.astimezone(ZoneInfo(common["timeZone"]))
    assert local.replace(tzinfo=None) == event.local_start.replace(tzinfo=None)


async def test_what_the_person_changed_is_put_right_and_what_they_added_stays(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(FULL)
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(mailbox.address, done.id, **NOTED, location="Elsewhere", title="Nap")
    event = changed(description="Zonder boek.", location="Zaal 2.01")
    change = msgspec.structs.replace(update(done, operation, event), changed=True)
    all_done(await adapter.apply(mailbox, [change]))
    assert seen(await look(control, mailbox)) == with_additions(event)
