"""What a timetable does to a mailbox."""

from datetime import UTC, datetime, timedelta

import pytest

from app.provisioning.runs import start_sync
from providers.adapter import Quota
from providers.contract import Create, Delete, Gone, Refused, Throttled, Unknown, Update
from tests.fakes import DOWN, NO_ACCESS, Call
from tests.sync.world import World, event

ALICE = "alice@uni.example"
BOB = "bob@uni.example"


async def test_a_published_timetable_is_in_the_mailbox_and_in_the_ledger(world: World) -> None:
    events = [event("a"), event("b", title="Álgebra ∑"), event("c", location="Room 6")]
    await world.publish("alice", *events)
    id = await world.link("alice", ALICE)
    await world.work()
    await world.assert_true(ALICE, events)
    assert await world.status(id) == "OK"


async def test_every_event_carries_the_marker_of_its_ledger_row(world: World) -> None:
    await world.publish("alice", event("a"))
    id = await world.link("alice", ALICE)
    await world.work()
    (row,) = await world.ledger(ALICE)
    (pushed,) = world.pushed(ALICE)
    assert pushed.marker is not None
    assert (pushed.marker.instance, pushed.marker.synchronization) == ("uni.example", id)
    assert (pushed.marker.event, pushed.marker.attempt) == ("a", row["attempt"])


async def test_a_change_is_a_patch_of_that_event_alone(world: World) -> None:
    events = [event(f"e{n}") for n in range(30)]
    await world.publish("alice", *events)
    await world.link("alice", ALICE)
    await world.work()
    before = {e.id: e.version for e in world.pushed(ALICE)}
    world.mailbox(ALICE).change(world.pushed(ALICE)[3].id, notes="bring the book")
    before[world.pushed(ALICE)[3].id] = world.pushed(ALICE)[3].version
    world.adapter.calls.clear()

    events[3] = event("e3", location="Room 7")
    await world.publish("alice", *events)
    await world.work()

    assert [type(o) for call in world.adapter.calls for o in call.operations] == [Update]
    changed = [e for e in world.pushed(ALICE) if e.version != before[e.id]]
    assert [e.fields["location"] for e in changed] == ["Room 7"]
    assert changed[0].notes == "bring the book"
    await world.assert_true(ALICE, events)


async def test_a_resync_of_an_unchanged_timetable_asks_the_provider_nothing(world: World) -> None:
    await world.publish("alice", event("a"))
    id = await world.link("alice", ALICE)
    await world.work()
    synced = await world.pool.fetchval("SELECT last_resync FROM synchronizations WHERE id = $1", id)
    world.adapter.calls.clear()
    world.clock.advance(hours=8)
    await world.work()
    assert world.adapter.calls == []
    later = await world.pool.fetchval("SELECT last_resync FROM synchronizations WHERE id = $1", id)
    assert later - synced == timedelta(hours=8)


async def test_what_is_published_no_more_and_what_is_cancelled_goes(world: World) -> None:
    await world.publish("alice", event("a"), event("b"), event("c"))
    await world.link("alice", ALICE)
    await world.work()
    await world.publish("alice", event("a"), event("b", status="cancelled"))
    await world.work()
    await world.assert_true(ALICE, [event("a")])


async def test_an_event_that_comes_back_is_made_again(world: World) -> None:
    await world.publish("alice", event("a"))
    await world.link("alice", ALICE)
    await world.work()
    await world.publish("alice")
    await world.work()
    await world.publish("alice", event("a"))
    await world.work()
    await world.assert_true(ALICE, [event("a")])


async def test_deletions_go_first_and_then_what_begins_soonest(world: World) -> None:
    await world.publish("alice", event("old"), event("kept"))
    await world.link("alice", ALICE)
    await world.work()
    world.adapter.calls.clear()
    late = event("late", datetime(2026, 12, 1, 9, tzinfo=UTC))
    soon = event("soon", datetime(2026, 9, 2, 9, tzinfo=UTC))
    await world.publish("alice", late, soon, event("kept", title="New title"))
    await world.work()
    operations = [o for call in world.adapter.calls for o in call.operations]
    assert [type(o) for o in operations] == [Delete, Update, Create, Create]
    assert [o.event.uid for o in operations if isinstance(o, Create)] == ["soon", "late"]


