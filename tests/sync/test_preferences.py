"""Preferences at work: what is pushed obeys them, and only what differs is written."""

from datetime import UTC, datetime, timedelta

import msgspec

from app.provisioning import synchronizations
from app.timetables.event import content_hash
from providers.contract import Event, Update
from tests.sync.world import World, event

ALICE = "alice@uni.example"
LECTURE = event("a", categories=("Lecture",))
EXAM = event("b", categories=("Exam",))


def updates(world: World) -> list[str]:
    """The uids of the events that were updated since the calls were last cleared."""
    operations = [operation for call in world.adapter.calls for operation in call.operations]
    return [operation.event.uid for operation in operations if isinstance(operation, Update)]


async def test_events_are_pushed_as_preferred_and_the_timetable_stays_as_it_is(world: World) -> None:
    await world.publish("alice", LECTURE, EXAM)
    id = await world.link("alice", ALICE)
    await world.prefer(
        id,
        {
            "presentation.showAsByCategory": ["Lecture=free"],
            "presentation.titleTemplate": "{{ title }}!",
            "presentation.reminderMinutes": 10,
            "presentation.privacy": "private",
            "presentation.colourByCategory": ["Exam=red"],
        },
    )
    await world.work()
    replace = msgspec.structs.replace
    lecture = replace(LECTURE, title="Lecture a!", show_as="free", reminder=10, privacy="private")
    exam = replace(EXAM, title="Lecture b!", reminder=10, privacy="private", colours={"Exam": "red"})
    await world.assert_true(ALICE, [lecture, exam])


async def test_a_change_writes_only_what_differs(world: World) -> None:
    await world.publish("alice", LECTURE, EXAM)
    id = await world.link("alice", ALICE)
    await world.work()
    world.adapter.calls.clear()
    await world.prefer(id, {"presentation.showAsByCategory": ["Lecture=free"]})
    await world.work()
    assert updates(world) == ["a"]
    await world.assert_true(ALICE, [msgspec.structs.replace(LECTURE, show_as="free"), EXAM])
    # Back to the timetable's own.
    world.adapter.calls.clear()
    await world.prefer(id, {})
    await world.work()
    assert updates(world) == ["a"]
    await world.assert_true(ALICE, [LECTURE, EXAM])
    assert await world.pool.fetchval("SELECT count(*) FROM shaped_events") == 0


async def test_until_they_are_applied_the_synchronization_is_pending(world: World) -> None:
    async def status(id: int) -> str:
        return (await synchronizations.details(world.pool, id, world.clock())).status

    await world.publish("alice", LECTURE)
    id = await world.link("alice", ALICE)
    await world.work()
    assert await status(id) == "OK"
    await world.prefer(id, {"presentation.showAs": "free"})
    assert await status(id) == "PENDING"
    await world.work()
    assert await status(id) == "OK"
    await world.publish("alice", LECTURE, EXAM)
    assert await status(id) == "PENDING"
    await world.work()
    await world.prefer(id, {})
    assert await status(id) == "PENDING"
    await world.work()
    assert await status(id) == "OK"


async def test_one_that_makes_no_difference_asks_nothing_of_the_provider(world: World) -> None:
    await world.publish("alice", LECTURE)
    id = await world.link("alice", ALICE)
    await world.work()
    world.adapter.calls.clear()
    await world.prefer(id, {"presentation.showAs": "busy"})
    await world.work()
    assert world.adapter.calls == []


async def test_what_is_published_later_is_shaped_too(world: World) -> None:
    await world.publish("alice", LECTURE)
    id = await world.link("alice", ALICE)
    await world.prefer(id, {"presentation.showAs": "free", "selection.excludeCategories": ["Exam"]})
    await world.work()
    moved = msgspec.structs.replace(LECTURE, location="Room 1")
    await world.publish("alice", moved, EXAM, event("c"))
    await world.work()
    await world.assert_true(
        ALICE, [msgspec.structs.replace(one, show_as="free") for one in (moved, event("c"))]
    )


async def test_what_is_left_out_is_taken_out_and_comes_back(world: World) -> None:
    await world.publish("alice", LECTURE, EXAM)
    id = await world.link("alice", ALICE)
    await world.work()
    await world.prefer(id, {"selection.includeCategories": ["Lecture"]})
    await world.work()
    await world.assert_true(ALICE, [LECTURE])
    await world.prefer(id, {})
    await world.work()
    await world.assert_true(ALICE, [LECTURE, EXAM])


