"""Many people's timetables at once: POST /timetables and ``rooster import``."""

from collections.abc import AsyncIterator, Callable

import msgspec

from app.clock import Clock
from app.config import TimetableSettings
from app.database.types import Pool
from app.errors import Forbidden, Invalid, Problem
from app.timetables.document import Reader
from app.timetables.lines import Line
from app.timetables.store import Counts, replace_many
from providers.contract import Event

__all__ = ["LineError", "Publisher", "Summary", "describe", "publish_lines", "tell"]

BATCH_EVENTS = 5_000
BATCH_USERS = 500
"""A batch is one transaction: large enough that the round trips do not count, small enough to hold."""

MAX_ERRORS = 1_000
"""How many errors a summary lists; all are counted."""

MAX_LISTED_PROBLEMS = 10
"""How many problems of a line its error tells."""


class LineError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a line changed nothing. ``username`` is null where the line does not say one."""

    line: int
    username: str | None
    detail: str


class Summary(msgspec.Struct, kw_only=True, rename="camel"):
    """What a publication did, over all lines without an error; ``users`` is how many of those there were.

    ``events``: how many their timetables have now. ``errors`` lists the first 1,000 of ``errorsTotal``.
    """

    users: int = 0
    events: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    errors: list[LineError] = msgspec.field(default_factory=list)
    errors_total: int = 0


def tell(problem: Problem) -> str:
    """One problem in a line."""
    return " ".join(
        part for part in (problem.event, problem.field and f"{problem.field}:", problem.detail) if part
    )


def describe(error: Invalid) -> str:
    """All in one sentence or two what is wrong with a timetable, for a list of errors."""
    if not error.problems:
        return error.message
    told = [tell(problem) for problem in error.problems[:MAX_LISTED_PROBLEMS]]
    if more := len(error.problems) - len(told):
        told.append(f"And {more} more.")
    return " ".join(told)


class Publisher:
    """Stores whole timetables in batches. Each is stored as a whole or not at all."""

    def __init__(
        self,
        pool: Pool,
        limits: TimetableSettings,
        clock: Clock,
        *,
        create_users: bool = False,
        confirm: bool = False,
    ) -> None:
        self.summary = Summary()
        self._pool = pool
        self._limits = limits
        self._clock = clock
        self._create_users = create_users
        self._confirm = confirm
        self._batch: dict[str, tuple[int, list[Event]]] = {}
        self._events = 0

    def fail(self, line: int, username: str | None, detail: str) -> None:
        """Note why a line changes nothing."""
        self.summary.errors_total += 1
        if len(self.summary.errors) < MAX_ERRORS:
            self.summary.errors.append(LineError(line=line, username=username, detail=detail))

    async def add(self, line: int, username: str, events: list[Event]) -> None:
        """Store this timetable, now or with the ones to come; a later one of the same user comes after."""
        if username in self._batch:
            await self.flush()
        self._batch[username] = (line, events)
        self._events += len(events)
        if self._events >= BATCH_EVENTS or len(self._batch) >= BATCH_USERS:
            await self.flush()

    async def flush(self) -> None:
        """Store what is not stored yet."""
        if not self._batch:
            return
        batch, self._batch, self._events = self._batch, {}, 0
        results = await replace_many(
            self._pool,
            {username: events for username, (_, events) in batch.items()},
            self._limits,
            self._clock(),
            confirm=self._confirm,
            create_users=self._create_users,
        )
        for username, (line, _) in batch.items():
            result = results.get(username)
            if result is None:
                self.fail(line, username, "There is no user of that name. ?createUsers=true creates users.")
            elif not isinstance(result, Counts):
                self.fail(line, username, result.message)
            else:
                self.summary.users += 1
                self.summary.events += result.events
                self.summary.created += result.created
                self.summary.updated += result.updated
                self.summary.deleted += result.deleted
                self.summary.unchanged += result.unchanged


async def publish_lines(
    lines: AsyncIterator[Line],
    publisher: Publisher,
    reader: Reader,
    may_act_for: Callable[[str], None],
) -> Summary:
    """Publish each line's timetable. A bad line is an error in the summary and does not stop the others.

    ``may_act_for`` raises Forbidden where the caller may not publish for a user. Errors are in the order
    of their lines.
    """
    limit = reader.limits.max_body_bytes
    async for line in lines:
        if line.data is None:
            publisher.fail(line.number, None, f"The line is longer than {limit} bytes.")
            continue
        username, events = reader.line(line.data)
        if username is not None:
            try:
                may_act_for(username)
            except Forbidden as error:
                publisher.fail(line.number, username, error.message)
                continue
        if isinstance(events, Invalid) or username is None:
            assert isinstance(events, Invalid)
            publisher.fail(line.number, username, describe(events))
            continue
        await publisher.add(line.number, username, events)
    await publisher.flush()
    publisher.summary.errors.sort(key=lambda error: error.line)
    return publisher.summary
