"""A calendar of its own: made once, found again, and removed only by a CLEANUP that leaves it empty."""

import pytest

from providers.contract import Unknown
from tests.fakes import DOWN
from tests.sync.world import INSTANCE, World, event

ALICE = "alice@uni.example"
OWN = {"calendar.name": "Timetable"}
NO_ANSWER = Unknown(code="dropped", reason="No answer came.")


async def linked(world: World, *uids: str) -> int:
    """Alice, who wants her events in a calendar of its own."""
    await world.publish("alice", *(event(uid) for uid in uids))
    id = await world.link("alice", ALICE)
    await world.prefer(id, OWN)
    return id


def placed(world: World) -> dict[str, str | None]:
    """The name of the calendar that each event of ours is in; None: the default one."""
    mailbox = world.mailbox(ALICE)
    return {
        e.marker.event: mailbox.calendars[e.calendar].name if e.calendar else None
        for e in world.pushed(ALICE)
        if e.marker
    }


async def test_it_is_made_once(world: World) -> None:
    await linked(world, "a", "b")
    await world.work()
    await world.publish("alice", event("a"), event("b"), event("c"))
    await world.work()
    assert placed(world) == {"a": "Timetable", "b": "Timetable", "c": "Timetable"}
    assert [c.maker for c in world.mailbox(ALICE).calendars.values()] == [INSTANCE]
    assert world.adapter.count("make_calendar") == 1
    await world.assert_true(ALICE, [event("a"), event("b"), event("c")])


async def test_not_before_there_is_something_to_put_into_it(world: World) -> None:
    await linked(world)
    await world.work()
    assert world.adapter.count("make_calendar") == 0


async def test_it_is_found_again(world: World) -> None:
    """The answer to making it never came."""
    await linked(world, "a")
    await world.work()
    await world.pool.execute("UPDATE calendars SET remote_id = NULL")
    await world.publish("alice", event("a"), event("b"))
    await world.settle()
    assert world.adapter.count("make_calendar") == 1
    assert set(placed(world).values()) == {"Timetable"}


async def test_one_of_the_person_with_the_same_name_is_theirs(world: World) -> None:
    theirs = world.mailbox(ALICE).make_calendar("Timetable")
    await linked(world, "a")
    await world.work()
    assert len(world.mailbox(ALICE).calendars) == 2
    assert {e.calendar for e in world.pushed(ALICE)}.isdisjoint({theirs})


async def test_events_move_to_it_and_back(world: World) -> None:
    await world.publish("alice", event("a"), event("b"))
    id = await world.link("alice", ALICE)
    await world.work()
    await world.prefer(id, OWN)
    await world.work()
    assert placed(world) == {"a": "Timetable", "b": "Timetable"}
    await world.prefer(id, {"calendar.name": "Rooster"})
    await world.work()
    assert placed(world) == {"a": "Rooster", "b": "Rooster"}
    await world.prefer(id, {})
    await world.work()
    assert placed(world) == {"a": None, "b": None}
    await world.assert_true(ALICE, [event("a"), event("b")])


@pytest.mark.parametrize("people", ["restore", "respect", "report"])
async def test_it_was_removed_by_the_person(world: World, people: str) -> None:
    id = await linked(world, "a", "b")
    await world.prefer(id, OWN | {"sync.people": people})
    await world.work()
    (calendar,) = world.mailbox(ALICE).calendars
    world.mailbox(ALICE).remove_calendar(calendar)
    changed = event("b", title="Something else")
    await world.publish("alice", event("a"), changed, event("c"))
    await world.settle()
    # What is new or changed is put into a new one; the others come back where that is the policy.
    expected = {"b", "c"} | ({"a"} if people == "restore" else set())
    assert placed(world) == dict.fromkeys(expected, "Timetable")
    assert await world.status(id) == "OK"


async def test_what_has_to_go_from_a_calendar_that_is_gone_is_gone(world: World) -> None:
    id = await linked(world, "a", "b")
    await world.work()
    (calendar,) = world.mailbox(ALICE).calendars
    world.mailbox(ALICE).remove_calendar(calendar)
    run = await world.unlink("DELETE_ALL_EVENTS", id)
    await world.settle()
    assert await world.run_state(run) == ("done", 2)
    assert await world.ledger(ALICE) == []


@pytest.mark.parametrize("operation", ["create", "update", "delete"])
async def test_an_unknown_outcome_is_looked_up_there(world: World, operation: str) -> None:
    await linked(world, "a", "b")
    if operation != "create":
        await world.work()
    world.adapter.fail(operation, NO_ANSWER, committed=True)
    changed = event("b", title="Something else")
    await world.publish("alice", changed)
    await world.settle()
    await world.assert_true(ALICE, [changed])
    assert placed(world) == {"b": "Timetable"}


async def test_one_that_cannot_be_made_now_is_made_later(world: World) -> None:
    id = await linked(world, "a")
    world.adapter.fail("make_calendar", DOWN)
    await world.work()
    assert await world.status(id) == "ERROR"
    await world.settle()
    assert (await world.status(id), placed(world)) == ("OK", {"a": "Timetable"})


class TestCleanup:
    async def test_it_goes_with_the_last_event(self, world: World) -> None:
        id = await linked(world, "a", "b")
        await world.work()
        run = await world.unlink("CLEANUP", id)
        await world.work()
        assert await world.run_state(run) == ("done", 2)
        assert world.mailbox(ALICE).calendars == {}
        assert await world.pool.fetchval("SELECT count(*) FROM calendars") == 0

    @pytest.mark.parametrize("mode", ["UNLINK_ONLY", "DELETE_FUTURE_EVENTS", "DELETE_ALL_EVENTS"])
    async def test_by_no_other_mode(self, world: World, mode: str) -> None:
        id = await linked(world, "a")
        await world.work()
        await world.unlink(mode, id)
        await world.settle()
        assert len(world.mailbox(ALICE).calendars) == 1

    async def test_a_calendar_in_which_the_person_keeps_something_stays(self, world: World) -> None:
        id = await linked(world, "a")
        await world.work()
        (calendar,) = world.mailbox(ALICE).calendars
        own = world.mailbox(ALICE).put(event("theirs"), calendar=calendar)
        run = await world.unlink("CLEANUP", id)
        await world.work()
        assert await world.run_state(run) == ("done", 1)
        assert list(world.mailbox(ALICE).events) == [own.id]
        assert list(world.mailbox(ALICE).calendars) == [calendar]

    async def test_the_run_goes_on_until_the_calendar_is_removed(self, world: World) -> None:
        id = await linked(world, "a")
        await world.work()
        world.adapter.fail("remove_calendar", DOWN)
        run = await world.unlink("CLEANUP", id)
        await world.work()
        assert await world.run_state(run) == ("active", 1)
        await world.settle()
        assert await world.run_state(run) == ("done", 1)
        assert world.mailbox(ALICE).calendars == {}

    async def test_one_that_another_synchronization_wants_stays(self, world: World) -> None:
        alice = await linked(world, "a")
        await world.publish("bob", event("b"))
        bob = await world.link("bob", ALICE)
        await world.prefer(bob, OWN)
        await world.work()
        await world.unlink("CLEANUP", alice)
        await world.settle()
        assert placed(world) == {"b": "Timetable"}
        assert world.adapter.count("make_calendar") == 1