async def test_the_ledger_says_what_will_be_done_before_the_provider_hears_of_it(world: World) -> None:
    seen = []

    async def look(call: Call) -> None:
        if call.operation == "apply":
            rows = await world.ledger(ALICE)
            seen.extend(row["attempt"] for row in rows if row["state"] == "creating" and row["sent_at"])
            assert {o.marker.attempt for o in call.operations if isinstance(o, Create)} <= set(seen)

    world.adapter.before = look
    await world.publish("alice", *[event(f"e{n}") for n in range(50)])
    await world.link("alice", ALICE)
    await world.work()
    assert len(seen) == 50


async def test_a_disabled_synchronization_writes_nothing_until_it_is_enabled(world: World) -> None:
    await world.publish("alice", event("a"))
    id = await world.link("alice", ALICE)
    await world.pool.execute("UPDATE synchronizations SET enabled = false, status = 'DISABLED'")
    await world.settle()
    assert world.pushed(ALICE) == []
    assert await world.status(id) == "DISABLED"
    await world.pool.execute("UPDATE synchronizations SET enabled = true")
    await world.pool.execute("UPDATE mailboxes SET due_at = $1", world.clock())
    await world.work()
    await world.assert_true(ALICE, [event("a")])


async def test_a_publication_during_a_run_is_not_missed(world: World) -> None:
    events = [event(f"e{n:02}") for n in range(30)]
    await world.publish("alice", *events)
    await world.link("alice", ALICE)
    later = [event("e00", title="Moved"), *events[1:], event("new")]

    async def publish_meanwhile(call: Call) -> None:
        if call.operation == "apply":
            world.adapter.before = None
            await world.publish("alice", *later)

    world.adapter.before = publish_meanwhile
    await world.work()
    await world.assert_true(ALICE, later)


async def test_a_refused_event_is_recorded_and_stops_nothing(world: World) -> None:
    world.adapter.fail("create", Refused(code="ErrorInvalidProperty", reason="The provider says no."))
    await world.publish("alice", *[event(f"e{n:02}") for n in range(25)])
    id = await world.link("alice", ALICE)
    await world.settle()
    assert await world.states(ALICE) == {"present": 24, "refused": 1}
    assert world.adapter.count("create") == 25
    assert await world.status(id) == "ERROR"
    assert "refuses 1 event" in str(await world.error(id))
    # It is tried again when it changes, and not before.
    refused = next(row["uid"] for row in await world.ledger(ALICE) if row["state"] == "refused")
    changed = [event(f"e{n:02}") for n in range(25) if f"e{n:02}" != refused]
    changed.append(event(refused, title="Better"))
    await world.publish("alice", *changed)
    await world.work()
    await world.assert_true(ALICE, changed)
    assert await world.status(id) == "OK"


async def test_an_event_refused_for_now_is_tried_again(world: World) -> None:
    refusal = Refused(code="ErrorTimeoutExpired", reason="Too busy with this one.", permanent=False)
    world.adapter.fail("create", refusal, times=2)
    await world.publish("alice", event("a"))
    id = await world.link("alice", ALICE)
    await world.work()
    assert await world.status(id) == "ERROR"
    await world.settle(hours=1)
    await world.assert_true(ALICE, [event("a")])
    assert await world.status(id) == "OK"


async def test_throttling_is_kept_to_the_second_by_all_workers(world: World) -> None:
    until = world.clock() + timedelta(minutes=7)
    world.adapter.fail("create", Throttled(until=until, scope="account"))
    await world.publish("alice", event("a"))
    await world.publish("bob", event("b"))
    alice = await world.link("alice", ALICE)
    await world.work()
    assert await world.status(alice) == "THROTTLED"
    await world.link("bob", BOB)
    await world.publish("alice", event("a", title="Changed meanwhile"))
    world.adapter.calls.clear()
    world.clock.set(until - timedelta(seconds=1))
    await world.work()
    assert world.adapter.calls == []
    world.clock.set(until)
    await world.work()
    await world.assert_true(ALICE, [event("a", title="Changed meanwhile")])
    await world.assert_true(BOB, [event("b")])


