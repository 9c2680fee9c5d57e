"""Names for what asyncpg gives out, for annotations."""

from typing import TYPE_CHECKING, TypeAlias

from asyncpg import Connection as OneConnection
from asyncpg.pool import Pool as OnePool
from asyncpg.pool import PoolConnectionProxy

__all__ = ["Connection", "Pool"]

if TYPE_CHECKING:
    from asyncpg import Record

    Connection: TypeAlias = OneConnection[Record] | PoolConnectionProxy[Record]
    Pool: TypeAlias = OnePool[Record]
else:
    # At run time asyncpg's classes take no parameters.
    Connection = OneConnection | PoolConnectionProxy
    Pool = OnePool
