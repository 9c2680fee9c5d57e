"""Runs: work that takes longer than a request, for people to watch and to wait for (CONTRACT §6)."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Annotated, Literal

import asyncpg
import msgspec
from msgspec import Meta

from app.clock import Clock
from app.database.queries import query
from app.database.types import Connection, Pool
from app.errors import Conflict, Invalid, NotFound, Problem
from app.paging import LAST_NUMBER, next_cursor, parse_cursor
from app.provisioning.synchronizations import MAX_ID
from app.provisioning.text import is_username
from app.sync.mirror import Drift

__all__ = [
    "ActiveRun",
    "Run",
    "RunCounts",
    "RunError",
    "RunPage",
    "cancel",
    "concerns_only",
    "continue_active",
    "continue_sync",
    "find",
    "page",
    "start_sync",
]

MAX_ERRORS = 100


class RunCounts(msgspec.Struct, frozen=True):
    """How much there is to do, and how much was done."""

    total: Annotated[int, Meta(description="Mailboxes to visit.")]
    done: Annotated[int, Meta(description="Mailboxes visited.")]
    removed: Annotated[int, Meta(description="Events taken out.")]


class RunError(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong; ``type`` and ``address`` say in which mailbox, if it is one."""

    detail: Annotated[str, Meta(description="In a sentence.")]
    type: Annotated[str | None, Meta(description="Of the mailbox, where it is one.")] = None
    address: Annotated[str | None, Meta(description="Of the mailbox, where it is one.")] = None


class Run(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A run. Times are in UTC."""

    id: int
    kind: Literal["unlink", "sync", "refresh"]
    state: Literal["active", "done", "failed", "cancelled"]
    created_at: datetime
    finished_at: datetime | None
    counts: RunCounts
    progress: Annotated[
        float,
        Meta(
            description="The share of its work that is done, 0 to 1: mailboxes to visit, events to take out."
        ),
    ]
    estimated_end: Annotated[
        datetime | None,
        Meta(description="When it is done if it goes on as it has so far; null where that cannot be said."),
    ]
    errors: Annotated[
        list[RunError],
        Meta(description=f"Those of the first {MAX_ERRORS} mailboxes, which a list of runs leaves out."),
    ]
    drift: Annotated[
        Drift | None,
        Meta(description="Of a refresh that is done: what it has found. Events that differ, by kind."),
    ] = None


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


def _run(row: "asyncpg.Record", errors: list[RunError], now: datetime) -> Run:
    done, total = row["done"], row["total"]
    if row["kind"] == "unlink":
        # Its mailboxes say little: mostly it is one. Its events say how far it is.
        done, total = row["removed"] or done, row["removed"] + row["to_remove"] or total
    estimated_end = None
    if row["state"] == "active" and 0 < done <= total:
        estimated_end = now + (now - row["created_at"]) * ((total - done) / done)
    return Run(
        id=row["id"],
        kind=row["kind"],
        state=row["state"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        counts=RunCounts(total=row["total"], done=row["done"], removed=row["removed"]),
        progress=1.0 if row["state"] == "done" else round(min(done / max(total, 1), 1.0), 4),
        estimated_end=estimated_end,
        errors=errors or ([RunError(detail=row["last_error"])] if row["last_error"] else []),
        drift=None if row["drift"] is None else msgspec.json.decode(row["drift"], type=Drift),
    )


async def find(pool: Pool, id: int, now: datetime) -> Run:
    """A run with what went wrong in its mailboxes, at most 100 of them. Raises NotFound."""
    row = await pool.fetchrow(query("runs.find"), id) if 0 < id <= MAX_ID else None
    if row is None:
        raise not_found()
    errors = [
        RunError(detail=error["error"], type=error["type"], address=error["address"])
        for error in await pool.fetch(query("runs.errors"), id, MAX_ERRORS)
    ]
    return _run(row, errors, now)


async def page(pool: Pool, limit: int, cursor: str | None, now: datetime) -> RunPage:
    """A page of runs. Raises BadRequest for a cursor that is no page's ``next``."""
    before = parse_cursor(cursor, LAST_NUMBER)
    rows = await pool.fetch(query("runs.page"), before, limit + 1)
    return RunPage(
        runs=[_run(row, [], now) for row in rows[:limit]],
        next=next_cursor(rows, limit, "id"),
    )


async def cancel(pool: Pool, id: int, now: datetime) -> Run:
    """End a bulk sync or a refresh as it is; mailboxes that were not visited yet are struck off.

    What is being done in a mailbox at this moment is finished. Nothing happens if it was cancelled already.
    Raises NotFound, and Conflict where the run has ended otherwise or is an unlinking.
    """
    run = await find(pool, id, now)
    if run.kind == "unlink":
        raise Conflict(
            "unlink_not_cancellable",
            "An unlinking is a promise to whoever asked for it: it goes on until it is done.",
        )
    await pool.execute(query("runs.cancel"), id, now)
    run = await find(pool, id, now)
    if run.state != "cancelled":
        raise Conflict("run_ended", f"Run {id} is {run.state}: there is nothing left to cancel.")
    return run


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
    known_types: Collection[str] | None = None,
    at_once: int = 10,
) -> int:
    """Visit the mailboxes of the enabled synchronizations chosen so (no choice: of all); returns the run.

    So many mailboxes ``at_once``: whenever one was visited, the next is woken. Those of types that are not
    ``known_types`` are left out: nobody would ever visit them. Raises ActiveRun while a bulk sync is
    active, and Invalid if one of ``ids`` is not a current synchronization, or a username or type cannot
    be one.
    """
    for field, texts in (("users", usernames or ()), ("types", types or ())):
        if not all(map(is_username, texts)):
            raise Invalid("invalid_selection", f"{field}: expected texts of 1 to 255 printable characters.")
    async with pool.acquire() as connection:
        await _refuse_if_active(connection)
        if ids is not None:
            await _require(connection, ids)
        now = clock()
        # The run is committed before its mailboxes are looked for, however many those are: whoever asks
        # meanwhile is told of it at once. If we die here, a worker goes on with it.
        async with connection.transaction():
            run: int | None = None
            while run is None:
                run = await connection.fetchval(query("runs.start_sync"), now)
                if run is None:
                    await _refuse_if_active(connection)
            known = None if known_types is None else sorted(known_types)
            await connection.execute(query("runs.choose"), run, ids, usernames, types, known)
        await continue_sync(connection, run, at_once, now)
        return run


async def continue_sync(connection: Connection, run: int, at_once: int, now: datetime) -> None:
    """Enlist the mailboxes of a bulk sync if nobody has yet, and wake the next ones if there is room.

    Whoever does it, and however often, the run goes on as if it had been done once.
    """
    await connection.execute(query("runs.enlist"), run, now)
    await connection.execute(query("runs.feed"), run, at_once, now)


async def continue_active(pool: Pool, at_once: int, now: datetime) -> None:
    """Go on with the active bulk sync, in case whoever was to do that has died."""
    async with pool.acquire() as connection:
        run: int | None = await connection.fetchval(query("runs.active_sync"))
        if run is not None:
            await continue_sync(connection, run, at_once, now)


async def _refuse_if_active(connection: Connection) -> None:
    active: int | None = await connection.fetchval(query("runs.active_sync"))
    if active is not None:
        raise ActiveRun(active)


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
