"""``rooster sync``."""

import click

from app.clock import system_clock
from app.commands.following import (
    NOT_FINISHED,
    configured_types,
    follow,
    migrated_database,
    without_worker,
)
from app.commands.running import configuration, run
from app.config import ConfigError
from app.errors import NotFound
from app.provisioning.runs import find, start_sync
from app.provisioning.synchronizations import of_user


@click.command(name="sync")
@click.option("--id", "ids", type=int, multiple=True, help="A synchronization; may be repeated.")
@click.option("--user", "users", multiple=True, help="All of a user's; may be repeated.")
@click.option("--type", "types", multiple=True, help="All of a type; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Everything.")
@click.option("--no-wait", is_flag=True, help="Print the run's number and do not wait for its end.")
def command(
    ids: tuple[int, ...], users: tuple[str, ...], types: tuple[str, ...], everything: bool, no_wait: bool
) -> None:
    """Bring synchronizations up to date now; the workers do it, some mailboxes at a time.

    Only one such run is active at a time. Exit status 0 if every mailbox was visited without an error, 1 if
    there were errors or another run is active, 3 if it is accepted and goes on (no worker runs, --no-wait
    or cancelled).
    """
    if sum(map(bool, (ids, users, types, everything))) != 1:
        raise click.UsageError("Give one of --id, --user, --type or --all.")
    status = run(_sync(list(ids) or None, list(users) or None, list(types) or None, no_wait))
    if status:
        raise click.exceptions.Exit(status)


async def _sync(
    ids: list[int] | None, users: list[str] | None, types: list[str] | None, no_wait: bool
) -> int:
    config = configuration()
    known = configured_types(config)
    if not known:
        raise ConfigError("No provider is configured: see [providers.…] in rooster.toml.")
    if unknown := ", ".join(type for type in types or () if type not in known):
        raise ConfigError(f"Not configured: {unknown}. Configured: {', '.join(sorted(known))}.")
    async with migrated_database(config) as pool:
        for username in users or ():
            if not await of_user(pool, username):
                raise NotFound("no_synchronization", f"{username}: there is no synchronization.")
        number = await start_sync(
            pool,
            system_clock,
            ids=ids,
            usernames=users,
            types=types,
            known_types=known,
            at_once=config.sync.bulk_concurrency,
        )
        click.echo(f"Run {number} has begun.")
        begun = await find(pool, number, system_clock())
        if begun.state == "active":
            wanted = [type for type in types or known if type in known]
            if await without_worker(pool, wanted) or no_wait:
                return NOT_FINISHED
            await follow(pool, [number], "Syncing", "done")
        over = await find(pool, number, system_clock())
    for error in over.errors:
        click.echo(f"{error.type or ''} {error.address or ''}: {error.detail}".strip(), err=True)
    click.echo(f"Run {number} is {over.state}: {over.counts.done} of {over.counts.total} mailboxes visited.")
    if over.state == "cancelled":
        return NOT_FINISHED
    return 1 if over.errors else 0
