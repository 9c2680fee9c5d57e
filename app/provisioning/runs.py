"""Runs: work that takes longer than a request, for people to watch and to wait for (CONTRACT §6)."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from app.clock import Clock
from app.database.queries import query
from app.database.types import Connection, Pool
from app.errors import BadRequest, Conflict, Invalid, NotFound, Problem
from app.provisioning.synchronizations import MAX_ID
from app.provisioning.text import is_username

__all__ = ["ActiveRun", "Run", "RunCounts", "RunError", "RunPage", "RunWatcher", "find", "page", "start_sync"]

MAX_ERRORS = 100
CHANNEL = "rooster_run"


class RunCounts(msgspec.Struct, frozen=True):
    """Mailboxes to visit and visited; events taken out."""

    total: int
    done: int
    removed: int


class RunError(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, in a sentence; ``type`` and ``address`` say in which mailbox, if it is one."""

    detail: str
    type: str | None = None
    address: str | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A run. ``progress`` is the share of its mailboxes that were visited, 0 to 1. Times are in UTC."""

    id: int
    kind: str
    state: str
    created_at: datetime
    finished_at: datetime | None
    counts: RunCounts
    progress: float
    errors: list[RunError]


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of runs, the latest first; ``next`` is the cursor of the page after it, or null."""

    runs: list[Run]
    next: str | None


class ActiveRun(Conflict):
    """A bulk sync is going on already: ``run`` is its id."""

    def __init__(self, run: int) -> None:
        super().__init__("sync_active", f"Run {run} is active: wait for its end, then try again.")
        self.run = run


def not_found() -> NotFound:
    """There is no such run."""
    return NotFound("run_not_found", "There is no run with this id.")


def _run(row: "asyncpg.Record", errors: list[RunError]) -> Run:
    return Run(
        id=row["id"],
        kind=row["kind"],
        state=row["state"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        counts=RunCounts(total=row["total"], done=row["done"], removed=row["removed"]),
        progress=1.0 if row["state"] == "done" else round(row["done"] / max(row["total"], 1), 4),
        errors=errors or ([RunError(detail=row["last_error"])] if row["last_error"] else []),
    )


async def find(pool: Pool, id: int) -> Run:
    """A run with what went wrong in its mailboxes, at most 100 of them. Raises NotFound."""
    row = await pool.fetchrow(query("runs.find"), id) if 0 < id <= MAX_ID else None
    if row is None:
        raise not_found()
    errors = [
        RunError(detail=error["error"], type=error["type"], address=error["address"])
        for error in await pool.fetch(query("runs.errors"), id, MAX_ERRORS)
    ]
    return _run(row, errors)


async def page(pool: Pool, limit: int, cursor: str | None) -> RunPage:
    """A page of runs. Raises BadRequest for a cursor that is no page's ``next``."""
    before = MAX_ID
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
            raise BadRequest("invalid_cursor", "cursor: expected the `next` of the page before.")
        before = int(cursor)
    rows = await pool.fetch(query("runs.page"), before, limit + 1)
    return RunPage(
        runs=[_run(row, []) for row in rows[:limit]],
        next=str(rows[limit - 1]["id"]) if len(rows) > limit else None,
    )


async def concerns_only(pool: Pool, id: int, username: str) -> bool:
    """Whether the run is about this user's mailboxes and nobody else's."""
    return bool(await pool.fetchval(query("runs.concerns_only"), id, username))


async def start_sync(
    pool: Pool,
    clock: Clock,
    *,
    ids: Sequence[int] | None = None,
    usernames: Sequence[str] | None = None,
    types: Sequence[str] | None = None,
) -> int:
    """Visit the mailboxes of the enabled synchronizations chosen so (no choice: of all); returns the run.

    Raises ActiveRun while a bulk sync is active, and Invalid if one of ``ids`` is not a current
    synchronization, or a username or type cannot be one.
    """
    for field, texts in (("users", usernames or ()), ("types", types or ())):
        if not all(map(is_username, texts)):
            raise Invalid("invalid_selection", f"{field}: expected texts of 1 to 255 printable characters.")
    async with pool.acquire() as connection, connection.transaction():
        if ids is not None:
            await _require(connection, ids)
        now = clock()
        run: int | None = None
        while run is None:
            run = await connection.fetchval(query("runs.start_sync"), now)
            if run is None:
                active: int | None = await connection.fetchval(query("runs.active_sync"))
                if active is not None:
                    raise ActiveRun(active)
        await connection.execute(query("runs.enlist"), run, now, ids, usernames, types)
        return run


async def _require(connection: Connection, ids: Sequence[int]) -> None:
    asked = [id for id in ids if 0 < id <= MAX_ID]
    known = {row["id"] for row in await connection.fetch(query("synchronizations.known"), asked)}
    problems = tuple(
        Problem(field=f"synchronizations[{position}]", detail="There is no such synchronization.")
        for position, id in enumerate(ids)
        if id not in known
    )
    if problems:
        raise Invalid("unknown_synchronizations", "Nothing was started: see problems.", problems[:100])


class RunWatcher:
    """Waits for runs to end, by one connection that listens for all of them.

    The connection is taken from the pool at the first wait, and anew whenever it was lost.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: dict[int, set[asyncio.Event]] = {}
        self._opening = asyncio.Lock()
        self._connection: Any = None
        self._closed = False

    async def wait(self, run: int, seconds: float) -> bool:
        """Wait until the run has ended, at most so long. Returns whether it has.

        Ends early when the watcher is closed: nothing holds up the end of the process.
        """
        heard = asyncio.Event()
        self._waiting.setdefault(run, set()).add(heard)
        try:
            async with asyncio.timeout(seconds):
                while not self._closed:
                    await self._listen()
                    # Looked at only now: what ends before we listen is not missed, nor what ends after.
                    if not await self._pool.fetchval(query("runs.is_active"), run):
                        return True
                    await heard.wait()
                    heard.clear()
        except TimeoutError:
            pass
        finally:
            self._waiting[run].discard(heard)
            if not self._waiting[run]:
                del self._waiting[run]
        return not await self._pool.fetchval(query("runs.is_active"), run)

    async def close(self) -> None:
        """Let go of everybody who waits, and of the connection."""
        self._closed = True
        self._wake_all()
        async with self._opening:
            connection, self._connection = self._connection, None
            if connection is not None and not connection.is_closed():
                connection.remove_termination_listener(self._lost)
                with suppress(asyncpg.InterfaceError):
                    await connection.remove_listener(CHANNEL, self._heard)
                await self._pool.release(connection)

    async def _listen(self) -> None:
        async with self._opening:
            if self._connection is None and not self._closed:
                connection = await self._pool.acquire()
                connection.add_termination_listener(self._lost)
                await connection.add_listener(CHANNEL, self._heard)
                self._connection = connection

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if str(payload).isdigit():
            for event in self._waiting.get(int(str(payload)), ()):
                event.set()

    def _lost(self, connection: object) -> None:
        """The connection broke: whoever waits looks again, over a new one."""
        if connection is self._connection:
            self._connection = None
        self._wake_all()

    def _wake_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()
