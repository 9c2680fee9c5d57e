"""``rooster serve``."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import click
import structlog

from app.adapters import open_adapters
from app.clock import system_clock
from app.commands.running import configuration, log_format_option, run, stop_on_signals, together
from app.database.connect import open_database
from app.database.migrate import check

log = structlog.get_logger(__name__)


@click.command(name="serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="The port; 0 for any free one.",
)
@click.option("--no-worker", is_flag=True, help="Serve the API alone; workers run elsewhere.")
@log_format_option
def command(host: str, port: int, no_worker: bool) -> None:
    """Run the HTTP API, and a worker in the same process.

    Prints its address once it answers; /schema there is the documentation. SIGTERM finishes what is in
    flight and stops.
    """
    run(_serve(host, port, with_worker=not no_worker))


async def _serve(host: str, port: int, *, with_worker: bool) -> None:
    # Imported here: together they take a second, which `rooster serve --help` can do without.
    from app.api.app import create_app
    from app.api.server import listen
    from app.sources.integrations import open_sources
    from app.sources.runner import SourceRunner
    from app.sync.worker import Worker

    stop = stop_on_signals()
    config = configuration()
    if with_worker:
        config.require_instance()
    async with (
        open_database(config) as pool,
        open_adapters(config, system_clock) as adapters,
        open_sources(config, system_clock) as sources,
    ):
        async with pool.acquire() as connection:
            await check(connection)
        app = create_app(pool, adapters, config, system_clock)
        answering = asyncio.Event()

        def ready(url: str) -> None:
            click.echo(f"Rooster answers at {url}")
            answering.set()

        parts = [listen(app, host, port, stop, ready)]
        if with_worker:
            worker = Worker(pool, adapters, config, system_clock)
            runner = SourceRunner(pool, sources, config, system_clock)
            parts += [_after(answering, worker.run(stop)), _after(answering, runner.run(stop))]
        await together(parts, stop)
        log.info("serve_stopped")


async def _after(event: asyncio.Event, part: Coroutine[Any, Any, None]) -> None:
    """The part, once the event is set: nobody works for a server that has no port to listen on."""
    try:
        await event.wait()
    except asyncio.CancelledError:
        part.close()
        raise
    await part
