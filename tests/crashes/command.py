"""The command ``python -m tests.crashes``."""

import asyncio
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

import asyncpg
import click
from rich.console import Console
from rich.table import Table

from app.database.embedded import embedded_database
from app.database.migrate import migrate
from tests.conftest import NOT_DURABLE, execute, in_database
from tests.crashes.campaign import open_campaign
from tests.crashes.result import Result

WIDTH = 120
"""Columns of the table, however narrow the terminal or file is."""

__all__ = ["command"]

TYPES = ("ews", "o365", "googlecalendar")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--kills", type=click.IntRange(1), default=500, show_default=True, help="For each provider.")
@click.option("--seed", type=int, help="Repeats a run, as far as a machine's timing allows.")
@click.option(
    "--provider", "types", type=click.Choice(TYPES), multiple=True, default=TYPES, help="Default: all."
)
@click.option("--steps", is_flag=True, help="Also print how often a worker was killed at each step.")
def command(kills: int, seed: int | None, types: tuple[str, ...], steps: bool) -> None:
    """Kill workers (SIGKILL) at every step of their work; then compare mailboxes, ledger and timetables.

    A PostgreSQL and the sandbox are started for it, and go again. Exit status 1 if anything is lost,
    twice or touched, or if a step was passed and nobody was killed there.
    """
    seed = SystemRandom().randrange(10**6) if seed is None else seed
    results = asyncio.run(_run(kills, seed, types))
    console = Console(soft_wrap=True)
    console.width = max(console.width, WIDTH)
    console.print(_table(results))
    for result in results:
        if steps:
            for step in sorted(result.seen.keys() | result.kills.keys()):
                console.print(f"{result.type}  {result.kills[step]:5}  {step}", highlight=False)
        for problem in result.verdict.problems:
            console.print(f"{result.type}: {problem}", markup=False, highlight=False)
        if result.missed:
            console.print(f"{result.type}: nobody was killed at {', '.join(sorted(result.missed))}")
    if not all(result.good for result in results):
        again = f"python -m tests.crashes --seed {seed} --kills {kills}"
        sys.exit(f"Not everything is as it should be. To repeat it: {again}")


async def _run(kills: int, seed: int, types: tuple[str, ...]) -> list[Result]:
    # The folder's name is short: PostgreSQL's socket lives in it.
    with tempfile.TemporaryDirectory(prefix="rooster-") as folder:
        async with embedded_database(Path(folder), settings=NOT_DURABLE) as dsn:
            return await asyncio.gather(*(_campaign(type, dsn, Path(folder), kills, seed) for type in types))


async def _campaign(type: str, server: str, folder: Path, kills: int, seed: int) -> Result:
    own = folder / type
    own.mkdir()
    await execute(server, f"CREATE DATABASE crashes_{type}")
    dsn = in_database(server, f"crashes_{type}")
    connection = await asyncpg.connect(dsn)
    try:
        await migrate(connection)
    finally:
        await connection.close()

    def tell(result: Result) -> None:
        if sys.stderr.isatty():
            click.echo(f"{type}: {result.kills.total()} kills", err=True)

    async with open_campaign(type, dsn, own, seed) as campaign:
        return await campaign.run(kills, tell)


def _table(results: list[Result]) -> Table:
    columns = (
        "provider", "kills", "paused", "steps", "mailboxes", "events", "lost", "twice", "different", "left",
        "foreign touched", "seconds",
    )  # fmt: skip
    table = Table(*columns[:1], title=f"Seed {results[0].seed}")
    for column in columns[1:]:
        table.add_column(column, justify="right")
    for result in results:
        verdict = result.verdict
        covered = f"{len(result.seen.keys() & result.kills.keys())} of {len(result.seen)}"
        figures = (
            result.kills.total(), result.paused, covered, verdict.mailboxes, verdict.events, verdict.lost,
            verdict.twice, verdict.different, verdict.left, verdict.touched, f"{result.seconds:.0f}",
        )  # fmt: skip
        table.add_row(result.type, *map(str, figures))
    return table
