"""Applies what a run has read to the users' timetables, each user's as a whole or not at all.

It takes the way of ``PUT /users/{username}/timetable``, its validation and its guard included. Which events
may go is decided for each user:

- Everything of the user was read, by a run that reads everything: what was read is the whole timetable.
- Something was not read (a request failed, a record could not be mapped, or nobody can say whose it is),
  or the run asked only for changes: what was read is put in, and nothing is taken out. Who has no timetable
  yet, having been provisioned since, also gets what earlier, equal runs have read.
- Users of whom an earlier, equal run has read events, and this complete one none, have none any more; but
  if that is so for a large part of all users, something is wrong with the source, and they keep theirs.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec
from asyncpg import Record as Row

from app.clock import Clock
from app.config import TimetableSettings
from app.database.queries import query
from app.database.types import Connection, Pool
from app.errors import Invalid
from app.sources.contract import RecordError
from app.sources.staging import ClaimedRun, Staging
from app.timetables.event import Problems, check_events, decode
from app.timetables.publish import describe
from app.timetables.store import Counts, Held, Result, TooLarge, change_locked, lock
from providers.contract import Event

__all__ = ["apply"]

BATCH_USERS = 100


async def apply(
    pool: Pool,
    staging: Staging,
    limits: TimetableSettings,
    clock: Clock,
    *,
    incremental: bool,
) -> bool:
    """Apply everything; whether nobody was refused. Raises RunLost.

    ``incremental``: only what has changed since the run before was read.
    """
    run, counts = staging.run, staging.counts
    whole = not (incremental or staging.uncertain)
    async with staging.writing() as connection:
        await connection.execute(
            query("source_records.add_vanished" if whole else "source_records.add_newcomers"), run.id
        )
        others = (
            await connection.fetch(query("source_records.other_feeders"), run.id, run.fence) if whole else []
        )
        counts.users = await connection.fetchval(query("sync_job_runs.count_users"), run.id)
        emptying = await connection.fetchrow(query("source_records.emptied"), run.id, run.fence)
    assert emptying is not None
    warnings = [RecordError(place="", detail=_fed_by_another(other, run)) for other in others]
    await staging.add_errors("run", warnings)
    applying = _Applying(staging, limits, clock)
    known, emptied = emptying["known"], emptying["emptied"]
    # An empty answer where there should be a list looks like that, however few they are.
    everybody = emptied == known and known > 1
    too_many = everybody or (emptied > limits.guard_events and emptied > limits.guard_share * known)
    applying.keep_emptied = whole and too_many and not run.confirm
    if applying.keep_emptied:
        detail = (
            f"{emptied} of {known} users would have no events any more: they keep theirs. If that is what you"
            ' want, make a run with "confirm": true (job run: --confirm).'
        )
        await staging.add_errors("run", [RecordError(place="", detail=detail)])
    after = ""
    while rows := await pool.fetch(query("sync_job_runs.users_to_apply"), run.id, after, BATCH_USERS):
        after = rows[-1]["username"]
        await applying.batch({row["username"]: whole and not row["incomplete"] for row in rows})
        await staging.progress()
    flawless = not counts.users_refused and not applying.keep_emptied
    if not flawless:
        # What was refused is to be read again, whether it has changed or not.
        async with staging.writing() as connection:
            await connection.execute(query("source_records.forget_remembered"), run.fence)
    return flawless


class _Refusal(msgspec.Struct, frozen=True):
    detail: str | None
    """None: that it is so is said of the run as a whole."""


_Outcome: TypeAlias = Counts | _Refusal | None
"""What came of a user; None: is no user here."""


class _Applying:
    def __init__(self, staging: Staging, limits: TimetableSettings, clock: Clock) -> None:
        self.keep_emptied = False
        self._staging = staging
        self._run = staging.run
        self._counts = staging.counts
        self._limits = limits
        self._clock = clock

    async def batch(self, users: Mapping[str, bool]) -> None:
        """Apply the timetables of these users; the value: what was read is all of theirs."""
        # In one transaction with the lease: a run that was lost publishes nothing more.
        outcomes = await self._staging.transact(lambda connection: self._change(connection, users))
        self._counts.users_kept += sum(not complete for complete in users.values())
        refused = []
        for username, outcome in outcomes.items():
            match outcome:
                case None:
                    self._counts.users_unknown += 1
                case Counts():
                    self._count(outcome)
                case _Refusal(detail=detail):
                    self._counts.users_refused += 1
                    if detail is not None:
                        refused.append(RecordError(place="", detail=detail, username=username))
        await self._staging.add_errors("user", refused)

    async def _change(self, connection: Connection, users: Mapping[str, bool]) -> dict[str, _Outcome]:
        """What came of each user of whom there was something to say."""
        known = await lock(connection, list(users))
        new = [name for name, complete in users.items() if not complete and known.get(name) == 0]
        events = await self._events(connection, list(users), new)
        outcomes: dict[str, _Outcome] = {}
        whole: dict[str, Sequence[Event]] = {}
        part: dict[str, Sequence[Event]] = {}
        for username, complete in users.items():
            found = events.get(username, [])
            if complete and not found and self.keep_emptied:
                outcomes[username] = _Refusal(None)
            elif username not in known:
                outcomes[username] = None
            elif (detail := self._check(found)) is not None:
                outcomes[username] = _Refusal(detail)
            elif complete:
                whole[username] = found
            elif found:
                part[username] = found
        now, confirm = self._clock(), self._run.confirm
        results = await change_locked(connection, whole, self._limits, now, confirm=confirm)
        results |= await change_locked(connection, part, self._limits, now, confirm=confirm, delete=())
        outcomes |= {username: _outcome(result) for username, result in results.items()}
        applied = [
            name for name, complete in users.items() if complete and isinstance(outcomes[name], Counts | None)
        ]
        await connection.execute(
            query("source_records.drop_unseen"),
            self._run.sync_job_id,
            self._run.integrated_account_id,
            applied,
            self._run.fence,
        )
        return outcomes

    async def _events(
        self, connection: Connection, usernames: Sequence[str], new: Sequence[str]
    ) -> dict[str, list[Event]]:
        """What is to be applied for each user; the same event from two resources counts once."""
        events: dict[str, dict[str, Event]] = {}
        rows = await connection.fetch(
            query("source_records.events_to_apply"),
            self._run.sync_job_id,
            self._run.integrated_account_id,
            usernames,
            self._run.fence,
            new,
            self._run.digest,
        )
        for row in rows:
            events.setdefault(row["username"], {})[row["event"]] = decode(row["event"])
        return {username: list(found.values()) for username, found in events.items()}

    def _check(self, events: Sequence[Event]) -> str | None:
        """What is wrong with the events as a timetable, or None."""
        problems = Problems()
        check_events([(event.uid, event) for event in events], self._limits, problems)
        try:
            problems.raise_any()
        except Invalid as error:
            return describe(error)
        return None

    def _count(self, result: Counts) -> None:
        self._counts.users_applied += 1
        self._counts.created += result.created
        self._counts.updated += result.updated
        self._counts.deleted += result.deleted
        self._counts.unchanged += result.unchanged


def _fed_by_another(other: Row, run: ClaimedRun) -> str:
    where = other["sync_job_id"], other["integrated_account_id"]
    itself = where == (run.sync_job_id, run.integrated_account_id)
    who = "This job with other arguments" if itself else f"Job {where[0]} with account {where[1]}"
    return (
        f"{who} has put in other events for {other['users']} of these users since, {other['username']} for"
        " one: they are taken out now. Each of the two undoes what the other does: let one"
        f" {'run' if itself else 'job'} read all of a user's timetable."
    )


def _outcome(result: Result) -> Counts | _Refusal:
    match result:
        case Held(removed=removed, future=future):
            return _Refusal(
                f"Nothing was changed: this would remove {removed} of {future} future events."
                ' If that is what you want, make a run with "confirm": true (job run: --confirm).'
            )
        case TooLarge():
            return _Refusal(result.message)
        case Counts():
            return result
