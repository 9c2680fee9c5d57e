"""``rooster explain USER UID``."""

import click
import msgspec

from app.clock import system_clock
from app.commands.following import migrated_database
from app.commands.running import configuration, run
from app.errors import NotFound
from app.provisioning import explain


@click.command(name="explain")
@click.argument("user")
@click.argument("uid")
@click.option("--type", help="Only the synchronizations of this type.")
@click.option("--json", "as_json", is_flag=True, help="All that is known, a line of JSON each.")
def command(user: str, uid: str, type: str | None, as_json: bool) -> None:
    """Say why the event UID is in the calendar of USER, or is not: for each of their synchronizations.

    If they have none any more, for those that they had.
    """
    run(_explain(user, uid, type, as_json))


async def _explain(user: str, uid: str, type: str | None, as_json: bool) -> None:
    config = configuration()
    async with migrated_database(config) as pool:
        ids = await explain.of_user(pool, user, type)
        if not ids:
            raise NotFound("no_synchronization", f"{user} has no synchronization, and never had one.")
        for id in ids:
            found = await explain.explain(pool, id, uid, config.timetables, system_clock)
            if as_json:
                click.echo(msgspec.json.encode(found))
                continue
            click.echo(f"Synchronization {id}: {found.status.replace('_', ' ')}")
            for sentence in found.explanation:
                click.echo(f"  {sentence}")
