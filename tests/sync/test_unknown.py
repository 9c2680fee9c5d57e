"""Answers that never came: nothing is lost, nothing is there twice."""

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from app.database.queries import query
from app.ledger import Lease, LeaseLost
from app.sync.run import Run
from app.sync.settle import LOOK_AGAIN
from providers.contract import Throttled, Unknown
from tests.fakes import DOWN, FakeAdapter
from tests.sync.world import World, event

ALICE = "alice@uni.example"
LOST = Unknown(code="connection_reset", reason="The connection was cut before the answer came.")
EVENTS = [event(f"e{n}") for n in range(5)]


@pytest.fixture(params=["like Exchange", "idempotent"])
def adapter(request: pytest.FixtureRequest) -> FakeAdapter:
    adapter = FakeAdapter("ews", idempotent_create=request.param == "idempotent")
    adapter.add_mailbox(ALICE)
    return adapter


async def test_a_create_that_was_done_is_not_done_again(world: World) -> None:
    world.adapter.fail("create", LOST, times=5, committed=True)
    await world.publish("alice", *EVENTS)
    id = await world.link("alice", ALICE)
    await world.settle()
    await world.assert_true(ALICE, EVENTS)
    assert world.adapter.count("create") == 5
    assert await world.status(id) == "OK"


async def test_a_create_that_is_found_later_has_no_version_to_rely_on(world: World) -> None:
    """The person may have put notes into it before it was found: a change of the text has to look first."""
    world.adapter.fail("create", LOST, times=5, committed=True)
    await world.publish("alice", *EVENTS)
    await world.link("alice", ALICE)
    await world.settle()
    assert [row["state"] for row in await world.ledger(ALICE)] == ["present"] * 5
    assert [row["remote_version"] for row in await world.ledger(ALICE)] == [None] * 5


async def test_a_create_that_was_not_done_is_done(world: World) -> None:
    world.adapter.fail("create", LOST, times=5)
    await world.publish("alice", *EVENTS)
    await world.link("alice", ALICE)
    await world.settle()
    await world.assert_true(ALICE, EVENTS)


async def test_nothing_is_sent_before_the_truth_is_found(world: World) -> None:
    world.adapter.fail("create", LOST, committed=True)
    world.adapter.fail("find", DOWN, times=3)
    await world.publish("alice", *EVENTS)
    await world.link("alice", ALICE)
    await world.work()
    await world.settle()
    after_loss = [call.operation for call in world.adapter.calls if call.operation != "probe"][1:]
    assert after_loss[:4] == ["find"] * 4
    await world.assert_true(ALICE, EVENTS)


async def test_a_create_that_arrives_late_does_not_stay_a_second_time(world: World) -> None:
    world.adapter.fail("create", LOST, times=5, late=True)
    await world.publish("alice", *EVENTS)
    await world.link("alice", ALICE)
    await world.settle(hours=LOOK_AGAIN.total_seconds() / 3600 / 2)
    world.adapter.deliver()
    await world.settle()
    await world.assert_true(ALICE, EVENTS)


@pytest.mark.parametrize("adapter", ["like Exchange"], indirect=True)
@pytest.mark.parametrize("dies", [False, True], ids=["worker lives", "worker dies"])
async def test_a_copy_of_a_create_that_arrived_late_stays(world: World, dies: bool) -> None:
    """The second event of ours goes, once; also if nobody could note that it went."""
    world.adapter.fail("create", LOST, late=True)
    await world.publish("alice", event("a"))
    await world.link("alice", ALICE)
    await world.settle(hours=LOOK_AGAIN.total_seconds() / 3600 / 2)
    (known,) = world.pushed(ALICE)
    world.adapter.deliver()
    (late,) = [e for e in world.pushed(ALICE) if e.id != known.id]
    copy = world.mailbox(ALICE).copy(late.id)
    if dies:
        world.adapter.fail("delete", asyncio.CancelledError(), committed=True)
        world.clock.advance(seconds=LOOK_AGAIN.total_seconds() * 1.1)
        await world.work()
        await world.pool.execute("UPDATE mailboxes SET lease_until = clock_timestamp() - interval '1 second'")
    await world.settle(hours=24)
    assert {e.id for e in world.pushed(ALICE)} == {known.id, copy.id}


