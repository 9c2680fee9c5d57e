"""Reminder, privacy and colour as they are sent to Google."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from providers.contract import Create, Event, Marker, Update
from providers.googlecalendar import bodies
from providers.googlecalendar.resources import EventResource

MARKER = Marker(
    instance="uni.example",
    synchronization=7,
    event="lecture",
    attempt=UUID("0123456789abcdef0123456789abcdef"),
)
PLAIN = Event(
    uid="lecture",
    title="Algebra",
    start=datetime(2026, 12, 1, 9, tzinfo=UTC),
    end=datetime(2026, 12, 1, 10, tzinfo=UTC),
    time_zone="Europe/Amsterdam",
    categories=("Lecture", "Exam", "Mathematics"),
)
OURS = {"reminders", "visibility", "colorId"}

OWN = {"useDefault": False, "overrides": [{"method": "popup", "minutes": 30}]}
OTHER = {"useDefault": False, "overrides": [{"method": "popup", "minutes": 5}]}
NONE = {"useDefault": False, "overrides": []}
DEFAULT = {"useDefault": True, "overrides": []}


def event(**fields: Any) -> Event:
    return msgspec.structs.replace(PLAIN, **fields)


def presentation(body: dict[str, Any]) -> dict[str, Any]:
    """What a body says of reminder, privacy and colour."""
    return {name: value for name, value in body.items() if name in OURS}


def patched(wanted: Event, *possible: Event, **held: Any) -> dict[str, Any]:
    """What a patch says of them: by what is known if it is, else over the event with ``held``."""
    update = Update(id="x", version='"1"', event=wanted, possible=possible, marker=MARKER)
    if update.previous is not None:
        return presentation(bodies.patch(update))
    seen = {"etag": '"1"'} | bodies.insertion(possible[0] if possible else wanted, MARKER) | held
    return presentation(bodies.patch_of(msgspec.convert(seen, EventResource), update))


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({}, {}),
        ({"reminder": 30}, {"reminders": OWN}),
        (
            {"reminder": 0},
            {"reminders": {"useDefault": False, "overrides": [{"method": "popup", "minutes": 0}]}},
        ),
        ({"reminder": "none"}, {"reminders": NONE}),
        ({"privacy": "private"}, {"visibility": "private"}),
        ({"privacy": "normal"}, {"visibility": "default"}),
        ({"colours": {"Exam": "red"}}, {"colorId": "11"}),
        ({"colours": {"Mathematics": "red", "Exam": "green"}}, {"colorId": "10"}),
        ({"colours": {"Sport": "red"}}, {}),
    ],
)
def test_a_new_event_is_given_what_is_ours_and_nothing_else(fields, sent):
    assert presentation(bodies.insertion(event(**fields), MARKER)) == sent


def test_every_colour_has_an_id_of_its_own():
    colours = ["red", "orange", "yellow", "green", "teal", "blue", "purple", "cranberry", "grey"]
    ids = [bodies.insertion(event(colours={"Exam": one}), MARKER)["colorId"] for one in colours]
    assert len(set(ids)) == len(colours)


def test_a_reminder_of_more_than_four_weeks_is_the_longest_that_google_takes():
    (override,) = bodies.insertion(event(reminder=50_000), MARKER)["reminders"]["overrides"]
    assert override["minutes"] == 40320


CHANGES = [
    ({}, {}, {}),
    ({"reminder": 30}, {"reminder": 30}, {}),
    ({"reminder": 5}, {"reminder": 30}, {"reminders": OWN}),
    ({}, {"reminder": 30}, {"reminders": OWN}),
    ({"reminder": 30}, {"reminder": "none"}, {"reminders": NONE}),
    ({"reminder": 30}, {}, {"reminders": DEFAULT}),
    ({"reminder": "none"}, {}, {"reminders": DEFAULT}),
    ({"colours": {"Exam": "red"}}, {"colours": {"Exam": "red"}}, {}),
    ({"colours": {"Exam": "red"}}, {"colours": {"Exam": "blue"}}, {"colorId": "9"}),
    ({"colours": {"Exam": "red"}}, {"colours": {"Lecture": "red"}}, {}),
    ({"colours": {"Exam": "red"}}, {}, {"colorId": None}),
    ({"privacy": "private"}, {"privacy": "private"}, {}),
    ({}, {"privacy": "private"}, {"visibility": "private"}),
    ({"privacy": "private"}, {"privacy": "normal"}, {"visibility": "default"}),
    ({"privacy": "private"}, {}, {"visibility": "default"}),
]


@pytest.mark.parametrize(("before", "after", "sent"), CHANGES)
def test_what_changes_is_written_and_what_is_ours_no_longer_gives_way_to_the_default(before, after, sent):
    assert patched(event(**after), event(**before)) == sent


@pytest.mark.parametrize(("before", "after", "sent"), CHANGES)
def test_so_it_is_where_either_may_be_there(before, after, sent):
    old, new = event(**before), event(**after)
    assert patched(new, old, new) == sent


def test_a_change_of_the_category_is_one_of_the_colour():
    colours = {"Lecture": "blue", "Exam": "red"}
    before, after = (
        event(colours=colours, categories=("Lecture",)),
        event(colours=colours, categories=("Exam",)),
    )
    assert patched(after, before) == {"colorId": "11"}


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"reminder": 30}, {"reminders": OWN}),
        ({"colours": {"Exam": "red"}}, {"colorId": "11"}),
        ({"privacy": "private"}, {"visibility": "private"}),
        ({}, {}),
    ],
)
def test_where_nothing_is_known_what_is_ours_is_written(fields, sent):
    theirs = {"reminders": OTHER, "colorId": "5", "visibility": "public"}
    assert patched(event(**fields), **theirs) == sent


@pytest.mark.parametrize(
    ("privacy", "held", "sent"),
    [
        ("private", "private", {}),
        ("private", "confidential", {}),
        ("normal", "public", {}),
        ("normal", "private", {"visibility": "default"}),
        (None, "private", {}),
    ],
)
def test_of_an_event_that_was_read_privacy_is_written_where_it_differs(privacy, held, sent):
    assert patched(event(privacy=privacy), visibility=held) == sent


def test_what_the_person_changed_of_reminder_and_colour_is_theirs():
    ours = event(reminder=30, colours={"Exam": "red"})
    update = Update(id="x", version=None, event=ours, possible=(ours,), marker=MARKER, changed=True)
    held = {"etag": '"1"'} | bodies.insertion(ours, MARKER) | {"reminders": OTHER, "colorId": "5"}
    assert bodies.patch_of(msgspec.convert(held, EventResource), update) == {}


def test_an_event_of_ours_without_a_marker_keeps_its_reminder_and_colour():
    ours = event(reminder=30, colours={"Exam": "red"}, privacy="private")
    held = {"etag": '"1"'} | bodies.insertion(ours, MARKER)
    held |= {"reminders": OTHER, "extendedProperties": {}}
    sent = bodies.mending(msgspec.convert(held, EventResource), Create(event=ours, marker=MARKER))
    assert presentation(sent) == {}


@pytest.mark.parametrize(
    ("visibility", "privacy"),
    [
        (None, "normal"),
        ("default", "normal"),
        ("public", "normal"),
        ("private", "private"),
        ("confidential", "private"),
    ],
)
def test_visibility_is_read_as_privacy(visibility, privacy):
    held = bodies.insertion(PLAIN, MARKER) | ({} if visibility is None else {"visibility": visibility})
    assert msgspec.convert(held, EventResource).content.privacy == privacy


def test_none_of_it_depends_on_the_version():
    update = Update(
        id="x",
        version=None,
        event=event(reminder=30, colours={"Exam": "red"}, privacy="private"),
        possible=(PLAIN,),
        marker=MARKER,
    )
    assert not bodies.conditional(bodies.patch(update))
