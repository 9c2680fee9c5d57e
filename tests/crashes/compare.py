"""Compares mailboxes, ledger and timetables, when everything is done."""

from collections import Counter
from typing import Any

import msgspec

from app.database.types import Pool
from app.demo.compare import look_alike
from app.timetables.event import decode
from tests.contract.harness import Control
from tests.crashes.people import Link, People

__all__ = ["Verdict", "compare"]

ROWS = """
    SELECT l.uid, l.state, l.remote_id, l.synchronization_id, l.starts_at, l.content,
        l.content_hash IS NOT NULL AS known, l.sent_at IS NOT NULL AS sent, l.error
    FROM ledger AS l JOIN mailboxes AS m ON m.id = l.mailbox_id
    WHERE m.type = $1 AND lower(m.address) = lower($2)
"""
OPEN = """
    SELECT count(*) FROM unlinks AS u JOIN mailboxes AS m ON m.id = u.mailbox_id
    WHERE m.type = $1 AND lower(m.address) = lower($2) AND u.done_at IS NULL
"""
STATUS = "SELECT status FROM synchronizations WHERE id = $1"


class Verdict(msgspec.Struct, kw_only=True):
    """What the comparison of mailboxes has found. Everything from ``lost`` on has to be 0."""

    mailboxes: int = 0
    events: int = 0
    """Ours, in the mailboxes."""
    lost: int = 0
    """Wanted or to be left by an unlinking, and not in the mailbox."""
    twice: int = 0
    """In the mailbox a second time, or without anybody knowing."""
    different: int = 0
    """In the mailbox, but not as the timetable or the ledger says, or without what the person put in."""
    left: int = 0
    """Still there, though it was to go; or work that is not done."""
    touched: int = 0
    """Not ours, and changed or gone."""
    problems: list[str] = []

    @property
    def faults(self) -> int:
        """How much is not as it should be."""
        return self.lost + self.twice + self.different + self.left + self.touched

    def note(self, kind: str, text: str, count: int = 1) -> None:
        """Count a fault."""
        setattr(self, kind, getattr(self, kind) + count)
        self.problems.append(f"{kind}: {text}")

    def add(self, other: "Verdict") -> None:
        """Add up two verdicts."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


async def compare(people: People, type: str, pool: Pool, control: Control) -> Verdict:
    """Compare all mailboxes of these people. Nothing may be left to do."""
    total = Verdict()
    for address in people.addresses:
        held = {event["id"]: event for event in await control.events(address)}
        rows = await pool.fetch(ROWS, type, address)
        verdict = _compare_one(people, address, held, rows)
        if unfinished := await pool.fetchval(OPEN, type, address):
            verdict.note("left", f"{address}: {unfinished} unlinkings are not done")
        total.add(verdict)
    for link in people.links:
        status = await pool.fetchval(STATUS, link.id)
        if link.mode is None and status != "OK":
            total.note("left", f"{link.address}: the synchronization of {link.username} is {status}")
    return total


def _compare_one(people: People, address: str, held: dict[str, dict[str, Any]], rows: list[Any]) -> Verdict:
    foreign = people.foreign[address]
    links = {link.id: link for link in people.links if link.address == address}
    verdict = Verdict(mailboxes=1, events=len(held.keys() - foreign.keys()))
    for id, event in foreign.items():
        if held.get(id) != event:
            verdict.note("touched", f"{address}: {_what(event)} {'changed' if id in held else 'is gone'}")
    by_id = {row["remote_id"]: row for row in rows}
    for id in held.keys() - foreign.keys() - by_id.keys():
        verdict.note("twice", f"{address}: {_what(held[id])} is not in the ledger")
    for row in rows:
        if row["state"] != "present" or row["sent"]:
            verdict.note("left", f"{address}: {row['uid']} is {row['state']} ({row['error']})")
        if row["remote_id"] not in held:
            verdict.note("lost", f"{address}: {row['uid']} is in the ledger only")
    for (user, uid), count in Counter(
        (links[row["synchronization_id"]].username, row["uid"]) for row in rows
    ).items():
        if count > 1:
            verdict.note("twice", f"{address}: {uid} of {user}, {count} times", count - 1)
    for id in people.must_remain[address].keys() - by_id.keys():
        verdict.note("lost", f"{address}: {id} was to remain after an unlinking")
    for id, minutes in people.reminders[address].items():
        if id in held and held[id]["reminderMinutes"] != minutes:
            verdict.note("different", f"{address}: the person's reminder in {_what(held[id])}")
    for link in links.values():
        _compare_link(people, link, held, rows, verdict)
    return verdict


def _compare_link(
    people: People, link: Link, held: dict[str, dict[str, Any]], rows: list[Any], verdict: Verdict
) -> None:
    own = {row["uid"]: row for row in rows if row["synchronization_id"] == link.id}
    for uid, row in own.items():
        if (
            row["known"]
            and row["remote_id"] in held
            and not look_alike(held[row["remote_id"]], decode(row["content"]))
        ):
            verdict.note("different", f"{link.address}: {uid} is not as the ledger says")
    if link.mode is None:
        wanted = people.published[link.username]
        for uid in wanted.keys() - own.keys():
            verdict.note("lost", f"{link.address}: {uid} of {link.username} is wanted")
        for uid in own.keys() - wanted.keys():
            verdict.note("left", f"{link.address}: {uid} of {link.username} is not wanted")
        for uid in own.keys() & wanted.keys():
            event = held.get(own[uid]["remote_id"])
            if event is not None and not look_alike(event, wanted[uid]):
                verdict.note("different", f"{link.address}: {uid} of {link.username} is not as published")
            if event is not None and (event["calendar"] is not None) != link.own_calendar:
                verdict.note(
                    "different", f"{link.address}: {uid} of {link.username} is in the wrong calendar"
                )
        return
    assert link.at is not None
    for uid, row in own.items():
        goes = (
            link.cleaned
            or link.mode in ("CLEANUP", "DELETE_ALL_EVENTS")
            or (link.mode == "DELETE_FUTURE_EVENTS" and row["starts_at"] > link.at)
        )
        if goes:
            verdict.note("left", f"{link.address}: {uid} of {link.username}, unlinked by {link.mode}")


def _what(event: dict[str, Any]) -> str:
    marker = event["marker"]
    return f"{marker['event']} (attempt {marker['attempt']})" if marker else "an event of the person's own"
