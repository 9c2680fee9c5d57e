"""What unlinking takes out of a mailbox, and what it leaves (CONTRACT §4)."""

from datetime import UTC, datetime

import pytest

from app.database.queries import query
from providers.contract import Marker, Refused
from tests.fakes import DOWN, Call, FakeAdapter
from tests.sync.world import World, event

ALICE = "alice@uni.example"
BOB = "bob@uni.example"
PAST = event("past", datetime(2026, 8, 20, 9, tzinfo=UTC))
NOW = event("now", datetime(2026, 9, 1, 8, tzinfo=UTC))
FUTURE = event("future", datetime(2026, 9, 8, 9, tzinfo=UTC))
EVENTS = [PAST, NOW, FUTURE]


async def linked(world: World) -> int:
    """Alice's three events are in her mailbox, beside her own, another instance's, and a copy."""
    await world.publish("alice", *EVENTS)
    id = await world.link("alice", ALICE)
    await world.work()
    mailbox = world.mailbox(ALICE)
    mailbox.put(event("own", title="Dentist"))
    pushed = world.pushed(ALICE)
    assert pushed[0].marker is not None
    foreign = Marker(
        instance="other.example", synchronization=id, event="past", attempt=pushed[0].marker.attempt
    )
    mailbox.put(event("theirs", title="Pushed by another instance"), foreign)
    for original in pushed:
        mailbox.copy(original.id)
    return id


@pytest.mark.parametrize(
    ("mode", "left"),
    [
        ("UNLINK_ONLY", {"past", "now", "future"}),
        ("DELETE_FUTURE_EVENTS", {"past", "now"}),
        ("DELETE_ALL_EVENTS", set()),
        ("CLEANUP", set()),
    ],
)
async def test_each_mode_removes_exactly_what_it_says(world: World, mode: str, left: set[str]) -> None:
    id = await linked(world)
    ours = {row["remote_id"]: row["uid"] for row in await world.ledger(ALICE)}
    before = dict(world.mailbox(ALICE).events)
    versions = {key: e.version for key, e in before.items()}
    expected = [row for row in await world.pool.fetch(
        query("unlinks.preview"), mode, world.clock(), [id], None, None
    ) if row["remove"]]  # fmt: skip

    run = await world.unlink(mode, id)
    await world.settle()

    after = world.mailbox(ALICE).events
    removed = {ours[key] for key in set(before) - set(after) if key in ours}
    assert removed == {"past", "now", "future"} - left
    assert set(before) - set(after) <= set(ours)
    assert {key: e.version for key, e in after.items()} == {
        key: version for key, version in versions.items() if key in after
    }
    assert {row["uid"] for row in await world.ledger(ALICE)} == left
    assert await world.run_state(run) == ("done", len(removed))
    assert {row["uid"] for row in expected} == removed


async def test_the_moment_is_that_of_acceptance_however_late_the_run_is(world: World) -> None:
    id = await linked(world)
    world.adapter.down = DOWN
    run = await world.unlink("DELETE_FUTURE_EVENTS", id)
    await world.work()
    assert await world.run_state(run) == ("active", 0)
    world.clock.advance(days=30)
    world.adapter.recover()
    await world.settle()
    assert {row["uid"] for row in await world.ledger(ALICE)} == {"past", "now"}


async def test_the_start_as_last_pushed_decides(world: World) -> None:
    await world.publish("alice", FUTURE)
    id = await world.link("alice", ALICE)
    await world.work()
    # Published anew, and unlinked before it was pushed: the mailbox still has it in the future.
    await world.publish("alice", event("future", datetime(2026, 8, 1, 9, tzinfo=UTC)))
    await world.unlink("DELETE_FUTURE_EVENTS", id)
    await world.settle()
    assert world.pushed(ALICE) == []


async def test_cleanup_finds_what_an_earlier_unlink_only_left(world: World) -> None:
    first = await linked(world)
    await world.unlink("UNLINK_ONLY", first)
    await world.settle()
    await world.publish("alice", FUTURE)
    second = await world.link("alice", ALICE)
    await world.work()
    assert {row["uid"]: row["synchronization_id"] for row in await world.ledger(ALICE)} == {
        "past": first,
        "now": first,
        "future": second,
    }
    copies = 3
    await world.unlink("CLEANUP", username="alice")
    await world.settle()
    assert await world.ledger(ALICE) == []
    assert len(world.pushed(ALICE)) == copies


async def test_cleanup_without_a_current_synchronization_covers_the_former_ones(world: World) -> None:
    first = await linked(world)
    await world.unlink("UNLINK_ONLY", first)
    await world.settle()
    run = await world.unlink("CLEANUP", username="alice")
    await world.settle()
    assert await world.run_state(run) == ("done", 3)
    assert await world.ledger(ALICE) == []


async def test_linking_again_adopts_and_nothing_appears_twice(world: World) -> None:
    await world.publish("alice", *EVENTS)
    first = await world.link("alice", ALICE)
    await world.work()
    ids = {e.id for e in world.pushed(ALICE)}
    await world.unlink("UNLINK_ONLY", first)
    await world.settle()
    second = await world.link("alice", ALICE)
    assert second != first
    world.adapter.calls.clear()
    await world.settle()
    assert world.adapter.calls == []
    await world.assert_true(ALICE, EVENTS)
    assert {e.id for e in world.pushed(ALICE)} == ids
    assert {row["synchronization_id"] for row in await world.ledger(ALICE)} == {second}
    # They are the new one's now, for better or worse.
    await world.unlink("DELETE_ALL_EVENTS", second)
    await world.settle()
    assert world.pushed(ALICE) == []


