"""``rooster doctor``."""

import click

from app.clock import system_clock
from app.commands.running import configuration, run
from app.doctor import TYPES, examine
from app.errors import RoosterError


@click.command(name="doctor")
@click.option(
    "--mailbox",
    "mailboxes",
    multiple=True,
    metavar="TYPE=ADDRESS",
    help=f"A mailbox to try access with; TYPE is {', '.join(TYPES)}. May be given for each type.",
)
def command(mailboxes: tuple[str, ...]) -> None:
    """Check configuration, database, credentials and access to each configured provider.

    Where there are sources, their encryption key as well. One line each, with what to do about it; exit
    status 1 if anything is wrong. Nothing is written to a mailbox.
    """
    addresses = dict(_parse(mailbox) for mailbox in mailboxes)
    if not run(_examine(addresses)):
        raise click.exceptions.Exit(1)


def _parse(mailbox: str) -> tuple[str, str]:
    type_, _, address = mailbox.partition("=")
    if type_ not in TYPES or not address:
        raise click.BadParameter(
            f"expected TYPE=ADDRESS, TYPE one of {', '.join(TYPES)}", param_hint="--mailbox"
        )
    return type_, address


async def _examine(mailboxes: dict[str, str]) -> bool:
    """Print the findings; whether all is well."""
    try:
        config = configuration()
    except RoosterError as error:
        _print("configuration", False, error.message)
        return False
    _print("configuration", True, "is valid")
    all_well = True
    async for finding in examine(config, mailboxes, system_clock):
        _print(*finding)
        all_well = all_well and finding.ok
    return all_well


def _print(subject: str, ok: bool, detail: str) -> None:
    click.echo(f"{click.style('✓', fg='green') if ok else click.style('✗', fg='red')} {subject}: {detail}")
