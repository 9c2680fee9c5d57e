"""The named queries of sql/queries.

A file holds queries, each introduced by ``-- name: NAME`` and described by the comment lines below
that; ``query("ledger.plan")`` is the query ``plan`` of ``ledger.sql``, to be given to asyncpg.
"""

import re
from functools import cache
from importlib.resources import files

__all__ = ["query"]

NAME = re.compile(r"^-- name: ([a-z_]+)\n", re.MULTILINE)


@cache
def _load(file: str) -> dict[str, str]:
    text = files("sql").joinpath("queries", f"{file}.sql").read_text(encoding="utf-8")
    parts = NAME.split(text)[1:]
    return {name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)}


def query(name: str) -> str:
    """The text of the query ``FILE.NAME``. Raises KeyError where there is none."""
    file, _, key = name.partition(".")
    return _load(file)[key]
