"""Applies what a run has read to the users' timetables, each user's as a whole or not at all.

It takes the way of ``PUT /users/{username}/timetable``, its validation and its guard included. Which events
may go is decided for each user:

- Everything of the user was read, by a run that reads everything: what was read is the whole timetable.
- Something was not read (a request failed, a record could not be mapped, or nobody can say whose it is),
  or the run asked only for changes: what was read is put in, and nothing is taken out.
- Users of whom an earlier, equal run has read events, and this complete one none, have none any more; but
  if that is so for a large part of all users, something is wrong with the source, and they keep theirs.
"""

from collections.abc import Sequence

from app.clock import Clock
from app.config import TimetableSettings
from app.database.queries import query
from app.database.types import Pool
from app.errors import Conflict, Invalid, NotFound
from app.sources.contract import RecordError
from app.sources.staging import Staging
from app.timetables.event import Problems, check_events, decode
from app.timetables.publish import describe
from app.timetables.store import Counts, Held, patch, replace_many
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
        if whole:
            await connection.execute(query("source_records.add_vanished"), run.id)
        counts.users = await connection.fetchval(query("sync_job_runs.count_users"), run.id)
        emptying = await connection.fetchrow(query("source_records.emptied"), run.id, run.fence)
    assert emptying is not None
    applying = _Applying(pool, staging, limits, clock)
    known, emptied = emptying["known"], emptying["emptied"]
    # An empty answer where there should be a list looks like that, however few they are.
    everybody = emptied == known and known > 1
    too_many = everybody or (emptied > limits.guard_events and emptied > limits.guard_share * known)
    applying.keep_emptied = whole and too_many and not run.confirm
    if applying.keep_emptied:
        detail = (
            f"{emptied} of {known} users would have no events any more: they keep theirs. If that is what you"
            ' want, make a run with "confirm": true.'
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


class _Applying:
    def __init__(self, pool: Pool, staging: Staging, limits: TimetableSettings, clock: Clock) -> None:
        self.keep_emptied = False
        self._pool = pool
        self._staging = staging
        self._run = staging.run
        self._counts = staging.counts
        self._limits = limits
        self._clock = clock

    async def batch(self, users: dict[str, bool]) -> None:
        """Apply the timetables of these users; the value: what was read is all of theirs."""
        events = await self._events(list(users))
        replacing: dict[str, Sequence[Event]] = {}
        for username, complete in users.items():
            found = events.get(username, [])
            if complete and not found and self.keep_emptied:
                self._counts.users_refused += 1
            elif (detail := self._check(found)) is not None:
                await self._refuse(username, detail)
            elif complete:
                replacing[username] = found
            else:
                await self._put_in(username, found)
        if replacing:
            await self._replace(replacing)

    async def _events(self, usernames: list[str]) -> dict[str, list[Event]]:
        """What this run has read for each user; the same event from two resources counts once."""
        run = self._run
        events: dict[str, dict[str, Event]] = {}
        # By whoever holds the lease: a run that was lost publishes nothing more.
        async with self._staging.writing() as connection:
            rows = await connection.fetch(
                query("source_records.events_to_apply"),
                run.sync_job_id,
                run.integrated_account_id,
                usernames,
                run.fence,
            )
        for row in rows:
            events.setdefault(row["username"], {})[row["event"]] = decode(row["event"])
        return {username: list(found.values()) for username, found in events.items()}

    def _check(self, events: Sequence[Event]) -> str | None:
        """What is wrong with the events as a timetable, or None."""
        if len(events) > self._limits.max_events:
            return f"More than {self._limits.max_events} events in one timetable."
        problems = Problems()
        check_events([(event.uid, event) for event in events], self._limits, problems)
        try:
            problems.raise_any()
        except Invalid as error:
            return describe(error)
        return None

    async def _replace(self, timetables: dict[str, Sequence[Event]]) -> None:
        results = await replace_many(
            self._pool, timetables, self._limits, self._clock(), confirm=self._run.confirm
        )
        applied = []
        for username in timetables:
            result = results.get(username)
            if result is None:
                self._counts.users_unknown += 1
            elif isinstance(result, Held):
                await self._refuse(username, _held(result))
                continue
            else:
                self._count(result)
            applied.append(username)
        run = self._run
        async with self._staging.writing() as connection:
            await connection.execute(
                query("source_records.drop_unseen"),
                run.sync_job_id,
                run.integrated_account_id,
                applied,
                run.fence,
            )

    async def _put_in(self, username: str, events: Sequence[Event]) -> None:
        self._counts.users_kept += 1
        if not events:
            return
        try:
            result = await patch(
                self._pool, username, events, (), self._limits, self._clock(), confirm=self._run.confirm
            )
        except NotFound:
            self._counts.users_unknown += 1
        except (Conflict, Invalid) as error:
            await self._refuse(username, error.message)
        else:
            self._count(result)

    async def _refuse(self, username: str, detail: str) -> None:
        self._counts.users_refused += 1
        error = RecordError(place="", detail=detail, username=username)
        await self._staging.add_errors("user", [error])

    def _count(self, result: Counts) -> None:
        self._counts.users_applied += 1
        self._counts.created += result.created
        self._counts.updated += result.updated
        self._counts.deleted += result.deleted
        self._counts.unchanged += result.unchanged


def _held(held: Held) -> str:
    return (
        f"Nothing was changed: this would remove {held.removed} of {held.future} future events."
        ' If that is what you want, make a run with "confirm": true.'
    )
