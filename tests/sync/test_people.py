"""What people do to events in their calendars, and what becomes of it: restore, respect or report."""

from datetime import timedelta
from typing import Any

import pytest

from app.sync.mirror import Drift
from app.sync.refresh import REWRITES
from tests.fakes import DOWN, FakeEvent
from tests.sync.world import World, event

ALICE = "alice@uni.example"
EVENTS = [event(f"e{n}") for n in range(5)]
MOVED = {"start": EVENTS[1].start + timedelta(days=1), "end": EVENTS[1].end + timedelta(days=1)}


@pytest.fixture
async def id(world: World) -> int:
    await world.publish("alice", *EVENTS)
    id = await world.link("alice", ALICE)
    await world.work()
    return id


def held(world: World, uid: str) -> FakeEvent | None:
    """Our event in the mailbox, or a copy of it if that is all there is."""
    return next((e for e in world.pushed(ALICE) if e.marker and e.marker.event == uid), None)


def delete(world: World, uid: str) -> None:
    found = held(world, uid)
    assert found is not None
    world.mailbox(ALICE).remove(found.id)


def change(world: World, uid: str, **fields: Any) -> str:
    found = held(world, uid)
    assert found is not None
    world.mailbox(ALICE).change(found.id, **fields)
    return found.id


class TestRestore:
    async def test_what_was_deleted_is_created_anew(self, world: World, id: int) -> None:
        before = held(world, "e0")
        delete(world, "e0")
        assert await world.refresh(id) == Drift(events=4, missing=1)
        after = held(world, "e0")
        assert before
        assert before.marker
        assert after
        assert after.marker
        # A new attempt: where the provider knows attempts, the old one is used up.
        assert after.marker.attempt != before.marker.attempt
        await world.assert_true(ALICE, EVENTS)
        assert await world.status(id) == "OK"

    async def test_what_was_changed_is_written_again(self, world: World, id: int) -> None:
        """The event itself, not another one in its place: what the person added hangs on it."""
        kept = change(world, "e1", **MOVED, location="My room", notes="Bring the book.")
        assert await world.refresh(id) == Drift(events=5, moved=1)
        found = held(world, "e1")
        assert found
        assert found.id == kept
        assert found.notes == "Bring the book."
        await world.assert_true(ALICE, EVENTS)
        assert await world.refresh(id) == Drift(events=5)

    async def test_an_update_that_is_due_writes_what_was_changed_as_well(self, world: World, id: int) -> None:
        """The ledger knows the old content; the mailbox holds neither that nor the new."""
        change(world, "e1", location="My room")
        wanted = [*EVENTS[:1], event("e1", title="New title"), *EVENTS[2:]]
        await world.publish("alice", *wanted)
        await world.refresh(id)
        assert (await world.refresh(id)).total == 0
        await world.assert_true(ALICE, wanted)

    async def test_an_answer_that_never_came_does_not_hide_a_change(self, world: World, id: int) -> None:
        change(world, "e1", location="My room")
        world.adapter.fail("update", DOWN)
        await world.refresh(id)
        await world.settle()
        await world.assert_true(ALICE, EVENTS)

    async def test_copies_stay_where_they_are(self, world: World, id: int) -> None:
        found = held(world, "e0")
        assert found
        copy = world.mailbox(ALICE).copy(found.id)
        world.mailbox(ALICE).change(copy.id, title="Mine")
        version = copy.version
        assert await world.refresh(id) == Drift(events=6, copied=1)
        assert world.mailbox(ALICE).events[copy.id].version == version
        assert len(world.pushed(ALICE)) == 6

    async def test_an_event_whose_copy_is_left_is_created_anew(self, world: World, id: int) -> None:
        found = held(world, "e0")
        assert found
        world.mailbox(ALICE).copy(found.id)
        delete(world, "e0")
        assert await world.refresh(id) == Drift(events=5, missing=1, copied=1)
        assert world.uids(ALICE)["e0"] == 2
        # The copy's original is gone for good, and it is still a copy.
        assert await world.refresh(id) == Drift(events=6, copied=1)

    async def test_what_former_synchronizations_left_is_not_brought_back(self, world: World, id: int) -> None:
        await world.unlink("UNLINK_ONLY", id)
        again = await world.link("bob", ALICE)
        delete(world, "e0")
        change(world, "e1", location="My room")
        assert await world.refresh(again) == Drift(events=4, missing=1, changed=1)
        assert held(world, "e0") is None
        assert len(await world.ledger()) == 4
        changed = held(world, "e1")
        assert changed
        assert changed.fields["location"] == "My room"

    async def test_what_goes_anyway_is_not_brought_back(self, world: World, id: int) -> None:
        delete(world, "e0")
        change(world, "e1", location="My room")
        await world.publish("alice", *EVENTS[2:])
        await world.refresh(id)
        await world.assert_true(ALICE, EVENTS[2:])


