"""``rooster refresh``."""

import click

from app.clock import system_clock
from app.commands.following import NOT_FINISHED, drift_told, follow, migrated_database, without_worker
from app.commands.running import configuration, run
from app.errors import NotFound
from app.provisioning import runs, synchronizations
from app.provisioning.refresh import ask_for_refresh
from app.provisioning.synchronizations import Synchronization


@click.command(name="refresh")
@click.option("--id", "ids", type=int, multiple=True, help="A synchronization; may be repeated.")
@click.option("--user", "users", multiple=True, help="All of a user's; may be repeated.")
@click.option("--no-wait", is_flag=True, help="Print the runs' numbers and do not wait for their end.")
def command(ids: tuple[int, ...], users: tuple[str, ...], no_wait: bool) -> None:
    """Read what is really in the calendars, and compare it with the ledger; the workers do it.

    Exit status 0 if everything was read, 1 if something could not be, 3 if it is accepted and goes on (no
    worker runs, --no-wait or cancelled).
    """
    if bool(ids) == bool(users):
        raise click.UsageError("Give one of --id and --user.")
    status = run(_refresh(ids, users, no_wait))
    if status:
        raise click.exceptions.Exit(status)


async def _refresh(ids: tuple[int, ...], users: tuple[str, ...], no_wait: bool) -> int:
    async with migrated_database(configuration()) as pool:
        chosen: list[Synchronization] = [await synchronizations.find(pool, id) for id in ids]
        for username in users:
            chosen += await synchronizations.of_user(pool, username)
        if not chosen:
            raise NotFound("no_synchronization", f"{', '.join(users)}: there is no synchronization.")
        begun = {await ask_for_refresh(pool, system_clock, one.id): one for one in chosen}
        for number, one in begun.items():
            click.echo(f"Run {number} reads {one.type} {one.description}.")
        if await without_worker(pool, {one.type for one in chosen}) or no_wait:
            return NOT_FINISHED
        await follow(pool, list(begun), "Reading", "done")
        states = set()
        for number, one in begun.items():
            over = await runs.find(pool, number, system_clock())
            states.add(over.state)
            details = [drift_told(over.drift)] if over.drift else []
            details += [error.detail for error in over.errors]
            click.echo(f"{one.type} {one.description}: {over.state}. {' '.join(details)}".rstrip())
    if "failed" in states:
        return 1
    return NOT_FINISHED if "cancelled" in states else 0
