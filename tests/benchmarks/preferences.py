"""How long a preference takes that is set for the whole installation: from the PUT to the last calendar.

The provider is one in memory that answers at once, so that what is measured is Rooster and its database.
"""

import asyncio
import logging
import os
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import asyncpg
import click
import structlog

from app.database.embedded import embedded_database
from app.database.migrate import migrate
from app.database.types import Pool
from app.preferences import values
from app.preferences.values import Owner
from providers.contract import Update
from tests.clock import SettableClock
from tests.fakes import FakeAdapter
from tests.sync.world import World, event

__all__ = ["Times", "command", "measure"]

INSTALLATION = Owner("installation", "default")
FIRST = "user1@uni.example"
COPIES = (
    "INSERT INTO users (username, roles, timetable_revision)"
    " SELECT 'user' || n, ARRAY['ROLE_STUDENT'], 1 FROM generate_series(2, $1::integer) AS n",
    "INSERT INTO timetable_events (username, uid, starts_at, ends_at, content, content_hash)"
    " SELECT 'user' || n, t.uid, t.starts_at, t.ends_at, t.content, t.content_hash"
    " FROM timetable_events AS t, generate_series(2, $1::integer) AS n WHERE t.username = 'user1'",
    "INSERT INTO mailboxes (type, address, due_at)"
    " SELECT m.type, 'user' || n || '@uni.example', m.due_at"
    " FROM mailboxes AS m, generate_series(2, $1::integer) AS n WHERE m.address = 'user1@uni.example'",
    "INSERT INTO synchronizations (username, type, mailbox_id, address)"
    " SELECT split_part(m.address, '@', 1), m.type, m.id, m.address FROM mailboxes AS m"
    " WHERE m.address <> 'user1@uni.example' AND $1::integer > 1",
)
"""So many people that there are $1, all with the timetable of the first one."""


class Times(NamedTuple):
    """Seconds, and what was counted."""

    put: float
    """Until the PUT is answered: the preference is in effect, and all mailboxes are due."""
    due: int
    """Mailboxes that are due then."""
    worked: float
    """From the PUT until one worker has planned and written them all."""
    updates: int
    """Events that it has updated."""


async def measure(pool: Pool, synchronizations: int, events: int) -> Times:
    """Set a preference for so many people, whose calendars are up to date, with so many events each."""
    adapter = FakeAdapter("ews")
    for number in range(1, synchronizations + 1):
        adapter.add_mailbox(f"user{number}@uni.example")
    world = World(pool, SettableClock(), adapter)
    first = world.clock() + timedelta(days=1)
    await world.publish("user1", *(event(f"e{n}", first + timedelta(hours=n)) for n in range(events)))
    await world.link("user1", FIRST)
    async with pool.acquire() as connection, connection.transaction():
        for statement in COPIES:
            await connection.execute(statement, synchronizations)
    await world.work()
    adapter.calls.clear()

    begun = time.perf_counter()
    await values.put(pool, "admin", INSTALLATION, "presentation", "showAs", "free", world.clock())
    put = time.perf_counter() - begun
    due: int = await pool.fetchval("SELECT count(*) FROM mailboxes WHERE due_at <= $1", world.clock())
    await world.work()
    worked = time.perf_counter() - begun
    updates = sum(isinstance(one, Update) for call in adapter.calls for one in call.operations)
    if (due, updates) != (synchronizations, synchronizations * events):
        raise click.ClickException(f"Only {due} mailboxes were due, and {updates} events updated.")
    return Times(put, due, worked, updates)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--synchronizations", type=click.IntRange(1), default=5000, show_default=True)
@click.option("--events", type=click.IntRange(1), default=20, show_default=True, help="Of each person.")
def command(synchronizations: int, events: int) -> None:
    """Set a preference for the whole installation, and print how long it takes until all calendars obey it.

    A PostgreSQL is started for it, as durable as an installation's own, and goes again.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    found = asyncio.run(_run(synchronizations, events))
    click.echo(f"{os.cpu_count()} cores, {synchronizations} synchronizations of {events} events each")
    click.echo(f"{found.put:8.2f} s  the PUT; {found.due} mailboxes are due")
    click.echo(
        f"{found.worked:8.2f} s  until one worker has planned them all and updated {found.updates} events"
    )


async def _run(synchronizations: int, events: int) -> Times:
    # The folder's name is short: PostgreSQL's socket lives in it.
    with tempfile.TemporaryDirectory(prefix="rooster-") as folder:
        async with embedded_database(Path(folder)) as dsn:
            connection = await asyncpg.connect(dsn)
            try:
                await migrate(connection)
            finally:
                await connection.close()
            async with asyncpg.create_pool(dsn, min_size=1, max_size=20) as pool:
                return await measure(pool, synchronizations, events)
