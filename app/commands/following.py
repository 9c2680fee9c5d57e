"""What the commands that start work have in common: the database, and following the work to its end.

The work itself is the workers': a command that is stopped stops nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import click
import msgspec
from asyncpg import Record
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.config import Config
from app.database.connect import open_database
from app.database.migrate import check
from app.database.queries import query
from app.database.types import Pool
from app.sync.housekeeping import working_types
from app.sync.mirror import Drift

__all__ = [
    "NOT_FINISHED",
    "configured_types",
    "drift_told",
    "follow",
    "migrated_database",
    "progress_bar",
    "without_worker",
]

NOT_FINISHED = 3
"""The exit status where the work was accepted and is not done: it goes on by itself once a worker runs."""

POLL_SECONDS = 0.5


@asynccontextmanager
async def migrated_database(config: Config) -> AsyncIterator[Pool]:
    """The database, at this version. Raises DatabaseUnavailable or SchemaError."""
    async with open_database(config) as pool:
        async with pool.acquire() as connection:
            await check(connection)
        yield pool


def configured_types(config: Config) -> list[str]:
    """The synchronization types that the configuration knows."""
    types = ("ews", "o365", "googlecalendar")
    return [type for type in types if getattr(config.providers, type) is not None]


async def without_worker(pool: Pool, types: Collection[str]) -> bool:
    """Whether no worker works for one of these types; if so, that is said on standard error."""
    missing = sorted(set(types) - set(await working_types(pool)))
    if missing:
        click.echo(
            f"No worker runs for {', '.join(missing)}: nothing is written before one does."
            " Start `rooster serve` or `rooster worker`; the work is kept until then.",
            err=True,
        )
    return bool(missing)


def progress_bar() -> Progress:
    """A bar on standard error, where that is a terminal: how many are done, how long the rest takes."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def drift_told(drift: Drift) -> str:
    """What a refresh has found, in a sentence; of the kinds of difference, those that there are."""
    kinds = msgspec.structs.asdict(drift)
    events = kinds.pop("events")
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count) or "no difference"
    return f"Of ours: {events}; {found}."


async def follow(
    pool: Pool,
    runs: Sequence[int],
    description: str,
    counting: Literal["done", "removed"],
    total: int | None = None,
) -> Record:
    """Show a progress bar on standard error until these runs have ended; gives how far they are then.

    ``counting``: mailboxes visited, or events removed, of ``total`` (default: what the runs say).
    """
    with progress_bar() as progress:
        task = progress.add_task(description, total=total)
        try:
            while True:
                row = await pool.fetchrow(query("runs.together"), list(runs))
                assert row is not None
                known = max(int(row[counting]), total if total is not None else int(row["total"]))
                progress.update(task, completed=int(row[counting]), total=known)
                if not row["active"]:
                    return row
                await asyncio.sleep(POLL_SECONDS)
        except asyncio.CancelledError:
            ids = ", ".join(map(str, runs[:10]))
            click.echo(f"Not followed any more; the work goes on. See: rooster runs (run {ids})", err=True)
            raise
