"""Rebuilding the ledger from the markers, after the database was restored from an old backup."""

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest

from app.database.types import Pool
from app.sync.audit import audit_mailbox
from app.sync.claim import MailboxBusy
from app.sync.rebuild import Rebuilt, rebuild_mailbox
from providers.contract import Event, Marker, ProviderError
from tests.clock import SettableClock
from tests.fakes import DOWN, FakeAdapter, FakeEvent
from tests.sync.world import INSTANCE, World, event

ALICE = "alice@uni.example"
EVENTS = [event(f"e{n}") for n in range(5)]


async def back_up(world: World) -> None:
    """Keep the database as it is now, ids included."""
    tables = await world.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    await world.pool.execute("DROP SCHEMA IF EXISTS backup CASCADE; CREATE SCHEMA backup")
    for row in tables:
        name = row["tablename"]
        await world.pool.execute(f'CREATE TABLE backup."{name}" AS TABLE public."{name}"')
    await world.pool.execute(
        "CREATE TABLE backup._sequences AS"
        " SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"
    )


async def restore(world: World) -> None:
    """Make the database what it was at the backup. No worker had a mailbox then."""
    tables = [
        row["tablename"]
        for row in await world.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    ]
    async with world.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
        for name in tables:
            columns = await connection.fetchval(
                "SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns"
                " WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER'",
                name,
            )
            await connection.execute(
                f'INSERT INTO public."{name}" ({columns}) OVERRIDING SYSTEM VALUE'
                f' SELECT {columns} FROM backup."{name}"'
            )
        await connection.execute(
            "SELECT setval(format('public.%I', sequencename)::regclass, coalesce(last_value, 1),"
            " last_value IS NOT NULL) FROM backup._sequences"
        )


async def rebuild(world: World) -> Rebuilt:
    """Rebuild all mailboxes."""
    rebuilt = Counter[str]()
    for row in await world.pool.fetch("SELECT id FROM mailboxes ORDER BY id"):
        found = await rebuild_mailbox(world.pool, world.adapter, world.config, world.clock, row["id"], 0)
        rebuilt.update({"corrected": found.corrected, "adopted": found.adopted, "extra": found.extra})
    return Rebuilt(corrected=rebuilt["corrected"], adopted=rebuilt["adopted"], extra=rebuilt["extra"])


async def kinds(world: World) -> Counter[str]:
    """What an audit of the first mailbox finds."""
    id = await world.pool.fetchval("SELECT min(id) FROM mailboxes")
    audit = await audit_mailbox(world.pool, world.adapter, world.config, world.clock, id, 0)
    return Counter(difference.kind for difference in audit.differences)


def remote(world: World, uid: str) -> FakeEvent:
    return next(e for e in world.pushed(ALICE) if e.marker and e.marker.event == uid)


def put(world: World, uid: str, synchronization: int, attempt: int, **fields: Any) -> FakeEvent:
    """An event with our marker, that nobody but the mailbox knows."""
    marker = Marker(instance=INSTANCE, synchronization=synchronization, event=uid, attempt=UUID(int=attempt))
    return world.mailbox(ALICE).put(event(uid, **fields), marker)


@pytest.fixture
async def id(world: World) -> int:
    await world.publish("alice", *EVENTS)
    id = await world.link("alice", ALICE)
    await world.work()
    return id


async def test_nothing_to_rebuild_is_nothing_done(world: World, id: int) -> None:
    before = await world.ledger()
    versions = [e.version for e in world.pushed(ALICE)]
    assert await rebuild(world) == Rebuilt(corrected=0, adopted=0, extra=0)
    assert await world.ledger() == before
    await world.settle()
    assert [e.version for e in world.pushed(ALICE)] == versions


async def test_events_pushed_since_the_backup_are_adopted(world: World) -> None:
    await world.publish("alice")
    await world.link("alice", ALICE)
    await world.work()
    await back_up(world)
    await world.publish("alice", *EVENTS)
    await world.work()
    ids = [e.id for e in world.pushed(ALICE)]
    await restore(world)
    assert await rebuild(world) == Rebuilt(corrected=0, adopted=5, extra=0)
    await world.publish("alice", *EVENTS)
    await world.settle()
    assert [e.id for e in world.pushed(ALICE)] == ids
    await world.assert_true(ALICE, EVENTS)


