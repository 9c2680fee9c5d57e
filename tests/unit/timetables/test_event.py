"""How events are kept, and the hash that says whether one has changed."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from app.timetables.event import content_hash, decode, encode
from providers.contract import Event

PLAIN = Event(
    uid="a",
    title="Algorithms",
    start=datetime(2026, 11, 23, 8, tzinfo=UTC),
    end=datetime(2026, 11, 23, 9, tzinfo=UTC),
    time_zone="Europe/Amsterdam",
)
FULL = msgspec.structs.replace(
    PLAIN,
    title="Ökologie 🤖",
    all_day=True,
    location="1.23",
    description="one\ntwo",
    categories=("Lecture", "Year 1"),
    url="https://uni.example/",
    status="tentative",
    show_as="free",
)


@pytest.mark.parametrize(
    ("event", "expected"),
    [(PLAIN, "b7fc41567317f4b5b2621448ad9b5455"), (FULL, "55b118157a3ee8ef7995b2c3c681d177")],
)
def test_the_hash_never_changes_between_versions(event: Event, expected: str) -> None:
    # Ledgers hold these hashes. If this fails, every event of every mailbox would be written again.
    assert content_hash(event).hex() == expected


@pytest.mark.parametrize(
    "change",
    [
        {"uid": "b"},
        {"title": "x"},
        {"start": datetime(2026, 11, 23, 7, tzinfo=UTC)},
        {"end": datetime(2026, 11, 23, 10, tzinfo=UTC)},
        {"time_zone": "Europe/Berlin"},
        {"all_day": True},
        {"location": "x"},
        {"description": "x"},
        {"categories": ("x",)},
        {"url": "https://x.example"},
        {"status": "cancelled"},
        {"show_as": "free"},
    ],
)
def test_the_hash_differs_when_any_field_does(change: dict[str, Any]) -> None:
    assert content_hash(msgspec.structs.replace(PLAIN, **change)) != content_hash(PLAIN)


def test_the_hash_tells_apart_what_is_only_written_the_same() -> None:
    moved = msgspec.structs.replace(PLAIN, location="ab", description="c")
    assert content_hash(moved) != content_hash(msgspec.structs.replace(PLAIN, location="a", description="bc"))
    listed = msgspec.structs.replace(PLAIN, categories=("a", "b"))
    assert content_hash(listed) != content_hash(msgspec.structs.replace(PLAIN, categories=("a,b",)))


@pytest.mark.parametrize("event", [PLAIN, FULL])
def test_an_event_comes_back_from_the_database_as_it_was(event: Event) -> None:
    assert decode(encode(event)) == event
