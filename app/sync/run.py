"""One run: take a mailbox, compare what is wanted with the ledger, and move both towards each other.

Level-triggered: a run looks at states, never at a history of changes. One that was lost, doubled or cut
off does no harm, and the next one finishes its work.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random

import structlog
from asyncpg import Record

from app.clock import Clock
from app.config import Config
from app.database.queries import query
from app.database.types import Connection, Pool
from app.history import GONE_BEFORE, MOVED, VANISHED, answer_of
from app.ledger import Lease, LeaseLost, Ledger
from app.ledger_rows import Answers, Sent
from app.sync.calendars import in_calendar, is_calendar_gone, make_needed, note_gone, remove_unneeded
from app.sync.endings import (
    FIRST_NO_ACCESS_RETRY,
    Ending,
    Stop,
    asked_to_wait,
    back_off,
    ends_run,
    stopped_by,
    urgency,
)
from app.sync.metrics import OPERATIONS
from app.sync.pacing import Block, Pacer
from app.sync.refresh import refresh_if_due
from app.sync.settle import LOOK_AGAIN, remove_late_arrivals, settle_unknown
from app.sync.shaping import shape_wanted
from providers.adapter import Adapter
from providers.contract import (
    Create,
    Delete,
    Done,
    Gone,
    Mailbox,
    Move,
    Outcome,
    ProviderError,
    Refused,
    Throttled,
    Unknown,
)

__all__ = ["Run"]

log = structlog.get_logger(__name__)

LAST_WAKE = 2**62
"""Later than every request for a run."""


class Run:
    """A run over the mailbox of one lease. Used once."""

    def __init__(
        self,
        *,
        pool: Pool,
        adapter: Adapter,
        lease: Lease,
        config: Config,
        clock: Clock,
        lease_holds: Callable[[], bool],
        stopping: Callable[[], bool],
        random: Random,
    ) -> None:
        self._pool = pool
        self._adapter = adapter
        self._lease = lease
        self._config = config
        self._instance = config.instance
        self._clock = clock
        self._lease_holds = lease_holds
        self._stopping = stopping
        self._random = random
        self._ledger = Ledger(pool, lease, config.instance)
        self._pacer = Pacer(pool, adapter)
        # Until the provider has told its identity, a mailbox is known by its address.
        self._mailbox = Mailbox(address=lease.address, identity=lease.identity or lease.address)
        self._progress = False
        self._made: set[int] = set()
        self._wake = lease.wake

    async def __call__(self) -> Ending:
        """Do what there is to do, and give the mailbox back.

        Raises LeaseLost if the mailbox was taken over, and whatever the database raises.
        """
        try:
            ending = await self._reconcile()
        except ProviderError as error:
            if isinstance(error.outcome, Throttled):
                await self._pacer.block(self._mailbox, error.outcome.scope, error.outcome.until)
            ending = await self._stopped(error.outcome)
        await self._finish(ending)
        return ending

    async def _reconcile(self) -> Ending:
        identified = await self._identify()
        if isinstance(identified, Ending):
            return identified
        mailbox = identified
        now = self._clock()
        block = await self._pacer.blocked(mailbox, now)
        if block is not None:
            return self._blocked(block)
        self._check_lease()
        await settle_unknown(self._ledger, self._adapter, mailbox, self._instance, now)
        await remove_late_arrivals(
            self._ledger, self._adapter, mailbox, self._instance, self._check_lease, now
        )
        while True:
            self._wake = await shape_wanted(self._pool, self._ledger)
            await self._ledger.plan(
                self._clock(),
                self._config.timetables.guard_share,
                self._config.timetables.guard_events,
                self._config.sync.people,
                self._clock() + LOOK_AGAIN,
            )
            if await self._refreshed(mailbox):
                continue
            refusal = None
            try:
                if await self._calendars_made(mailbox):
                    continue
            except ProviderError as error:
                if not isinstance(error.outcome, Refused) or error.outcome.scope == "account":
                    raise
                # What is for another calendar, and what is to be taken out, does not wait for that.
                refusal = error.outcome
            if not await self._ledger.pending(1, self._clock()):
                await remove_unneeded(self._ledger, self._adapter, mailbox, self._instance, self._check_lease)
                return await self._complete() if refusal is None else await self._stopped(refusal)
            ending = await self._carry_out(mailbox)
            if ending is not None:
                return ending

    async def _refreshed(self, mailbox: Mailbox) -> bool:
        """Whether the mailbox was read: the plan is out of date then."""
        return await refresh_if_due(
            self._pool, self._ledger, self._adapter, mailbox, self._config, self._clock
        )

    async def _calendars_made(self, mailbox: Mailbox) -> bool:
        """Whether calendars were made that were missing: the plan is out of date then."""
        made = await make_needed(
            self._ledger, self._adapter, mailbox, self._instance, self._check_lease, self._clock
        )
        self._made |= set(made)
        return bool(made)

    def _blocked(self, block: Block) -> Ending:
        return Ending(
            status="THROTTLED" if block.because is None else "ERROR",
            due_at=block.until,
            error=block.because or asked_to_wait(block.until),
            attempts=self._lease.attempts,
        )

    async def _identify(self) -> Mailbox | Ending:
        """The mailbox behind the address. It is unknown if the provider was down at provisioning."""
        lease = self._lease
        if lease.identity is not None:
            return self._mailbox
        block = await self._pacer.blocked(self._mailbox, self._clock())
        if block is not None:
            return self._blocked(block)
        mailbox = await self._adapter.probe(lease.address)
        now = self._clock()
        async with self._ledger.transaction() as (connection, _):
            known = await connection.fetchval(query("mailboxes.identify"), lease.mailbox_id, mailbox.identity)
            if known is None:
                return mailbox
            await connection.execute(query("mailboxes.merge"), lease.mailbox_id, known, now)
            await connection.execute(query("reports.merged"), known, now)
            await connection.execute(query("mailboxes.retire"), lease.mailbox_id)
            # A bulk sync that was to visit this mailbox need not wait for it any more.
            await self._visited(connection, LAST_WAKE, now, None)
            await connection.execute("SELECT pg_notify('rooster_due', '')")
        return Ending(status=None, due_at=None)

    async def _carry_out(self, mailbox: Mailbox) -> Ending | None:
        """Send what is planned, batch by batch. None: nothing is left, or somebody asked for a new plan."""
        async with self._ledger.transaction() as (connection, _):
            await connection.execute(query("reports.syncing"), self._lease.mailbox_id)
        while True:
            if self._stopping():
                return Ending(status=None, due_at=self._clock(), attempts=self._lease.attempts)
            pending = await self._ledger.pending(self._adapter.batch, self._clock())
            if not pending:
                return None
            room_at = await self._pacer.reserve(mailbox, pending, self._clock())
            if room_at is not None:
                block = await self._pacer.blocked(mailbox, self._clock())
                if block is not None:
                    return self._blocked(block)
                # Our own pace, not the provider's complaint: the synchronization goes on by itself.
                return Ending(status=None, due_at=room_at)
            copying = self._adapter.moves_by_copying
            sent = await self._ledger.send(pending, self._clock(), copying=copying)
            outcomes = await self._apply(mailbox, sent)
            stop, wake = await self._note(mailbox, sent, outcomes)
            if stop is not None:
                return await self._stopped(stop)
            if wake != self._wake or any(is_calendar_gone(outcome) for outcome in outcomes if outcome):
                return None

    async def _apply(self, mailbox: Mailbox, sent: Sequence[Sent]) -> list[Outcome | None]:
        """Have the provider carry out operations, calendar by calendar; their outcomes, in their order.

        None is for what was not sent, because an answer for another calendar has ended the run.
        """
        outcomes: dict[int, Outcome] = {}
        for place in dict.fromkeys(item.place for item in sent):
            if any(map(ends_run, outcomes.values())):
                break
            items = [item for item in sent if item.place == place]
            self._check_lease()
            answers = await self._adapter.apply(
                in_calendar(mailbox, place.calendar), [item.operation for item in items], self._check_lease
            )
            outcomes |= {item.id: answer for item, answer in zip(items, answers, strict=True)}
        return [outcomes.get(item.id) for item in sent]

    def _check_lease(self) -> None:
        """Before anything is sent: a worker that was stopped for a while may have been replaced."""
        if not self._lease_holds():
            raise LeaseLost

    async def _note(
        self, mailbox: Mailbox, sent: Sequence[Sent], outcomes: Sequence[Outcome | None]
    ) -> tuple[Stop | None, int]:
        """Write down what the provider answered.

        Gives back the answer that ends the run, if one does, and how often a run was asked for so far.
        """
        now = self._clock()
        answers = Answers()
        stops: list[Stop] = []
        gone: set[str] = set()
        for item, outcome in zip(sent, outcomes, strict=True):
            if outcome is None:
                answers.unsent.append(item.id)
                continue
            outcome = _doubted(item, outcome)
            kind = type(item.operation).__name__.lower()
            OPERATIONS.labels(self._adapter.type, kind, type(outcome).__name__.lower()).inc()
            answers.history[item.id] = answer_of(outcome, created=isinstance(item.operation, Create))
            match outcome:
                case Done():
                    self._progress = True
                    if isinstance(item.operation, Delete):
                        answers.deleted.append(item.id)
                    elif isinstance(item.operation, Move):
                        answers.moved[item.id] = outcome.id
                        answers.history[item.id] = MOVED
                    else:
                        answers.written[item.id] = outcome
                case Gone(what="event") if isinstance(item.operation, Delete):
                    answers.deleted.append(item.id)
                    answers.history[item.id] = GONE_BEFORE
                case Gone(what="event"):
                    answers.vanished.append(item.id)
                    answers.history[item.id] = VANISHED
                case Refused(scope="event"):
                    retry_at = None
                    if isinstance(item.operation, Delete) or not outcome.permanent:
                        retry_at = now + back_off(item.tries, self._random)
                    answers.refused[item.id] = (outcome, retry_at)
                    self._log_refusal(item, outcome)
                case Gone(what="calendar") if item.target.calendar and item.target.id not in self._made:
                    # One of ours, which somebody has removed: it is made again, once a run.
                    answers.unsent.append(item.id)
                    gone.add(item.target.calendar)
                case Unknown(wait=wait):
                    stops += [outcome] if wait is None else [outcome, wait]
                case Throttled() | Refused() | Gone():
                    answers.unsent.append(item.id)
                    stops.append(outcome)
        for calendar in gone:
            await note_gone(self._ledger, calendar)
        async with self._ledger.transaction() as (connection, wake):
            await self._ledger.answered(connection, answers, now)
            for stop in stops:
                if isinstance(stop, Throttled) and stop.until > now:
                    await self._pacer.block(mailbox, stop.scope, stop.until, connection=connection)
        return min(stops, key=urgency, default=None), wake

    def _log_refusal(self, item: Sent, refusal: Refused) -> None:
        operation = item.operation
        if not isinstance(operation, Delete):
            log.warning(
                "event_refused",
                synchronization=operation.marker.synchronization,
                uid=operation.marker.event if isinstance(operation, Move) else operation.event.uid,
                code=refusal.code,
            )

    async def _stopped(self, outcome: Stop) -> Ending:
        """The ending of a run that an outcome has cut short."""
        now = self._clock()
        attempts = 0 if self._progress else self._lease.attempts + 1
        if isinstance(outcome, Refused) and outcome.scope == "account":
            until = await self._pacer.rest(self._mailbox, outcome.reason, now)
            return Ending(status="ERROR", due_at=until, error=outcome.reason, attempts=attempts)
        return stopped_by(outcome, attempts, now, self._random)

    async def _complete(self) -> Ending:
        """The ending of a run that has done all there was to do."""
        now = self._clock()
        async with self._ledger.transaction() as (connection, _):
            row = await connection.fetchrow(
                query("ledger.situation"),
                self._lease.mailbox_id,
                float(self._config.sync.resync_interval_seconds),
            )
        assert row is not None
        times = [at for at in (row["retry_at"], row["check_at"]) if at is not None]
        if row["resync_seconds"] is not None:
            times.append(now + timedelta(seconds=row["resync_seconds"]) * self._random.uniform(0.9, 1.1))
        return Ending(status="OK", due_at=min(times, default=None))

    async def crashed(self) -> None:
        """Report a bug of ours, and give the mailbox back for a later try. Raises LeaseLost."""
        attempts = self._lease.attempts + 1
        due_at = self._clock() + back_off(attempts, self._random, FIRST_NO_ACCESS_RETRY)
        error = "Rooster failed in an unexpected way; its log says how. It tries again by itself."
        await self._finish(Ending(status="ERROR", due_at=due_at, error=error, attempts=attempts))

    async def _finish(self, ending: Ending) -> None:
        """Report, close the unlinkings that are done, and give the mailbox back: all or nothing."""
        mailbox_id = self._lease.mailbox_id
        now = self._clock()
        if ending.due_at is None and ending.status is None:
            return
        reported: list[Record] = []
        async with self._ledger.transaction() as (connection, _):
            if ending.status == "OK":
                reported = await connection.fetch(query("reports.complete"), mailbox_id, now)
            elif ending.status is not None:
                reported = await connection.fetch(
                    query("reports.stopped"), mailbox_id, ending.status, ending.error, now
                )
            await connection.execute(query("reports.unlink_trouble"), mailbox_id, ending.error)
            if ending.error is not None:
                hopeless = ending.status in ("PERMISSION_DENIED", "MAILBOX_NOT_FOUND")
                await connection.execute(query("mirror.trouble"), mailbox_id, ending.error, now, hopeless)
            runs = await connection.fetch(
                query("ledger.finish_unlinks"), mailbox_id, now, ending.status == "OK"
            )
            for run_id in sorted({row["run_id"] for row in runs}):
                await connection.execute(query("runs.finish_if_done"), run_id, now)
            if ending.status is not None:
                await self._visited(connection, self._wake, now, ending.error)
            await self._ledger.release(connection, ending.due_at, self._wake, ending.attempts, now)
        log.info(
            "mailbox_run",
            mailbox=mailbox_id,
            type=self._lease.type,
            synchronizations=[row["id"] for row in reported],
            runs=sorted({row["run_id"] for row in runs}),
            ending=(ending.status or "continued").lower(),
            due_at=ending.due_at,
        )

    async def _visited(self, connection: Connection, wake: int, now: datetime, error: str | None) -> None:
        """Tell the bulk sync that waits for this mailbox, if one does; it wakes its next ones then."""
        at_once = self._config.sync.bulk_concurrency
        for row in await connection.fetch(query("runs.visited"), self._lease.mailbox_id, wake, now, error):
            await connection.execute(query("runs.feed"), row["id"], at_once, now)


def _doubted(item: Sent, outcome: Outcome) -> Outcome:
    """The outcome; the event of a move that was sent before is not gone: it may be where it was to go."""
    if item.again and isinstance(outcome, Gone) and outcome.what == "event":
        return Unknown(code="moved_before", reason="The event may have been moved before: it is looked for.")
    return outcome