async def test_each_synchronization_has_its_own(world: World) -> None:
    await world.publish("alice", LECTURE)
    alice = await world.link("alice", ALICE)
    await world.publish("bob", LECTURE)
    await world.link("bob", ALICE)
    await world.prefer(alice, {"presentation.showAs": "free"})
    await world.work()
    assert sorted(e.event.show_as for e in world.pushed(ALICE)) == ["busy", "free"]


async def test_what_was_shaped_goes_with_the_synchronization(world: World) -> None:
    await world.publish("alice", LECTURE, EXAM)
    id = await world.link("alice", ALICE)
    await world.prefer(id, {"presentation.showAs": "free"})
    await world.work()
    await world.unlink("UNLINK_ONLY", id)
    await world.work()
    assert await world.pool.fetchval("SELECT count(*) FROM shaped_events") == 0


async def test_a_cancelled_event_stays_away(world: World) -> None:
    await world.publish("alice", LECTURE, EXAM)
    id = await world.link("alice", ALICE)
    await world.prefer(id, {"presentation.showAs": "free"})
    await world.work()
    await world.publish("alice", LECTURE, msgspec.structs.replace(EXAM, status="cancelled"))
    await world.work()
    assert world.uids(ALICE) == {"a": 1}


class TestWindow:
    async def test_days_ahead(self, world: World) -> None:
        now = world.clock()
        near, far = event("near", now + timedelta(days=9)), event("far", now + timedelta(days=11))
        await world.publish("alice", near, far)
        id = await world.link("alice", ALICE)
        await world.work()
        await world.prefer(id, {"selection.daysAhead": 10})
        await world.work()
        await world.assert_true(ALICE, [near])
        # As time goes by, it comes into reach.
        await world.settle(hours=36)
        await world.assert_true(ALICE, [near, far])

    async def test_days_back(self, world: World) -> None:
        now = world.clock()
        old, recent = event("old", now - timedelta(days=9)), event("recent", now - timedelta(days=2))
        await world.publish("alice", old, recent)
        id = await world.link("alice", ALICE)
        await world.prefer(id, {"selection.daysBack": 7})
        await world.work()
        await world.assert_true(ALICE, [recent])
        # What is there stays, as time goes by, and is kept true.
        world.clock.set(now + timedelta(days=30))
        changed = msgspec.structs.replace(recent, title="It was something else")
        await world.publish("alice", old, changed)
        await world.work()
        await world.assert_true(ALICE, [changed])


class TestGuard:
    FUTURE = tuple(
        event(f"e{n:02}", datetime(2026, 10, 1, 9, tzinfo=UTC) + timedelta(days=n), categories=(c,))
        for n, c in enumerate(["Lecture", "Exam", "Exam"] * 11)
    )

    async def held(self, world: World) -> int:
        """The timetable itself was confirmed, as it always is when it is published here."""
        await world.publish("alice", *self.FUTURE)
        id = await world.link("alice", ALICE)
        await world.work()
        await world.prefer(id, {"selection.excludeCategories": ["Exam"], "presentation.showAs": "free"})
        await world.work()
        return id

    async def test_a_rule_that_leaves_out_most_events_is_held(self, world: World) -> None:
        id = await self.held(world)
        assert await world.status(id) == "HELD"
        assert str(await world.error(id)).startswith("The preferences would remove 22 of 33 future events.")
        await world.assert_true(ALICE, self.FUTURE)

    async def test_changing_it_back_frees_it(self, world: World) -> None:
        id = await self.held(world)
        await world.prefer(id, {})
        await world.work()
        assert (await world.status(id), await world.error(id)) == ("OK", None)
        await world.assert_true(ALICE, self.FUTURE)


def test_events_are_hashed_with_what_preferences_add() -> None:
    """Two events that look different in a mailbox are never taken for the same."""
    variants: list[Event] = [
        LECTURE,
        *(msgspec.structs.replace(LECTURE, reminder=r) for r in (0, 5, "none")),
        *(msgspec.structs.replace(LECTURE, privacy=p) for p in ("normal", "private")),
        *(msgspec.structs.replace(LECTURE, colours={"Lecture": c}) for c in ("red", "blue")),
    ]
    assert len({content_hash(one) for one in variants}) == len(variants)