async def test_provisioning_does_not_ask_a_provider_that_asked_to_wait(world: World) -> None:
    until = world.clock() + timedelta(minutes=7)
    world.adapter.fail("create", Throttled(until=until, scope="account"))
    await world.publish("alice", event("a"))
    await world.link("alice", ALICE)
    await world.work()
    world.adapter.calls.clear()
    await world.publish("bob", event("b"))
    bob = await world.link("bob", BOB)
    await world.work()
    assert world.adapter.calls == []
    assert await world.status(bob) == "THROTTLED"
    await world.settle(hours=1)
    await world.assert_true(BOB, [event("b")])


@pytest.mark.parametrize("operation", ["probe", "find"])
async def test_a_read_that_is_throttled_makes_everybody_wait(world: World, operation: str) -> None:
    until = world.clock() + timedelta(minutes=7)
    await world.publish("alice", event("a"))
    if operation == "find":
        await world.link("alice", ALICE)
        world.adapter.fail("create", Unknown(code="lost", reason="No answer came."))
        await world.work()
        world.clock.advance(minutes=1)
    world.adapter.fail(operation, Throttled(until=until, scope="account"))
    if operation == "probe":
        await world.link("alice", ALICE)
    await world.work()
    world.adapter.calls.clear()
    await world.publish("bob", event("b"))
    await world.link("bob", BOB)
    world.clock.set(until - timedelta(seconds=1))
    await world.work()
    assert world.adapter.calls == []
    await world.settle(hours=1)
    await world.assert_true(ALICE, [event("a")])
    await world.assert_true(BOB, [event("b")])


async def test_a_bulk_sync_ends_though_one_of_its_mailboxes_turned_out_to_be_another(world: World) -> None:
    await world.publish("alice", event("a"))
    await world.link("alice", ALICE)
    world.adapter.down = DOWN
    await world.link("alice", "a.lice@uni.example")
    run = await start_sync(world.pool, world.clock)
    world.adapter.recover()
    await world.settle(hours=1)
    assert (await world.run_state(run))[0] == "done"


async def test_throttling_of_one_mailbox_leaves_the_others_alone(world: World) -> None:
    until = world.clock() + timedelta(minutes=7)
    world.adapter.fail("create", Throttled(until=until, scope="mailbox"), mailbox=ALICE)
    await world.publish("alice", event("a"))
    await world.publish("bob", event("b"))
    await world.link("alice", ALICE)
    await world.link("bob", BOB)
    await world.work()
    assert world.pushed(ALICE) == []
    await world.assert_true(BOB, [event("b")])


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (NO_ACCESS, "PERMISSION_DENIED"),
        (
            Gone(what="mailbox", code="ErrorNonExistentMailbox", reason="No such mailbox."),
            "MAILBOX_NOT_FOUND",
        ),
        (DOWN, "ERROR"),
    ],
)
async def test_the_status_tells_the_truth_and_recovers_by_itself(
    world: World, answer: Refused | Gone | Unknown, status: str
) -> None:
    await world.publish("alice", event("a"))
    id = await world.link("alice", ALICE)
    world.adapter.down = answer
    await world.work()
    assert await world.status(id) == status
    assert await world.error(id) == answer.reason
    world.adapter.recover()
    await world.settle(hours=2)
    assert await world.status(id) == "OK"
    assert await world.error(id) is None
    await world.assert_true(ALICE, [event("a")])


async def test_retries_wait_longer_each_time_and_are_bounded(world: World) -> None:
    await world.publish("alice", event("a"))
    await world.link("alice", ALICE)
    world.adapter.down = DOWN
    waits = []
    for _ in range(15):
        await world.work()
        due = await world.pool.fetchval("SELECT due_at FROM mailboxes")
        waits.append((due - world.clock()).total_seconds())
        world.clock.set(due)
    assert 0.75 <= waits[0] <= 5
    assert waits[4] > 2 * waits[0]
    assert all(600 <= wait <= 1200 for wait in waits[-3:])


