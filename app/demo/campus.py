"""The people of the demo, and the two editions of their timetable."""

import gzip
import io
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from app.config import Config
from app.errors import Invalid
from app.timetables import sample
from app.timetables.document import Reader
from providers.contract import Event

__all__ = ["MODES", "TYPES", "Person", "next_edition", "read_campus", "sample_campus"]

TYPES = ("ews", "o365", "googlecalendar")
MODES = ("UNLINK_ONLY", "DELETE_FUTURE_EVENTS", "DELETE_ALL_EVENTS", "CLEANUP")


class Person(msgspec.Struct, kw_only=True):
    """Somebody whose calendar is kept. ``source`` is their timetable as it was read."""

    username: str
    type: str
    mode: str
    source: list[dict[str, Any]]
    events: dict[str, Event] = {}
    """What is published, by uid; cancelled events are not in it."""
    synchronization: int = 0

    @property
    def address(self) -> str:
        """Their mailbox in the sandbox."""
        return f"{self.username}@uni.example"

    def publish(self, config: Config) -> list[Event]:
        """The timetable as it is to be published now. Raises Invalid."""
        reader = Reader(config.timetables, config.timezone)
        events = reader.timetable(msgspec.json.encode({"events": self.source}))
        self.events = {event.uid: event for event in events if event.status != "cancelled"}
        return list(events)


def _people(timetables: Iterator[dict[str, Any]]) -> list[Person]:
    """Everybody, spread evenly over the providers and the ways to unlink."""
    return [
        Person(
            username=timetable["username"],
            type=TYPES[number % len(TYPES)],
            mode=MODES[number % len(MODES)],  # with 3 types: all twelve pairs among twelve people
            source=timetable["events"],
        )
        for number, timetable in enumerate(timetables)
    ]


def sample_campus(people: int) -> list[Person]:
    """A made-up campus, the same each time within a term."""
    return _people(iter(sample.campus(people)))


def read_campus(file: Path, people: int | None) -> list[Person]:
    """The first ``people`` of a campus in a .jsonl or .jsonl.gz file. Raises Invalid."""
    try:
        data = file.read_bytes()
        if file.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise Invalid("invalid_campus", f"{file.name} cannot be read: {error}.") from error
    try:
        lines = (msgspec.json.decode(line) for line in io.BytesIO(data) if line.strip())
        campus = _people(islice(lines, people))
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise Invalid(
            "invalid_campus",
            f"{file.name} is not a campus: a line of JSON for each person is expected,"
            ' {"username": …, "events": […]}.',
        ) from error
    if not campus:
        raise Invalid("invalid_campus", f"{file.name} is empty: there is nobody on this campus.")
    return campus


def next_edition(people: list[Person], share: float) -> None:
    """Change this share of everybody's events, as a timetable changes between two publications."""
    for number, person in enumerate(people):
        person.source = sample.change(person.source, share, seed=number)