async def test_an_event_created_anew_since_the_backup_is_the_one(world: World, id: int) -> None:
    await back_up(world)
    world.mailbox(ALICE).remove(remote(world, "e0").id)
    await world.publish("alice", event("e0", title="New"), *EVENTS[1:])
    await world.work()
    ids = {e.id for e in world.pushed(ALICE)}
    await restore(world)
    assert await kinds(world) == {"missing": 1, "foreign": 1}
    assert await rebuild(world) == Rebuilt(corrected=1, adopted=0, extra=0)
    await world.settle()
    assert {e.id for e in world.pushed(ALICE)} == ids
    await world.assert_true(ALICE, EVENTS)


async def test_what_was_changed_since_the_backup_is_as_published(world: World, id: int) -> None:
    """The ledger's content is old: without a rebuild, only what differs from that would be written."""
    await back_up(world)
    await world.publish("alice", *(event(e.uid, title="Later", location="Room 9") for e in EVENTS))
    await world.work()
    await restore(world)
    await rebuild(world)
    wanted = [event(e.uid, title="Newest") for e in EVENTS]
    await world.publish("alice", *wanted)
    await world.settle()
    await world.assert_true(ALICE, wanted)


async def test_what_was_deleted_since_the_backup_is_made_again_if_it_is_wanted(world: World, id: int) -> None:
    await back_up(world)
    await world.publish("alice", *EVENTS[3:])
    await world.work()
    await restore(world)
    await rebuild(world)
    await world.settle()
    await world.assert_true(ALICE, EVENTS)


async def test_workers_that_were_quicker_leave_nothing_twice(world: World) -> None:
    """They have pushed all of it a second time before somebody thought of a rebuild."""
    await world.publish("alice")
    await world.link("alice", ALICE)
    await world.work()
    await back_up(world)
    await world.publish("alice", *EVENTS)
    await world.work()
    await restore(world)
    await world.publish("alice", *EVENTS)
    await world.work()
    assert len(world.pushed(ALICE)) == 10
    assert await kinds(world) == {"duplicate": 5}
    assert await rebuild(world) == Rebuilt(corrected=0, adopted=0, extra=5)
    await world.settle()
    await world.assert_true(ALICE, EVENTS)


async def test_copies_are_never_adopted(world: World, id: int) -> None:
    await back_up(world)
    await world.publish("alice", *EVENTS, event("new"))
    await world.work()
    copies = [world.mailbox(ALICE).copy(remote(world, uid).id) for uid in ("e0", "new")]
    await restore(world)
    assert await rebuild(world) == Rebuilt(corrected=0, adopted=1, extra=0)
    await world.publish("alice", *EVENTS)
    await world.settle()
    assert {e.id for e in world.pushed(ALICE)} >= {made.id for made in copies}
    assert world.uids(ALICE) == {**dict.fromkeys((e.uid for e in EVENTS), 1), "e0": 2, "new": 1}


async def test_other_instances_events_are_never_adopted(world: World, id: int) -> None:
    marker = Marker(instance="other", synchronization=id, event="e0", attempt=UUID(int=1))
    theirs = world.mailbox(ALICE).put(event("e0"), marker)
    assert await rebuild(world) == Rebuilt(corrected=0, adopted=0, extra=0)
    await world.unlink("CLEANUP", id)
    await world.settle()
    assert list(world.mailbox(ALICE).events) == [theirs.id]


async def test_an_event_goes_to_the_synchronization_of_its_marker(world: World, id: int) -> None:
    """And then, as that does not want it, it goes from the mailbox."""
    put(world, "x", id, 1)
    assert await rebuild(world) == Rebuilt(corrected=0, adopted=1, extra=0)
    assert {row["synchronization_id"] for row in await world.ledger() if row["uid"] == "x"} == {id}
    await world.settle()
    await world.assert_true(ALICE, EVENTS)


async def test_an_event_of_an_unknown_synchronization_goes_to_one_that_wants_it(
    world: World, id: int
) -> None:
    """Another user's here: alice's timetable does not have it."""
    await world.publish("bob", event("b"))
    await world.pool.execute("UPDATE mailboxes SET due_at = NULL")
    bob = await world.link("bob", ALICE)
    found = put(world, "b", 999, 1)
    assert await rebuild(world) == Rebuilt(corrected=0, adopted=1, extra=0)
    await world.settle()
    rows = [row for row in await world.ledger() if row["uid"] == "b"]
    assert [(row["synchronization_id"], row["remote_id"]) for row in rows] == [(bob, found.id)]
    assert world.uids(ALICE)["b"] == 1


