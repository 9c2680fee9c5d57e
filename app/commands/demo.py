"""``rooster demo``."""

import time
from contextlib import AsyncExitStack
from pathlib import Path

import click
from rich.console import Console

from app.commands.running import run, stop_on_signals
from app.log import configure_logging


@click.command(name="demo")
@click.option("--people", type=click.IntRange(1), help="How many people. Default: 30, or all of --campus.")
@click.option(
    "--edition-changes",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="The share of the events that the next edition changes.",
)
@click.option(
    "--campus",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Real timetables, a line of JSON each: a .jsonl or .jsonl.gz file.",
)
@click.option("--serve", is_flag=True, help="Afterwards keep everything running, to try the API by hand.")
@click.option("--host", default="127.0.0.1", show_default=True, help="With --serve: where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="With --serve.")
@click.pass_context
def command(
    ctx: click.Context,
    people: int | None,
    edition_changes: float,
    campus: Path | None,
    serve: bool,
    host: str,
    port: int,
) -> None:
    """Show the whole of it on this machine, with nothing configured.

    A database, a sandbox in the place of Exchange, Microsoft 365 and Google, and a campus: provision,
    publish, push, change, push, unlink in all four modes. Then what each mailbox holds is compared with
    what the ledger says. Exit status 0 only if they agree.
    """
    if ctx.find_root().get_parameter_source("log_level") is not click.core.ParameterSource.COMMANDLINE:
        configure_logging("console", "warning")
    agreed = run(_demo(people, edition_changes, campus, (host, port) if serve else None))
    if not agreed:
        raise click.exceptions.Exit(1)


async def _demo(
    people: int | None, changes: float, campus: Path | None, serve_at: tuple[str, int] | None
) -> bool:
    # Imported here: `rooster demo --help` can do without.
    from app.demo.campus import read_campus, sample_campus
    from app.demo.play import play
    from app.demo.stage import open_stage

    console = Console()
    begun = time.monotonic()
    persons = sample_campus(people or 30) if campus is None else read_campus(campus, people)
    events = sum(len(person.source) for person in persons)
    console.print(f"{len(persons)} people with {events:,} events, over three providers in a sandbox.")
    async with AsyncExitStack() as stack:
        with console.status("Starting a database and the sandbox"):
            stage = await stack.enter_async_context(open_stage())
        agreed = await play(stage, persons, changes, console)
        requests = await stage.mailboxes.requests()
        _tell(agreed, requests, time.monotonic() - begun, console)
        if serve_at is not None:
            from app.demo.serving import serve_stage

            await serve_stage(stage, *serve_at, stop_on_signals(), console)
    return agreed


def _tell(agreed: bool, requests: dict[str, int], seconds: float, console: Console) -> None:
    asked = ", ".join(f"{type} {count:,}" for type, count in sorted(requests.items()))
    console.print(f"Requests to the providers: {asked}.")
    if agreed:
        console.print(f"[green]Every mailbox is as it should be.[/green] It took {seconds:.0f} seconds.")
    else:
        console.print(f"[red]Mailboxes and ledger do not agree.[/red] It took {seconds:.0f} seconds.")
