"""Users: the people who can have a timetable and synchronizations (CONTRACT §4)."""

from collections.abc import AsyncIterator

import msgspec

from app.clock import Clock
from app.database.queries import query
from app.database.types import Connection, Pool
from app.errors import BadRequest, Conflict, NotFound
from app.preferences.effect import inherit
from app.provisioning.text import MAX_TEXT_LENGTH, is_text, is_username

__all__ = ["Attribute", "User", "create", "ensure", "find", "pages", "replace", "require"]


class Attribute(msgspec.Struct, frozen=True):
    """A named list of values, opaque to Rooster."""

    name: str
    values: tuple[str, ...]


class User(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A user as the frontend knows them. What was not given is null or empty."""

    username: str
    display_name: str | None = None
    locale: str | None = None
    attributes: tuple[Attribute, ...] = ()
    roles: tuple[str, ...] = ()


def not_found() -> NotFound:
    """There is no such user."""
    return NotFound("user_not_found", "There is no user with this username.")


async def require(connection: Connection, username: str) -> None:
    """Raises NotFound where there is no such user."""
    if not is_username(username) or not await connection.fetchval(query("users.exists"), username):
        raise not_found()


async def find(pool: Pool, username: str) -> User:
    """The user of this name. Raises NotFound."""
    row = await pool.fetchrow(query("users.find"), username) if is_username(username) else None
    if row is None:
        raise not_found()
    return User(
        username=row["username"],
        display_name=row["display_name"],
        locale=row["locale"],
        attributes=msgspec.json.decode(row["attributes"], type=tuple[Attribute, ...]),
        roles=tuple(row["roles"]),
    )


async def pages(pool: Pool, size: int) -> AsyncIterator[list[str]]:
    """All usernames in code point order, at most ``size`` at a time.

    No connection is kept between two pages, however slowly they are read.
    """
    last = ""
    while rows := await pool.fetch(query("users.page"), last, size):
        yield [row["username"] for row in rows]
        last = rows[-1]["username"]


async def create(pool: Pool, user: User, clock: Clock) -> None:
    """Raises Conflict if the name is taken, BadRequest if a text cannot be stored."""
    _check(user)
    if not await pool.fetchval(query("users.create"), *_row(user), clock()):
        raise Conflict("user_exists", "There is a user with this username already; PUT replaces it.")


async def replace(pool: Pool, user: User, clock: Clock) -> bool:
    """Make the user, or replace all that was known of them; True if new. Raises BadRequest.

    Timetable and synchronizations stay; what roles stand for in them follows.
    """
    _check(user)
    async with pool.acquire() as connection, connection.transaction():
        created = await connection.fetchval(query("users.replace"), *_row(user), clock())
        await inherit(connection, clock(), user.username)
        return bool(created)


async def ensure(pool: Pool, username: str, clock: Clock) -> None:
    """Make the user if there is none, else change nothing. Raises BadRequest."""
    _check(User(username=username))
    await pool.execute(query("users.ensure"), username, clock())


def _row(user: User) -> tuple[str, str | None, str | None, str, list[str]]:
    attributes = msgspec.json.encode(user.attributes).decode()
    return user.username, user.display_name, user.locale, attributes, list(user.roles)


def _check(user: User) -> None:
    if not is_username(user.username):
        raise BadRequest(
            "invalid_username",
            "A username has 1 to 255 characters, and no control characters among them.",
        )
    for field, texts in (
        ("displayName", (user.display_name or "",)),
        ("locale", (user.locale or "",)),
        ("attributes", tuple(t for a in user.attributes for t in (a.name, *a.values))),
        ("roles", user.roles),
    ):
        if not all(map(is_text, texts)):
            raise BadRequest(
                "invalid_user",
                f"{field}: at most {MAX_TEXT_LENGTH} characters, and no control characters among them.",
            )