async def test_an_event_that_nobody_wants_is_left_for_a_cleanup(world: World, id: int) -> None:
    found = put(world, "x", 999, 1)
    await rebuild(world)
    await world.settle()
    assert found.id in world.mailbox(ALICE).events
    assert await kinds(world) == {}
    # It is no synchronization's in any list.
    listed = await world.pool.fetch("SELECT id FROM current_synchronizations")
    assert [row["id"] for row in listed] == [id]
    await world.unlink("DELETE_ALL_EVENTS", id)
    await world.settle()
    assert list(world.mailbox(ALICE).events) == [found.id]
    await world.unlink("CLEANUP", username="alice")
    await world.settle()
    assert world.mailbox(ALICE).events == {}


async def test_it_is_left_under_the_latest_former_synchronization_if_there_is_one(
    world: World, id: int
) -> None:
    await world.unlink("UNLINK_ONLY", id)
    put(world, "x", 999, 1)
    await rebuild(world)
    assert {row["synchronization_id"] for row in await world.ledger()} == {id}
    assert await world.pool.fetchval("SELECT count(*) FROM synchronizations") == 1


async def test_a_former_synchronizations_event_goes_to_its_users_current_one_that_wants_it(
    world: World, id: int
) -> None:
    await world.unlink("DELETE_ALL_EVENTS", id)
    await world.settle()
    again = await world.link("alice", ALICE)
    found = put(world, "e0", id, 1)
    await rebuild(world)
    await world.settle()
    await world.assert_true(ALICE, EVENTS)
    rows = {row["remote_id"]: row["synchronization_id"] for row in await world.ledger()}
    assert rows[found.id] == again


async def test_of_several_for_one_event_one_stays(world: World, id: int) -> None:
    for n in range(3):
        put(world, "x", id, n + 1, title=f"Made {n}")
    assert await rebuild(world) == Rebuilt(corrected=0, adopted=1, extra=2)
    wanted = [*EVENTS, event("x")]
    await world.publish("alice", *wanted)
    await world.settle()
    await world.assert_true(ALICE, wanted)


async def test_ids_that_markers_name_are_not_given_out_again(world: World, id: int) -> None:
    put(world, "x", 41, 1)
    put(world, "y", 2**62, 2)
    await rebuild(world)
    assert 41 < await world.link("bob", "bob@uni.example") < 50


async def test_an_answer_that_never_came_before_the_backup_is_found(world: World) -> None:
    world.adapter.fail("create", DOWN, times=None, committed=True)
    await world.publish("alice", *EVENTS)
    await world.link("alice", ALICE)
    await world.work()
    await back_up(world)
    world.adapter.recover()
    await world.settle()
    ids = [e.id for e in world.pushed(ALICE)]
    await restore(world)
    await rebuild(world)
    await world.settle()
    assert [e.id for e in world.pushed(ALICE)] == ids
    await world.assert_true(ALICE, EVENTS)


async def test_long_uids_are_found_by_their_identity(world: World) -> None:
    wanted = [event("a" * 300), event("ü" * 400)]
    await world.publish("alice", *wanted)
    await world.link("alice", ALICE)
    await back_up(world)
    await world.work()
    ids = [e.id for e in world.pushed(ALICE)]
    await restore(world)
    assert await rebuild(world) == Rebuilt(corrected=0, adopted=2, extra=0)
    await world.settle()
    assert [e.id for e in world.pushed(ALICE)] == ids


async def test_a_failed_read_changes_nothing(world: World, id: int) -> None:
    world.mailbox(ALICE).remove(remote(world, "e0").id)
    before = await world.ledger()
    world.adapter.list_fails_after = 2
    with pytest.raises(ProviderError):
        await rebuild(world)
    assert await world.ledger() == before


async def test_a_mailbox_that_a_worker_has_is_waited_for_and_not_for_ever(world: World, id: int) -> None:
    mailbox_id = await world.pool.fetchval("SELECT mailbox_id FROM synchronizations")
    await world.pool.execute(
        "UPDATE mailboxes SET owner = gen_random_uuid(), lease_until = now() + interval '1 hour'"
    )
    with pytest.raises(MailboxBusy):
        await rebuild_mailbox(world.pool, world.adapter, world.config, world.clock, mailbox_id, 0)


