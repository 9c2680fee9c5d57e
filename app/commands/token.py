"""``rooster token create|list|revoke``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from app.commands.running import configuration, run
from app.database.connect import open_database
from app.database.migrate import check
from app.database.types import Connection
from app.tokens import ROLES, Role, Token, create_token, list_tokens, revoke_token


@click.group(name="token")
def command() -> None:
    """Create, list and revoke API tokens."""


@command.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    required=True,
    help="admin: everything. frontend: timetables, and syncing the user it acts for. reader: GET only.",
)
def create(name: str, role: Role) -> None:
    """Print a new token, once: only its hash is stored."""
    click.echo(run(_create(name, role)))


@command.command(name="list")
def list_() -> None:
    """List all tokens.

    A line each: name, role, and when it was made (UTC).
    """
    for token in run(_list()):
        click.echo(f"{token.name}\t{token.role}\t{token.created_at:%Y-%m-%d %H:%M}Z")


@command.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Make a token invalid, at once."""
    run(_revoke(name))
    click.echo(f"{name} is revoked")


@asynccontextmanager
async def _connection() -> AsyncIterator[Connection]:
    async with open_database(configuration(), max_size=1) as pool, pool.acquire() as connection:
        await check(connection)
        yield connection


async def _create(name: str, role: Role) -> str:
    async with _connection() as connection:
        return await create_token(connection, name, role)


async def _list() -> list[Token]:
    async with _connection() as connection:
        return await list_tokens(connection)


async def _revoke(name: str) -> None:
    async with _connection() as connection:
        await revoke_token(connection, name)
