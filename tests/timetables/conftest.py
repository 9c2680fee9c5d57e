"""Timetables in a database: one user, and a shorthand for events."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from app.config import TimetableSettings
from app.database.types import Pool
from providers.contract import Event

DAY = timedelta(days=1)


def lecture(uid: str, start: datetime, **changes: object) -> Event:
    """An hour's lecture."""
    fields = {"title": uid, "end": start + timedelta(hours=1), "time_zone": "Europe/Amsterdam"} | changes
    return Event(uid=uid, start=start, **fields)  # type: ignore[arg-type]


@pytest.fixture
def limits() -> TimetableSettings:
    return TimetableSettings()


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 9, 1, 8, tzinfo=UTC)


@pytest.fixture
def future(now: datetime) -> Callable[[int], list[Event]]:
    """So many events in the days to come."""
    return lambda count: [lecture(f"f{number:03d}", now + DAY * (number + 1)) for number in range(count)]


@pytest.fixture
async def alice(pool: Pool) -> str:
    await pool.execute("INSERT INTO users (username) VALUES ('alice'), ('bob')")
    return "alice"


@pytest.fixture
async def wakes(pool: Pool, alice: str) -> Callable[[], Awaitable[int]]:
    """How often Alice's mailbox was woken."""
    await pool.execute(
        "WITH m AS (INSERT INTO mailboxes (type, address, due_at)"
        " VALUES ('ews', 'a@x.example', NULL) RETURNING id)"
        " INSERT INTO synchronizations (username, type, mailbox_id, address)"
        " SELECT 'alice', 'ews', id, 'a@x.example' FROM m"
    )

    async def count() -> int:
        return int(await pool.fetchval("SELECT wake FROM mailboxes"))

    return count
