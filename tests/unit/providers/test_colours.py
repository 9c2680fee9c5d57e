"""What events want of the categories of a mailbox."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from providers.colours import NO_COLOUR, NUMBERS, Wish, wishes
from providers.contract import Colour, Create, Delete, Event, Marker, Update

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MARKER = Marker(instance="uni.example", synchronization=1, event="u", attempt=UUID(int=1))
RED, BLUE = NUMBERS["red"], NUMBERS["blue"]


def event(*categories: str, **colours: Colour) -> Event:
    return Event(
        uid="u", title="", start=NOW, end=NOW, time_zone="UTC", categories=categories, colours=colours
    )


def create(event: Event) -> Create:
    return Create(event=event, marker=MARKER)


def update(event: Event, *possible: Event) -> Update:
    return Update(id="1", version=None, event=event, possible=possible, marker=MARKER)


def wish(name: str, colour: Colour | None, *before: Colour) -> Wish:
    return Wish(name=name, colour=colour, before=frozenset(before))


def test_a_new_event_wants_the_colours_of_its_categories() -> None:
    operations = [create(event("a", "b", "c", a="red", b="blue")), Delete(id="2", version=None)]
    assert wishes(operations) == [wish("a", "red"), wish("b", "blue")]


def test_a_category_that_the_event_has_not_is_not_wanted() -> None:
    assert (
        wishes([create(event("a", b="red")), update(event("b", b="blue"), event("a", "b", b="blue"))]) == []
    )


def test_a_category_is_wanted_once_whatever_its_case_and_a_colour_before_none() -> None:
    before = event("A", A="red")
    operations = [update(event("A"), before), create(event("a", a="blue")), create(event("A", A="red"))]
    assert wishes(operations) == [wish("A", "blue", "red")]


def test_an_update_wants_what_is_not_the_same_as_in_each_that_may_be_there() -> None:
    red, blue = event("a", a="red"), event("a", a="blue")
    assert wishes([update(red, red)]) == []
    assert wishes([update(red, red, blue)]) == [wish("a", "red", "blue")]
    assert wishes([update(red)]) == [wish("a", "red")]
    assert wishes([update(event("a"), red)]) == [wish("a", None, "red")]
    assert wishes([update(event("a"))]) == []


def test_categories_go_by_the_names_that_the_provider_has_for_them() -> None:
    operations = [create(event("long name", **{"long name": "red"}))]
    assert wishes(operations, lambda event: [each[:4] for each in event.categories]) == [wish("long", "red")]


@pytest.mark.parametrize(
    ("wanted", "there", "change"),
    [
        (wish("a", "red"), None, RED),
        (wish("a", "red"), RED, None),
        (wish("a", "red"), BLUE, None),
        (wish("a", "red"), NO_COLOUR, None),
        (wish("a", "red", "blue"), BLUE, RED),
        (wish("a", None, "blue"), BLUE, NO_COLOUR),
        (wish("a", None, "blue"), RED, None),
        (wish("a", None, "blue"), None, None),
    ],
)
def test_what_the_person_has_chosen_stays(wanted: Wish, there: int | None, change: int | None) -> None:
    assert wanted.change(there) == change
