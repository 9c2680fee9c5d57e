"""Which preferences there are, and what their values may be: Rooster's own, and administrators'."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec

from app.database.queries import query
from app.database.transactions import in_transaction
from app.database.types import Connection, Pool
from app.errors import Conflict, Invalid, NotFound, PreconditionFailed, Problem
from app.preferences.checks import check_value
from app.preferences.document import AccessFlags, DescriptionDocument, PreferenceDescription
from app.preferences.effect import spread
from app.preferences.reading import read_patched
from app.provisioning.text import is_text

__all__ = [
    "Preconditions",
    "Stored",
    "all_descriptions",
    "change",
    "create",
    "delete",
    "find",
    "find_by_name",
]

MAX_ID = 2**63 - 1

VALUE_RULES = ("value_type", "min_value", "max_value", "allowed_values")
"""What values are checked by."""
EFFECTIVE = ("default", "min_level", "max_level")
"""What says which value is in effect."""


class Stored(NamedTuple):
    """A description as it is kept."""

    description: PreferenceDescription
    revision: int
    """Grows with every change."""
    changed_at: datetime
    """UTC, in whole seconds, and later with every change: no two revisions have the same date.

    It is ahead of the clock where there were two changes within one second.
    """


class Preconditions(NamedTuple):
    """What whoever changes a description has last seen of it (RFC 9110 section 13)."""

    revisions: frozenset[int] | None = None
    """It is at one of these revisions (If-Match); None: at any."""
    unchanged_since: datetime | None = None
    """It has not changed since (If-Unmodified-Since, UTC). Where there are revisions, this does not count."""

    def require(self, stored: Stored) -> None:
        """Raises PreconditionFailed where it is not so."""
        if self.revisions is not None:
            unchanged = stored.revision in self.revisions
        else:
            unchanged = self.unchanged_since is None or stored.changed_at <= self.unchanged_since
        if not unchanged:
            raise PreconditionFailed(
                "revision_mismatch",
                f"The description is at revision {stored.revision} by now."
                " Read it again, then repeat the change.",
            )


NO_PRECONDITIONS = Preconditions()


async def all_descriptions(pool: Pool) -> list[PreferenceDescription]:
    """All of them, by section and in the order of showing."""
    return [_stored(row).description for row in await pool.fetch(query("preference_descriptions.all"))]


async def find(pool: Pool, id: int) -> Stored:
    """One description. Raises NotFound."""
    return await _find(pool, "find", id)


async def find_by_name(connection: Connection, section: str, key: str) -> PreferenceDescription:
    """The description of a section and key, in upper or lower case. Raises NotFound.

    Until the transaction ends, nobody changes what its values may be.
    """
    row = None
    if is_text(section) and is_text(key):  # else it belongs to nothing, and the database cannot compare it
        row = await connection.fetchrow(query("preference_descriptions.find_by_name"), section, key)
    if row is None:
        raise NotFound("preference_not_found", "There is no preference with this section and key.")
    return _stored(row).description


async def create(pool: Pool, document: DescriptionDocument, now: datetime) -> Stored:
    """A new description. Raises Conflict (``preference_exists``) if its section and key are taken."""
    row = await pool.fetchrow(query("preference_descriptions.create"), *_columns(document), now)
    if row is None:
        raise _taken()
    return _stored(row)


async def change(
    pool: Pool,
    id: int,
    patch: Callable[[Any], Any],
    now: datetime,
    preconditions: Preconditions = NO_PRECONDITIONS,
) -> Stored:
    """Change a description: ``patch`` makes of its JSON document another one.

    What is in effect for the synchronizations follows at once. Nothing is written where nothing differs.
    Raises NotFound, PreconditionFailed, what ``patch`` raises, Invalid for what no description may be and for
    what cannot be changed of this one, and Conflict (``preference_exists``) if section and key are taken.
    """

    async def work(connection: Connection) -> Stored:
        stored = await _find(connection, "find_to_change", id)
        preconditions.require(stored)
        before = stored.description
        after = read_patched(before, patch(msgspec.json.decode(_json(before))))
        if after == before:
            return stored
        await _require_allowed_values(connection, before, after)
        try:
            row = await connection.fetchrow(
                query("preference_descriptions.change"), *_columns(after), now, id
            )
        except asyncpg.UniqueViolationError:
            raise _taken() from None
        assert row is not None  # it is locked
        if _differences(before, after, EFFECTIVE):
            await spread(connection, now, description=id)
        return _stored(row)

    return await in_transaction(pool, work)


async def delete(pool: Pool, id: int, preconditions: Preconditions = NO_PRECONDITIONS) -> None:
    """Delete a description, with all values of it, at every level.

    Raises NotFound, PreconditionFailed, and Conflict (``builtin_preference``) for one of Rooster's own.
    """
    async with pool.acquire() as connection, connection.transaction():
        stored = await _find(connection, "find_to_change", id)
        preconditions.require(stored)
        if stored.description.is_builtin:
            raise Conflict(
                "builtin_preference",
                "This preference is built in, and cannot be deleted. Remove the values of it instead.",
            )
        # Nothing changes for the synchronizations: the push obeys none but those that are built in.
        await connection.execute(query("preference_descriptions.delete"), id)


async def _find(connection: Connection | Pool, how: str, id: int) -> Stored:
    known = 0 < id <= MAX_ID  # a larger one belongs to nothing, and the database cannot hold it
    row = await connection.fetchrow(query(f"preference_descriptions.{how}"), id) if known else None
    if row is None:
        raise NotFound(
            "preference_description_not_found", "There is no description of a preference with this id."
        )
    return _stored(row)


def _taken() -> Conflict:
    detail = "There is a preference with this section and key already."
    return Conflict("preference_exists", detail, (Problem(field="key", detail=detail),))


def _differences(
    before: PreferenceDescription, after: PreferenceDescription, of: tuple[str, ...]
) -> list[str]:
    return [field for field in of if getattr(before, field) != getattr(after, field)]


async def _require_allowed_values(
    connection: Connection, before: PreferenceDescription, after: PreferenceDescription
) -> None:
    """Raises Invalid if values are set that would not be allowed any more."""
    changed = _differences(before, after, VALUE_RULES)
    if not changed:
        return
    rows = await connection.fetch(query("preference_descriptions.values"), before.pref_desc_id)
    refused = [row["times"] for row in rows if check_value(after, msgspec.json.decode(row["value"]))]
    if refused:
        detail = f"It would not allow {sum(refused)} of the values that are set: change or remove them first."
        raise Invalid(
            "values_not_allowed",
            f"The description was refused and nothing was changed. {detail}",
            tuple(Problem(field=_encoded(field), detail=detail) for field in changed),
        )


def _encoded(name: str) -> str:
    fields = PreferenceDescription.__struct_fields__
    return PreferenceDescription.__struct_encode_fields__[fields.index(name)]


def _columns(document: DescriptionDocument) -> tuple[Any, ...]:
    """What is kept of a description, in the order of the queries' parameters."""
    return (
        document.section,
        document.key,
        _json(document.name),
        _json(document.description),
        document.value_type,
        document.min_value,
        document.max_value,
        None if document.allowed_values is None else _json(document.allowed_values),
        document.min_level,
        document.max_level,
        document.sys_max_level,
        _json(document.access_flags),
        document.sub_group,
        document.rank,
        None if document.default is None else _json(document.default),
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _stored(row: Any) -> Stored:
    description = PreferenceDescription(
        pref_desc_id=row["id"],
        section=row["section"],
        key=row["key"],
        name=msgspec.json.decode(row["name"]),
        description=msgspec.json.decode(row["description"]),
        value_type=row["value_type"],
        min_value=_number(row["min_value"]),
        max_value=_number(row["max_value"]),
        allowed_values=msgspec.json.decode(row["allowed_values"] or "null", type=tuple[Any, ...] | None),
        min_level=row["min_level"],
        max_level=row["max_level"],
        sys_max_level=row["sys_max_level"],
        access_flags=msgspec.json.decode(row["access_flags"], type=AccessFlags),
        sub_group=row["sub_group"],
        rank=row["rank"],
        default=msgspec.json.decode(row["default_value"] or "null"),
        is_builtin=row["is_builtin"],
    )
    return Stored(description, row["revision"], row["changed_at"])


def _number(bound: float | None) -> float | None:
    """A whole number without a point."""
    return int(bound) if bound is not None and bound.is_integer() else bound
