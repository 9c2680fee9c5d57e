"""Reading a mailbox back: complete or nothing, and what differs from the ledger, by kind."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from app.database.types import Pool
from app.provisioning.refresh import ask_for_refresh
from app.sync.mirror import Drift
from providers.contract import Gone, Marker, Refused, Throttled, Unknown
from providers.marker import event_identity
from tests.fakes import DOWN, NO_ACCESS, Call
from tests.sync.world import INSTANCE, World, event

ALICE = "alice@uni.example"
EVENTS = [event(f"e{n}") for n in range(5)]


@pytest.fixture
async def id(world: World) -> int:
    """Alice's synchronization, up to date; what people do is only reported."""
    world.let_people("report")
    await world.publish("alice", *EVENTS)
    id = await world.link("alice", ALICE)
    await world.work()
    return id


def remote(world: World, uid: str) -> str:
    return next(e.id for e in world.pushed(ALICE) if e.marker and e.marker.event == uid)


def marker(world: World, uid: str) -> Marker:
    found = world.mailbox(ALICE).events[remote(world, uid)].marker
    assert found is not None
    return found


async def mirror(world: World) -> list[str]:
    rows = await world.pool.fetch(
        "SELECT remote_id FROM mirror JOIN readings ON id = reading_id"
        " WHERE completed_at IS NOT NULL ORDER BY position"
    )
    return [row["remote_id"] for row in rows]


async def test_a_mailbox_that_is_as_it_was_left_has_no_drift(world: World, id: int) -> None:
    found = await world.refresh(id)
    assert found == Drift(events=5)
    assert await mirror(world) == [e.id for e in world.pushed(ALICE)]
    await world.assert_true(ALICE, EVENTS)


async def test_what_the_person_added_is_no_drift(world: World, id: int) -> None:
    held = world.mailbox(ALICE)
    held.put(event("dentist", title="Dentist"))
    held.change(remote(world, "e0"), notes="Bring the book.")
    held.change(remote(world, "e1"), categories=("Mine",))
    assert await world.refresh(id) == Drift(events=5)


async def test_each_kind_of_drift_is_counted(world: World, id: int) -> None:
    held = world.mailbox(ALICE)
    held.remove(remote(world, "e0"))
    held.change(remote(world, "e1"), location="Elsewhere")
    held.change(remote(world, "e2"), start=EVENTS[2].start + timedelta(hours=1))
    held.copy(remote(world, "e3"))
    another = msgspec.structs.replace(marker(world, "e4"), attempt=_uuid(1))
    held.put(EVENTS[4], another)
    held.put(event("stranger"), Marker(instance=INSTANCE, synchronization=999, event="x", attempt=_uuid(2)))
    held.put(event("other"), Marker(instance="other", synchronization=1, event="x", attempt=_uuid(3)))
    found = await world.refresh(id)
    assert found == Drift(events=7, missing=1, changed=2, copied=1, duplicate=1, foreign=1)
    assert found.total == 6


async def test_a_copy_of_what_the_ledger_does_not_know_is_a_copy(world: World, id: int) -> None:
    held = world.mailbox(ALICE)
    unknown = held.put(event("x"), Marker(instance=INSTANCE, synchronization=9, event="x", attempt=_uuid(1)))
    held.copy(unknown.id)
    assert await world.refresh(id) == Drift(events=7, foreign=1, copied=1)


async def test_two_strangers_for_one_event_are_a_duplicate(world: World, id: int) -> None:
    for n in range(2):
        marker = Marker(instance=INSTANCE, synchronization=9, event="x", attempt=_uuid(n))
        world.mailbox(ALICE).put(event("x"), marker)
    assert await world.refresh(id) == Drift(events=7, foreign=1, duplicate=1)


@pytest.mark.parametrize("synchronization", [0, 2**63, 10**30])
async def test_an_id_that_cannot_be_one_is_not_believed(world: World, id: int, synchronization: int) -> None:
    marker = Marker(instance=INSTANCE, synchronization=synchronization, event="x", attempt=_uuid(1))
    world.mailbox(ALICE).put(event("x"), marker)
    assert await world.refresh(id) == Drift(events=6, foreign=1)


