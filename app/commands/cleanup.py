"""``rooster cleanup``: the administrator's way to unlink many people at once."""

from pathlib import Path
from typing import get_args

import click
from asyncpg import Record

from app.clock import system_clock
from app.commands.following import NOT_FINISHED, follow, migrated_database, without_worker
from app.commands.running import configuration, run
from app.database.queries import query
from app.database.types import Pool
from app.provisioning.text import is_username
from app.provisioning.unlink import Mode, parse_mode, unlink_users

USERS_AT_ONCE = 200
FIRST_EVENTS = 10


@click.command(name="cleanup")
@click.option("--user", "users", multiple=True, help="A user; may be repeated.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Usernames, one a line (UTF-8).",
)
@click.option("--all", "everybody", is_flag=True, help="Everybody.")
@click.option("--type", help="Only synchronizations of this type.")
@click.option(
    "--mode", type=click.Choice(get_args(Mode)), default="CLEANUP", show_default=True, help="What is removed."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(
    users: tuple[str, ...], file: Path | None, everybody: bool, type: str | None, mode: str, yes: bool
) -> None:
    """Unlink people, and take out what was put into their calendars: the preview, a question, then the work.

    Exit status 0 if everything is out (or there was nothing), 1 if nothing was begun, 3 if it is accepted
    and goes on: no worker runs.
    """
    if sum(map(bool, (users, file, everybody))) != 1:
        raise click.UsageError("Give one of --user, --file or --all.")
    names = None if everybody else list(users) or _read(file)
    status = run(_clean_up(names, type, parse_mode(mode), yes))
    if status:
        raise click.exceptions.Exit(status)


def _read(file: Path | None) -> list[str]:
    assert file is not None
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} cannot be read as text in UTF-8.") from error
    names = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not names:
        raise click.UsageError(f"{file} holds no usernames.")
    return names


async def _clean_up(names: list[str] | None, type: str | None, mode: Mode, yes: bool) -> int:
    for name in names or ():
        if not is_username(name):
            raise click.UsageError(
                "A username has 1 to 255 characters, and no control characters among them."
            )
    async with migrated_database(configuration()) as pool:
        users = [row["username"] for row in await pool.fetch(query("unlinks.users"), names, mode, type)]
        if names is not None and (nothing := sorted(set(names) - set(users))):
            shown = ", ".join(nothing[:FIRST_EVENTS])
            more = f" and {len(nothing) - FIRST_EVENTS} more" if len(nothing) > FIRST_EVENTS else ""
            click.echo(f"Nothing to unlink for {shown}{more}.", err=True)
        if not users:
            click.echo("There is nothing to do.")
            return 0
        by_type = await _preview(pool, users, type, mode)
        missing = mode != "UNLINK_ONLY" and await without_worker(pool, [row["type"] for row in by_type])
        whom = users[0] if len(users) == 1 else f"{len(users)} people"
        if not yes and not click.confirm(f"Unlink {whom} in mode {mode}?", err=True):
            click.echo("Nothing was begun.")
            return 1
        runs = [
            await unlink_users(pool, users[start : start + USERS_AT_ONCE], type, mode, system_clock)
            for start in range(0, len(users), USERS_AT_ONCE)
        ]
        numbers = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
        if missing:
            click.echo(f"Accepted as run {numbers}: a worker will do it.")
            return NOT_FINISHED
        total = sum(row["remove"] for row in by_type)
        over = await follow(pool, runs, "Taking out", "removed", total)
        click.echo(f"Run {numbers} is done: {over['removed']} events removed.")
        return 0


async def _preview(pool: Pool, users: list[str], type: str | None, mode: Mode) -> list[Record]:
    """Show what would be removed; gives the counts by type."""
    now = system_clock()
    by_type = await pool.fetch(query("unlinks.summary"), mode, now, users, type)
    for row in by_type:
        click.echo(
            f"{row['type']}: {row['remove']} events to remove, {row['keep']} to keep,"
            f" in {row['mailboxes']} mailboxes"
        )
    for row in await pool.fetch(query("unlinks.first_removed"), mode, now, users, type, FIRST_EVENTS):
        start = f"{row['start']:%Y-%m-%d %H:%M} UTC" if row["start"] else "no date"
        click.echo(f"  {start}  {row['type']} {row['address']}  {row['title'] or ''}  ({row['uid']})")
    more = sum(row["remove"] for row in by_type) - FIRST_EVENTS
    if more > 0:
        click.echo(f"  and {more} more")
    return by_type
