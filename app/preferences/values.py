"""Values of preferences: what is set where, and what of that is in effect for a person.

Whose values they are depends on the level: those of the installation belong to ``default``, those of a type
to its name (``ews``), those of a role to the role as users have it, those of a user to the username, and
those of a synchronization to its id.
"""

from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from app.config import Providers
from app.database.queries import query
from app.database.transactions import in_transaction
from app.database.types import Connection, Pool
from app.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from app.preferences import descriptions
from app.preferences.checks import check_value
from app.preferences.document import LEVELS, Access, Level, PreferenceDescription, closer
from app.preferences.effect import INSTALLATION, spread
from app.provisioning import synchronizations, users
from app.provisioning.text import is_text, is_username
from app.tokens import Role

__all__ = [
    "Effective",
    "EffectiveInSynchronization",
    "Owner",
    "Value",
    "all_of",
    "effective",
    "find",
    "put",
    "remove",
    "synchronization_id",
]

TYPES = tuple(field.encode_name for field in msgspec.structs.fields(Providers))
"""The types of synchronization that can be configured."""

OWNERS = {
    "installation": f"At the level of the installation, the one owner is {INSTALLATION}.",
    "type": f"There is no such type of synchronization. There are: {', '.join(TYPES)}.",
    "role": "No user can have a role of that name.",
}
"""Which owners there can be, where there is no such one."""


class Owner(NamedTuple):
    """Whose value it is."""

    level: Level
    name: str


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """What is set of a preference, for one owner.

    A value of null is one too: as if nothing were set at the levels farther from the person.
    """

    level: Level
    owner: str
    section: str
    key: str
    value: Any


class EffectiveInSynchronization(msgspec.Struct, frozen=True, kw_only=True):
    """What is in effect in one synchronization."""

    synchronization: int
    type: str
    value: Any
    level: Level | Literal["default"]
    owner: str | None


class Effective(msgspec.Struct, frozen=True, kw_only=True):
    """What is in effect of a preference for a user, and the level and owner that it comes from.

    ``level`` is "default" and ``owner`` null where none is set.
    """

    section: str
    key: str
    value: Any
    level: Level | Literal["default"]
    owner: str | None
    synchronizations: list[EffectiveInSynchronization]
    """The user's synchronizations for which it is another value, or comes from somewhere else."""


async def find(pool: Pool, role: Role, owner: Owner, section: str, key: str) -> Value:
    """What is set. Raises NotFound where nothing is that the role may read, and for an unknown owner."""
    async with pool.acquire() as connection:
        await _require_owner(connection, owner)
        if not (is_text(section) and is_text(key)):
            raise _not_set()
        row = await connection.fetchrow(query("preferences.find"), *owner, section, key, role)
    if row is None:
        raise _not_set()
    return _value(row)


async def all_of(pool: Pool, role: Role, owner: Owner) -> list[Value]:
    """All that is set for an owner, of what the role may read. Raises NotFound for an unknown owner."""
    async with pool.acquire() as connection:
        await _require_owner(connection, owner)
        return [_value(row) for row in await connection.fetch(query("preferences.all"), *owner, role)]


async def put(
    pool: Pool, role: Role, owner: Owner, section: str, key: str, value: Any, now: datetime
) -> tuple[Value, bool]:
    """Set a preference, with all that follows; gives what is set now, and whether nothing was.

    Raises NotFound (owner, preference), Forbidden, Conflict (``level_not_allowed``) and Invalid
    (``invalid_value``).
    """

    async def work(connection: Connection) -> tuple[Value, bool]:
        await _require_owner(connection, owner, hold=True)
        description = await _writable(connection, role, section, key)
        _require_level(description, owner.level)
        done = Value(
            level=owner.level,
            owner=owner.name,
            section=description.section,
            key=description.key,
            value=_checked(description, value),
        )
        stored = msgspec.json.encode(done.value).decode()
        id = description.pref_desc_id
        created = await connection.fetchval(query("preferences.put"), id, *owner, stored)
        await spread(connection, now, level=owner.level, owner=owner.name, description=id)
        return done, bool(created)

    return await in_transaction(pool, work)


