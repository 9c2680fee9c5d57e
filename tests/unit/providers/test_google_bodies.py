"""What Rooster sends to Google."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from providers.contract import Create, Event, Marker, ProviderError, Unknown, Update
from providers.googlecalendar import bodies
from providers.googlecalendar.resources import EventResource

MARKER = Marker(
    instance="uni.example",
    synchronization=7,
    event="lecture",
    attempt=UUID("0123456789abcdef0123456789abcdef"),
)
MARKED = {
    "RoosterInstance": "uni.example",
    "RoosterSynchronization": "7",
    "RoosterEvent": "lecture",
    "RoosterAttempt": "0123456789abcdef0123456789abcdef",
}
EVENT = Event(
    uid="lecture",
    title="Algebra",
    start=datetime(2026, 12, 1, 9, tzinfo=UTC),
    end=datetime(2026, 12, 1, 10, tzinfo=UTC),
    time_zone="Europe/Amsterdam",
)


def changed(**fields: object) -> Event:
    return msgspec.structs.replace(EVENT, **fields)


def update(event: Event, *possible: Event) -> Update:
    return Update(id="x", version=None, event=event, possible=possible, marker=MARKER)


def patch(event: Event, previous: Event = EVENT) -> dict[str, object]:
    return bodies.patch(update(event, previous))


def resource(event: Event = EVENT, marker: Marker = MARKER, **changes: object) -> EventResource:
    """The event as Google gives it back after an insert, and after these changes."""
    return msgspec.convert({"etag": '"1"'} | bodies.insertion(event, marker) | changes, EventResource)


def test_insertion_names_the_attempt_as_its_id_and_leaves_empty_fields_out():
    assert bodies.insertion(EVENT, MARKER) == {
        "id": "0123456789abcdef0123456789abcdef",
        "summary": "Algebra",
        "start": {"dateTime": "2026-12-01T10:00:00+01:00", "timeZone": "Europe/Amsterdam"},
        "end": {"dateTime": "2026-12-01T11:00:00+01:00", "timeZone": "Europe/Amsterdam"},
        "status": "confirmed",
        "transparency": "opaque",
        "extendedProperties": {"private": MARKED},
    }


def test_insertion_of_all_fields():
    event = changed(
        location="Aula",
        description="Chapter 2",
        url="https://uni.example/algebra",
        categories=("Exam", "Résit"),
        show_as="free",
    )
    body = bodies.insertion(event, MARKER)
    assert body["location"] == "Aula"
    assert body["description"] == "Chapter 2\n\nhttps://uni.example/algebra"
    assert body["source"] == {"url": "https://uni.example/algebra", "title": "uni.example"}
    assert body["transparency"] == "transparent"
    assert body["extendedProperties"]["private"] == MARKED | {"RoosterCategories": '["Exam", "Résit"]'}


def test_nothing_sent_can_invite_anyone_or_touch_reminders_and_colours():
    event = changed(location="Aula", categories=("Exam",), url="https://uni.example/")
    sent = (
        bodies.insertion(event, MARKER),
        patch(event),
        bodies.patch_of(resource(), update(event)),
        bodies.patch_of(resource(), update(event, EVENT)),
        bodies.mending(resource(), Create(event=event, marker=MARKER)),
    )
    for body in sent:
        assert body.keys() <= {
            "id",
            "summary",
            "location",
            "description",
            "start",
            "end",
            "status",
            "transparency",
            "source",
            "extendedProperties",
        }
        assert body["extendedProperties"].keys() == {"private"}


@pytest.mark.parametrize(
    ("show_as", "status", "transparency"),
    [
        ("busy", "confirmed", "opaque"),
        ("free", "confirmed", "transparent"),
        ("tentative", "tentative", "opaque"),
    ],
)
def test_tentative_is_a_status_and_free_a_transparency(show_as, status, transparency):
    event = changed(status="tentative", show_as=show_as)
    body = bodies.insertion(event, MARKER)
    assert (body["status"], body["transparency"]) == (status, transparency)
    assert resource(event).content.show_as == show_as


def test_all_day_event_is_dates_on_its_own_wall_clock():
    event = changed(
        all_day=True,
        start=datetime(2026, 11, 30, 23, tzinfo=UTC),
        end=datetime(2026, 12, 2, 23, tzinfo=UTC),
    )
    body = bodies.insertion(event, MARKER)
    assert (body["start"], body["end"]) == ({"date": "2026-12-01"}, {"date": "2026-12-03"})


def test_all_day_event_without_length_lasts_its_day():
    midnight = datetime(2026, 11, 30, 23, tzinfo=UTC)
    body = bodies.insertion(changed(all_day=True, start=midnight, end=midnight), MARKER)
    assert (body["start"], body["end"]) == ({"date": "2026-12-01"}, {"date": "2026-12-02"})


def test_both_halves_of_a_doubled_hour_keep_their_offsets():
    start = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    body = bodies.insertion(changed(start=start, end=start + timedelta(hours=1)), MARKER)
    assert body["start"]["dateTime"] == "2026-10-25T02:30:00+02:00"
    assert body["end"]["dateTime"] == "2026-10-25T02:30:00+01:00"


@pytest.mark.parametrize("url", ["mailto:a@uni.example", "/relative", "ftp://files.example/", "https://"])
def test_only_web_addresses_are_sources(url):
    body = bodies.insertion(changed(url=url), MARKER)
    assert "source" not in body
    assert body["description"] == url


def test_categories_that_do_not_fit_are_left_out_from_the_end():
    categories = tuple("é" * 99 + str(n) for n in range(30))
    private = bodies.insertion(changed(categories=categories), MARKER)["extendedProperties"]["private"]
    kept = msgspec.json.decode(private["RoosterCategories"], type=tuple[str, ...])
    assert len(private["RoosterCategories"]) <= 1024
    assert kept == categories[: len(kept)]
    assert len(kept) == 9


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"title": "Seminar"}, {"summary": "Seminar"}),
        ({"location": "Aula"}, {"location": "Aula"}),
        ({"description": "Bring a pen"}, {"description": "Bring a pen"}),
        ({"show_as": "free"}, {"transparency": "transparent"}),
        ({"show_as": "tentative"}, {"status": "tentative"}),
        (
            {"end": datetime(2026, 12, 1, 11, tzinfo=UTC)},
            {
                "end": {
                    "dateTime": "2026-12-01T12:00:00+01:00",
                    "timeZone": "Europe/Amsterdam",
                    "date": None,
                }
            },
        ),
        (
            {"url": "https://uni.example/x"},
            {
                "description": "https://uni.example/x",
                "source": {"url": "https://uni.example/x", "title": "uni.example"},
            },
        ),
    ],
)
def test_patch_holds_what_changed_and_the_marker(fields, sent):
    assert patch(changed(**fields)) == sent | {"extendedProperties": {"private": MARKED}}


def test_patch_of_categories_is_one_private_property():
    sent = patch(changed(categories=("Exam",)))
    assert sent == {"extendedProperties": {"private": MARKED | {"RoosterCategories": '["Exam"]'}}}


def test_patch_takes_away_what_the_event_has_no_longer():
    before = changed(location="Aula", description="x", url="https://uni.example/", categories=("Exam",))
    assert patch(EVENT, before) == {
        "location": None,
        "description": None,
        "source": None,
        "extendedProperties": {"private": MARKED | {"RoosterCategories": None}},
    }


def test_patch_from_hours_to_all_day_takes_the_hours_away():
    all_day = changed(
        all_day=True,
        start=datetime(2026, 11, 30, 23, tzinfo=UTC),
        end=datetime(2026, 12, 1, 23, tzinfo=UTC),
    )
    assert patch(all_day)["start"] == {"date": "2026-12-01", "dateTime": None, "timeZone": None}
    assert patch(EVENT, all_day)["start"] == {
        "date": None,
        "dateTime": "2026-12-01T10:00:00+01:00",
        "timeZone": "Europe/Amsterdam",
    }


def test_patch_without_a_difference_is_empty():
    assert patch(changed()) == {}


def test_patch_over_an_unknown_state_is_refused():
    with pytest.raises(ValueError, match="read the event first"):
        bodies.patch(update(EVENT))


def test_what_could_be_taken_for_html_is_written_as_html():
    assert bodies.insertion(changed(description="a <b> c"), MARKER)["description"] == "a &lt;b&gt; c"
    assert patch(changed(description="AT&T; 1 < 2")) == {
        "description": "AT&T; 1 < 2",
        "extendedProperties": {"private": MARKED},
    }


@pytest.mark.parametrize(
    ("fields", "condition"),
    [
        ({"title": "Seminar"}, False),
        ({"location": "Aula"}, False),
        ({"end": datetime(2026, 12, 1, 11, tzinfo=UTC)}, False),
        ({"show_as": "free"}, False),
        ({"show_as": "tentative"}, True),
        ({"description": "Bring a pen"}, True),
        ({"url": "https://uni.example/x"}, True),
        ({"categories": ("Exam",)}, True),
    ],
)
def test_only_what_may_hold_additions_or_bring_an_event_back_depends_on_the_version(fields, condition):
    assert bodies.conditional(patch(changed(**fields))) is condition


# Over an event that was read

FULL = changed(
    location="Aula", description="Chapter 2", url="https://uni.example/", categories=("Exam",), show_as="free"
)
ALL_DAY = changed(
    all_day=True, start=datetime(2026, 11, 30, 23, tzinfo=UTC), end=datetime(2026, 12, 1, 23, tzinfo=UTC)
)


@pytest.mark.parametrize("event", [EVENT, FULL, ALL_DAY], ids=["plain", "full", "all day"])
def test_an_event_that_is_as_it_should_be_takes_nothing(event):
    assert bodies.patch_of(resource(event), update(event)) == {}
    assert resource(event).content.holds(event)


@pytest.mark.parametrize(("held", "event"), [(EVENT, FULL), (FULL, EVENT), (FULL, ALL_DAY), (ALL_DAY, FULL)])
def test_of_an_unknown_event_everything_that_differs_is_written(held, event):
    sent = bodies.patch_of(resource(held), update(event, held, event))
    assert sent == patch(event, held)


def test_of_an_unknown_event_nothing_else_is_written():
    sent = bodies.patch_of(resource(FULL, summary="Mine"), update(FULL))
    assert sent == {"summary": "Algebra", "extendedProperties": {"private": MARKED}}


def test_an_adopted_event_gets_its_new_marker():
    other = msgspec.structs.replace(MARKER, synchronization=8)
    assert bodies.patch_of(resource(marker=other), update(EVENT)) == {
        "extendedProperties": {"private": MARKED}
    }


def test_the_wall_clock_of_another_zone_is_a_difference():
    sent = bodies.patch_of(resource(), update(changed(time_zone="America/New_York")))
    assert sent.keys() == {"start", "end", "extendedProperties"}


def test_of_a_known_event_only_what_the_timetable_changed_is_written():
    """The person has another title for it, and a note; the timetable has another room and another text."""
    held = resource(FULL, summary="Mine", description="Chapter 2\n\nhttps://uni.example/\n\nAsk Bob")
    event = msgspec.structs.replace(FULL, location="Zaal 1", description="Chapter 3")
    assert bodies.patch_of(held, update(event, FULL)) == {
        "location": "Zaal 1",
        "description": "Chapter 3\n\nhttps://uni.example/\n\nAsk Bob",
        "extendedProperties": {"private": MARKED},
    }


def test_of_a_known_event_a_text_that_is_there_already_is_left():
    event = msgspec.structs.replace(FULL, location="Zaal 1", description="Chapter 3")
    held = resource(event, location="Aula", description=f"{event.body}\nAsk Bob")
    assert bodies.patch_of(held, update(event, FULL)).keys() == {"location", "extendedProperties"}


def test_categories_of_theirs_stay_among_ours():
    held = resource(changed(categories=("Mine", "Exam")))
    sent = bodies.patch_of(held, update(changed(categories=("Lecture",)), changed(categories=("Exam",))))
    assert sent["extendedProperties"]["private"]["RoosterCategories"] == '["Lecture", "Mine"]'


def test_categories_that_do_not_fit_are_no_difference_for_ever():
    event = changed(categories=tuple("é" * 99 + str(n) for n in range(30)))
    assert bodies.patch_of(resource(event), update(event)) == {}


def test_categories_that_another_program_broke_are_written_anew():
    event = changed(categories=("Exam",))
    broken = {"private": MARKED | {"RoosterCategories": "{"}}
    sent = bodies.patch_of(resource(event, extendedProperties=broken), update(event))
    assert sent["extendedProperties"]["private"]["RoosterCategories"] == '["Exam"]'


def test_an_event_of_ours_without_a_marker_keeps_their_notes():
    held = resource(FULL, description=f"Ask Bob<br><br>{FULL.body}", extendedProperties={})
    sent = bodies.mending(held, Create(event=FULL, marker=MARKER))
    assert sent == {"extendedProperties": {"private": MARKED | {"RoosterCategories": '["Exam"]'}}}


# Reading


def test_times_are_read_in_utc_and_days_as_midnights():
    content = resource(FULL).content
    assert (content.start, content.end, content.all_day) == (FULL.start, FULL.end, False)
    assert content.start.utcoffset() == timedelta(0)
    content = resource(ALL_DAY).content
    assert (content.start, content.end, content.all_day) == (
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2026, 12, 2, tzinfo=UTC),
        True,
    )


def test_an_event_without_times_is_unreadable():
    with pytest.raises(ProviderError) as caught:
        _ = resource(start={}).content
    assert isinstance(caught.value.outcome, Unknown)
