"""``rooster ledger audit|rebuild``: what is really in the mailboxes, and a ledger that agrees with it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import click
import msgspec
from asyncpg import Record
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.adapters import open_adapters
from app.clock import Clock, system_clock
from app.commands.following import migrated_database, progress_bar
from app.commands.running import configuration, run
from app.config import Config
from app.database.queries import query
from app.database.types import Pool
from app.errors import NotFound, RoosterError
from app.ledger import LeaseLost
from app.sync.audit import Audit, audit_mailbox
from app.sync.rebuild import Rebuilt, rebuild_mailbox
from providers.adapter import Adapter
from providers.contract import Gone, ProviderError, Refused, Throttled, Unknown

Found = TypeVar("Found", Audit, Rebuilt)
Work = Callable[[Pool, Adapter, Config, Clock, int, float], Awaitable[Found]]

PAGE = 100
"""Mailboxes that are worked on before the next ones are looked up."""

synchronization_option = click.option(
    "--synchronization",
    type=click.IntRange(1, 2**63 - 1),
    metavar="ID",
    help="The mailbox of this synchronization.",
)
wait_option = click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait where a worker is busy in a mailbox.",
)


class Visited(msgspec.Struct, Generic[Found], frozen=True, kw_only=True, omit_defaults=True):
    """What came of one mailbox: what was found, or a sentence that says why nothing was."""

    type: str
    address: str
    found: Found | None = None
    error: str | None = None


@click.group(name="ledger")
def command() -> None:
    """Compare the ledger with what is really in the mailboxes, or restore it from there."""


@command.command()
@synchronization_option
@click.option("--user", metavar="U", help="All mailboxes of this user, of earlier synchronizations too.")
@click.option("--all", "everybody", is_flag=True, help="All mailboxes.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON a mailbox, instead of a table.")
@wait_option
def audit(synchronization: int | None, user: str | None, everybody: bool, as_json: bool, wait: float) -> None:
    """Read mailboxes, and report what differs.

    That is every event of ours that is not as the ledger says. Changes neither the mailboxes nor the
    ledger. Exit status 1 if anything differs, or a mailbox could not be read.
    """
    if [synchronization is not None, user is not None, everybody].count(True) != 1:
        raise click.UsageError("Give one of --synchronization, --user and --all.")
    visited = run(_visit(audit_mailbox, synchronization, user, wait))
    if as_json:
        for one in visited:
            click.echo(msgspec.json.encode(one))
    else:
        _tell_audit(visited)
    if any(one.error or (one.found and one.found.differences) for one in visited):
        raise click.exceptions.Exit(1)


@command.command()
@synchronization_option
@wait_option
def rebuild(synchronization: int | None, wait: float) -> None:
    """Restore the ledger from the mailboxes.

    For a database that was restored from an older backup. First provision again whoever was provisioned
    since the backup, so that their mailboxes are known; then rebuild, of all mailboxes if no synchronization
    is given, before workers run if you can: what they do before that is put right as well. Writes nothing
    into the mailboxes; workers do what follows. Exit status 1 if a mailbox could not be read: rebuild again,
    it does no harm.
    """
    visited = run(_visit(rebuild_mailbox, synchronization, None, wait))
    total = Counter[str]()
    for one in visited:
        if one.found is not None:
            total.update(msgspec.structs.asdict(one.found))
    _tell_errors(visited)
    click.echo(
        f"{len(visited)} mailboxes: {total['adopted']} events adopted, {total['corrected']} rows corrected,"
        f" {total['extra']} extra events to be taken out by workers;"
        f" {_unread(visited)} mailboxes not read"
    )
    if _unread(visited):
        raise click.exceptions.Exit(1)


async def _visit(
    work: Work[Found], synchronization: int | None, user: str | None, wait: float
) -> list[Visited[Found]]:
    """Do the work in these mailboxes, of all where neither is given, several at a time.

    Raises NotFound if there is none.
    """
    config = configuration()
    config.require_instance()
    visited: list[Visited[Found]] = []
    async with migrated_database(config) as pool, open_adapters(config, system_clock) as adapters:
        slots = {type: asyncio.Semaphore(getattr(config.sync.concurrency, type)) for type in adapters}

        async def visit(row: Record, advance: Callable[[], None]) -> Visited[Found]:
            adapter = adapters.get(row["type"])
            if adapter is None:
                return _failed(row, f"The provider {row['type']} is not configured.")
            async with slots[row["type"]]:
                try:
                    found = await work(pool, adapter, config, system_clock, row["id"], wait)
                except ProviderError as error:
                    return _failed(row, _why(error))
                except RoosterError as error:
                    return _failed(row, error.message)
                except LeaseLost:
                    return _failed(row, "A worker has taken the mailbox over: try again.")
                finally:
                    advance()
            return Visited(type=row["type"], address=row["address"], found=found)

        async with _progress(pool, synchronization, user) as advance:
            last = 0
            while rows := await pool.fetch(query("mirror.mailboxes"), synchronization, user, last, PAGE):
                visited += await asyncio.gather(*(visit(row, advance) for row in rows))
                last = rows[-1]["id"]
    if not visited and (synchronization is not None or user is not None):
        raise NotFound("synchronization_not_found", "There is no such synchronization: nothing was read.")
    return visited


def _failed(row: Record, error: str) -> Visited[Found]:
    return Visited(type=row["type"], address=row["address"], error=error)


def _why(error: ProviderError) -> str:
    match error.outcome:
        case Throttled(until=until):
            return f"The provider asked to wait until {until:%Y-%m-%d %H:%M:%S} UTC."
        case Refused(reason=reason) | Gone(reason=reason) | Unknown(reason=reason):
            return reason


@asynccontextmanager
async def _progress(
    pool: Pool, synchronization: int | None, user: str | None
) -> AsyncIterator[Callable[[], None]]:
    """A progress bar over the mailboxes, on a terminal; gives what moves it on by one."""
    total = await pool.fetchval(query("mirror.count_mailboxes"), synchronization, user)
    with progress_bar() as progress:
        task = progress.add_task("Reading mailboxes", total=total)
        yield lambda: progress.advance(task)


def _tell_audit(visited: list[Visited[Audit]]) -> None:
    """The differences as a table on standard output, and a line that sums them up."""
    found = [(one, difference) for one in visited if one.found for difference in one.found.differences]
    if found:
        table = Table("mailbox", "synchronization", "event", "is", "differs in")
        for column in table.columns:
            column.overflow = "fold"
        for one, difference in found:
            table.add_row(
                Text(f"{one.type} {one.address}"),
                str(difference.synchronization),
                Text(difference.uid),
                difference.kind,
                ", ".join(difference.changes),
            )
        console = Console()
        # What reads it from a pipe or a file has no width.
        console.print(table, width=None if console.is_terminal else 240)
    _tell_errors(visited)
    kinds = Counter(difference.kind for _, difference in found)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "no difference"
    events = sum(one.found.events for one in visited if one.found)
    click.echo(f"{len(visited)} mailboxes with {events} events: {counts}; {_unread(visited)} not read")


def _tell_errors(visited: list[Visited[Found]]) -> None:
    for one in visited:
        if one.error is not None:
            click.echo(f"{one.type} {one.address}: {one.error}", err=True)


def _unread(visited: list[Visited[Found]]) -> int:
    return sum(one.error is not None for one in visited)
