"""Reminder, privacy and colour: ours where the event says so, else the provider's or the person's."""

from typing import Any, get_args

import msgspec
import pytest

from providers.adapter import Adapter
from providers.contract import Colour, Create, Mailbox, RemoteEvent
from tests.contract.harness import INSTANCE, Control, all_done, create, lecture, put, update

COLOURED: dict[str, Any] = {"categories": ("Compulsory", "Lecture"), "colours": {"Lecture": "purple"}}
"""The first of its categories has no colour."""


async def default_reminder(adapter: Adapter, mailbox: Mailbox, control: Control) -> int | None:
    """What an event gets for which nothing is said."""
    (done,) = await put(adapter, mailbox, create(lecture(uid="default")))
    found = (await control.event(mailbox.address))["reminderMinutes"]
    await control.person_deletes(mailbox.address, done.id)
    return None if found is None else int(found)


@pytest.mark.parametrize(("reminder", "shown"), [(0, 0), (30, 30), (1440, 1440), ("none", None)])
async def test_a_new_event_reminds_as_we_say(
    adapter: Adapter, mailbox: Mailbox, control: Control, reminder: Any, shown: int | None
) -> None:
    await put(adapter, mailbox, create(lecture(reminder=reminder)))
    assert (await control.event(mailbox.address))["reminderMinutes"] == shown


@pytest.mark.parametrize(
    ("privacy", "shown"), [("private", "private"), ("normal", "normal"), (None, "normal")]
)
async def test_a_new_event_is_as_private_as_we_say(
    adapter: Adapter, mailbox: Mailbox, control: Control, privacy: Any, shown: str
) -> None:
    await put(adapter, mailbox, create(lecture(privacy=privacy)))
    assert (await control.event(mailbox.address))["privacy"] == shown


@pytest.mark.parametrize("colour", get_args(Colour))
async def test_a_new_event_has_the_colour_of_its_first_category_with_one(
    adapter: Adapter, mailbox: Mailbox, control: Control, colour: Colour
) -> None:
    colours: dict[str, Colour] = {"Lecture": colour, "Exam": "red" if colour != "red" else "blue"}
    event = lecture(categories=("Compulsory", "Lecture", "Exam"), colours=colours)
    await put(adapter, mailbox, create(event))
    common = await control.event(mailbox.address)
    assert common["colour"] == colour
    assert sorted(common["categories"]) == ["Compulsory", "Exam", "Lecture"]


async def test_events_of_one_batch_have_each_their_colour(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    colours: dict[str, Colour] = {"Lecture": "green", "Exam": "red"}
    events = [
        lecture(0, categories=("Lecture",), colours={"Lecture": "green"}),
        lecture(1, categories=("Exam",), colours={"Exam": "red"}),
        lecture(2, categories=("Exam", "Lecture"), colours=colours),
        lecture(3, categories=("Lunch",)),
        lecture(4),
    ]
    await put(adapter, mailbox, *(create(event) for event in events))
    found = {each["title"]: each["colour"] for each in await control.events(mailbox.address)}
    assert [found[event.title] for event in events] == ["green", "red", "red", None, None]


Change = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]

WANTED: list[Change] = [
    ({}, {"reminder": 30}, {"reminderMinutes": 30}),
    ({"reminder": 30}, {"reminder": 45}, {"reminderMinutes": 45}),
    ({"reminder": 30}, {"reminder": "none"}, {"reminderMinutes": None}),
    ({"reminder": "none"}, {"reminder": 30}, {"reminderMinutes": 30}),
    ({}, {"privacy": "private"}, {"privacy": "private"}),
    ({"privacy": "private"}, {"privacy": "normal"}, {"privacy": "normal"}),
    ({"categories": COLOURED["categories"]}, COLOURED, {"colour": "purple"}),
    ({}, COLOURED, {"colour": "purple"}),
]
OVER_OURS: list[Change] = [
    ({"privacy": "private"}, {}, {"privacy": "normal"}),
    (COLOURED, COLOURED | {"colours": {"Lecture": "red"}}, {"colour": "red"}),
    (COLOURED, COLOURED | {"colours": {"Compulsory": "teal"}}, {"colour": "teal"}),
    (COLOURED, COLOURED | {"colours": {}}, {"colour": None}),
    (COLOURED, {"categories": ("Exam",), "colours": {"Exam": "blue"}}, {"colour": "blue"}),
]
"""These need to know what was ours before: what is not known to be ours is the person's."""


@pytest.mark.parametrize("whole", [False, True], ids=["patch", "whole"])
@pytest.mark.parametrize(("before", "after", "shown"), WANTED + OVER_OURS)
async def test_every_change_arrives(
    adapter: Adapter,
    mailbox: Mailbox,
    control: Control,
    before: dict[str, Any],
    after: dict[str, Any],
    shown: dict[str, Any],
    whole: bool,
) -> None:
    operation = create(lecture(**before))
    (done,) = await put(adapter, mailbox, operation)
    change = update(done, operation, lecture(location="Room B", **after), whole=whole)
    (updated,) = all_done(await adapter.apply(mailbox, [change]))
    assert updated.id == done.id
    common = await control.event(mailbox.address)
    assert common["location"] == "Room B"
    assert {name: common[name] for name in shown} == shown


