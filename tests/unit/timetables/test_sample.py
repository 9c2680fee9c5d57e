"""The made-up campus."""

from datetime import date

import msgspec
import pytest

from app.config import TimetableSettings
from app.timetables import sample
from app.timetables.document import Reader

TODAY = date(2026, 11, 21)
reader = Reader(TimetableSettings(), "Europe/Amsterdam")


def test_the_campus_is_plausible_and_valid() -> None:
    people = list(sample.campus(30, TODAY))
    assert len({person["username"] for person in people}) == 30
    zones = set()
    for person in people:
        events = reader.timetable(msgspec.json.encode(person))
        assert 60 <= len(events) <= 100
        assert any(event.all_day for event in events)
        zones |= {event.time_zone for event in events}
    assert len(zones) > 1


def test_it_is_the_same_every_time() -> None:
    assert list(sample.campus(5, TODAY)) == list(sample.campus(5, TODAY))


@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize("day", [1, 28])
def test_at_any_time_of_the_year_something_is_behind_and_something_ahead(month: int, day: int) -> None:
    today = date(2026, month, day)
    starts = [event["start"][:10] for person in sample.campus(3, today) for event in person["events"]]
    assert min(starts) < today.isoformat() < max(starts)


def test_the_next_edition_changes_about_the_share_and_keeps_the_rest() -> None:
    events = next(sample.campus(1, TODAY))["events"]
    edition = sample.change(events, 0.2, seed=1)
    assert edition == sample.change(events, 0.2, seed=1)
    before = {event["uid"]: event for event in events}
    after = {event["uid"]: event for event in edition}
    assert before.keys() < after.keys()
    changed = [uid for uid in before if before[uid] != after[uid]]
    assert 0 < len(changed) <= round(len(events) * 0.2)
    assert any(after[uid].get("status") == "cancelled" for uid in changed)
    reader.timetable(msgspec.json.encode({"events": edition}))


def test_a_share_of_nothing_changes_nothing() -> None:
    events = next(sample.campus(1, TODAY))["events"]
    assert sample.change(events, 0, seed=1) == events
    assert sample.change([], 1, seed=1) == []