async def test_an_update_that_was_done_or_not_ends_as_published(world: World) -> None:
    await world.publish("alice", *EVENTS)
    await world.link("alice", ALICE)
    await world.work()
    world.adapter.fail("update", LOST, committed=True)
    world.adapter.fail("update", LOST)
    changed = [event(e.uid, location="Room 9") for e in EVENTS]
    await world.publish("alice", *changed)
    await world.settle()
    await world.assert_true(ALICE, changed)
    # The one that was done is not done again, the other one is.
    assert world.adapter.count("update") == len(EVENTS) + 1


async def test_an_unlinking_goes_by_where_an_unanswered_update_has_moved_the_event(world: World) -> None:
    past, future = datetime(2026, 8, 20, 9, tzinfo=UTC), datetime(2026, 10, 20, 9, tzinfo=UTC)
    await world.publish("alice", event("a", past), event("b", future))
    id = await world.link("alice", ALICE)
    await world.work()
    world.adapter.fail("update", LOST, committed=True, times=2)
    await world.publish("alice", event("a", future), event("b", past))
    await world.work()
    await world.unlink("DELETE_FUTURE_EVENTS", id)
    await world.settle()
    assert world.uids(ALICE) == {"b": 1}


async def test_a_change_during_an_unknown_update_is_not_lost(world: World) -> None:
    await world.publish("alice", event("a"))
    await world.link("alice", ALICE)
    await world.work()
    world.adapter.fail("update", LOST, committed=True)
    await world.publish("alice", event("a", location="Room 9"))
    await world.work()
    # Back to what the ledger last knew for sure: the mailbox has it otherwise.
    await world.publish("alice", event("a"))
    await world.settle()
    await world.assert_true(ALICE, [event("a")])


async def test_a_delete_that_was_done_or_not_ends_as_published(world: World) -> None:
    await world.publish("alice", *EVENTS)
    await world.link("alice", ALICE)
    await world.work()
    world.adapter.fail("delete", LOST, committed=True)
    world.adapter.fail("delete", LOST)
    await world.publish("alice", EVENTS[0])
    await world.settle()
    await world.assert_true(ALICE, EVENTS[:1])


async def test_a_copy_that_the_person_made_is_not_taken_for_the_original(world: World) -> None:
    world.adapter.fail("create", LOST, committed=True)
    await world.publish("alice", event("a"))
    await world.link("alice", ALICE)
    await world.work()
    (original,) = world.pushed(ALICE)
    copy = world.mailbox(ALICE).copy(original.id)
    await world.settle()
    assert [row["remote_id"] for row in await world.ledger(ALICE)] == [original.id]
    await world.publish("alice")
    await world.settle()
    assert [e.id for e in world.pushed(ALICE)] == [copy.id]


@pytest.mark.parametrize("committed", [True, False])
async def test_a_worker_that_dies_in_a_call_is_replaced_when_its_lease_is_over(
    world: World, committed: bool
) -> None:
    world.adapter.fail("create", asyncio.CancelledError(), committed=committed)
    await world.publish("alice", *EVENTS)
    await world.link("alice", ALICE)
    await world.work()
    calls = len(world.adapter.calls)
    await world.work()
    assert len(world.adapter.calls) == calls, "the lease is still running"
    await world.pool.execute("UPDATE mailboxes SET lease_until = clock_timestamp() - interval '1 second'")
    await world.settle()
    await world.assert_true(ALICE, EVENTS)


