"""One request of a run: what it is given of the run, and which of its records can be used."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import datetime

import asyncpg
import msgspec

from app.clock import Clock
from app.config import Config
from app.provisioning.text import is_text, is_username
from app.sources.contract import Json, Page, ReadFailed, Record, RecordError
from app.sources.reading import encode, utc
from app.sources.slices import slices
from app.sources.staging import Key, Recalled, Staging
from app.timetables.event import Problems, check_events
from app.timetables.publish import tell

__all__ = ["TWICE", "RequestContext", "usable"]

MAX_ID_LENGTH = 500
TWICE = "Another record with the same id has come before it, and says something else."
LONGEST_NAP = 1.0
"""Seconds; the clock is looked at again after that."""


class RequestContext:
    """``contract.Context`` for one request of a resource.

    ``recall_for``: the users whose timetable it reads; None: nothing is recalled. ``given``: the records that
    earlier attempts at the request have given.
    """

    def __init__(
        self,
        staging: Staging,
        config: Config,
        clock: Clock,
        resource: str,
        rate_limited: Callable[[datetime], Awaitable[None]],
        recall_for: Sequence[str] | None,
        given: Set[Key] = frozenset(),
    ) -> None:
        self.now = staging.run.started_at
        self.timetables = config.timetables
        self.zone = config.timezone
        self.remembered: dict[str, Mapping[str, str]] = {}
        """To be kept once the request has been read to its end."""
        self.recalled: Recalled | None = None
        self.given = set(given)
        """What this attempt and those before it have given."""
        self.outdated = set(given)
        """What only earlier attempts have given: it may be replaced."""
        self._staging = staging
        self._max_wait = config.sources.max_wait_seconds
        self._clock = clock
        self._resource = resource
        self._rate_limited = rate_limited
        self._recall_for = recall_for

    def took(self, records: Sequence[Record]) -> None:
        """These records are stored."""
        keys = {(record.username or "", record.id) for record in records}
        self.given |= keys
        self.outdated -= keys

    async def rest(self, until: datetime) -> None:
        seconds = (until - self._clock()).total_seconds()
        if seconds > self._max_wait:
            raise ReadFailed(
                f"The source asks to be left alone until {utc(until)}, which is longer than"
                f" {self._max_wait} seconds (sources.max_wait_seconds)."
            )
        if seconds <= 0:
            return
        with _our_database():
            await self._rate_limited(until)
        while (seconds := (until - self._clock()).total_seconds()) > 0:  # noqa: ASYNC110 - the clock's time
            await asyncio.sleep(min(seconds, LONGEST_NAP))
        with _our_database():
            await self._staging.progress()

    async def recall(self, key: str) -> Mapping[str, str] | None:
        if self._recall_for is None:
            return None
        with _our_database():
            self.recalled = await self._staging.recall(self._resource, self._recall_for, key)
        return self.recalled and self.recalled.values

    async def remember(self, key: str, values: Mapping[str, str]) -> None:
        self.remembered[key] = values


@contextmanager
def _our_database() -> Iterator[None]:
    """What is wrong with our own connections is not to be taken for a connection to the source."""
    try:
        yield
    except OSError as error:
        raise asyncpg.InterfaceError("The database cannot be reached.") from error


def usable(page: Page, context: RequestContext) -> Iterator[tuple[list[Record], list[RecordError]]]:
    """The records of a page that can be stored and published, and what is wrong with the rest; in slices."""
    for errors in slices(page.errors):
        yield [], [_anonymous(error) for error in errors]
    first: dict[tuple[str | None, str], Record] = {}
    for given in slices(page.records):
        records: list[Record] = []
        problems: list[RecordError] = []
        for record in given:
            detail = _problem(record, context)
            if detail is None:
                same = first.setdefault((record.username, record.id), record)
                if same is record:
                    records.append(record)
                    continue
                if _content(same) == _content(record):
                    continue
                detail = TWICE
            problems.append(
                _anonymous(RecordError(place=record.place, detail=detail, username=record.username))
            )
        yield records, problems


def _content(record: Record) -> Json:
    """What matters of a record: where it is an event, that."""
    return record.event or record.data


def _anonymous(error: RecordError) -> RecordError:
    """The error, without a username that cannot be one."""
    if error.username is None or is_username(error.username):
        return error
    return msgspec.structs.replace(error, username=None)


def _problem(record: Record, context: RequestContext) -> str | None:
    """What is wrong with a record, or None."""
    if record.id == "" or not is_text(record.id, MAX_ID_LENGTH):
        return f"Its id is missing, longer than {MAX_ID_LENGTH} characters, or holds control characters."
    if record.username is not None and not is_username(record.username):
        return "Its username is missing, too long, or holds control characters."
    if record.event is not None and record.username is None:
        return "It is an event of nobody: it has no username."
    try:
        encode(record.data)
    except (TypeError, ValueError):  # of which UnicodeEncodeError is one
        return "It holds what JSON cannot, such as half of a surrogate pair."
    except RecursionError:
        return "It is nested far too deeply."
    if record.event is not None:
        problems = Problems()
        check_events([("", record.event)], context.timetables, problems)
        if problems.found:
            return " ".join(tell(problem) for problem in problems.found)
    return None
