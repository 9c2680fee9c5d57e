"""``rooster job``."""

import asyncio
import logging
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.clock import system_clock
from app.commands.following import NOT_FINISHED, migrated_database
from app.commands.running import configuration, run
from app.config import Config
from app.database.types import Pool
from app.errors import Invalid
from app.sources import accounts, jobs, runs
from app.sources.contract import Json
from app.sources.definition import parse_definition
from app.sources.integrations import INTEGRATIONS, open_sources
from app.sources.reading import check_depth
from app.sources.runner import SourceRunner
from app.sources.runs import JobRun
from app.sources.validation import array_argument
from app.sync.housekeeping import working_types

POLL_SECONDS = 0.2
PAGE = 500


@click.group(name="job")
def command() -> None:
    """Run sync jobs, which fetch timetables from sources, and list them."""


@command.command(name="run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--args", default="{}", help="The arguments: a JSON object, or @FILE that holds one.")
@click.option(
    "--account", type=click.UUID, help="The integrated account. Default: the integration's only one."
)
@click.option(
    "--error-handling",
    type=click.Choice(["ignore", "fail_fast", "batch"]),
    default="ignore",
    show_default=True,
)
@click.option("--ignore-previous-run", is_flag=True, help="Read everything anew, not only what has changed.")
@click.option("--confirm", is_flag=True, help="Yes, remove a large part of somebody's future events.")
def run_(
    file: Path,
    args: str,
    account: UUID | None,
    error_handling: str,
    ignore_previous_run: bool,
    confirm: bool,
) -> None:
    """Run the job that FILE defines, and show how it goes on.

    FILE holds JSON as for POST /api/v1/sync-job. The job of an earlier call with the same definition is
    used again, so that a run can go on from the one before; otherwise one is made. Workers do the work, or
    where none runs, this command. What goes wrong is told one a line. Exit status 0 if nothing did, 1 if
    something did, 3 if the run was cancelled.
    """
    definition, given = _json(file.read_bytes(), str(file)), _arguments(args)
    form = {
        "args": given,
        "error_handling": error_handling,
        "ignore_previous_run": ignore_previous_run,
        "confirm": confirm,
    }
    status = run(_run(definition, account, form))
    if status:
        raise click.exceptions.Exit(status)


@command.command(name="list")
def list_() -> None:
    """List all jobs.

    A line each: id, integration, resources, and how the latest run has ended (UTC).
    """
    run(_list())


def _json(data: bytes, name: str) -> Json:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{name}: not JSON: {error}.") from None
    except RecursionError:
        raise click.UsageError(f"{name}: nested too deeply.") from None


def _arguments(text: str) -> Json:
    if not text.startswith("@"):
        return _json(text.encode(), "--args")
    try:
        return _json(Path(text[1:]).read_bytes(), text)
    except OSError as error:
        raise click.UsageError(f"--args: {text[1:]} cannot be read: {error.strerror}.") from None


async def _run(body: Json, account: UUID | None, form: dict[str, Any]) -> int:
    config = configuration()
    async with migrated_database(config) as pool:
        try:
            job = await _job(pool, body)
            connection = account or await _only_account(pool, job.integration_name)
            named = {"sync_job_id": str(job.id), "integrated_account_id": str(connection)}
            has_webhook = config.sources.webhook is not None
            begun = await runs.create(pool, named | form, INTEGRATIONS, system_clock(), webhook=has_webhook)
        except Invalid as refused:
            raise click.ClickException(_told(refused)) from None
        click.echo(f"Run {begun.id} of job {job.id} has begun.")
        over = await _follow(pool, config, begun, _expected(job, begun))
    for error in over.errors:
        where = ", ".join(part for part in (error.username, error.place) if part)
        click.echo(f"{where}{': ' if where else ''}{error.detail}", err=True)
    counts = over.counts
    if (more := counts.errors - len(over.errors)) > 0:
        click.echo(f"And {more} more errors.", err=True)
    if over.detail:
        click.echo(over.detail, err=True)
    if counts.users_unknown:
        click.echo(
            f"Not provisioned, and left out: {counts.users_unknown} of {counts.users} users.", err=True
        )
    click.echo(
        f"Run {over.id} is {over.state}: {counts.records} records by {counts.requests} requests,"
        f" {counts.sent} sent on; {counts.users_applied} timetables: {counts.created} events created,"
        f" {counts.updated} updated, {counts.deleted} deleted, {counts.unchanged} unchanged;"
        f" {counts.errors} errors"
    )
    if over.state == "cancelled":
        return NOT_FINISHED
    return 0 if over.state == "done" and not counts.errors else 1