async def remove(pool: Pool, role: Role, owner: Owner, section: str, key: str, now: datetime) -> None:
    """Take away what is set, with all that follows. Raises NotFound where nothing is, and Forbidden."""

    async def work(connection: Connection) -> None:
        await _require_owner(connection, owner)
        id = (await _writable(connection, role, section, key)).pref_desc_id
        if not await connection.fetchval(query("preferences.remove"), id, *owner):
            raise _not_set()
        await spread(connection, now, level=owner.level, owner=owner.name, description=id)

    await in_transaction(pool, work)


async def effective(pool: Pool, role: Role, username: str) -> list[Effective]:
    """What is in effect for a user, of every preference that the role may read. Raises NotFound."""
    async with pool.acquire() as connection:
        await users.require(connection, username)
        rows = await connection.fetch(query("preferences.effective"), username, role)
    found: list[Effective] = []
    for row in rows:
        where = {
            "value": msgspec.json.decode(row["value"]),
            "level": row["level"] or "default",
            "owner": row["owner"],
        }
        if row["synchronization"] is None:
            found.append(Effective(section=row["section"], key=row["key"], synchronizations=[], **where))
        elif any(getattr(found[-1], name) != value for name, value in where.items()):
            found[-1].synchronizations.append(
                EffectiveInSynchronization(synchronization=row["synchronization"], type=row["type"], **where)
            )
    return found


def synchronization_id(owner: str) -> int:
    """The id by which a synchronization owns values, written in one way only. Raises NotFound."""
    if not (owner.isascii() and owner.isdigit() and len(owner) < 20 and owner == str(int(owner))):
        raise synchronizations.not_found()
    return int(owner)


async def _require_owner(connection: Connection, owner: Owner, *, hold: bool = False) -> None:
    """Raises NotFound where there is no such owner. With ``hold``, a user stays as they are for now."""
    level, name = owner
    match level:
        case "installation":
            known = name == INSTALLATION
        case "type":
            known = name in TYPES
        case "role":
            known = name != "" and is_text(name)
        case "user":
            how = "users.hold" if hold else "users.exists"
            known = is_username(name) and bool(await connection.fetchval(query(how), name))
            if not known:
                raise users.not_found()
        case "synchronization":
            known = bool(await synchronizations.find(connection, synchronization_id(name)))
        case _:
            raise NotFound("level_not_found", f"There is no such level. There are: {', '.join(LEVELS)}.")
    if not known:
        raise NotFound("owner_not_found", OWNERS[level])


async def _writable(connection: Connection, role: Role, section: str, key: str) -> PreferenceDescription:
    """The description of a preference that the role may set. Raises NotFound and Forbidden."""
    if not (is_text(section) and is_text(key)):
        raise NotFound("preference_not_found", "There is no preference with this section and key.")
    description = await descriptions.find_by_name(connection, section, key)
    allowed: tuple[Access, ...] = getattr(description.access_flags, role)
    if "write" not in allowed:
        raise Forbidden("forbidden", f"By its description, a token with the role {role} may not set this.")
    return description


def _require_level(description: PreferenceDescription, level: Level) -> None:
    if closer(description.min_level, level) or closer(level, description.max_level):
        raise Conflict(
            "level_not_allowed",
            f"This preference is not set at the level {level}: by its description, from"
            f" {description.min_level} (minLevel) to {description.max_level} (maxLevel).",
        )


def _checked(description: PreferenceDescription, value: Any) -> Any:
    """The value, a whole number without a point. null is allowed of every preference."""
    if value is None:
        return None
    if detail := check_value(description, value):
        raise Invalid("invalid_value", f"value: {detail}", (Problem(field="value", detail=detail),))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _not_set() -> NotFound:
    return NotFound(
        "value_not_set", "There is no preference with this section and key, or nothing is set of it here."
    )


def _value(row: Any) -> Value:
    return Value(**{**row, "value": msgspec.json.decode(row["value"])})
