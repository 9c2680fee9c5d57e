"""Names for what asyncpg gives out, for annotations."""

from typing import TypeAlias

import asyncpg
import asyncpg.pool

__all__ = ["Connection", "Pool"]

Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)
"""A connection, taken from a pool or made alone."""

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