def _told(error: Invalid) -> str:
    """What is wrong, in one line."""
    told = [
        f"{problem.field}: {problem.detail}" if problem.field else problem.detail
        for problem in error.problems
    ]
    return " ".join(told)


async def _job(pool: Pool, body: Json) -> jobs.SyncJob:
    """The job with this definition, made where there is none. Raises Invalid."""
    check_depth(body)
    definition = parse_definition(body)
    cursor: str | None = None
    while True:
        page = await jobs.page(pool, PAGE, cursor)
        for job in page.sync_jobs:
            if job.definition == definition:
                return job
        if (cursor := page.next) is None:
            return await jobs.create(pool, body, INTEGRATIONS, system_clock())


async def _only_account(pool: Pool, integration: str) -> UUID:
    """The integration's account where there is just one. Raises UsageError otherwise."""
    page = await accounts.page(pool, PAGE, None)
    found = [account for account in page.integrated_accounts if account.integration_name == integration]
    if len(found) == 1 and page.next is None:
        return found[0].id
    if not found:
        raise click.UsageError(
            f"There is no account of {integration}: make one with POST /api/v1/integrated-account."
        )
    known = ", ".join(f"{account.id} ({account.base_url})" for account in found[:10])
    raise click.UsageError(f"Give --account, as {integration} has several: {known}.")


def _expected(job: jobs.SyncJob, begun: JobRun) -> int | None:
    """How many requests the run will make; None where that depends on what the source has."""
    if any(resource.depends_on for resource in job.resources):
        return None
    lengths = [
        len((begun.args or {})[array_argument(resource.loop_on)]) if resource.loop_on else 1
        for resource in job.resources
    ]
    return sum(lengths)


async def _follow(pool: Pool, config: Config, begun: JobRun, expected: int | None) -> JobRun:
    """Show a progress bar on standard error until the run has ended."""
    if await working_types(pool):
        return await _watch(pool, begun, expected)
    # The bar says it.
    logging.getLogger("app.sources").setLevel(logging.WARNING)
    stop = asyncio.Event()
    async with open_sources(config, system_clock) as sources, asyncio.TaskGroup() as group:
        group.create_task(SourceRunner(pool, sources, config, system_clock).run(stop))
        over = await _watch(pool, begun, expected)
        stop.set()
    return over


async def _watch(pool: Pool, begun: JobRun, expected: int | None) -> JobRun:
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("Waiting", total=None)
        try:
            while True:
                now = await runs.find(pool, begun.id)
                counts = now.counts
                if counts.users:
                    done = counts.users_applied + counts.users_refused + counts.users_unknown
                    progress.update(task, description="Applying", completed=done, total=counts.users)
                elif counts.requests:
                    progress.update(task, description="Reading", completed=counts.requests, total=expected)
                if now.state not in ("queued", "running"):
                    return now
                await asyncio.sleep(POLL_SECONDS)
        except asyncio.CancelledError:
            click.echo(f"Not followed any more; run {begun.id} goes on as soon as a worker runs.", err=True)
            raise


async def _list() -> None:
    async with migrated_database(configuration()) as pool:
        cursor: str | None = None
        while True:
            page = await jobs.page(pool, PAGE, cursor)
            for job in page.sync_jobs:
                latest = (await runs.page(pool, 1, None, job=job.id)).sync_job_runs
                click.echo(_line(job, latest[0] if latest else None))
            if (cursor := page.next) is None:
                return


def _line(job: jobs.SyncJob, latest: JobRun | None) -> str:
    """A job in a line, its parts separated by tabs."""
    resources = ", ".join(resource.resource for resource in job.resources)
    if latest is None:
        state = "never run"
    else:
        moment = latest.finished_at or latest.started_at or latest.created_at
        state = f"{latest.state} {moment:%Y-%m-%d %H:%M:%S} UTC, {latest.counts.errors} errors"
    return "\t".join((str(job.id), job.integration_name, resources, state))
