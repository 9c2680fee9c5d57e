"""The plans of the queries that run for every mailbox: none reads a large table from end to end."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from app.database.queries import query
from app.database.types import Pool

LARGE = {
    "ledger",
    "mailboxes",
    "mirror",
    "runs",
    "shaped_events",
    "synchronizations",
    "timetable_events",
    "unlinks",
    "users",
}

CAMPUS = """
INSERT INTO users (username, timetable_revision)
SELECT 'user' || n, 1 FROM generate_series(1, 2000) AS n;
INSERT INTO mailboxes (type, address, identity, due_at)
SELECT 'ews', 'user' || n || '@uni.example', 'id' || n, now() + n * interval '1 minute'
FROM generate_series(1, 2000) AS n;
INSERT INTO synchronizations (username, type, mailbox_id, address)
SELECT 'user' || n, 'ews', n, 'user' || n || '@uni.example' FROM generate_series(1, 2000) AS n;
INSERT INTO timetable_events (username, uid, starts_at, ends_at, content, content_hash)
SELECT 'user' || n, 'event' || e, now(), now(), '{}', decode(lpad(to_hex(e), 32, '0'), 'hex')
FROM generate_series(1, 2000) AS n, generate_series(1, 30) AS e;
INSERT INTO ledger (synchronization_id, mailbox_id, uid, state, remote_id, content_hash, starts_at)
SELECT n, n, 'event' || e, 'present', n || '/' || e, decode(lpad(to_hex(e), 32, '0'), 'hex'), now()
FROM generate_series(1, 2000) AS n, generate_series(1, 30) AS e;
UPDATE synchronizations SET shaped_revision = 1, shaped_by = '{"presentation.showAs": "free"}'
WHERE id > 1000;
INSERT INTO shaped_events (synchronization_id, uid, starts_at, ends_at, content, content_hash)
SELECT n, 'event' || e, now(), now(), '{}', decode(lpad(to_hex(e), 32, '0'), 'hex')
FROM generate_series(1001, 2000) AS n, generate_series(1, 30) AS e;
INSERT INTO readings (mailbox_id, begun_at, completed_at)
SELECT n, now(), now() FROM generate_series(1, 2000) AS n;
INSERT INTO mirror (reading_id, remote_id, position, synchronization_id, event, attempt)
SELECT n, n || '/' || e, e, n, 'event' || e, gen_random_uuid()
FROM generate_series(1, 2000) AS n, generate_series(1, 30) AS e;
INSERT INTO runs (kind) SELECT 'unlink' FROM generate_series(1, 500);
INSERT INTO unlinks (run_id, mailbox_id, mode, accepted_at, marked_at, done_at)
SELECT n % 500 + 1, n, 'CLEANUP', now(), now(), now() FROM generate_series(1, 2000) AS n;
"""

HOT = [
    "calendars.enlist",
    "calendars.needed",
    "calendars.orphans",
    "calendars.removable",
    "calendars.there",
    "mailboxes.claim",
    "mailboxes.extend",
    "mailboxes.hold",
    "mailboxes.next_due",
    "mailboxes.release",
    "mailboxes.wake_users",
    "ledger.adopt",
    "ledger.deleted",
    "ledger.drop_unsent",
    "ledger.finish_unlinks",
    "ledger.hold",
    "ledger.lost",
    "ledger.mark_unlinks",
    "ledger.pending",
    "ledger.plan_changes",
    "ledger.plan_creates",
    "ledger.plan_removals",
    "ledger.refused",
    "ledger.rest_unlinked",
    "ledger.send",
    "ledger.situation",
    "ledger.unknown",
    "ledger.vanished",
    "ledger.written",
    "mirror.asked",
    "mirror.begin",
    "mirror.carry_over",
    "mirror.complete",
    "mirror.is_due",
    "mirror.note_drift",
    "preferences.effective",
    "preferences.keep",
    "preferences.out_of_date",
    "preferences.reached_from_user",
    "reports.complete",
    "reports.stopped",
    "reports.syncing",
    "reports.unlink_trouble",
    "shaping.drop",
    "shaping.stale",
    "shaping.store",
]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's node and all below it."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


VALUES = {
    "bigint": "17",
    "bytea[]": "'{}'",
    "jsonb": "'{}'",
    "jsonb[]": "'{}'",
    "bigint[]": "'{17,18}'",
    "boolean": "false",
    "double precision": "0.5",
    "double precision[]": "'{0.5}'",
    "integer": "20",
    "interval": "'1 minute'",
    "text": "'ews'",
    "text[]": "'{user17,ews}'",
    "timestamp with time zone": "now()",
    "timestamp with time zone[]": "array[now(), now()]",
    "uuid": "gen_random_uuid()",
    "uuid[]": "array[gen_random_uuid()]",
}
"""What a run over one mailbox would give for a parameter of this type."""


async def plan_of(pool: Pool, text: str) -> dict[str, Any]:
    """The plan that the server makes for a run over one mailbox."""
    async with pool.acquire() as connection:
        await connection.execute(f"PREPARE hot AS {text}")
        types = await connection.fetchval(
            "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'hot'"
        )
        values = ", ".join(VALUES[type] for type in types)
        explained = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE hot({values})")
        await connection.execute("DEALLOCATE hot")
    plan: dict[str, Any] = msgspec.json.decode(explained)[0]["Plan"]
    return plan


@pytest.fixture
async def campus(pool: Pool) -> Pool:
    """2,000 people with 30 events each, all up to date."""
    await pool.execute(CAMPUS)
    await pool.execute("ANALYZE")
    return pool


async def test_no_hot_query_reads_a_large_table_from_end_to_end(campus: Pool) -> None:
    found = {}
    for name in HOT:
        plan = await plan_of(campus, query(name))
        scanned = {
            node["Relation Name"]
            for node in nodes(plan)
            if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE
        }
        if scanned:
            found[name] = scanned
    assert found == {}
