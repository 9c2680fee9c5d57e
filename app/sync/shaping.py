"""Shaping: a timetable as a synchronization wants it, seen through its preferences.

Done anew when the timetable or the preferences have changed, and written down, so that everything that
plans, sends or explains reads the same.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from asyncpg import Record

from app.database.queries import query
from app.database.types import Pool
from app.ledger import Ledger
from app.preferences.shape import LeftOut, Shape
from app.timetables.event import content_hash, decode, encode
from providers.contract import Event

__all__ = ["shape_wanted"]


async def shape_wanted(pool: Pool, ledger: Ledger) -> int:
    """Bring what the mailbox's synchronizations want up to date. Raises LeaseLost.

    Returns the number of the request for a run that is taken into account: what is published, or preferred,
    while this is at work has a later one, and needs another look.
    """
    async with ledger.transaction() as (connection, wake):
        stale = await connection.fetch(query("shaping.stale"), ledger.mailbox_id)
    for row in stale:
        preferences = json.loads(row["shaping"])
        if not preferences:
            async with ledger.transaction() as (connection, _):
                await connection.execute(query("shaping.drop"), row["id"])
            continue
        # Revision and events are of one moment: what is published meanwhile is shaped by the next run.
        events = await pool.fetch(query("timetables.events"), row["username"])
        revision = events[0]["revision"] if events else 0
        columns = await asyncio.to_thread(_shape, preferences, events)
        async with ledger.transaction() as (connection, _):
            await connection.execute(query("shaping.store"), row["id"], revision, row["shaping"], *columns)
    return wake


def _shape(preferences: Mapping[str, Any], rows: list[Record]) -> list[list[Any]]:
    """The columns of the shaped events: uids, starts, ends, contents, hashes, and what leaves them out."""
    shape = Shape.parse(preferences)
    columns: list[list[Any]] = [[], [], [], [], [], []]
    for row in rows:
        if row["content"] is None:
            continue
        event = decode(row["content"])
        if event.status == "cancelled":
            continue
        for column, value in zip(columns, _shaped(shape, event), strict=True):
            column.append(value)
    return columns


def _shaped(shape: Shape, event: Event) -> tuple[Any, ...]:
    shaped = shape.shape(event)
    left_out_by = shaped.preference if isinstance(shaped, LeftOut) else None
    if isinstance(shaped, LeftOut):
        shaped = event
    return (
        shaped.uid,
        shaped.start,
        shaped.end,
        encode(shaped).decode(),
        content_hash(shaped),
        left_out_by,
    )
