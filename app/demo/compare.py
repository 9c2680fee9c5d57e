"""Compares what each mailbox holds with what the ledger says and with what was published."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from app.database.queries import query
from app.demo.campus import Person
from app.demo.stage import Stage
from providers.contract import Event

__all__ = ["Foreign", "Verdict", "compare", "look_alike"]

READERS = 8

Foreign = dict[str, dict[str, Any]]
"""The events of a mailbox that are not ours, by id, as they were when last looked at."""


class Verdict(msgspec.Struct, kw_only=True):
    """The outcome of comparing mailboxes. Everything but ``people`` and ``events`` has to be 0."""

    people: int = 0
    events: int = 0
    """Ours, in the mailboxes."""
    missing: int = 0
    """Expected, and not in the mailbox."""
    unexpected: int = 0
    """Ours, and in the mailbox though they should not be."""
    different: int = 0
    """In the mailbox, but not as published."""
    unrecorded: int = 0
    """In the mailbox and not in the ledger, or the other way round."""
    touched: int = 0
    """Not ours, and changed or gone."""

    @property
    def faults(self) -> int:
        """How many events are not as they should be."""
        return self.missing + self.unexpected + self.different + self.unrecorded + self.touched

    def add(self, other: "Verdict") -> None:
        """Add up two verdicts."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


async def compare(
    stage: Stage,
    people: Iterable[Person],
    expected: Mapping[str, Mapping[str, Event]],
    foreign: Mapping[str, Foreign],
) -> Verdict:
    """Compare the mailboxes of these people with what is ``expected`` of each (username, then uid)."""
    total = Verdict()
    limit = asyncio.Semaphore(READERS)

    async def one(person: Person) -> None:
        async with limit:
            held = await stage.mailboxes.events(person.type, person.address)
            rows = await stage.pool.fetch(query("demo.ledger"), person.type, person.address)
        known = {row["remote_id"]: row["uid"] for row in rows if row["state"] == "present"}
        total.add(_compare_one(held, known, len(rows), expected[person.username], foreign[person.username]))

    await asyncio.gather(*(one(person) for person in people))
    return total


def _compare_one(
    held: Mapping[str, Mapping[str, Any]],
    known: Mapping[str, str],
    rows: int,
    expected: Mapping[str, Event],
    foreign: Foreign,
) -> Verdict:
    ours = {id: event for id, event in held.items() if id not in foreign}
    uids = [str(event["marker"]["event"]) if event["marker"] else "" for event in ours.values()]
    surplus = len(uids) - len(set(uids))
    return Verdict(
        people=1,
        events=len(ours),
        missing=len(set(expected) - set(uids)),
        unexpected=surplus + len(set(uids) - set(expected)),
        different=sum(
            uid in expected and not look_alike(event, expected[uid])
            for event, uid in zip(ours.values(), uids, strict=True)
        ),
        unrecorded=len(set(ours) ^ set(known)) + rows - len(known),
        touched=sum(held.get(id) != event for id, event in foreign.items()),
    )


def look_alike(held: Mapping[str, Any], event: Event) -> bool:
    """Whether an event in a mailbox (in the control API's shape) is the published one."""
    if event.all_day:
        first, end = event.dates
        times = held["start"][:10] == first.isoformat() and held["end"][:10] == end.isoformat()
    else:
        times = _moment(held["start"]) == event.start and _moment(held["end"]) == event.end
    return bool(
        times
        and held["allDay"] == event.all_day
        and held["title"] == event.title
        and (held["location"] or "") == event.location
        and (held["description"] or "").strip() == event.body.strip()
        and list(held["categories"] or ()) == list(event.categories)
        and held["showAs"] == event.show_as
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
