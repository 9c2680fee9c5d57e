"""``rooster import FILE…``."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app.clock import system_clock
from app.commands.running import configuration, run
from app.config import Config
from app.database.connect import open_database
from app.database.migrate import check
from app.database.types import Pool
from app.errors import Invalid, RoosterError
from app.provisioning.text import is_username
from app.timetables.document import Reader
from app.timetables.icalendar import CalendarReader
from app.timetables.lines import gunzip, split_lines
from app.timetables.publish import Publisher, Summary, publish_lines, tell

CHUNK = 256 * 1024


@click.command(name="import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--confirm", is_flag=True, help="Yes, remove a large part of somebody's future events.")
def command(files: tuple[Path, ...], confirm: bool) -> None:
    """Import whole timetables: .ics (the username is the file's name), .jsonl or .jsonl.gz.

    Users who do not exist are created. What is wrong is told one a line, and changes nothing for that
    user; the others are imported. Exit status 1 if anything was wrong.
    """
    for file in files:
        if _kind(file) is None:
            raise click.UsageError(f"{file}: expected a name that ends in .ics, .jsonl or .jsonl.gz.")
    if not run(_import({file: file.stat().st_size for file in files}, confirm)):
        raise click.exceptions.Exit(1)


def _kind(file: Path) -> str | None:
    name = file.name.lower()
    return next((kind for kind in (".ics", ".jsonl", ".jsonl.gz") if name.endswith(kind)), None)


async def _import(files: dict[Path, int], confirm: bool) -> bool:
    """Import all files, given with their sizes; whether nothing was wrong."""
    config = configuration()
    console = Console(stderr=True)
    total = Summary()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        async with open_database(config) as pool:
            async with pool.acquire() as connection:
                await check(connection)
            task = progress.add_task("Importing", total=sum(files.values()))
            for file in files:
                summary = await _import_file(
                    file, pool, config, confirm, lambda size: progress.advance(task, size)
                )
                _add(total, summary)
                for error in summary.errors:
                    where = f"{file}:{error.line}" if _kind(file) != ".ics" else str(file)
                    user = f" ({error.username})" if error.username and _kind(file) != ".ics" else ""
                    click.echo(f"{where}{user}: {error.detail}", err=True)
                if (more := summary.errors_total - len(summary.errors)) > 0:
                    click.echo(f"{file}: and {more} more lines with errors", err=True)
    click.echo(
        f"{total.users} timetables with {total.events} events: {total.created} created,"
        f" {total.updated} updated, {total.deleted} deleted, {total.unchanged} unchanged;"
        f" {total.errors_total} errors"
    )
    return total.errors_total == 0


def _add(total: Summary, summary: Summary) -> None:
    for name in ("users", "events", "created", "updated", "deleted", "unchanged", "errors_total"):
        setattr(total, name, getattr(total, name) + getattr(summary, name))


async def _import_file(
    file: Path, pool: Pool, config: Config, confirm: bool, advance: Callable[[int], None]
) -> Summary:
    publisher = Publisher(pool, config.timetables, system_clock, create_users=True, confirm=confirm)
    if _kind(file) == ".ics":
        data = await asyncio.to_thread(file.read_bytes)
        await _import_calendar(file, data, publisher, config)
        advance(len(data))
        return publisher.summary

    async def chunks() -> AsyncIterator[bytes]:
        with file.open("rb") as opened:
            for chunk in iter(lambda: opened.read(CHUNK), b""):
                yield chunk
                advance(len(chunk))

    content = gunzip(chunks()) if _kind(file) == ".jsonl.gz" else chunks()
    lines = split_lines(content, config.timetables.max_body_bytes)
    reader = Reader(config.timetables, config.timezone)
    try:
        return await publish_lines(lines, publisher, reader, lambda _: None)
    except Invalid as error:
        raise RoosterError(error.code, f"{file}: {error.message}") from error


async def _import_calendar(file: Path, data: bytes, publisher: Publisher, config: Config) -> None:
    username = file.name[: -len(".ics")]
    if not is_username(username):
        publisher.fail(1, None, "The name of the file is not a username.")
        return
    if len(data) > config.timetables.max_body_bytes:
        publisher.fail(1, username, f"Longer than {config.timetables.max_body_bytes} bytes.")
        return
    try:
        events = CalendarReader(config.timetables, config.timezone).timetable(data, system_clock())
    except Invalid as error:
        for detail in [tell(problem) for problem in error.problems] or [error.message]:
            publisher.fail(1, username, detail)
        return
    await publisher.add(1, username, events)
    await publisher.flush()
