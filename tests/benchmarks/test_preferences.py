"""The benchmark itself, on a few people: what it measures has really happened."""

from app.database.types import Pool
from tests.benchmarks.preferences import measure


async def test_every_calendar_is_due_and_obeys(pool: Pool) -> None:
    found = await measure(pool, synchronizations=7, events=3)
    assert (found.due, found.updates) == (7, 21)
    assert 0 < found.put < found.worked
    shown = await pool.fetch("SELECT DISTINCT content ->> 'showAs' AS shown FROM ledger")
    assert [row["shown"] for row in shown] == ["free"]
