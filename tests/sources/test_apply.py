"""What a run does to timetables, and above all what it never does: a read that failed removes nothing."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from app.sources.contract import Json, Page, ReadFailed, RecordError
from app.sources.requests import TWICE
from app.timetables.store import patch
from tests.sources.world import START, TIMETABLE, World, contradiction, event, lecture, page, thing

ALL: dict[str, Json] = {"resource": "everything", "persist": True}
"""A listing of everybody's events."""


def many(username: str, count: int) -> Page:
    return page(*(lecture(username, f"{username}{n:02d}") for n in range(count)))


@pytest.fixture
async def both(world: World) -> Any:
    """Alice has the events a1 and a2, Bob has b1 and b2, from a run of the job that this gives."""
    await world.add_users("alice", "bob")
    world.source.give("alice", page(lecture("alice", "a1"), lecture("alice", "a2")))
    world.source.give("bob", page(lecture("bob", "b1"), lecture("bob", "b2")))
    job, account = await world.job(), await world.account()
    assert (await world.run(job, account, args={"users": ["alice", "bob"]})).state == "done"
    return job, account


async def again(world: World, both: Any, **body: Json) -> Any:
    job, account = both
    return await world.run(job, account, args={"users": ["alice", "bob"]}, **body)


async def test_a_complete_read_replaces_the_timetable(world: World, both: Any) -> None:
    world.source.give("alice", page(lecture("alice", "a1", title="moved"), lecture("alice", "a3")))
    run = await again(world, both)
    assert await world.uids("alice") == ["a1", "a3"]
    assert run.previous_run_date is None
    counts = run.counts
    assert (counts.created, counts.updated, counts.deleted, counts.unchanged) == (1, 1, 1, 2)


async def test_what_somebody_else_published_before_is_replaced_too(world: World, both: Any) -> None:
    await patch(world.pool, "alice", [event("theirs")], [], world.config.timetables, world.clock())
    await again(world, both)
    assert await world.uids("alice") == ["a1", "a2"]


async def test_an_answer_without_events_is_an_empty_timetable(world: World, both: Any) -> None:
    world.source.give("alice", page())
    await again(world, both)
    assert (await world.uids("alice"), await world.uids("bob")) == ([], ["b1", "b2"])


class TestNothingIsLost:
    async def test_by_a_read_that_fails(self, world: World, both: Any) -> None:
        world.source.give("alice", ReadFailed("It answers with HTTP status 500."))
        world.source.give("bob", page(lecture("bob", "b1")))
        run = await again(world, both)
        assert run.state == "done"
        assert (await world.uids("alice"), await world.uids("bob")) == (["a1", "a2"], ["b1"])
        assert run.counts.users_kept == 1

    async def test_by_a_read_that_breaks_off(self, world: World, both: Any) -> None:
        world.source.give("alice", page(lecture("alice", "a3")), ReadFailed("Cut off."))
        await again(world, both)
        assert await world.uids("alice") == ["a1", "a2", "a3"]

    async def test_by_a_record_that_cannot_be_mapped(self, world: World, both: Any) -> None:
        """It may be the event a2: nobody can say."""
        error = RecordError(place="record 2", detail="It has no start.")
        world.source.give("alice", page(lecture("alice", "a1", title="moved"), errors=[error]))
        run = await again(world, both)
        assert await world.uids("alice") == ["a1", "a2"]
        assert (run.counts.updated, run.counts.deleted) == (1, 0)
        assert [(error.kind, error.place) for error in run.errors] == [
            ("record", "timetable, users[0], record 2")
        ]

    @pytest.mark.parametrize(
        "changes",
        [
            {"title": "x" * 300},
            {"title": "a\x00b"},
            {"url": "javascript:alert()"},
        ],
    )
    async def test_by_a_record_that_breaks_a_limit(
        self, world: World, both: Any, changes: dict[str, Any]
    ) -> None:
        world.source.give(
            "alice", page(lecture("alice", "a1", title="moved"), lecture("alice", "a2", **changes))
        )
        run = await again(world, both)
        assert await world.uids("alice") == ["a1", "a2"]
        assert (run.counts.record_errors, run.counts.updated) == (1, 1)

    async def test_by_two_records_of_one_id(self, world: World, both: Any) -> None:
        first, second = lecture("alice", "a1"), lecture("alice", "a1", title="another")
        world.source.give("alice", page(first, second))
        run = await again(world, both)
        assert await world.uids("alice") == ["a1", "a2"]
        assert run.errors[0].detail == TWICE

    async def test_by_a_listing_of_which_nobody_can_say_whose_a_failed_part_is(self, world: World) -> None:
        await world.add_users("alice", "bob")
        job, account = await world.job(ALL, args_schema={}), await world.account()
        world.source.script("everything", page(lecture("alice", "a"), lecture("bob", "b")))
        await world.run(job, account)
        world.source.script("everything", page(lecture("alice", "a2")), ReadFailed("Cut off."))
        await world.run(job, account)
        assert (await world.uids("alice"), await world.uids("bob")) == (["a", "a2"], ["b"])

    async def test_by_an_unmappable_record_of_somebody_in_a_listing(self, world: World) -> None:
        await world.add_users("alice", "bob")
        job, account = await world.job(ALL, args_schema={}), await world.account()
        world.source.script(
            "everything", page(lecture("alice", "a"), lecture("bob", "b1"), lecture("bob", "b2"))
        )
        await world.run(job, account)
        error = RecordError(place="record 1", detail="It has no start.", username="alice")
        world.source.script("everything", page(lecture("bob", "b1"), errors=[error]))
        await world.run(job, account)
        assert (await world.uids("alice"), await world.uids("bob")) == (["a"], ["b1"])

    async def test_by_a_parent_that_fails(self, world: World) -> None:
        """Of whom there might have been more to read, nobody knows: nobody loses anything."""
        await world.add_users("alice")
        exams = {"resource": "exams", "persist": True, "depends_on": "courses"}
        job = await world.job(TIMETABLE, {"resource": "courses"}, exams)
        account = await world.account()
        world.source.give("alice", page(lecture("alice", "a")))
        world.source.script("courses", page(thing("c")))
        world.source.script("exams", page(lecture("alice", "exam")))
        await world.run(job, account, args={"users": ["alice"]})
        assert await world.uids("alice") == ["a", "exam"]
        world.source.script("courses", ReadFailed("No."))
        await world.run(job, account, args={"users": ["alice"]})
        assert await world.uids("alice") == ["a", "exam"]

    async def test_by_a_failure_that_concerns_no_timetable(self, world: World) -> None:
        await world.add_users("alice")
        job = await world.job(TIMETABLE, {"resource": "rooms"})
        account = await world.account()
        world.source.give("alice", page(lecture("alice", "a")))
        world.source.script("rooms", ReadFailed("No."))
        await world.run(job, account, args={"users": ["alice"]})
        world.source.give("alice", page(lecture("alice", "b")))
        await world.run(job, account, args={"users": ["alice"]})
        assert await world.uids("alice") == ["b"]


