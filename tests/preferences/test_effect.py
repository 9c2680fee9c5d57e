"""What follows from a preference: which synchronizations it reaches, and whose mailboxes are visited."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from app.database.queries import query
from app.database.types import Connection, Pool
from app.preferences.document import Level
from app.preferences.effect import inherit, spread
from app.provisioning import users
from app.provisioning.provision import provision
from app.provisioning.users import User
from tests.clock import SettableClock
from tests.fakes import FakeAdapter

SHOW_AS = "presentation.showAs"
PEOPLE = "sync.people"


async def describe(connection: Connection, preference: str, **columns: Any) -> None:
    """As an administrator does: change a description."""
    section, key = preference.split(".")
    for column, value in columns.items():
        await connection.execute(
            f"UPDATE preference_descriptions SET {column} = $3 WHERE section = $1 AND key = $2",
            section,
            key,
            value,
        )


async def put(connection: Connection, level: Level, owner: str, preference: str, value: Any) -> None:
    """A value, without what follows from it."""
    await connection.execute(
        "INSERT INTO preference_values (description_id, level, owner, value)"
        " SELECT id, $1, $2, $4 FROM preference_descriptions WHERE section || '.' || key = $3"
        " ON CONFLICT (level, owner, description_id) DO UPDATE SET value = excluded.value",
        level,
        owner,
        preference,
        msgspec.json.encode(value).decode(),
    )


async def effective(pool: Pool | Connection, synchronization: int) -> Mapping[str, Any]:
    """The preferences in effect, as the database works them out."""
    found = await pool.fetchval("SELECT effective_preferences($1)::text", synchronization)
    return msgspec.json.decode(found)


async def kept(pool: Pool) -> dict[int, Mapping[str, Any]]:
    """The preferences that each synchronization is kept with."""
    rows = await pool.fetch("SELECT id, preferences::text FROM synchronizations ORDER BY id")
    return {row["id"]: msgspec.json.decode(row["preferences"]) for row in rows}


@pytest.fixture
def adapters() -> dict[str, FakeAdapter]:
    return {type: FakeAdapter(type) for type in ("ews", "o365")}


class Campus:
    """People with mailboxes, and what they are visited for."""

    def __init__(self, pool: Pool, clock: SettableClock, adapters: dict[str, FakeAdapter]) -> None:
        self.pool, self.clock, self.adapters = pool, clock, adapters

    async def user(self, username: str, *roles: str) -> None:
        await users.replace(self.pool, User(username=username, roles=roles), self.clock)

    async def link(self, username: str, type: str = "ews") -> int:
        address = f"{username}@uni.example"
        if self.adapters[type].mailbox(address) is None:
            self.adapters[type].add_mailbox(address)
        made = await provision(
            self.pool,
            self.adapters,
            self.clock,
            username=username,
            type=type,
            address=address,
            probe_seconds=5,
        )
        return made.id

    async def rest(self) -> None:
        """Nothing is due any more."""
        await self.pool.execute("UPDATE mailboxes SET due_at = NULL")

    async def woken(self) -> set[int]:
        """The synchronizations whose mailbox is due."""
        rows = await self.pool.fetch(
            "SELECT s.id FROM synchronizations AS s JOIN mailboxes AS m ON m.id = s.mailbox_id"
            " WHERE m.due_at IS NOT NULL"
        )
        return {row["id"] for row in rows}

    async def set(self, level: Level, owner: str, preference: str, value: Any) -> int:
        """A value, with what follows from it."""
        async with self.pool.acquire() as connection, connection.transaction():
            await put(connection, level, owner, preference, value)
            return await spread(connection, self.clock(), level=level, owner=owner)


@pytest.fixture
def campus(pool: Pool, clock: SettableClock, adapters: dict[str, FakeAdapter]) -> Campus:
    return Campus(pool, clock, adapters)


@pytest.fixture
async def ids(campus: Campus) -> dict[str, int]:
    """Alice, a tutor and a student, has two mailboxes; Bob, a student, has one, and so has Carol."""
    await campus.user("alice", "ROLE_TUTOR", "ROLE_STUDENT")
    await campus.user("bob", "ROLE_STUDENT")
    await campus.user("carol")
    made = {
        "alice": await campus.link("alice"),
        "alice o365": await campus.link("alice", "o365"),
        "bob": await campus.link("bob"),
        "carol": await campus.link("carol"),
    }
    await campus.rest()
    return made


class TestWhatCounts:
    async def test_without_values_nothing(self, pool: Pool, ids: dict[str, int]) -> None:
        assert await effective(pool, ids["alice"]) == {}

    async def test_the_closest_level(self, pool: Pool, ids: dict[str, int]) -> None:
        alice = ids["alice"]
        steps: list[tuple[Level, str]] = [
            ("installation", "default"),
            ("type", "ews"),
            ("role", "ROLE_STUDENT"),
            ("user", "alice"),
            ("synchronization", str(alice)),
        ]
        async with pool.acquire() as connection:
            for number, (level, owner) in enumerate(steps):
                await put(connection, level, owner, "selection.daysBack", number)
                assert await effective(connection, alice) == {"selection.daysBack": number}
        assert await effective(pool, ids["alice o365"]) == {"selection.daysBack": 3}
        assert await effective(pool, ids["bob"]) == {"selection.daysBack": 2}
        assert await effective(pool, ids["carol"]) == {"selection.daysBack": 1}

    async def test_of_several_roles_the_first_that_has_a_value(self, pool: Pool, ids: dict[str, int]) -> None:
        async with pool.acquire() as connection:
            await put(connection, "role", "ROLE_STUDENT", SHOW_AS, "busy")
            await put(connection, "role", "ROLE_STUDENT", PEOPLE, "respect")
            await put(connection, "role", "ROLE_TUTOR", SHOW_AS, "free")
        assert await effective(pool, ids["alice"]) == {SHOW_AS: "free", PEOPLE: "respect"}
        assert await effective(pool, ids["bob"]) == {SHOW_AS: "busy", PEOPLE: "respect"}

    async def test_no_value_closer_than_max_level_or_farther_than_min_level(
        self, pool: Pool, ids: dict[str, int]
    ) -> None:
        async with pool.acquire() as connection:
            await put(connection, "installation", "default", SHOW_AS, "busy")
            await put(connection, "role", "ROLE_STUDENT", SHOW_AS, "tentative")
            await put(connection, "user", "bob", SHOW_AS, "free")
            await describe(connection, SHOW_AS, max_level="role")
            assert await effective(connection, ids["bob"]) == {SHOW_AS: "tentative"}
            await describe(connection, SHOW_AS, min_level="type")
            assert await effective(connection, ids["carol"]) == {}

    async def test_a_default_where_nothing_is_set(self, pool: Pool, ids: dict[str, int]) -> None:
        async with pool.acquire() as connection:
            await describe(connection, PEOPLE, default_value='"respect"')
            await put(connection, "user", "bob", PEOPLE, "report")
        assert await effective(pool, ids["bob"]) == {PEOPLE: "report"}
        assert await effective(pool, ids["carol"]) == {PEOPLE: "respect"}

    async def test_null_is_as_if_nothing_were_set_any_farther(self, pool: Pool, ids: dict[str, int]) -> None:
        async with pool.acquire() as connection:
            await describe(connection, PEOPLE, default_value='"respect"')
            await put(connection, "installation", "default", SHOW_AS, "free")
            for preference in (PEOPLE, SHOW_AS):
                await put(connection, "user", "bob", preference, None)
        assert await effective(pool, ids["bob"]) == {}
        assert await effective(pool, ids["carol"]) == {SHOW_AS: "free", PEOPLE: "respect"}

    async def test_what_is_not_built_in_is_nothing_to_the_push(self, pool: Pool, ids: dict[str, int]) -> None:
        async with pool.acquire() as connection:
            await connection.execute(
                "INSERT INTO preference_descriptions (section, key, name, value_type)"
                """ VALUES ('portal', 'theme', '{"en": "Theme"}', 'text')"""
            )
            await put(connection, "user", "bob", "portal.theme", "dark")
        assert await effective(pool, ids["bob"]) == {}


class TestSpreading:
    @pytest.mark.parametrize(
        ("level", "owner", "reached"),
        [
            ("installation", "default", {"alice", "alice o365", "bob", "carol"}),
            ("type", "ews", {"alice", "bob", "carol"}),
            ("role", "ROLE_TUTOR", {"alice", "alice o365"}),
            ("user", "alice", {"alice", "alice o365"}),
            ("synchronization", "{alice o365}", {"alice o365"}),
            ("role", "ROLE_NOBODY", set()),
        ],
    )
    async def test_reaches_whom_it_concerns_and_wakes_their_mailboxes(
        self,
        campus: Campus,
        pool: Pool,
        ids: dict[str, int],
        level: Level,
        owner: str,
        reached: set[str],
    ) -> None:
        expected = {ids[name] for name in reached}
        assert await campus.set(level, owner.format(**ids), SHOW_AS, "free") == len(reached)
        assert {id for id, preferences in (await kept(pool)).items() if preferences} == expected
        assert all(p in ({}, {SHOW_AS: "free"}) for p in (await kept(pool)).values())
        assert await campus.woken() == expected

    async def test_wakes_nobody_for_whom_nothing_differs(self, campus: Campus, ids: dict[str, int]) -> None:
        await campus.set("user", "bob", SHOW_AS, "free")
        await campus.rest()
        assert await campus.set("installation", "default", SHOW_AS, "free") == 3
        assert await campus.woken() == set(ids.values()) - {ids["bob"]}
        await campus.rest()
        assert await campus.set("installation", "default", SHOW_AS, "free") == 0
        assert await campus.woken() == set()

    async def test_keeps_one_that_is_switched_off_and_wakes_it_not(
        self, campus: Campus, pool: Pool, ids: dict[str, int]
    ) -> None:
        await pool.execute("UPDATE synchronizations SET enabled = false WHERE id = $1", ids["bob"])
        assert await campus.set("user", "bob", SHOW_AS, "free") == 1
        assert (await kept(pool))[ids["bob"]] == {SHOW_AS: "free"}
        assert await campus.woken() == set()

    async def test_leaves_unlinked_ones_alone(self, campus: Campus, pool: Pool, ids: dict[str, int]) -> None:
        await pool.execute("UPDATE synchronizations SET unlinked_at = now() WHERE id = $1", ids["bob"])
        assert await campus.set("user", "bob", SHOW_AS, "free") == 0
        assert (await kept(pool))[ids["bob"]] == {}

    async def test_of_a_description(self, campus: Campus, pool: Pool, ids: dict[str, int]) -> None:
        await campus.set("installation", "default", SHOW_AS, "tentative")
        await campus.set("user", "bob", SHOW_AS, "free")
        await campus.rest()
        async with pool.acquire() as connection, connection.transaction():
            await describe(connection, SHOW_AS, max_level="role")
            id = await connection.fetchval("SELECT id FROM preference_descriptions WHERE key = 'showAs'")
            assert await spread(connection, campus.clock(), description=id) == 1
        assert (await kept(pool))[ids["bob"]] == {SHOW_AS: "tentative"}
        assert await campus.woken() == {ids["bob"]}

    async def test_a_rolled_back_change_reaches_nobody(
        self, campus: Campus, pool: Pool, ids: dict[str, int]
    ) -> None:
        async with pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await put(connection, "user", "bob", SHOW_AS, "free")
            assert await spread(connection, campus.clock(), level="user", owner="bob") == 1
            await transaction.rollback()
        assert (await kept(pool))[ids["bob"]] == {}
        assert await campus.woken() == set()


class TestACampus:
    async def test_a_change_for_5000_is_a_handful_of_statements_and_takes_seconds(
        self, campus: Campus, pool: Pool
    ) -> None:
        await pool.execute(
            """
            INSERT INTO users (username, roles)
            SELECT 'user' || n, ARRAY['ROLE_STUDENT', 'ROLE_FACULTY_' || n % 10]
            FROM generate_series(1, 5000) AS n;
            INSERT INTO mailboxes (type, address, identity, due_at)
            SELECT 'ews', 'user' || n || '@uni.example', 'id' || n, NULL FROM generate_series(1, 5000) AS n;
            INSERT INTO synchronizations (username, type, mailbox_id, address)
            SELECT 'user' || id, type, id, address FROM mailboxes;
            INSERT INTO preference_values (description_id, level, owner, value)
            SELECT id, 'role', 'ROLE_FACULTY_' || n, to_jsonb(n)
            FROM preference_descriptions, generate_series(0, 9) AS n WHERE value_type = 'number';
            INSERT INTO preference_values (description_id, level, owner, value)
            SELECT id, 'user', 'user' || n, '"busy"'
            FROM preference_descriptions, generate_series(1, 5000, 5) AS n WHERE key = 'showAs'
            """
        )
        statements: list[str] = []
        async with pool.acquire() as connection, asyncio.timeout(30):
            connection.add_query_logger(lambda record: statements.append(record.query))
            async with connection.transaction():
                await put(connection, "installation", "default", SHOW_AS, "free")
                assert await spread(connection, campus.clock(), level="installation", owner="default") == 5000
        assert len(statements) < 50
        assert len(await campus.woken()) == 5000
        shown = await pool.fetch("SELECT preferences ->> $1 AS show_as FROM synchronizations", SHOW_AS)
        assert Counter(row["show_as"] for row in shown) == {"free": 4000, "busy": 1000}


class TestPeople:
    async def test_a_new_synchronization_has_what_is_in_effect(self, campus: Campus, pool: Pool) -> None:
        await campus.user("dave", "ROLE_STUDENT")
        async with pool.acquire() as connection:
            await put(connection, "role", "ROLE_STUDENT", SHOW_AS, "free")
        id = await campus.link("dave")
        assert (await kept(pool))[id] == {SHOW_AS: "free"}

    async def test_new_roles(self, campus: Campus, pool: Pool, ids: dict[str, int]) -> None:
        await campus.set("role", "ROLE_TUTOR", SHOW_AS, "free")
        await campus.set("role", "ROLE_STUDENT", SHOW_AS, "tentative")
        await campus.rest()
        await campus.user("alice", "ROLE_STUDENT", "ROLE_TUTOR")
        await campus.user("bob", "ROLE_STUDENT")
        found = await kept(pool)
        assert [found[ids[name]][SHOW_AS] for name in ("alice", "alice o365", "bob")] == ["tentative"] * 3
        assert await campus.woken() == {ids["alice"], ids["alice o365"]}

    async def test_what_was_set_for_a_user_goes_with_them(self, pool: Pool, ids: dict[str, int]) -> None:
        async with pool.acquire() as connection:
            await put(connection, "user", "bob", SHOW_AS, "free")
            await connection.execute(query("users.delete"), "bob")
        assert await pool.fetchval("SELECT count(*) FROM preference_values") == 0


class TestAtOnce:
    async def test_two_changes_are_both_in_effect(
        self, campus: Campus, pool: Pool, ids: dict[str, int]
    ) -> None:
        """Of two who change what is set, neither sees the other's change before it is committed."""
        async with pool.acquire() as one, pool.acquire() as other:
            first, second = one.transaction(), other.transaction()
            await first.start()
            await second.start()
            await put(one, "installation", "default", SHOW_AS, "free")
            await put(other, "user", "bob", PEOPLE, "report")
            await spread(one, campus.clock(), level="installation", owner="default")
            waiting = asyncio.create_task(spread(other, campus.clock(), level="user", owner="bob"))
            await blocked(pool)
            await first.commit()
            await waiting
            await second.commit()
        assert (await kept(pool))[ids["bob"]] == {SHOW_AS: "free", PEOPLE: "report"}

    async def test_a_change_while_somebody_gets_a_synchronization(
        self, campus: Campus, pool: Pool, ids: dict[str, int]
    ) -> None:
        async with pool.acquire() as one:
            transaction = one.transaction()
            await transaction.start()
            await inherit(one, campus.clock(), "carol")
            changing = asyncio.create_task(campus.set("installation", "default", SHOW_AS, "free"))
            await blocked(pool)
            await add_synchronization(one, ids["carol"])
            await transaction.commit()
        assert await changing == 5
        assert all(p == {SHOW_AS: "free"} for p in (await kept(pool)).values())

    async def test_new_roles_while_somebody_gets_a_synchronization(
        self, campus: Campus, pool: Pool, ids: dict[str, int]
    ) -> None:
        await campus.set("role", "ROLE_STUDENT", SHOW_AS, "free")
        async with pool.acquire() as one:
            transaction = one.transaction()
            await transaction.start()
            assert await one.fetchval(query("users.hold"), "carol")
            await inherit(one, campus.clock(), "carol")
            changing = asyncio.create_task(campus.user("carol", "ROLE_STUDENT"))
            await blocked(pool)
            id = await add_synchronization(one, ids["carol"])
            await transaction.commit()
        await changing
        assert (await kept(pool))[id] == {SHOW_AS: "free"}


async def add_synchronization(connection: Connection, like: int) -> int:
    """Another synchronization of the same person; gives its id."""
    id: int = await connection.fetchval(
        "INSERT INTO synchronizations (username, type, mailbox_id, address)"
        " SELECT username, type, mailbox_id, address FROM synchronizations WHERE id = $1 RETURNING id",
        like,
    )
    return id


async def blocked(pool: Pool) -> None:
    """Until somebody waits for a lock in this database."""
    async with asyncio.timeout(60):
        while not await pool.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock')"
        ):
            await asyncio.sleep(0.01)
