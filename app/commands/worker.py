"""``rooster worker``."""

import click
import structlog

from app.adapters import open_adapters
from app.clock import system_clock
from app.commands.running import configuration, log_format_option, run, stop_on_signals, together
from app.database.connect import open_database
from app.database.migrate import check
from app.sources.integrations import open_sources
from app.sources.runner import SourceRunner
from app.sync.worker import Worker

log = structlog.get_logger(__name__)


@click.command(name="worker")
@log_format_option
def command() -> None:
    """Run a worker alone: as many as wanted, on as many machines as wanted, over one database.

    SIGTERM finishes what is in flight and stops.
    """
    run(_work())


async def _work() -> None:
    stop = stop_on_signals()
    config = configuration()
    config.require_instance()
    async with (
        open_database(config) as pool,
        open_adapters(config, system_clock) as adapters,
        open_sources(config, system_clock) as sources,
    ):
        async with pool.acquire() as connection:
            await check(connection)
        worker = Worker(pool, adapters, config, system_clock)
        log.info("worker_started", worker=str(worker.id), types=sorted(adapters))
        runner = SourceRunner(pool, sources, config, system_clock)
        await together([worker.run(stop), runner.run(stop)], stop)
        log.info("worker_stopped", worker=str(worker.id))