async def test_linking_again_before_the_unlinking_is_done(world: World) -> None:
    await world.publish("alice", *EVENTS)
    first = await world.link("alice", ALICE)
    await world.work()
    run = await world.unlink("DELETE_ALL_EVENTS", first)
    await world.link("alice", ALICE)
    await world.settle()
    assert (await world.run_state(run))[0] == "done"
    await world.assert_true(ALICE, EVENTS)


async def test_another_users_events_in_the_same_mailbox_are_not_adopted(world: World) -> None:
    await world.publish("alice", FUTURE)
    first = await world.link("alice", ALICE)
    await world.work()
    await world.unlink("UNLINK_ONLY", first)
    await world.publish("bob", FUTURE)
    await world.link("bob", ALICE)
    await world.settle()
    assert world.uids(ALICE) == {"future": 2}


async def test_an_unlinking_during_a_push_takes_out_what_was_pushed(world: World) -> None:
    events = [event(f"e{n:02}") for n in range(60)]
    await world.publish("alice", *events)
    id = await world.link("alice", ALICE)
    runs = []

    async def unlink_meanwhile(call: Call) -> None:
        if call.operation == "apply":
            world.adapter.before = None
            runs.append(await world.unlink("DELETE_ALL_EVENTS", id))

    world.adapter.before = unlink_meanwhile
    await world.settle()
    assert world.pushed(ALICE) == []
    assert await world.ledger(ALICE) == []
    assert world.adapter.count("create") == world.adapter.batch
    assert await world.run_state(runs[0]) == ("done", world.adapter.batch)


async def test_unlink_only_during_a_push_leaves_what_is_there_and_adds_nothing(world: World) -> None:
    await world.publish("alice", *[event(f"e{n:02}") for n in range(60)])
    id = await world.link("alice", ALICE)

    async def unlink_meanwhile(call: Call) -> None:
        if call.operation == "apply":
            world.adapter.before = None
            await world.unlink("UNLINK_ONLY", id)

    world.adapter.before = unlink_meanwhile
    await world.settle()
    assert len(world.pushed(ALICE)) == world.adapter.batch
    assert await world.states(ALICE) == {"present": world.adapter.batch}


async def test_removals_that_were_planned_before_unlink_only_do_not_happen(world: World) -> None:
    await world.publish("alice", *EVENTS)
    id = await world.link("alice", ALICE)
    await world.work()
    world.adapter.down = DOWN
    await world.publish("alice")
    await world.work()
    await world.unlink("UNLINK_ONLY", id)
    world.adapter.recover()
    await world.settle()
    assert len(world.pushed(ALICE)) + world.adapter.count("delete") >= 3
    assert await world.states(ALICE) == {"present": len(world.pushed(ALICE))}


async def test_a_delete_that_the_provider_refuses_is_tried_until_it_is_done(world: World) -> None:
    id = await linked(world)
    world.adapter.fail("delete", Refused(code="ErrorCannotDeleteObject", reason="Not now."), times=4)
    run = await world.unlink("DELETE_ALL_EVENTS", id)
    await world.work()
    assert (await world.run_state(run))[0] == "active"
    await world.settle()
    assert await world.run_state(run) == ("done", 3)
    assert await world.ledger(ALICE) == []


async def test_an_event_that_the_person_had_deleted_already_is_no_obstacle(world: World) -> None:
    await world.publish("alice", *EVENTS)
    id = await world.link("alice", ALICE)
    await world.work()
    world.mailbox(ALICE).remove(world.pushed(ALICE)[0].id)
    run = await world.unlink("DELETE_ALL_EVENTS", id)
    await world.settle()
    assert (await world.run_state(run))[0] == "done"
    assert world.pushed(ALICE) == []


async def test_cleanup_of_a_shared_mailbox_takes_out_everything_and_the_other_comes_back(
    world: World,
) -> None:
    await world.publish("alice", event("a"))
    await world.publish("bob", event("b"))
    alice, _ = await world.link("alice", ALICE), await world.link("bob", ALICE)
    await world.settle()
    run = await world.unlink("CLEANUP", alice)
    await world.settle()
    assert await world.run_state(run) == ("done", 2)
    # Bob's synchronization is current, and keeps its promise.
    await world.assert_true(ALICE, [event("b")])


async def test_a_run_says_why_it_is_not_done(world: World) -> None:
    id = await linked(world)
    world.adapter.down = DOWN
    run = await world.unlink("DELETE_ALL_EVENTS", id)
    await world.work()
    reason = await world.pool.fetchval("SELECT last_error FROM runs WHERE id = $1", run)
    assert reason == DOWN.reason


async def test_an_unlinking_of_a_type_that_is_not_configured_any_more_waits_and_says_so(world: World) -> None:
    id = await linked(world)
    run = await world.unlink("DELETE_ALL_EVENTS", id)
    bob = await world.link("bob", BOB)
    google = FakeAdapter("googlecalendar")
    await world.worker(google).run_until_idle()
    assert await world.run_state(run) == ("active", 0)
    reason = await world.pool.fetchval("SELECT last_error FROM runs WHERE id = $1", run)
    assert "ews is not configured" in reason
    assert (await world.status(bob), await world.error(bob)) == ("ERROR", reason)
    # It is configured again.
    await world.settle()
    assert await world.run_state(run) == ("done", 3)
    assert (await world.status(bob), await world.error(bob)) == ("OK", None)
