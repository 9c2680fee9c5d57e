"""Transactions that are tried again where PostgreSQL ends a deadlock."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from app.database.types import Connection, Pool

__all__ = ["in_transaction"]

Result = TypeVar("Result")

TRIES = 3
"""How often a change is tried: it can meet runs that hold the same mailboxes in another order."""


async def in_transaction(pool: Pool, work: Callable[[Connection], Awaitable[Result]]) -> Result:
    """What ``work`` gives, done as one transaction; it may be begun anew."""
    for attempt in range(1, TRIES + 1):
        try:
            async with pool.acquire() as connection, connection.transaction():
                return await work(connection)
        except asyncpg.DeadlockDetectedError:
            if attempt == TRIES:
                raise
    raise AssertionError("unreachable")