class TestAUserAsAWhole:
    async def test_events_of_several_resources_are_one_timetable(self, world: World) -> None:
        await world.add_users("alice")
        world.source.give("alice", page(lecture("alice", "a"), lecture("alice", "both")))
        world.source.script("everything", page(lecture("alice", "exam"), lecture("alice", "both")))
        job = await world.job(TIMETABLE, ALL)
        await world.run(job, await world.account(), args={"users": ["alice"]})
        assert await world.uids("alice") == ["a", "both", "exam"]

    async def test_a_uid_with_two_contents_is_refused_for_that_user_alone(
        self, world: World, both: Any
    ) -> None:
        world.source.give("alice", page(*contradiction("alice")))
        world.source.give("bob", page(lecture("bob", "b3")))
        run = await again(world, both)
        assert (await world.uids("alice"), await world.uids("bob")) == (["a1", "a2"], ["b3"])
        assert [(error.kind, error.username) for error in run.errors] == [("user", "alice")]
        assert "unique in a timetable" in run.errors[0].detail
        assert run.counts.users_refused == 1

    async def test_a_timetable_that_would_become_too_large_is_refused_for_that_user_alone(
        self, world: World, both: Any
    ) -> None:
        world.config = msgspec.structs.replace(
            world.config, timetables=msgspec.structs.replace(world.config.timetables, max_events=3)
        )
        added = page(lecture("alice", "a3"), lecture("alice", "a4"), lecture("bob", "b3"))
        world.source.script("everything", added, ReadFailed("Cut off."))
        run = await world.run(await world.job(ALL, args_schema={}), both[1])
        assert (await world.uids("alice"), await world.uids("bob")) == (["a1", "a2"], ["b1", "b2", "b3"])
        assert [(error.username, error.detail) for error in run.errors if error.kind == "user"] == [
            ("alice", "The timetable would have 4 events; at most 3 are allowed.")
        ]

    async def test_users_who_are_none_here_are_counted(self, world: World) -> None:
        await world.add_users("alice")
        world.source.give("alice", page(lecture("alice", "a")))
        world.source.give("nobody", page(lecture("nobody", "n")))
        job, account = await world.job(), await world.account()
        run = await world.run(job, account, args={"users": ["alice", "nobody"]})
        assert (run.state, run.errors, run.counts.users_unknown) == ("done", [], 1)
        assert await world.pool.fetchval("SELECT count(*) FROM users") == 1


