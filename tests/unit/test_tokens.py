"""CONTRACT §1 and §3: tokens, of which only hashes are stored."""

import pytest

from app.database.types import Pool
from app.errors import Conflict, Invalid, NotFound
from app.tokens import create_token, find_token, list_tokens, revoke_token


async def test_a_token_is_found_with_its_name_and_role(pool: Pool) -> None:
    async with pool.acquire() as connection:
        token = await create_token(connection, "timetable frontend", "frontend")
        await create_token(connection, "monitoring", "reader")
        assert await find_token(connection, token) == ("timetable frontend", "frontend")
        assert [(found.name, found.role) for found in await list_tokens(connection)] == [
            ("monitoring", "reader"),
            ("timetable frontend", "frontend"),
        ]


async def test_the_token_itself_is_nowhere_in_the_database(pool: Pool) -> None:
    async with pool.acquire() as connection:
        token = await create_token(connection, "a", "admin")
        assert len(token) >= 43  # 256 bits in base64
        row = await connection.fetchval("SELECT api_tokens::text FROM api_tokens")
    assert token not in row
    assert token.encode().hex() not in row


@pytest.mark.parametrize("token", ["", "x", "\udcff", "' OR true --"])
async def test_anything_else_is_nobody(pool: Pool, token: str) -> None:
    async with pool.acquire() as connection:
        await create_token(connection, "a", "admin")
        assert await find_token(connection, token) is None


async def test_a_revoked_token_is_nobody_and_its_name_is_free(pool: Pool) -> None:
    async with pool.acquire() as connection:
        token = await create_token(connection, "a", "admin")
        await revoke_token(connection, "a")
        assert await find_token(connection, token) is None
        with pytest.raises(NotFound, match="There is no token named a"):
            await revoke_token(connection, "a")
        assert await create_token(connection, "a", "reader") != token


async def test_a_name_is_taken_once(pool: Pool) -> None:
    async with pool.acquire() as connection:
        token = await create_token(connection, "a", "admin")
        with pytest.raises(Conflict, match="There is a token named a already"):
            await create_token(connection, "a", "reader")
        assert await find_token(connection, token) == ("a", "admin")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101])
async def test_a_name_that_would_break_a_list_is_refused(pool: Pool, name: str) -> None:
    async with pool.acquire() as connection:
        with pytest.raises(Invalid):
            await create_token(connection, name, "admin")