async def test_a_worker_that_was_only_slow_does_not_write_any_more(world: World) -> None:
    """Its lease is over while it waits for the provider, and another one has taken the mailbox."""
    await world.publish("alice", *[event(f"e{n:02}") for n in range(60)])
    await world.link("alice", ALICE)
    release, slow_is_in = asyncio.Event(), asyncio.Event()

    async def hold(_: object) -> None:
        world.adapter.before = None
        slow_is_in.set()
        await release.wait()

    world.adapter.before = hold
    slow = asyncio.create_task(world.worker().run_until_idle())
    await slow_is_in.wait()
    await world.pool.execute("UPDATE mailboxes SET lease_until = clock_timestamp() - interval '1 second'")
    world.mailbox(ALICE).busy = False
    await world.settle(hours=1)
    await world.assert_true(ALICE, [event(f"e{n:02}") for n in range(60)])
    release.set()
    await slow
    await world.settle()
    await world.assert_true(ALICE, [event(f"e{n:02}") for n in range(60)])


async def test_a_worker_takes_no_mailbox_in_which_it_still_has_a_run(world: World) -> None:
    """Its lease is over, and nobody else has come: the old run is not to take the new lease for its own."""
    await world.publish("alice", *EVENTS)
    await world.link("alice", ALICE)
    worker = world.worker()
    entered, release = asyncio.Event(), asyncio.Event()

    async def hold(_: object) -> None:
        entered.set()
        await release.wait()

    world.adapter.before = hold
    first = asyncio.create_task(worker.run_until_idle())
    await entered.wait()
    await world.pool.execute("UPDATE mailboxes SET lease_until = clock_timestamp() - interval '1 second'")
    assert await worker._claim() == 0
    world.adapter.before = None
    release.set()
    await first
    await world.settle()
    await world.assert_true(ALICE, EVENTS)


async def test_a_worker_that_slept_past_its_lease_sends_nothing(world: World) -> None:
    """It was stopped after it had noted what to send: another one may have the mailbox by now."""
    await world.publish("alice", *EVENTS)
    await world.link("alice", ALICE)
    worker = world.worker()
    row = await world.pool.fetchrow(query("mailboxes.claim"), worker.id, "ews", 1, world.clock(), 60.0, [])
    assert row is not None
    holds = iter([True, False])
    run = Run(
        pool=world.pool,
        adapter=world.adapter,
        lease=Lease(
            owner=worker.id, mailbox_id=row["id"], **{key: value for key, value in row.items() if key != "id"}
        ),
        config=world.config,
        clock=world.clock,
        lease_holds=lambda: next(holds),
        stopping=lambda: False,
        random=Random(7),
    )
    world.adapter.calls.clear()
    with pytest.raises(LeaseLost):
        await run()
    assert world.adapter.calls == []
    assert all(entry["sent_at"] for entry in await world.ledger(ALICE))


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("then", ["it is not wanted any more", "it is wanted in another calendar"])
async def test_a_create_that_arrives_late_where_it_is_not_wanted_any_more_is_taken_out(
    world: World, idempotent: bool, then: str
) -> None:
    """Also where the provider would have known the attempt again: nobody sends that any more."""
    world.adapter.idempotent_create = idempotent
    await world.publish("alice", event("a"))
    id = await world.link("alice", ALICE)
    world.adapter.fail("create", LOST, late=True)
    await world.work()
    world.adapter.fail("create", Throttled(until=world.clock() + timedelta(minutes=1), scope="mailbox"))
    world.clock.advance(seconds=5)
    await world.work()
    wanted = []
    if then == "it is not wanted any more":
        await world.publish("alice")
    else:
        wanted.append(event("a"))
        await world.prefer(id, {"calendar.name": "Timetable"})
    world.clock.advance(minutes=2)
    await world.work()
    assert world.adapter.deliver() == 1
    await world.settle(hours=24)
    await world.assert_true(ALICE, wanted)