class TestGuard:
    @pytest.fixture
    async def full(self, world: World) -> Any:
        """Alice has 30 events to come."""
        await world.add_users("alice", "bob")
        world.source.give("alice", many("alice", 30))
        world.source.give("bob", page(lecture("bob", "b1")))
        job, account = await world.job(), await world.account()
        await world.run(job, account, args={"users": ["alice", "bob"]})
        return job, account

    async def test_a_mass_removal_is_held_for_that_user_and_said(self, world: World, full: Any) -> None:
        world.source.give("alice", many("alice", 1))
        world.source.give("bob", page(lecture("bob", "b2")))
        run = await again(world, full)
        assert (len(await world.uids("alice")), await world.uids("bob")) == (30, ["b2"])
        [error] = run.errors
        assert (error.kind, error.username) == ("user", "alice")
        assert error.detail == (
            "Nothing was changed: this would remove 29 of 30 future events."
            ' If that is what you want, make a run with "confirm": true (job run: --confirm).'
        )

    async def test_it_is_held_again_by_the_next_run(self, world: World, full: Any) -> None:
        world.source.give("alice", many("alice", 1))
        for _ in range(2):
            assert (await again(world, full)).counts.users_refused == 1
        assert len(await world.uids("alice")) == 30

    async def test_it_is_carried_out_where_that_is_wanted(self, world: World, full: Any) -> None:
        world.source.give("alice", many("alice", 1))
        run = await again(world, full, confirm=True)
        assert (run.errors, await world.uids("alice")) == ([], ["alice00"])

    @pytest.mark.parametrize("users", [2, 20])
    async def test_an_empty_answer_is_not_believed_however_few_they_are(
        self, world: World, users: int
    ) -> None:
        names = [f"u{n:02d}" for n in range(users)]
        await world.add_users(*names)
        job, account = await world.job(ALL, args_schema={}), await world.account()
        world.source.script("everything", page(*(lecture(name, f"of {name}") for name in names)))
        await world.run(job, account)
        world.source.script("everything", page())
        for _ in range(2):
            run = await world.run(job, account)
            assert (run.state, run.counts.users_refused) == ("done", users)
            assert await world.uids("u00") == ["of u00"]
        run = await world.run(job, account, confirm=True)
        assert (run.errors, await world.uids("u00")) == ([], [])

    async def test_a_source_that_has_nothing_for_anybody_any_more_is_not_believed(self, world: World) -> None:
        """Each has too few events for the guard of one timetable."""
        names = [f"u{n:02d}" for n in range(30)]
        await world.add_users(*names)
        job, account = await world.job(ALL, args_schema={}), await world.account()
        world.source.script("everything", page(*(lecture(name, f"of {name}") for name in names)))
        await world.run(job, account)
        world.source.script("everything", page(lecture("u00", "new")))
        for _ in range(2):
            run = await world.run(job, account)
            assert (run.state, run.counts.users_refused) == ("done", 29)
            assert run.errors[0].detail.startswith("29 of 30 users would have no events any more")
        assert (await world.uids("u00"), await world.uids("u29")) == (["new"], ["of u29"])
        await world.run(job, account, confirm=True)
        assert await world.uids("u29") == []


class TestUsersWhoAreGoneFromAListing:
    @pytest.fixture
    async def listed(self, world: World) -> Any:
        await world.add_users("alice", "bob")
        resource = ALL | {"query": {"department": "{{args.department}}"}}
        schema = {"properties": {"department": {"type": "string"}}}
        job, account = await world.job(resource, args_schema=schema), await world.account()
        world.source.script("everything", page(lecture("alice", "a"), lecture("bob", "b")))
        await world.run(job, account)
        return job, account

    async def test_have_no_events_any_more(self, world: World, listed: Any) -> None:
        world.source.script("everything", page(lecture("alice", "a")))
        await world.run(*listed)
        assert (await world.uids("alice"), await world.uids("bob")) == (["a"], [])

    async def test_unless_the_run_asked_for_something_else(self, world: World, listed: Any) -> None:
        world.source.script("everything", page(lecture("alice", "a")))
        await world.run(*listed, args={"department": "mathematics"})
        assert await world.uids("bob") == ["b"]


async def test_the_stored_records_follow_the_source(world: World, both: Any) -> None:
    query = "SELECT username, id FROM source_records ORDER BY 1, 2"
    world.source.give("alice", page(lecture("alice", "a2")))
    await again(world, both)
    assert [tuple(row) for row in await world.pool.fetch(query)] == [
        ("alice", "a2"),
        ("bob", "b1"),
        ("bob", "b2"),
    ]


async def test_a_mailbox_hears_of_what_has_changed(world: World, both: Any) -> None:
    mailbox = await world.pool.fetchval(
        "INSERT INTO mailboxes (type, address, due_at) VALUES ('ews', 'a@x.example', NULL) RETURNING id"
    )
    await world.pool.execute(
        "INSERT INTO synchronizations (username, type, mailbox_id, address)"
        " VALUES ('alice', 'ews', $1, 'a@x.example')",
        mailbox,
    )
    world.source.give("alice", page(lecture("alice", "a1", start=START + timedelta(days=1))))
    await again(world, both)
    assert await world.pool.fetchval("SELECT due_at IS NOT NULL FROM mailboxes")
