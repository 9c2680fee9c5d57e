"""The command line: ``rooster COMMAND``, a module of this package each."""

import importlib
import sys
from typing import Any

import click

from app.errors import RoosterError
from app.log import LogFormat, LogLevel, configure_logging

__all__ = ["main", "rooster"]

COMMANDS = {
    "cleanup": ("cleanup", "Unlink people, and take out what was put into their calendars."),
    "demo": ("demo", "Show the whole of it on this machine, with nothing configured."),
    "doctor": ("doctor", "Check the configuration, the database and access to the providers."),
    "explain": ("explain", "Say why an event is in somebody's calendar, or is not."),
    "import": ("import_timetables", "Import timetables from .ics or .jsonl[.gz] files."),
    "job": ("job", "Run and list sync jobs, which fetch timetables from sources."),
    "ledger": ("ledger", "Compare the ledger with the mailboxes, or restore it from there."),
    "migrate": ("migrate", "Bring the database to this version."),
    "refresh": ("refresh", "Read what is really in calendars, and compare it with the ledger."),
    "runs": ("runs", "List runs, show one, follow it, or cancel it."),
    "sandbox": ("sandbox", "Run the provider sandbox alone."),
    "serve": ("serve", "Run the HTTP API, and a worker in the same process."),
    "sync": ("sync", "Bring synchronizations up to date now."),
    "token": ("token", "Create, list and revoke API tokens."),
    "worker": ("worker", "Run a worker alone."),
}
"""By command: the module of this package that holds it as ``command``, and what it does.

Modules are imported only when asked for, so that ``rooster --help`` is quick.
"""


class Rooster(click.Group):
    """The group of all commands. What goes wrong is one line on standard error, not a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command = importlib.import_module(f"{__name__}.{module}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise usage_in_one_line(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise usage_in_one_line(error) from error
        except RoosterError as error:
            raise click.ClickException(in_one_line(error)) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            raise click.exceptions.Exit(1) from None  # whoever read our output has gone
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            raise click.ClickException(
                f"unexpected {type(error).__name__}. This is a bug: run it again as"
                " rooster --debug … and report the traceback."
            ) from error


class WrongUsage(click.ClickException):
    """The command was called wrongly; its message is one line."""

    exit_code = click.UsageError.exit_code


def usage_in_one_line(error: click.UsageError) -> click.ClickException:
    """The error in one line, with the same exit status; click's own is up to seven.

    A group without a command is no mistake of this kind: it gets its help, as it is.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    said = " ".join(error.format_message().split()).rstrip(".")
    return WrongUsage(f"{said}. See: {error.ctx.command_path if error.ctx else 'rooster'} --help")


def in_one_line(error: RoosterError) -> str:
    """The error's sentence, and the first of its problems."""
    if not error.problems:
        return error.message
    first = error.problems[0]
    where = " ".join(part for part in (first.event, first.field) if part)
    more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
    return f"{error.message} {where}{': ' if where else ''}{first.detail}{more}"


@click.group(cls=Rooster, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--log-format", type=click.Choice(["json", "console"]), default="json", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected error.")
@click.version_option(package_name="rooster-timetables", message="rooster %(version)s")
def rooster(log_format: LogFormat, log_level: LogLevel, debug: bool) -> None:
    """Put timetables into people's calendars, keep them true, and take out exactly what was put in.

    Configured by rooster.toml in the working directory or the file that ROOSTER_CONFIG names, and by
    ROOSTER_… environment variables.
    """
    configure_logging(log_format, log_level)


def main() -> None:
    """Run the command line; the entry point of the ``rooster`` script."""
    sys.exit(rooster.main(prog_name="rooster"))
