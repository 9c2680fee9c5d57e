"""Reading a mailbox back: complete or nothing, and what differs from the ledger, by kind."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from app.database.types import Pool
from app.provisioning.refresh import ask_for_refresh
from app.sync.audit import audit_mailbox
from app.sync.mirror import Drift
from providers.contract import Changes, Gone, Mailbox, Marker, Refused, Throttled, Unknown
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
    assert found == Drift(events=7, missing=1, changed=1, moved=1, copied=1, duplicate=1, foreign=1)
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
    world.adapter.fail("changes", answer)
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
    world.adapter.fail("changes", DOWN, times=2)
    world.adapter.fail("changes", Throttled(until=world.clock() + timedelta(minutes=9), scope="mailbox"))
    run = await ask_for_refresh(world.pool, world.clock, id)
    await world.settle(hours=1)
    assert await world.run_state(run) == ("done", 0)
    assert world.adapter.count("changes") == 4


async def test_one_reading_answers_all_who_ask(world: World, id: int) -> None:
    runs = [await ask_for_refresh(world.pool, world.clock, id) for _ in range(3)]
    await world.work()
    assert {await world.run_state(run) for run in runs} == {("done", 0)}
    assert world.adapter.count("changes") == 1


async def test_whoever_asks_during_a_reading_gets_one_of_their_own(world: World, id: int) -> None:
    """Theirs begins after they have asked: what they have just changed in the mailbox is seen."""
    runs: list[int] = []

    async def ask_once(call: Call) -> None:
        if call.operation == "changes" and not runs:
            runs.append(await ask_for_refresh(world.pool, world.clock, id))

    world.adapter.before = ask_once
    first = await ask_for_refresh(world.pool, world.clock, id)
    await world.work()
    assert await world.run_state(first) == await world.run_state(runs[0]) == ("done", 0)
    assert world.adapter.count("changes") == 2


async def test_it_is_read_before_anything_is_written_because_of_it(world: World, id: int) -> None:
    """A mailbox without anything to do costs one reading and nothing else."""
    world.adapter.calls.clear()
    await world.refresh(id)
    assert [call.operation for call in world.adapter.calls] == ["changes"]


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


class TestGoingOn:
    """Where the provider can say what has changed since the last reading, that is all that is read."""

    async def test_only_what_has_changed_is_asked_for(self, world: World, id: int) -> None:
        assert await world.refresh(id) == Drift(events=5)
        held = world.mailbox(ALICE)
        held.remove(remote(world, "e0"))
        held.change(remote(world, "e1"), location="Elsewhere")
        copy = held.copy(remote(world, "e2"))
        pages = await recorded(world, id)
        assert [[e.id for e in page.events] for page in pages] == [[remote(world, "e1"), copy.id], []]
        assert (await last_drift(world)) == Drift(events=5, missing=1, changed=1, copied=1)
        # And what it found stays found, until it changes again.
        assert await world.refresh(id) == Drift(events=5, missing=1, changed=1, copied=1)
        held.remove(copy.id)
        held.change(remote(world, "e1"), location="")
        assert await world.refresh(id) == Drift(events=4, missing=1)

    async def test_where_the_provider_has_forgotten_everything_is_read_again(
        self, world: World, id: int
    ) -> None:
        await world.refresh(id)
        held = world.mailbox(ALICE)
        held.remove(remote(world, "e0"))
        held.forgotten = held.next()
        assert await world.refresh(id) == Drift(events=4, missing=1)
        assert world.adapter.count("changes") == 3
        assert len(await recorded(world, id)) == 1

    async def test_a_reading_that_broke_off_is_made_again_from_where_the_last_one_ended(
        self, world: World, id: int
    ) -> None:
        await world.refresh(id)
        held = world.mailbox(ALICE)
        held.change(remote(world, "e1"), location="Elsewhere")
        held.remove(remote(world, "e0"))
        world.adapter.list_fails_after = 0
        await ask_for_refresh(world.pool, world.clock, id)
        await world.work()
        world.adapter.list_fails_after = None
        await world.settle(hours=1)
        assert await last_drift(world) == Drift(events=4, missing=1, changed=1)

    async def test_an_audit_reads_everything_and_what_comes_after_goes_on(
        self, world: World, id: int
    ) -> None:
        await world.refresh(id)
        world.mailbox(ALICE).remove(remote(world, "e0"))
        mailbox = await world.pool.fetchval("SELECT id FROM mailboxes")
        found = await audit_mailbox(world.pool, world.adapter, world.config, world.clock, mailbox, 5)
        assert [d.kind for d in found.differences] == ["missing"]
        assert await world.refresh(id) == Drift(events=4, missing=1)


class TestCalendars:
    async def test_another_one_of_the_mailbox_is_read_as_well(self, world: World, id: int) -> None:
        held = world.mailbox(ALICE)
        private = held.make_calendar("Private")
        held.move(remote(world, "e0"), private)
        held.put(EVENTS[1], marker(world, "e1"), calendar=private)
        await ask_for_refresh(world.pool, world.clock, id, ["private"])
        await world.work()
        assert await last_drift(world) == Drift(events=6, moved=1, copied=1)
        # Without being asked, nobody looks there.
        assert await world.refresh(id) == Drift(events=4, missing=1)

    async def test_what_was_moved_there_comes_back_and_the_other_is_theirs(
        self, world: World, id: int
    ) -> None:
        world.let_people("restore")
        held = world.mailbox(ALICE)
        held.move(remote(world, "e0"), held.make_calendar("Private"))
        await ask_for_refresh(world.pool, world.clock, id, ["Private", ALICE.upper(), "calendar"])
        await world.work()
        assert world.uids(ALICE)["e0"] == 2
        assert [e.calendar is None for e in world.pushed(ALICE) if e.event.uid == "e0"] == [False, True]

    async def test_a_run_for_one_that_is_not_there_fails_and_says_so(self, world: World, id: int) -> None:
        run = await ask_for_refresh(world.pool, world.clock, id, ["Birthdays"])
        another = await ask_for_refresh(world.pool, world.clock, id)
        await world.work()
        rows = await world.pool.fetch("SELECT id, state, last_error FROM runs ORDER BY id")
        assert [tuple(row) for row in rows] == [
            (run, "failed", "The mailbox has no calendar named Birthdays."),
            (another, "done", None),
        ]

    async def test_our_own_are_read_too(self, world: World, id: int) -> None:
        await world.prefer(id, {"calendar.name": "Timetable"})
        await world.work()
        held = world.mailbox(ALICE)
        held.remove(remote(world, "e0"))
        held.change(remote(world, "e1"), location="Elsewhere")
        assert await world.refresh(id) == Drift(events=4, missing=1, changed=1)

    async def test_one_of_ours_that_is_gone_is_everything_missing(self, world: World, id: int) -> None:
        await world.prefer(id, {"calendar.name": "Timetable"})
        await world.work()
        held = world.mailbox(ALICE)
        (calendar,) = held.calendars
        held.remove_calendar(calendar)
        assert await world.refresh(id) == Drift(missing=5)
        world.let_people("restore")
        await world.refresh(id)
        await world.assert_true(ALICE, EVENTS)


class TestByItself:
    async def test_a_mailbox_is_read_once_a_day(self, world: World, id: int) -> None:
        world.let_people("restore")
        world.mailbox(ALICE).remove(remote(world, "e0"))
        await world.settle(hours=20)
        assert world.adapter.count("changes") == 0
        await world.settle(hours=14)
        assert world.adapter.count("changes") == 1
        await world.assert_true(ALICE, EVENTS)

    async def test_not_at_all_where_that_is_configured(self, world: World, id: int) -> None:
        sync = msgspec.structs.replace(world.config.sync, refresh_interval_seconds=0)
        world.config = msgspec.structs.replace(world.config, sync=sync)
        await world.settle(hours=60)
        assert world.adapter.count("changes") == 0


async def test_a_create_that_arrives_when_nobody_looks_for_it_any_more_is_taken_out(
    world: World, id: int
) -> None:
    late = Unknown(code="timeout", reason="No answer came.")
    world.adapter.fail("create", late, late=True)
    await world.publish("alice", *EVENTS, event("new"))
    await world.settle(hours=24)
    assert world.adapter.deliver() == 1
    copy = world.mailbox(ALICE).copy(next(e.id for e in world.pushed(ALICE) if e.event.uid == "new"))
    await world.settle(hours=48)
    assert world.uids(ALICE)["new"] == 2
    assert copy.id in world.mailbox(ALICE).events


async def test_what_a_reading_found_is_in_the_history(world: World, id: int) -> None:
    world.let_people("restore")
    world.mailbox(ALICE).remove(remote(world, "e0"))
    world.mailbox(ALICE).change(remote(world, "e1"), location="Elsewhere")
    await world.refresh(id)
    rows = await world.pool.fetch(
        "SELECT uid, outcome, code, reason FROM history WHERE operation = 'read' ORDER BY uid"
    )
    assert [tuple(row) for row in rows] == [
        ("e0", "gone", "missing", "The event was not in the calendar any more: it is created anew."),
        (
            "e1",
            "changed",
            "changed",
            "The event was not as it had been written (location): it is written again.",
        ),
    ]


async def recorded(world: World, id: int) -> list[Changes]:
    """What the provider told in a refresh."""
    told: list[Changes] = []
    changes = world.adapter.changes

    async def noted(mailbox: Mailbox, instance: str, since: str | None) -> AsyncIterator[Changes]:
        async for page in changes(mailbox, instance, since):
            told.append(page)
            yield page

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.adapter, "changes", noted)
        await world.refresh(id)
    return told


async def last_drift(world: World) -> Drift:
    """What the last refresh found."""
    found = await world.pool.fetchval(
        "SELECT drift::text FROM runs WHERE drift IS NOT NULL ORDER BY id DESC LIMIT 1"
    )
    return msgspec.json.decode(found, type=Drift)
