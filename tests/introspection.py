"""Built-in types of PostgreSQL, known to asyncpg without asking.

asyncpg asks the server about array types such as uuid[] on each new connection. PostgreSQL takes 5 ms of CPU
to answer, for each of them, which is most of what a short test costs. Built-in types have the same oids in
all databases, so that it is enough to ask once.
"""

from types import SimpleNamespace
from typing import Any

import asyncpg

__all__ = ["Types", "know", "learn"]

Types = dict[int, list[dict[str, Any]]]
"""What asyncpg wants to know of a type, its elements' type included; by oid."""

BUILT_IN = 10_000
"""Oids below this one were given by hand (PostgreSQL's src/include/access/transam.h, FirstGenbkiObjectId)."""

ARRAYS = "SELECT array_agg(oid) FROM pg_type WHERE typcategory = 'A' AND oid < $1"

_ask = asyncpg.Connection._introspect_types
_known: Types = {}


async def learn(connection: asyncpg.Connection) -> Types:  # type: ignore[type-arg]
    """Ask the server about its built-in types."""
    oids = await connection.fetchval(ARRAYS, BUILT_IN)
    rows, _ = await _ask(connection, oids, None)
    by_oid = {row["oid"]: dict(row) for row in rows}
    return {oid: [row for row in (by_oid.get(by_oid[oid]["elemtype"]), by_oid[oid]) if row] for oid in oids}


def know(types: Types) -> None:
    """From now on, no connection of this process asks about these types."""

    async def introspect(self: Any, typeoids: Any, timeout: Any) -> Any:  # noqa: ASYNC109 - asyncpg's own
        if all(oid in _known for oid in typeoids):
            # It was not asked by a statement, which would have taken the place of the unnamed one.
            return [row for oid in typeoids for row in _known[oid]], SimpleNamespace(name="known")
        return await _ask(self, typeoids, timeout)

    _known.update(types)
    asyncpg.Connection._introspect_types = introspect
