"""Events that move to another calendar: with all that is in them, never nowhere, and never twice."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from app.sync.rebuild import rebuild_mailbox
from app.sync.settle import LOOK_AGAIN
from app.sync.wake import wake_mailboxes
from providers.contract import Event, Move, Outcome, Refused, Throttled, Unknown
from tests.fakes import DOWN, Call, FakeAdapter
from tests.sync.test_rebuild import back_up, restore
from tests.sync.world import World, event

ALICE = "alice@uni.example"
OWN = {"calendar.name": "Timetable"}
LOST = Unknown(code="connection_reset", reason="The connection was cut before the answer came.")
REFUSED = Refused(code="no", reason="The provider does not move it.")
BUSY = Refused(code="busy", reason="Not now.", permanent=False)
EVENTS = [event(f"e{n}") for n in range(3)]
NOTES = "Bring my own chair"

KINDS: dict[str, dict[str, Any]] = {
    "like Exchange": {},
    "like Google": {"idempotent_create": True},
    "like Graph": {"moves_by_copying": True},
}
DYING = [LOST, asyncio.CancelledError()]


@pytest.fixture(params=KINDS)
def adapter(request: pytest.FixtureRequest) -> FakeAdapter:
    adapter = FakeAdapter("ews", **KINDS[request.param])
    adapter.add_mailbox(ALICE)
    return adapter


MOVES_ITSELF = pytest.mark.parametrize("adapter", ["like Exchange", "like Google"], indirect=True)


async def linked(world: World, *events: Event) -> int:
    """Alice, whose events are in her default calendar, with notes of hers in them."""
    await world.publish("alice", *(events or EVENTS))
    id = await world.link("alice", ALICE)
    await world.work()
    for pushed in world.pushed(ALICE):
        world.mailbox(ALICE).change(pushed.id, notes=NOTES)
    return id


def placed(world: World) -> dict[str, list[str | None]]:
    """In which calendars each event of ours is, by their names; None: the default one."""
    mailbox = world.mailbox(ALICE)
    found: dict[str, list[str | None]] = {}
    for e in world.pushed(ALICE):
        assert e.marker
        name = mailbox.calendars[e.calendar].name if e.calendar else None
        found.setdefault(e.marker.event, []).append(name)
    return found


def all_in(name: str | None, events: list[Event] = EVENTS) -> dict[str, list[str | None]]:
    return {e.uid: [name] for e in events}


def notes(world: World) -> list[str]:
    return [e.notes for e in world.pushed(ALICE)]


async def after_death(world: World) -> None:
    """The leases of workers that were killed run out."""
    await world.pool.execute("UPDATE mailboxes SET lease_until = clock_timestamp() - interval '1 second'")


async def test_all_that_is_in_them_goes_along(world: World) -> None:
    id = await linked(world)
    await world.prefer(id, OWN)
    await world.work()
    assert placed(world) == all_in("Timetable")
    assert notes(world) == [NOTES] * 3
    await world.assert_true(ALICE, EVENTS)
    assert (world.adapter.count("create"), world.adapter.count("delete")) == (3, 0)
    assert await world.status(id) == "OK"


async def test_what_was_written_into_them_on_the_way_stays_when_they_change(world: World) -> None:
    id = await linked(world)
    await world.prefer(id, OWN)
    await world.work()
    assert [row["remote_version"] for row in await world.ledger(ALICE)] == [None] * 3
    changed = [event(e.uid, title="Changed") for e in EVENTS]
    await world.publish("alice", *changed)
    await world.work()
    await world.assert_true(ALICE, changed)
    assert notes(world) == [NOTES] * 3


async def test_they_go_together(world: World) -> None:
    id = await linked(world)
    await world.prefer(id, OWN)
    await world.work()
    (call,) = [call for call in world.adapter.calls if any(isinstance(o, Move) for o in call.operations)]
    assert len(call.operations) == 3


async def test_what_has_changed_too_is_changed_and_moved(world: World) -> None:
    id = await linked(world)
    changed = [EVENTS[0], event("e1", title="Changed"), event("e2", location="B")]
    await world.publish("alice", *changed)
    await world.prefer(id, OWN)
    await world.work()
    await world.assert_true(ALICE, changed)
    assert placed(world) == all_in("Timetable")
    assert notes(world) == [NOTES] * 3


@pytest.mark.parametrize("committed", [False, True], ids=["not done", "done"])
async def test_what_may_have_changed_is_written_before_it_is_moved(world: World, committed: bool) -> None:
    """Nobody knows what it holds."""
    id = await linked(world)
    world.adapter.fail("update", LOST, times=3, committed=committed)
    changed = [event(e.uid, title="Changed") for e in EVENTS]
    await world.publish("alice", *changed)
    await world.work()
    await world.prefer(id, OWN)
    await world.settle()
    await world.assert_true(ALICE, changed)
    assert placed(world) == all_in("Timetable")
    assert notes(world) == [NOTES] * 3


@pytest.mark.parametrize("answer", [BUSY, LOST], ids=["refused for now", "no answer"])
async def test_they_are_never_out_of_the_calendar(world: World, answer: Outcome) -> None:
    """The provider goes down in the middle: each is still where it was, or where it is to be."""
    id = await linked(world)
    await world.prefer(id, OWN)
    seen: list[set[str]] = []

    async def look(call: Call) -> None:
        seen.append(set(placed(world)))
        if any(isinstance(o, Move) for o in call.operations):
            world.adapter.fail("find", DOWN, times=3)

    world.adapter.before = look
    world.adapter.fail("move", answer, times=2)
    await world.work()
    seen.append(set(placed(world)))
    await world.settle()
    assert seen
    assert all(uids == {e.uid for e in EVENTS} for uids in seen)
    assert placed(world) == all_in("Timetable")


@pytest.mark.parametrize("committed", [False, True], ids=["not done", "done"])
@pytest.mark.parametrize("answer", DYING, ids=["no answer", "worker dies"])
@pytest.mark.parametrize("mode", ["UNLINK_ONLY", "DELETE_ALL_EVENTS", "CLEANUP"])
async def test_an_unlinking_in_between_takes_out_what_it_says(
    world: World, answer: Any, committed: bool, mode: str
) -> None:
    id = await linked(world)
    await world.prefer(id, OWN)
    world.adapter.fail("move", answer, times=3 if answer is LOST else 1, committed=committed)
    await world.work()
    await after_death(world)
    run = await world.unlink(mode, id)
    await world.settle()
    gone = mode != "UNLINK_ONLY"
    assert {uid: len(places) for uid, places in placed(world).items()} == (
        {} if gone else {e.uid: 1 for e in EVENTS}
    )
    assert await world.run_state(run) == ("done", 3 if gone else 0)
    # What was left is still known: a later CLEANUP finds it.
    await world.unlink("CLEANUP", username="alice")
    await world.settle()
    assert (placed(world), await world.ledger(ALICE)) == ({}, [])


@pytest.mark.parametrize("committed", [False, True], ids=["not done", "done"])
@pytest.mark.parametrize("answer", DYING, ids=["no answer", "worker dies"])
@pytest.mark.parametrize("then", [OWN, {}, {"calendar.name": "Rooster"}], ids=["there", "back", "elsewhere"])
async def test_what_was_not_answered_is_found_out(
    world: World, answer: Any, committed: bool, then: dict[str, str]
) -> None:
    id = await linked(world)
    await world.prefer(id, OWN)
    world.adapter.fail("move", answer, times=3 if answer is LOST else 1, committed=committed)
    await world.work()
    await after_death(world)
    await world.prefer(id, then)
    await world.settle()
    assert placed(world) == all_in(then.get("calendar.name"))
    assert notes(world) == [NOTES] * 3
    await world.assert_true(ALICE, EVENTS)
    assert await world.status(id) == "OK"


@pytest.mark.parametrize("then", [OWN, {}], ids=["there", "back"])
@pytest.mark.parametrize("early", [False, True], ids=["after the next one", "before the next one"])
async def test_a_move_that_comes_late_does_no_harm(world: World, then: dict[str, str], early: bool) -> None:
    id = await linked(world)
    await world.prefer(id, OWN)
    world.adapter.fail("move", LOST, times=3, late=True)
    await world.work()
    await world.prefer(id, then)

    async def deliver(call: Call) -> None:
        if any(isinstance(o, Move) for o in call.operations):
            world.adapter.before = None
            world.adapter.deliver()

    if early:
        world.adapter.before = deliver
    await world.settle(hours=LOOK_AGAIN.total_seconds() / 3600 / 2)
    world.adapter.deliver()
    await world.settle()
    assert placed(world) == all_in(then.get("calendar.name"))
    assert notes(world) == [NOTES] * 3
    await world.assert_true(ALICE, EVENTS)


@MOVES_ITSELF
@pytest.mark.parametrize("mode", ["DELETE_ALL_EVENTS", "CLEANUP"])
async def test_what_is_moved_late_is_taken_out_all_the_same(world: World, mode: str) -> None:
    """It is in the other calendar before it can be deleted where it was."""
    id = await linked(world)
    await world.prefer(id, OWN)
    world.adapter.fail("move", LOST, times=3, late=True)
    await world.work()
    await world.unlink(mode, id)

    async def deliver(call: Call) -> None:
        if call.operation == "apply":
            world.adapter.deliver()

    world.adapter.before = deliver
    await world.settle()
    assert placed(world) == {}
    assert await world.ledger(ALICE) == []


@pytest.mark.parametrize("adapter", ["like Graph"], indirect=True)
async def test_the_original_of_a_copy_is_taken_out(world: World) -> None:
    """The worker died before that."""
    id = await linked(world)
    await world.prefer(id, OWN)
    world.adapter.fail("move", LOST, times=3, late=True)
    await world.work()
    world.adapter.deliver()
    assert placed(world) == {e.uid: [None, "Timetable"] for e in EVENTS}
    await world.settle(hours=LOOK_AGAIN.total_seconds() / 3600 / 2)
    assert placed(world) == all_in("Timetable")
    await world.assert_true(ALICE, EVENTS)


async def test_what_waits_is_not_bound_to_move(world: World) -> None:
    id = await linked(world)
    await world.prefer(id, OWN)
    until = world.clock().replace(hour=23)
    world.adapter.fail("move", Throttled(until=until, scope="mailbox"))
    await world.work()
    await world.prefer(id, {})
    await world.settle()
    assert placed(world) == all_in(None)
    assert world.adapter.count("move") == 3


async def test_what_the_provider_does_not_move_stays_and_is_kept_true(world: World) -> None:
    id = await linked(world)
    world.adapter.fail("move", REFUSED, times=None)
    await world.prefer(id, OWN)
    await world.settle()
    assert placed(world) == all_in(None)
    assert await world.states(ALICE) == {"refused": 3}
    changed = [event(e.uid, title="Changed") for e in EVENTS]
    await world.publish("alice", *changed)
    await world.settle()
    assert sorted(e.event.title for e in world.pushed(ALICE)) == ["Changed"] * 3
    assert notes(world) == [NOTES] * 3
    world.adapter.recover()
    await world.publish("alice", *EVENTS)
    await world.settle()
    assert placed(world) == all_in("Timetable")
    await world.assert_true(ALICE, EVENTS)


async def test_one_that_is_refused_for_now_is_moved_later(world: World) -> None:
    id = await linked(world)
    world.adapter.fail("move", BUSY)
    await world.prefer(id, OWN)
    await world.work()
    assert sorted(placed(world).values(), key=str) == [["Timetable"], ["Timetable"], [None]]
    await world.settle()
    assert placed(world) == all_in("Timetable")
    assert notes(world) == [NOTES] * 3


async def test_one_that_the_person_has_deleted_is_made_anew(world: World) -> None:
    id = await linked(world)
    world.mailbox(ALICE).remove(world.pushed(ALICE)[0].id)
    await world.prefer(id, OWN)
    await world.work()
    assert placed(world) == all_in("Timetable")
    await world.assert_true(ALICE, EVENTS)


async def test_one_that_the_person_has_dragged_away_is_theirs(world: World) -> None:
    """Even if it was dragged to where it is to be: what is put there is a new one."""
    id = await linked(world)
    await world.prefer(id, OWN)
    await world.work()
    await world.prefer(id, {})
    await world.work()
    mailbox = world.mailbox(ALICE)
    (calendar,) = mailbox.calendars
    theirs = mailbox.move(world.pushed(ALICE)[0].id, calendar)
    await world.prefer(id, OWN)
    await world.work()
    assert placed(world)["e0"] == ["Timetable"] * 2
    assert theirs.id not in {row["remote_id"] for row in await world.ledger(ALICE)}


@pytest.mark.parametrize("committed", [False, True], ids=["not done", "done"])
async def test_the_persons_copies_are_not_taken_for_it(world: World, committed: bool) -> None:
    """There is one where it was, and one where it is to be."""
    id = await linked(world, EVENTS[0])
    await world.prefer(id, OWN)
    await world.work()
    mailbox = world.mailbox(ALICE)
    copies = [mailbox.copy(world.pushed(ALICE)[0].id).id]
    await world.prefer(id, {})
    await world.work()
    copies.append(mailbox.copy((await world.ledger(ALICE))[0]["remote_id"]).id)
    before = {copy: mailbox.events[copy].version for copy in copies}
    world.adapter.fail("move", LOST, committed=committed)
    await world.prefer(id, OWN)
    await world.settle()
    (row,) = await world.ledger(ALICE)
    assert {copy: mailbox.events[copy].version for copy in copies} == before
    assert set(mailbox.events) == {row["remote_id"], *copies}
    assert placed(world)["e0"].count("Timetable") == 2


async def test_a_calendar_that_goes_in_between_is_made_again(world: World) -> None:
    id = await linked(world)
    await world.prefer(id, OWN)
    mailbox = world.mailbox(ALICE)

    async def remove(call: Call) -> None:
        if any(isinstance(o, Move) for o in call.operations):
            world.adapter.before = None
            (calendar,) = mailbox.calendars
            mailbox.remove_calendar(calendar)

    world.adapter.fail("move", LOST)
    world.adapter.before = remove
    await world.settle()
    assert placed(world) == all_in("Timetable")
    assert notes(world) == [NOTES] * 3
    await world.assert_true(ALICE, EVENTS)


async def test_a_reading_afterwards_finds_nothing(world: World) -> None:
    id = await linked(world)
    await world.refresh(id)
    for preferences in (OWN, {}, OWN):
        await world.prefer(id, preferences)
        await world.work()
        drift = await world.refresh(id)
        assert (drift.total, drift.events) == (0, 3)


@pytest.mark.parametrize("adapter", ["like Google"], indirect=True)
@pytest.mark.parametrize("back", [False, True])
async def test_a_listing_that_lags_behind_a_move_is_not_believed(world: World, back: bool) -> None:
    """The event has one id in both calendars, and the one that it has left still tells of it."""
    id = await linked(world)
    for preferences in (OWN, {}) if back else (OWN,):
        await world.refresh(id)
        await world.prefer(id, preferences)
        await world.work()
    world.mailbox(ALICE).removed.clear()
    drift = await world.refresh(id)
    assert (drift.total, drift.events) == (0, 3)
    assert placed(world) == all_in(None if back else "Timetable")


async def test_a_database_from_before_the_move_does_not_make_them_twice(world: World) -> None:
    id = await linked(world)
    await world.prefer(id, OWN)
    world.adapter.fail("move", DOWN, times=None)
    await world.work()
    await world.settle(hours=0.1)
    await back_up(world)
    world.adapter.recover()
    await world.settle()
    assert placed(world) == all_in("Timetable")
    await restore(world)
    await after_death(world)
    mailbox = await world.pool.fetchval("SELECT mailbox_id FROM synchronizations")
    await rebuild_mailbox(world.pool, world.adapter, world.config, world.clock, mailbox, 1)
    await world.settle()
    await world.refresh(id)
    assert placed(world) == all_in("Timetable")
    assert notes(world) == [NOTES] * 3
    await world.assert_true(ALICE, EVENTS)


async def test_history_tells_of_it(world: World) -> None:
    id = await linked(world, EVENTS[0])
    await world.prefer(id, OWN)
    await world.work()
    row = await world.pool.fetchrow("SELECT operation, outcome, code FROM history ORDER BY id DESC LIMIT 1")
    assert row is not None
    assert tuple(row) == ("update", "done", "moved")


async def test_a_shared_mailbox_moves_only_whose_preference_it_is(world: World) -> None:
    alice = await linked(world)
    await world.publish("bob", event("b"))
    await world.link("bob", ALICE)
    await world.prefer(alice, OWN)
    async with world.pool.acquire() as connection:
        mailbox = await connection.fetchval("SELECT min(mailbox_id) FROM synchronizations")
        await wake_mailboxes(connection, [mailbox], world.clock())
    await world.work()
    assert placed(world) == all_in("Timetable") | {"b": [None]}


async def test_a_move_that_comes_late_after_the_next_was_refused_does_no_harm(world: World) -> None:
    id = await linked(world)
    await world.prefer(id, OWN)
    world.adapter.fail("move", LOST, times=3, late=True)
    await world.work()
    world.adapter.fail("move", BUSY, times=3)
    moves = 0

    async def deliver(call: Call) -> None:
        nonlocal moves
        moves += any(isinstance(o, Move) for o in call.operations)
        if moves == 2:
            world.adapter.before = None
            world.adapter.deliver()

    world.adapter.before = deliver
    await world.settle()
    assert moves == 2
    assert placed(world) == all_in("Timetable")
    assert notes(world) == [NOTES] * 3
    await world.assert_true(ALICE, EVENTS)


@MOVES_ITSELF
async def test_what_a_reading_does_not_find_may_have_been_moved_late(world: World) -> None:
    """It is neither missing nor dragged away by the person."""
    id = await linked(world)
    await world.prefer(id, OWN)
    world.adapter.fail("move", LOST, times=3, late=True)
    await world.work()

    async def deliver(call: Call) -> None:
        if call.operation == "changes":
            world.adapter.before = None
            world.adapter.deliver()

    world.adapter.before = deliver
    world.clock.advance(hours=1)
    await world.refresh(id)
    await world.settle()
    assert world.adapter.before is None
    assert placed(world) == all_in("Timetable")
    assert notes(world) == [NOTES] * 3
    await world.assert_true(ALICE, EVENTS)
    assert await world.pool.fetchval("SELECT count(*) FROM history WHERE outcome = 'gone'") == 0


@MOVES_ITSELF
async def test_what_moves_late_after_an_unlinking_is_still_known(world: World) -> None:
    """A reading for somebody else, who shares the mailbox, does not find it where it was."""
    id = await linked(world)
    await world.publish("bob", event("b"))
    bob = await world.link("bob", ALICE)
    await world.prefer(id, OWN)
    world.adapter.fail("move", LOST, times=3, late=True)
    await world.work()
    await world.unlink("UNLINK_ONLY", id)
    await world.settle()
    world.adapter.deliver()
    await world.refresh(bob)
    await world.settle()
    assert placed(world) == all_in("Timetable") | {"b": [None]}
    await world.unlink("CLEANUP", username="alice")
    await world.settle()
    assert not set(placed(world)) & {e.uid for e in EVENTS}


@MOVES_ITSELF
async def test_what_has_left_a_calendar_late_is_not_gone_with_it(world: World) -> None:
    id = await linked(world)
    await world.prefer(id, OWN)
    await world.work()
    await world.prefer(id, {})
    world.adapter.fail("move", LOST, times=3, late=True)
    await world.work()
    mailbox = world.mailbox(ALICE)

    async def deliver(call: Call) -> None:
        if call.operation == "changes":
            world.adapter.before = None
            world.adapter.deliver()
            mailbox.remove_calendar(next(iter(mailbox.calendars)))

    world.adapter.before = deliver
    world.clock.advance(hours=1)
    await world.refresh(id)
    await world.settle()
    assert world.adapter.before is None
    assert placed(world) == all_in(None)
    assert notes(world) == [NOTES] * 3
    await world.assert_true(ALICE, EVENTS)


async def test_what_is_not_moved_is_well_where_it_is_wanted_again(world: World) -> None:
    id = await linked(world)
    world.adapter.fail("move", REFUSED, times=None)
    await world.prefer(id, OWN)
    await world.settle()
    assert await world.states(ALICE) == {"refused": 3}
    await world.prefer(id, {})
    await world.settle()
    assert await world.states(ALICE) == {"present": 3}
    assert [row["error"] for row in await world.ledger(ALICE)] == [None] * 3
    assert placed(world) == all_in(None)


@pytest.mark.parametrize("adapter", ["like Graph"], indirect=True)
async def test_an_original_that_cannot_be_taken_out_does_not_hold_up_the_rest(world: World) -> None:
    id = await linked(world, EVENTS[0])
    await world.prefer(id, OWN)
    world.adapter.fail("move", LOST, late=True)
    await world.work()
    world.adapter.deliver()
    world.adapter.fail("delete", REFUSED, times=3)
    await world.publish("alice", *EVENTS)
    await world.settle(hours=0.02)
    assert set(placed(world)) == {e.uid for e in EVENTS}
    await world.settle()
    assert placed(world) == all_in("Timetable")
    assert await world.status(id) == "OK"


@pytest.mark.parametrize("adapter", ["like Google"], indirect=True)
async def test_one_that_keeps_its_id_is_known_by_it_among_its_copies(world: World) -> None:
    """Google lists events in no order that it promises."""
    id = await linked(world, EVENTS[0])
    (own,) = (e.id for e in world.pushed(ALICE))
    mailbox = world.mailbox(ALICE)

    async def copy(call: Call) -> None:
        if call.operation == "find":
            world.adapter.before = None
            mailbox.copy(own)
            mailbox.events = dict(reversed(mailbox.events.items()))

    await world.prefer(id, OWN)
    world.adapter.before = copy
    world.adapter.fail("move", LOST, committed=True)
    await world.settle()
    assert world.adapter.before is None
    assert [row["remote_id"] for row in await world.ledger(ALICE)] == [own]


@pytest.mark.parametrize("adapter", ["like Graph"], indirect=True)
async def test_the_provider_is_left_alone_with_half_a_move_if_it_asks_to_wait(world: World) -> None:
    id = await linked(world)
    await world.prefer(id, OWN)
    until = world.clock() + timedelta(minutes=5)
    wait = Throttled(until=until, scope="mailbox")
    world.adapter.fail("move", msgspec.structs.replace(LOST, wait=wait), times=3, late=True)
    await world.work()
    world.adapter.deliver()
    calls = len(world.adapter.calls)
    await world.settle(hours=4 / 60)
    assert len(world.adapter.calls) == calls
    await world.settle()
    assert placed(world) == all_in("Timetable")
    await world.assert_true(ALICE, EVENTS)