async def test_an_audit_changes_nothing_and_gives_the_mailbox_back(world: World, id: int) -> None:
    world.mailbox(ALICE).remove(remote(world, "e0").id)
    world.mailbox(ALICE).change(remote(world, "e1").id, location="My room")
    before = await world.ledger()
    due = await world.pool.fetchval("SELECT due_at FROM mailboxes")
    world.adapter.calls.clear()
    for _ in range(2):
        assert await kinds(world) == {"missing": 1, "changed": 1}
    assert await world.ledger() == before
    assert [call.operation for call in world.adapter.calls] == ["calendars", "list"] * 2
    assert await world.pool.fetchval("SELECT due_at FROM mailboxes WHERE owner IS NULL") == due


# At random: whatever was done before and after the backup.

USERS = ("alice", "bob")
UIDS = ("a", "b", "c", "d", "e")
START = datetime(2026, 9, 1, 8, tzinfo=UTC)


@dataclass
class Model:
    """What is published, and who is linked; as a backup keeps it."""

    published: dict[str, dict[str, Event]] = field(default_factory=lambda: {user: {} for user in USERS})
    links: dict[str, int] = field(default_factory=dict)


class Life:
    """Publishing, linking, unlinking, working and people, at random, in one mailbox."""

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.random = random
        self.model = Model()
        self.copies: dict[str, int] = {}

    async def step(self) -> None:
        random = self.random
        user = random.choice(USERS)
        match random.randrange(8):
            case 0 | 1 | 2:
                await self.publish(user)
            case 3:
                self.model.links[user] = await self.world.link(user, ALICE)
            case 4 if user in self.model.links:
                modes = ("UNLINK_ONLY", "DELETE_FUTURE_EVENTS", "DELETE_ALL_EVENTS", "CLEANUP")
                await self.world.unlink(random.choice(modes), self.model.links.pop(user))
            case 5:
                self.copy()
            case _:
                await self.world.work()

    async def publish(self, user: str) -> None:
        made = [
            event(
                uid,
                START + timedelta(days=self.random.randint(-20, 20)),
                title=f"{self.random.random()}",
            )
            for uid in UIDS
            if self.random.random() < 0.6
        ]
        await self.world.publish(user, *made)
        self.model.published[user] = {e.uid: e for e in made}

    def copy(self) -> None:
        ours = [e for e in self.world.pushed(ALICE) if e.id not in self.copies]
        if ours:
            made = self.world.mailbox(ALICE).copy(self.random.choice(ours).id)
            self.copies[made.id] = made.version


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_was_done_since_the_backup_nothing_is_twice(
    pool: Pool, clock: SettableClock, seed: int
) -> None:
    random = Random(seed)
    adapter = FakeAdapter("ews", batch=3, idempotent_create=bool(seed % 2))
    adapter.add_mailbox(ALICE)
    world = World(pool, clock, adapter)
    life = Life(world, random)
    # Of a mailbox that the backup does not know, nobody can tell that there is anything to rebuild.
    life.model.links["alice"] = await world.link("alice", ALICE)
    for _ in range(random.randint(3, 12)):
        await life.step()
    await world.work()
    await back_up(world)
    kept = copy.deepcopy(life.model)
    for _ in range(random.randint(3, 12)):
        await life.step()
    await world.work()
    await restore(world)
    life.model = kept
    copies = {e.id: e.version for e in copied(world.pushed(ALICE), life.copies)}
    await rebuild(world)
    await world.settle(hours=30)
    for user in USERS:
        if random.random() < 0.5:
            await life.publish(user)
    await world.settle(hours=30)

    rows = await world.ledger()
    known = {row["remote_id"] for row in rows}
    held = {e.id: e for e in world.pushed(ALICE) if e.id in known or e.id not in life.copies}
    assert known == set(held)
    assert not known & set(copies)
    assert {row["state"] for row in rows} <= {"present"}
    for user, id in life.model.links.items():
        mine = {row["uid"]: held[row["remote_id"]].event for row in rows if row["synchronization_id"] == id}
        assert mine == life.model.published[user]
    assert {id: world.mailbox(ALICE).events[id].version for id in copies} == copies


def copied(events: Sequence[FakeEvent], copies: dict[str, int]) -> list[FakeEvent]:
    """The copies whose original is there: of one that is alone, nobody can tell that it is one."""
    originals = {e.marker.attempt for e in events if e.marker and e.id not in copies}
    return [e for e in events if e.id in copies and e.marker and e.marker.attempt in originals]
