"""``rooster migrate``."""

import click

from app.commands.running import configuration, run
from app.database.connect import open_database
from app.database.migrate import migrate, migrations


@click.command(name="migrate")
def command() -> None:
    """Bring the database to this version.

    Safe to run from several machines at once. The embedded database needs it not: serve and worker
    migrate it by themselves.
    """
    applied = run(_migrate())
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo(f"nothing to do: the database is at version {migrations()[-1].version}")


async def _migrate() -> list[str]:
    async with (
        open_database(configuration(), migrate_embedded=False) as pool,
        pool.acquire() as connection,
    ):
        return [f"{done.version:04}_{done.name}" for done in await migrate(connection)]