class TestQuarantine:
    """An event that never holds what was written is not written for ever."""

    async def stubborn(self, world: World, id: int, times: int) -> list[Drift]:
        """Something changes the event after each write."""
        found = []
        for _ in range(times):
            change(world, "e1", location="Always here")
            found.append(await world.refresh(id))
        return found

    async def test_it_is_written_a_few_times_and_then_left_alone(self, world: World, id: int) -> None:
        written = world.adapter.count("update")
        assert await self.stubborn(world, id, REWRITES) == [Drift(events=5, changed=1)] * REWRITES
        assert world.adapter.count("update") == written + REWRITES
        assert await self.stubborn(world, id, 1) == [Drift(events=5, changed=1)]
        assert await self.stubborn(world, id, 2) == [Drift(events=5, quarantined=1)] * 2
        assert world.adapter.count("update") == written + REWRITES
        assert await world.states() == {"present": 4, "refused": 1}
        assert await world.status(id) == "ERROR"
        assert "written again 3 times" in str(await world.error(id))

    async def test_the_timetable_sets_it_free(self, world: World, id: int) -> None:
        await self.stubborn(world, id, REWRITES + 2)
        wanted = [*EVENTS[:1], event("e1", title="New title"), *EVENTS[2:]]
        await world.publish("alice", *wanted)
        await world.work()
        await world.assert_true(ALICE, wanted)
        assert await world.status(id) == "OK"

    async def test_it_is_free_when_it_is_as_it_should_be(self, world: World, id: int) -> None:
        await self.stubborn(world, id, REWRITES + 2)
        change(world, "e1", location="")
        assert await world.refresh(id) == Drift(events=5)
        assert await world.states() == {"present": 5}
        assert await world.status(id) == "OK"

    async def test_a_reading_that_finds_it_as_it_should_be_starts_the_count_anew(
        self, world: World, id: int
    ) -> None:
        for _ in range(3):
            await self.stubborn(world, id, REWRITES)
            assert await world.refresh(id) == Drift(events=5)
        assert await world.states() == {"present": 5}


class TestRespect:
    @pytest.fixture(autouse=True)
    def respect(self, world: World) -> None:
        world.let_people("respect")

    async def test_what_was_deleted_or_changed_stays_like_that(self, world: World, id: int) -> None:
        delete(world, "e0")
        change(world, "e1", **MOVED, location="My room")
        for _ in range(2):
            assert await world.refresh(id) == Drift(events=4, missing=1, moved=1)
        # Nor does another publication of the same touch it.
        await world.publish("alice", *EVENTS, event("new"))
        await world.work()
        assert held(world, "e0") is None
        changed = held(world, "e1")
        assert changed
        assert changed.fields["location"] == "My room"
        assert await world.status(id) == "OK"

    async def test_until_the_timetable_changes_the_event(self, world: World, id: int) -> None:
        """Then it is as published in every field, not in those alone that the timetable has changed."""
        delete(world, "e0")
        change(world, "e1", **MOVED, location="My room")
        await world.refresh(id)
        wanted = [event("e0", title="New"), event("e1", title="New"), *EVENTS[2:]]
        await world.publish("alice", *wanted)
        await world.work()
        await world.assert_true(ALICE, wanted)

    async def test_what_comes_back_is_ours_as_before(self, world: World, id: int) -> None:
        found = held(world, "e0")
        assert found
        delete(world, "e0")
        await world.refresh(id)
        found.version = world.mailbox(ALICE).next()
        world.mailbox(ALICE).events[found.id] = found
        assert await world.refresh(id) == Drift(events=5)
        await world.assert_true(ALICE, EVENTS)

    async def test_unlinking_removes_what_was_changed_and_what_is_gone_is_no_trouble(
        self, world: World, id: int
    ) -> None:
        delete(world, "e0")
        change(world, "e1", location="My room")
        await world.refresh(id)
        run = await world.unlink("DELETE_ALL_EVENTS", id)
        await world.settle()
        assert world.pushed(ALICE) == []
        assert (await world.run_state(run))[0] == "done"

    async def test_it_is_put_back_once_the_installation_decides_otherwise(
        self, world: World, id: int
    ) -> None:
        delete(world, "e0")
        change(world, "e1", location="My room")
        await world.refresh(id)
        world.let_people("restore")
        await world.refresh(id)
        await world.assert_true(ALICE, EVENTS)


class TestReport:
    async def test_nothing_is_done(self, world: World, id: int) -> None:
        world.let_people("report")
        delete(world, "e0")
        change(world, "e1", location="My room")
        before = await world.ledger()
        world.adapter.calls.clear()
        assert await world.refresh(id) == Drift(events=4, missing=1, changed=1)
        assert await world.ledger() == before
        assert [call.operation for call in world.adapter.calls] == ["changes"]
