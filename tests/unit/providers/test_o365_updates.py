"""What an update writes over an event, read before or not."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from providers.contract import Content, Event, Marker, Update
from providers.o365.messages import Request
from providers.o365.reading import Held
from providers.o365.updates import has_to_be_read, update_request, version_after, version_held

ATTEMPT = UUID("0b9d4cf2-4f9c-4a41-9d0c-7a3c6a1f52aa")
MARKER = Marker(instance="uni.example", synchronization=7, event="algebra-1", attempt=ATTEMPT)
START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LECTURE = Event(
    uid="algebra-1",
    title="Algebra",
    start=START,
    end=START + timedelta(minutes=105),
    time_zone="Europe/Amsterdam",
    location="Room A",
    description="Bring a book.",
    categories=("Lecture",),
)
SHARED = [{"description": "Bring two books."}, {"url": "https://uni.example/"}, {"categories": ("Exam",)}]
OTHERS = [
    {"title": "Exam"},
    {"location": "Room B"},
    {"end": START + timedelta(hours=2)},
    {"show_as": "free"},
    {"time_zone": "America/New_York"},
]


def changed(**changes: Any) -> Event:
    return msgspec.structs.replace(LECTURE, **changes)


def update(event: Event, *possible: Event, version: str | None = "CK1") -> Update:
    return Update(id="AAMk=", version=version, event=event, possible=possible, marker=MARKER)


def holds(event: Event, marker: Marker | None = MARKER, **changes: Any) -> Held:
    """The event as it is in the mailbox, with what the person has made of it."""
    content = Content(
        title=event.title,
        start=event.start,
        end=event.end,
        all_day=event.all_day,
        location=event.location,
        body=event.body,
        categories=event.categories,
        show_as=event.show_as,
    )
    return Held(version="CK2", content=msgspec.structs.replace(content, **changes), marker=marker)


def request(operation: Update, held: Held | None = None) -> Request:
    found = update_request("alice@uni.example", operation, held)
    assert found is not None
    return found


def patched(operation: Update, held: Held | None = None) -> dict[str, Any]:
    """The body of the PATCH, without the marker."""
    body = dict(request(operation, held).body or {})
    assert body.pop("singleValueExtendedProperties")
    return body


def test_an_update_patches_what_changed_and_nothing_else() -> None:
    assert patched(update(changed(location="Room B"), LECTURE)) == {"location": {"displayName": "Room B"}}


def test_a_changed_time_patches_both_ends() -> None:
    operation = update(changed(end=START + timedelta(hours=2)), LECTURE)
    assert patched(operation).keys() == {"start", "end", "isAllDay"}


def test_an_update_that_changes_nothing_is_no_request() -> None:
    assert update_request("alice@uni.example", update(LECTURE, LECTURE), None) is None


@pytest.mark.parametrize("changes", SHARED)
def test_a_field_in_which_people_write_too_is_written_only_over_its_version(changes: dict[str, Any]) -> None:
    operation = update(changed(**changes), LECTURE)
    assert not has_to_be_read(operation)
    assert request(operation).headers == {"If-Match": 'W/"CK1"'}


@pytest.mark.parametrize("changes", OTHERS)
def test_any_other_field_is_written_whatever_the_version(changes: dict[str, Any]) -> None:
    operation = update(changed(**changes), LECTURE, version=None)
    assert not has_to_be_read(operation)
    assert request(operation).headers == {}


@pytest.mark.parametrize("changes", SHARED)
def test_without_a_version_the_event_has_to_be_read(changes: dict[str, Any]) -> None:
    assert has_to_be_read(update(changed(**changes), LECTURE, version=None))


@pytest.mark.parametrize("possible", [(), (LECTURE, changed(title="Exam"))])
def test_an_event_of_which_we_are_not_sure_has_to_be_read(possible: tuple[Event, ...]) -> None:
    assert has_to_be_read(update(LECTURE, *possible))


def test_over_what_was_read_goes_our_text_among_their_notes() -> None:
    operation = update(changed(description="Bring two books.", categories=("Exam",)), LECTURE)
    held = holds(LECTURE, body="Sit with Bob.\n\nBring a book.\n", categories=("Mine", "Lecture"))
    assert patched(operation, held) == {
        "body": {"contentType": "text", "content": "Sit with Bob.\n\nBring two books.\n"},
        "categories": ["Exam", "Mine"],
    }
    assert request(operation, held).headers == {"If-Match": 'W/"CK2"'}


def test_what_the_person_made_of_other_fields_is_theirs_until_the_timetable_changes_them() -> None:
    operation = update(changed(description="Bring two books.", location="Room B"), LECTURE)
    held = holds(LECTURE, title="Mine", show_as="free", location="Hers")
    assert patched(operation, held).keys() == {"body", "location"}


def test_an_event_of_which_we_are_not_sure_is_made_ours_where_it_differs() -> None:
    held = holds(LECTURE, title="Mine", show_as="free")
    operation = update(LECTURE)
    assert patched(operation, held) == {"subject": "Algebra", "showAs": "busy"}
    assert request(operation, held).headers == {}


@pytest.mark.parametrize(
    "change",
    [{"start": START - timedelta(hours=1)}, {"end": START + timedelta(hours=2)}, {"all_day": True}],
)
def test_times_that_differ_are_all_written(change: dict[str, Any]) -> None:
    assert patched(update(LECTURE), holds(LECTURE, **change)).keys() == {"start", "end", "isAllDay"}


def test_times_by_another_wall_clock_are_written_though_they_are_the_same_moments() -> None:
    operation = update(changed(time_zone="America/New_York"), LECTURE, changed(title="Exam"))
    assert patched(operation, holds(LECTURE)).keys() == {"start", "end", "isAllDay"}


def test_an_all_day_event_that_is_there_is_not_written() -> None:
    midnight = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)
    event = changed(all_day=True, start=midnight, end=midnight + timedelta(days=1))
    day = datetime(2026, 11, 23, tzinfo=UTC)
    held = holds(event, start=day, end=day + timedelta(days=1))
    assert update_request("alice@uni.example", update(event), held) is None


def test_a_date_alone_lasts_for_that_day() -> None:
    midnight = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)
    event = changed(all_day=True, start=midnight, end=midnight)
    day = datetime(2026, 11, 23, tzinfo=UTC)
    held = holds(event, start=day, end=day + timedelta(days=1))
    assert update_request("alice@uni.example", update(event), held) is None


DEFAULT = {"isReminderOn": True, "reminderMinutesBeforeStart": 15}
SHOWN: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({}, {"reminder": 30}, {"isReminderOn": True, "reminderMinutesBeforeStart": 30}),
    ({"reminder": 30}, {"reminder": 0}, {"isReminderOn": True, "reminderMinutesBeforeStart": 0}),
    ({"reminder": 30}, {"reminder": "none"}, {"isReminderOn": False}),
    ({"reminder": 30}, {}, DEFAULT),
    ({"reminder": "none"}, {}, DEFAULT),
    ({}, {"privacy": "private"}, {"sensitivity": "private"}),
    ({"privacy": "private"}, {"privacy": "normal"}, {"sensitivity": "normal"}),
    ({"privacy": "private"}, {}, {"sensitivity": "normal"}),
]
"""How an event is shown: ours before, ours now, and what is written."""


@pytest.mark.parametrize(("before", "after", "written"), SHOWN)
def test_how_it_is_shown_is_written_where_it_changes_and_whatever_the_version(
    before: dict[str, Any], after: dict[str, Any], written: dict[str, Any]
) -> None:
    operation = update(changed(**after), changed(**before), version=None)
    assert not has_to_be_read(operation)
    assert request(operation).headers == {}
    assert patched(operation) == written


def test_a_colour_is_not_the_events_own() -> None:
    operation = update(changed(colours={"Lecture": "blue"}), changed(colours={"Lecture": "red"}))
    assert update_request("alice@uni.example", operation, None) is None


@pytest.mark.parametrize("ours", [{"reminder": 30}, {"reminder": "none"}, {"privacy": "private"}, {}])
def test_how_it_is_shown_is_not_written_where_it_stays(ours: dict[str, Any]) -> None:
    room = changed(location="Room B", **ours)
    assert patched(update(room, changed(**ours))).keys() == {"location"}
    held = holds(LECTURE, privacy=ours.get("privacy", "private"))
    assert patched(update(room, changed(**ours), room), held).keys() == {"location"}


def test_of_an_event_of_which_nothing_is_known_what_is_ours_is_written() -> None:
    held = holds(LECTURE, privacy="private")
    assert patched(update(changed(reminder=30, privacy="normal")), held) == {
        "isReminderOn": True,
        "reminderMinutesBeforeStart": 30,
        "sensitivity": "normal",
    }
    assert update_request("alice@uni.example", update(LECTURE), held) is None


def test_a_privacy_that_is_right_already_is_not_written_over_what_was_read() -> None:
    operation = update(changed(privacy="private"), LECTURE, changed(privacy="private"))
    assert update_request("alice@uni.example", operation, holds(LECTURE, privacy="private")) is None


@pytest.mark.parametrize("marker", [None, msgspec.structs.replace(MARKER, synchronization=6)])
def test_a_marker_that_is_lost_or_of_an_earlier_synchronization_is_written(marker: Marker | None) -> None:
    assert patched(update(LECTURE), holds(LECTURE, marker)) == {}


def test_only_a_version_of_nothing_but_ours_is_remembered() -> None:
    assert version_held(LECTURE, holds(LECTURE, title="Mine", body="Bring a book.\r\n")) == "CK2"
    assert version_held(LECTURE, holds(LECTURE, body="Bring a book.\nNote")) is None
    assert version_held(LECTURE, holds(LECTURE, categories=("Lecture", "Mine"))) is None


@pytest.mark.parametrize("item", [None, {}, {"changeKey": "CK", "body": {"contentType": "html"}}])
def test_no_version_is_remembered_of_an_answer_that_does_not_show_the_text(item: Any) -> None:
    assert version_after(LECTURE, item) is None