@pytest.mark.parametrize(("before", "after", "shown"), WANTED)
async def test_what_is_ours_is_written_where_nothing_is_known_of_the_event(
    adapter: Adapter,
    mailbox: Mailbox,
    control: Control,
    before: dict[str, Any],
    after: dict[str, Any],
    shown: dict[str, Any],
) -> None:
    operation = create(lecture(**before))
    (done,) = await put(adapter, mailbox, operation)
    change = msgspec.structs.replace(update(done, operation, lecture(**after)), possible=())
    all_done(await adapter.apply(mailbox, [change]))
    common = await control.event(mailbox.address)
    assert {name: common[name] for name in shown} == shown


@pytest.mark.parametrize("reminder", [60, "none"])
async def test_a_reminder_that_is_not_ours_any_more_is_the_providers(
    adapter: Adapter, mailbox: Mailbox, control: Control, reminder: Any
) -> None:
    usual = await default_reminder(adapter, mailbox, control)
    operation = create(lecture(reminder=reminder))
    (done,) = await put(adapter, mailbox, operation)
    assert (await control.event(mailbox.address))["reminderMinutes"] != usual
    all_done(await adapter.apply(mailbox, [update(done, operation, lecture())]))
    assert (await control.event(mailbox.address))["reminderMinutes"] == usual


@pytest.mark.parametrize("ours", [30, "none", None])
@pytest.mark.parametrize("whole", [False, True], ids=["patch", "whole"])
async def test_the_persons_reminder_stays_until_ours_changes(
    adapter: Adapter, mailbox: Mailbox, control: Control, ours: Any, whole: bool
) -> None:
    operation = create(lecture(reminder=ours))
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(mailbox.address, done.id, reminderMinutes=90)
    moved = lecture(reminder=ours, location="Room B", description="Bring a book.")
    change = update(done, operation, moved, whole=whole)
    all_done(await adapter.apply(mailbox, [msgspec.structs.replace(change, changed=True)]))
    common = await control.event(mailbox.address)
    assert (common["location"], common["reminderMinutes"]) == ("Room B", 90)


@pytest.mark.parametrize("whole", [False, True], ids=["patch", "whole"])
async def test_the_persons_privacy_stays_where_we_say_nothing(
    adapter: Adapter, mailbox: Mailbox, control: Control, whole: bool
) -> None:
    operation = create(lecture())
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(mailbox.address, done.id, privacy="private")
    all_done(await adapter.apply(mailbox, [update(done, operation, lecture(location="Room B"), whole=whole)]))
    common = await control.event(mailbox.address)
    assert (common["location"], common["privacy"]) == ("Room B", "private")


@pytest.mark.parametrize(("ours", "theirs"), [("private", "normal"), ("normal", "private")])
async def test_a_privacy_of_ours_is_put_right_where_the_person_has_changed_it(
    adapter: Adapter, mailbox: Mailbox, control: Control, ours: Any, theirs: str
) -> None:
    operation = create(lecture(privacy=ours))
    (done,) = await put(adapter, mailbox, operation)
    await control.person_changes(mailbox.address, done.id, privacy=theirs)
    change = msgspec.structs.replace(update(done, operation, operation.event), changed=True)
    all_done(await adapter.apply(mailbox, [change]))
    assert (await control.event(mailbox.address))["privacy"] == ours


async def listed(adapter: Adapter, mailbox: Mailbox, operation: Create) -> list[RemoteEvent]:
    found = await adapter.find(mailbox, INSTANCE, [operation.marker.attempt])
    return found + [each async for each in adapter.list(mailbox, INSTANCE)]


async def test_what_is_read_tells_whether_the_event_is_private(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(lecture(privacy="normal", reminder=30, **COLOURED))
    (done,) = await put(adapter, mailbox, operation)
    read = await listed(adapter, mailbox, operation)
    assert [each.content.changes(operation.event) for each in read] == [(), ()]
    await control.person_changes(mailbox.address, done.id, privacy="private", reminderMinutes=90)
    read = await listed(adapter, mailbox, operation)
    assert [each.content.privacy for each in read] == ["private", "private"]
    assert [each.content.changes(operation.event) for each in read] == [("privacy",), ("privacy",)]
    nothing_said = msgspec.structs.replace(operation.event, privacy=None)
    assert [each.content.changes(nothing_said) for each in read] == [(), ()]


async def test_what_is_as_it_should_be_takes_no_request(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(lecture(reminder=30, privacy="private", **COLOURED))
    (done,) = await put(adapter, mailbox, operation)
    await control.forget()
    all_done(await adapter.apply(mailbox, [update(done, operation, operation.event)]))
    assert await control.requests() == 0


async def test_a_colour_that_is_known_to_be_there_takes_no_request_of_its_own(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    await put(adapter, mailbox, create(lecture(0, **COLOURED)))
    await control.forget()
    await put(adapter, mailbox, create(lecture(1, **COLOURED)))
    assert await control.requests() == 1
    assert {each["colour"] for each in await control.events(mailbox.address)} == {"purple"}


async def test_an_update_of_other_fields_leaves_the_colour(
    adapter: Adapter, mailbox: Mailbox, control: Control
) -> None:
    operation = create(lecture(**COLOURED))
    (done,) = await put(adapter, mailbox, operation)
    await control.forget()
    moved = lecture(location="Room B", **COLOURED)
    all_done(await adapter.apply(mailbox, [update(done, operation, moved)]))
    common = await control.event(mailbox.address)
    assert (common["location"], common["colour"]) == ("Room B", "purple")
    assert await control.requests() == 1
