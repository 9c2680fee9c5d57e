"""``rooster sandbox``."""

import json
from pathlib import Path

import click

from app.commands.running import log_format_option, run, stop_on_signals
from providers.sandbox.persistence import StateFileError
from providers.sandbox.server import Sandbox, SandboxError


@click.command(name="sandbox")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="The port on 127.0.0.1. Default: the one that the state file names, or any that is free.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file in which mailboxes, secrets and the port survive a restart. Default: nothing does.",
)
@click.option(
    "--schemas",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with the vendors' schemas (ews, msgraph) to check requests and answers against.",
)
@log_format_option
def command(port: int, state: Path | None, schemas: Path | None) -> None:
    """Speak the providers' own protocols over TLS on the loopback: EWS, Microsoft Graph, Google Calendar.

    Prints one line of JSON once ready: "ca_file", "config" (a ready rooster.toml) and "control" (the URL
    of the control API, which answers a GET with the calls that it has). Every address @uni.example has a
    mailbox. Runs until SIGTERM.
    """
    try:
        run(_sandbox(port, state, schemas))
    except (SandboxError, StateFileError) as error:
        raise click.ClickException(str(error)) from error


async def _sandbox(port: int, state: Path | None, schemas: Path | None) -> None:
    stop = stop_on_signals()
    async with Sandbox(port=port, state_file=state, schemas=schemas) as sandbox:
        ready = {
            "ca_file": str(sandbox.ca_file),
            "config": str(sandbox.config),
            "control": sandbox.control,
        }
        click.echo(json.dumps(ready))
        await stop.wait()
