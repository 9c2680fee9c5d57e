"""``rooster runs``."""

import click

from app.clock import system_clock
from app.commands.following import NOT_FINISHED, drift_told, follow, migrated_database
from app.commands.running import configuration, run
from app.provisioning import runs
from app.provisioning.runs import Run


@click.command(name="runs")
@click.argument("number", type=int, required=False)
@click.option("--follow", "following", is_flag=True, help="Show how it goes on until it has ended.")
@click.option("--cancel", is_flag=True, help="Strike off what was not visited yet. Not for unlinkings.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Runs to list.")
def command(number: int | None, following: bool, cancel: bool, limit: int) -> None:
    """List the latest runs, or show the run NUMBER with what went wrong.

    Exit status with --follow: 0 if the run is done, 1 if it has failed, 3 if it was cancelled.
    """
    if number is None and (following or cancel):
        raise click.UsageError("Give the number of the run.")
    if following and cancel:
        raise click.UsageError("Give one of --follow and --cancel.")
    status = run(_list(limit) if number is None else _show(number, following, cancel))
    if status:
        raise click.exceptions.Exit(status)


async def _list(limit: int) -> int:
    async with migrated_database(configuration()) as pool:
        page = await runs.page(pool, limit, None, system_clock())
    for one in page.runs:
        click.echo(_line(one))
    return 0


async def _show(number: int, following: bool, cancel: bool) -> int:
    async with migrated_database(configuration()) as pool:
        now = system_clock()
        one = await (runs.cancel(pool, number, now) if cancel else runs.find(pool, number, now))
        if following and one.state == "active":
            await follow(pool, [number], one.kind.capitalize(), "removed" if one.kind == "unlink" else "done")
            one = await runs.find(pool, number, system_clock())
    click.echo(_line(one))
    if one.drift:
        click.echo(drift_told(one.drift))
    for error in one.errors:
        click.echo(" ".join(part for part in (error.type, error.address, error.detail) if part))
    if not following or one.state == "done":
        return 0
    return 1 if one.state == "failed" else NOT_FINISHED


def _line(one: Run) -> str:
    """A run in a line, its parts separated by tabs."""
    end = one.finished_at or one.estimated_end
    when = (
        "" if end is None else f"{'ended' if one.finished_at else 'ends about'} {end:%Y-%m-%d %H:%M:%S} UTC"
    )
    return "\t".join(
        (
            str(one.id),
            one.kind,
            one.state,
            f"{one.progress:.0%}",
            f"{one.counts.done} of {one.counts.total} mailboxes",
            f"{one.counts.removed} events removed",
            f"begun {one.created_at:%Y-%m-%d %H:%M:%S} UTC",
            when,
        )
    ).rstrip()