async def test_refused_credentials_rest_the_account_instead_of_locking_it(world: World) -> None:
    refusal = Refused(code="401", reason="The password is wrong.", scope="account")
    await world.publish("alice", event("a"))
    await world.publish("bob", event("b"))
    alice, bob = await world.link("alice", ALICE), await world.link("bob", BOB)
    world.adapter.down = refusal
    await world.settle(hours=0.01)
    assert {await world.status(alice), await world.status(bob)} == {"ERROR"}
    # Two mailboxes, asked at once, after 10 and 20 seconds: and no more within 36 seconds.
    assert world.adapter.count("apply") <= 6
    world.adapter.recover()
    world.clock.advance(minutes=6)
    await world.settle(hours=1)
    await world.assert_true(ALICE, [event("a")])
    await world.assert_true(BOB, [event("b")])


async def test_refused_credentials_are_tried_less_and_less_often_until_they_are_right(world: World) -> None:
    await world.publish("alice", event("a"))
    id = await world.link("alice", ALICE)
    world.adapter.down = Refused(code="401", reason="The password is wrong.", scope="account")
    rests = []
    for _ in range(9):
        begun = world.clock()
        await world.work()
        world.clock.set(await world.pool.fetchval("SELECT due_at FROM mailboxes"))
        rests.append((world.clock() - begun).total_seconds())
    assert rests == [10, 20, 40, 80, 160, 320, 640, 900, 900]
    assert await world.error(id) == "The password is wrong."
    world.adapter.recover()
    await world.work()
    await world.assert_true(ALICE, [event("a")])


async def test_an_event_that_the_person_deleted_comes_back_when_it_changes(world: World) -> None:
    await world.publish("alice", event("a"))
    await world.link("alice", ALICE)
    await world.work()
    world.mailbox(ALICE).remove(world.pushed(ALICE)[0].id)
    await world.publish("alice", event("a", title="Changed"))
    await world.settle(hours=1)
    await world.assert_true(ALICE, [event("a", title="Changed")])


async def test_the_quota_of_a_mailbox_is_never_exceeded_in_any_period(world: World) -> None:
    world.adapter.quotas = (Quota(scope="mailbox", operations=60, seconds=60),)
    sent: list[datetime] = []

    async def note(call: Call) -> None:
        sent.extend(world.clock() for _ in call.operations)

    world.adapter.before = note
    events = [event(f"e{n:03}") for n in range(200)]
    await world.publish("alice", *events)
    await world.link("alice", ALICE)
    await world.settle(hours=1)
    await world.assert_true(ALICE, events)
    for begin in sent:
        assert sum(begin <= at < begin + timedelta(seconds=60) for at in sent) <= 60
    assert max(sent) - min(sent) < timedelta(minutes=6)


async def test_a_provider_that_was_down_at_provisioning_is_found_out_later(world: World) -> None:
    world.adapter.down = DOWN
    await world.publish("alice", event("a"))
    id = await world.link("alice", ALICE)
    assert await world.status(id) == "PENDING"
    await world.work()
    world.adapter.recover()
    await world.settle(hours=1)
    await world.assert_true(ALICE, [event("a")])


async def test_two_addresses_provisioned_blindly_turn_out_to_be_one_mailbox(world: World) -> None:
    await world.publish("alice", event("a"))
    first = await world.link("alice", ALICE)
    await world.work()
    world.adapter.down = DOWN
    second = await world.link("alice", "a.lice@uni.example")
    assert second != first
    world.adapter.recover()
    await world.settle(hours=1)
    current = await world.pool.fetch("SELECT id, address FROM synchronizations WHERE unlinked_at IS NULL")
    assert [(row["id"], row["address"]) for row in current] == [(first, "a.lice@uni.example")]
    assert world.uids(ALICE) == {"a": 1}


async def test_what_is_published_during_a_long_push_does_not_wait_for_its_end(world: World) -> None:
    events = [event(f"e{n:02}") for n in range(60)]
    await world.publish("alice", *events)
    await world.link("alice", ALICE)
    batches = []

    async def note(call: Call) -> None:
        if call.operation == "apply":
            batches.append(call.operations)
        if len(batches) == 2:
            world.adapter.before = None
            await world.publish("alice", *events[1:])

    world.adapter.before = note
    await world.work()
    third = [call.operations for call in world.adapter.calls if call.operation == "apply"][2]
    assert isinstance(third[0], Delete)
    await world.assert_true(ALICE, events[1:])
