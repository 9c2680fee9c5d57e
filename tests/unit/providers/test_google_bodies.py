"""What Rooster sends to Google."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from providers.contract import Event, Marker, Update
from providers.googlecalendar import bodies

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


def patch(event: Event, previous: Event | None = EVENT) -> dict[str, object]:
    return bodies.patch(
        Update(
            id="x", version=None, event=event, possible=() if previous is None else (previous,), marker=MARKER
        )
    )


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
    for body in (bodies.insertion(event, MARKER), bodies.full(event, MARKER), patch(event, None)):
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


@pytest.mark.parametrize("status", ["confirmed", "tentative"])
@pytest.mark.parametrize("show_as", ["busy", "free", "tentative"])
def test_tentative_is_a_status_and_free_a_transparency(status, show_as):
    body = bodies.insertion(changed(status=status, show_as=show_as), MARKER)
    assert body["status"] == ("tentative" if "tentative" in (status, show_as) else "confirmed")
    assert body["transparency"] == ("transparent" if show_as == "free" else "opaque")


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


def test_patch_over_an_unknown_state_holds_every_owned_field():
    assert patch(EVENT, None) == bodies.full(EVENT, MARKER)
    assert {name for name, value in patch(EVENT, None).items() if value is None} == {
        "location",
        "description",
        "source",
    }


def test_only_patches_with_a_status_can_bring_a_deleted_event_back():
    def touches(event: Event, previous: Event | None) -> bool:
        update = Update(
            id="x", version=None, event=event, possible=() if previous is None else (previous,), marker=MARKER
        )
        return bodies.touches_status(update)

    assert not touches(changed(title="Seminar"), EVENT)
    assert touches(changed(show_as="tentative"), EVENT)
    assert touches(EVENT, None)
