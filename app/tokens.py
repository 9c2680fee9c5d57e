"""API tokens: who may call the API, and as what. Only hashes of tokens are stored."""

import secrets
from datetime import datetime
from hashlib import sha256
from typing import Literal, NamedTuple, get_args

from app.database.queries import query
from app.database.types import Connection
from app.errors import Conflict, Invalid, NotFound

__all__ = ["ROLES", "Role", "Token", "create_token", "find_token", "list_tokens", "revoke_token"]

Role = Literal["admin", "frontend", "reader"]
ROLES: tuple[Role, ...] = get_args(Role)

TOKEN_BYTES = 32
"""256 random bits: nothing to guess, so a plain SHA-256 is as good as a slow hash."""

MAX_NAME_LENGTH = 100


class Token(NamedTuple):
    """What is known of a token; the token itself is not."""

    name: str
    role: Role
    created_at: datetime


async def create_token(connection: Connection, name: str, role: Role) -> str:
    """A new token of this name: letters, digits, ``-`` and ``_``. It cannot be had a second time.

    Raises Invalid for an empty, overlong or unprintable name, Conflict if the name is taken.
    """
    if not name.strip() or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        raise Invalid(
            "invalid_token_name", f"A token's name has 1 to {MAX_NAME_LENGTH} characters, all printable."
        )
    token = secrets.token_urlsafe(TOKEN_BYTES)
    if await connection.fetchval(query("tokens.create"), name, role, _hash(token)) is None:
        raise Conflict(
            "token_exists", f"There is a token named {name} already. Revoke it first or choose another name."
        )
    return token


async def find_token(connection: Connection, token: str) -> tuple[str, Role] | None:
    """The name and role of a valid token, or None."""
    row = await connection.fetchrow(query("tokens.find"), _hash(token))
    return None if row is None else (row["name"], row["role"])


async def list_tokens(connection: Connection) -> list[Token]:
    """All tokens by name."""
    return [Token(*row) for row in await connection.fetch(query("tokens.list"))]


async def revoke_token(connection: Connection, name: str) -> None:
    """The token is invalid from now on. Raises NotFound if there is none of this name."""
    if await connection.fetchval(query("tokens.revoke"), name) is None:
        raise NotFound("token_not_found", f"There is no token named {name}. See: rooster token list")


def _hash(token: str) -> bytes:
    # What a caller sends may hold lone surrogates, which have no UTF-8.
    return sha256(token.encode(errors="surrogatepass")).digest()