async def test_long_uids_are_known_by_their_identity(world: World, pool: Pool) -> None:
    for uid in ("a" * 255, "a" * 256, "ü" * 300, "a" * 499):
        assert await pool.fetchval("SELECT event_identity($1)", uid) == event_identity(uid)


@pytest.mark.parametrize(
    "answer", [DOWN, NO_ACCESS, Gone(what="mailbox", code="gone", reason="There is no such mailbox.")]
)
async def test_a_failed_read_changes_nothing(world: World, id: int, answer: Gone | Refused | Unknown) -> None:
    await world.refresh(id)
    before = await mirror(world)
    ledger = await world.ledger()
    world.let_people("restore")
    world.adapter.fail("list", answer)
    run = await ask_for_refresh(world.pool, world.clock, id)
    await world.work()
    assert await mirror(world) == before
    assert await world.ledger() == ledger
    row = await world.pool.fetchrow("SELECT state, drift, last_error FROM runs WHERE id = $1", run)
    assert row is not None
    # Where somebody has to do something first, nobody need wait for it.
    assert row["state"] == ("active" if answer is DOWN else "failed")
    assert (row["drift"], row["last_error"]) == (None, answer.reason)


async def test_a_read_that_breaks_off_half_way_changes_nothing(world: World, id: int) -> None:
    """Not even where it had come far enough to be stored."""
    world.let_people("restore")
    world.adapter.list_fails_after = 3
    run = await ask_for_refresh(world.pool, world.clock, id)
    await world.work()
    assert await world.run_state(run) == ("active", 0)
    assert await world.pool.fetchval("SELECT count(*) FROM readings") == 0
    await world.assert_true(ALICE, EVENTS)


async def test_it_is_tried_again_until_it_is_done(world: World, id: int) -> None:
    world.adapter.fail("list", DOWN, times=2)
    world.adapter.fail("list", Throttled(until=world.clock() + timedelta(minutes=9), scope="mailbox"))
    run = await ask_for_refresh(world.pool, world.clock, id)
    await world.settle(hours=1)
    assert await world.run_state(run) == ("done", 0)
    assert world.adapter.count("list") == 4


async def test_one_reading_answers_all_who_ask(world: World, id: int) -> None:
    runs = [await ask_for_refresh(world.pool, world.clock, id) for _ in range(3)]
    await world.work()
    assert {await world.run_state(run) for run in runs} == {("done", 0)}
    assert world.adapter.count("list") == 1


async def test_whoever_asks_during_a_reading_gets_one_of_their_own(world: World, id: int) -> None:
    """Theirs begins after they have asked: what they have just changed in the mailbox is seen."""
    runs: list[int] = []

    async def ask_once(call: Call) -> None:
        if call.operation == "list" and not runs:
            runs.append(await ask_for_refresh(world.pool, world.clock, id))

    world.adapter.before = ask_once
    first = await ask_for_refresh(world.pool, world.clock, id)
    await world.work()
    assert await world.run_state(first) == await world.run_state(runs[0]) == ("done", 0)
    assert world.adapter.count("list") == 2


async def test_it_is_read_before_anything_is_written_because_of_it(world: World, id: int) -> None:
    """A mailbox without anything to do costs one reading and nothing else."""
    world.adapter.calls.clear()
    await world.refresh(id)
    assert [call.operation for call in world.adapter.calls] == ["list"]


async def test_a_disabled_synchronization_is_read_and_not_written(world: World, id: int) -> None:
    world.let_people("restore")
    await world.pool.execute("UPDATE synchronizations SET enabled = false, status = 'DISABLED'")
    world.mailbox(ALICE).remove(remote(world, "e0"))
    assert await world.refresh(id) == Drift(events=4, missing=1)
    assert len(world.pushed(ALICE)) == 4


async def test_a_refresh_follows_its_mailbox_when_that_turns_out_to_be_another(world: World) -> None:
    world.adapter.fail("probe", DOWN)
    await world.publish("alice", *EVENTS)
    first = await world.link("alice", ALICE)
    await world.publish("bob", *EVENTS)
    world.adapter.fail("probe", DOWN)
    second = await world.link("bob", "a.lice@uni.example")
    runs = [await ask_for_refresh(world.pool, world.clock, id) for id in (first, second)]
    await world.settle()
    assert {await world.run_state(run) for run in runs} == {("done", 0)}


def _uuid(n: int) -> UUID:
    return UUID(int=n + 1)
