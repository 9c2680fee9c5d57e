"""Runs that go on from an earlier one: what has changed since, and what has not changed at all."""

from datetime import timedelta
from typing import Any

import pytest

from app.sources import accounts, jobs, runs
from app.sources.contract import Context, Json, Page, ReadFailed, RecordError, ResourceRequest
from app.sources.runs import JobRun
from app.sources.secrets import open_vault
from app.timetables.store import fetch, replace
from tests.sources.world import TIMETABLE, Step, World, contradiction, event, lecture, page

INCREMENTAL: dict[str, Json] = {
    "resource": "everything",
    "query": {"changed_since": "{{previous_run_date}}"},
    "persist": True,
}


class TestIncremental:
    @pytest.fixture
    async def job(self, world: World) -> Any:
        await world.add_users("alice", "bob")
        world.source.script("everything", page(lecture("alice", "a"), lecture("bob", "b")))
        return await world.job(INCREMENTAL, args_schema={}), await world.account()

    def asked(self, world: World) -> list[Json]:
        return [query["changed_since"] for query in world.source.queries("everything")]

    async def test_the_first_run_reads_from_the_beginning_of_time(self, world: World, job: Any) -> None:
        run = await world.run(*job)
        assert (self.asked(world), run.previous_run_date) == (["1970-01-01T00:00:00Z"], None)

    async def test_the_next_one_goes_on_from_its_start_and_takes_nothing_out(
        self, world: World, job: Any
    ) -> None:
        first = await world.run(*job)
        world.source.script("everything", page(lecture("alice", "a2")))
        second = await world.run(*job)
        assert self.asked(world)[1] == "2026-09-01T07:56:00Z"
        assert first.started_at is not None
        assert second.previous_run_date == first.started_at - timedelta(minutes=5), "clocks differ"
        assert (await world.uids("alice"), await world.uids("bob")) == (["a", "a2"], ["b"])

    async def test_a_cancelled_event_goes(self, world: World, job: Any) -> None:
        """That is how a source of changes says that an event is off."""
        await world.run(*job)
        world.source.script("everything", page(lecture("alice", "a", status="cancelled")))
        await world.run(*job)
        row = await world.pool.fetchrow("SELECT cancelled FROM timetable_events WHERE uid = 'a'")
        assert row is not None
        assert row["cancelled"]

    async def test_one_that_ignores_the_previous_run_reads_and_replaces_everything(
        self, world: World, job: Any
    ) -> None:
        await world.run(*job)
        world.source.script("everything", page(lecture("alice", "a2"), lecture("bob", "b")))
        run = await world.run(*job, ignore_previous_run=True)
        assert (self.asked(world)[1], run.previous_run_date) == ("1970-01-01T00:00:00Z", None)
        assert await world.uids("alice") == ["a2"]

    @pytest.mark.parametrize("flaw", ["read", "refused", "cancelled", "failed"])
    async def test_nobody_goes_on_from_a_run_that_left_something_out(
        self, world: World, job: Any, flaw: str
    ) -> None:
        await world.run(*job)
        if flaw == "read":
            world.source.script("everything", page(lecture("alice", "c")), ReadFailed("Cut off."))
        elif flaw == "refused":
            world.source.script("everything", page(*contradiction("alice")))
        elif flaw == "failed":
            world.hook.refuse = "completed"
        else:
            run = await world.begin(*job)
            await runs.cancel(world.pool, run.id, world.clock())
        if flaw != "cancelled":
            await world.run(*job)
        world.hook.refuse = None
        world.source.script("everything", page())
        await world.run(*job)
        assert self.asked(world)[-1] == "2026-09-01T07:56:00Z"

    async def test_a_record_that_cannot_be_mapped_is_not_asked_for_again(
        self, world: World, job: Any
    ) -> None:
        """Once it was put right, the source calls it changed."""
        error = RecordError(place="record 2", detail="It has no start.", username="alice")
        world.source.script("everything", page(lecture("alice", "a"), errors=[error]))
        await world.run(*job)
        await world.run(*job)
        assert self.asked(world)[-1] == "2026-09-01T07:56:00Z"

    @pytest.mark.parametrize("change", ["args", "job", "account"])
    async def test_nobody_goes_on_from_a_run_of_something_else(
        self, world: World, job: Any, change: str
    ) -> None:
        job_id, account_id = job
        await world.run(*job)
        world.clock.advance(minutes=5)
        integrations = world.sources.integrations
        args: Json = {}
        if change == "args":
            args = {"department": "x"}
        elif change == "job":
            patched = {"resources": [INCREMENTAL | {"method": "get"}]}
            await jobs.change(world.pool, job_id, patched, integrations, world.clock())
        else:
            patched = {"settings": {"mapping": "another"}}
            vault = open_vault(world.config)
            await accounts.change(world.pool, vault, account_id, patched, integrations, world.clock())
        await world.run(*job, args=args)
        assert self.asked(world)[1] == "1970-01-01T00:00:00Z"


class TestNewcomers:
    """Provisioned after everything was read: they get what was read then, without a run that reads it all."""

    @pytest.fixture
    async def job(self, world: World) -> Any:
        await world.add_users("alice")
        schema = {"properties": {"department": {"type": "string"}}}
        job = await world.job(INCREMENTAL, args_schema=schema), await world.account()
        world.source.script(
            "everything",
            page(lecture("alice", "a"), lecture("bob", "b1"), lecture("bob", "b2")),
        )
        await world.run(*job)
        await world.add_users("bob")
        return job

    async def test_of_whom_something_has_changed(self, world: World, job: Any) -> None:
        changes = page(lecture("bob", "b2", title="moved"), lecture("bob", "b3"))
        world.source.script("everything", changes)
        run = await world.run(*job)
        assert await world.uids("bob") == ["b1", "b2", "b3"]
        assert {event.title for event in (await fetch(world.pool, "bob")).events} == {"b1", "moved", "b3"}
        assert (run.counts.created, run.counts.users_applied) == (3, 1)

    async def test_of_whom_nothing_has_changed(self, world: World, job: Any) -> None:
        world.source.script("everything", page())
        await world.run(*job)
        assert (await world.uids("alice"), await world.uids("bob")) == (["a"], ["b1", "b2"])

    async def test_whom_a_run_of_everything_could_not_read(self, world: World, job: Any) -> None:
        world.source.script("everything", page(lecture("alice", "a")), ReadFailed("Cut off."))
        await world.run(*job, ignore_previous_run=True)
        assert await world.uids("bob") == ["b1", "b2"]

    async def test_also_when_that_run_was_forgotten(self, world: World, job: Any) -> None:
        world.source.script("everything", page())
        before = await world.begin(*job)
        await world.pool.execute("DELETE FROM users WHERE username = 'bob'")
        await world.runner().run_until_idle()
        await world.pool.execute("DELETE FROM sync_job_runs WHERE id <> $1", before.id)
        await world.add_users("bob")
        await world.run(*job)
        assert await world.uids("bob") == ["b1", "b2"]

    async def test_but_not_what_was_read_with_other_arguments(self, world: World, job: Any) -> None:
        world.source.script("everything", page())
        await world.run(*job, args={"department": "mathematics"})
        await world.run(*job, args={"department": "mathematics"})
        assert await world.uids("bob") == []

    async def test_once_they_have_a_timetable_they_are_none(self, world: World, job: Any) -> None:
        await replace(world.pool, "bob", [event("theirs")], world.config.timetables, world.clock())
        world.source.script("everything", page())
        await world.run(*job)
        assert await world.uids("bob") == ["theirs"]


class Feed:
    """Alice's timetable, with an ETag: who knows it is told that nothing has changed."""

    def __init__(self) -> None:
        self.etag = '"1"'
        self.page = page(lecture("alice", "a1"), lecture("alice", "a2"))
        self.after: list[Exception] = []
        self.recalled: list[object] = []

    def script(self, _request: ResourceRequest, context: Context) -> list[Step]:
        async def answer() -> Page:
            known = await context.recall("alice")
            self.recalled.append(known)
            if known == {"etag": self.etag}:
                return Page(unchanged=True)
            await context.remember("alice", {"etag": self.etag})
            return self.page

        return [answer, *self.after]


class TestUnchanged:
    """A source that says that nothing has changed (HTTP 304)."""

    @pytest.fixture
    async def feed(self, world: World) -> Feed:
        await world.add_users("alice")
        feed = Feed()
        world.source.scripts["timetable"] = feed.script
        return feed

    @pytest.fixture
    async def job(self, world: World, feed: Feed) -> Any:
        """It has read the feed once."""
        job = await world.job(), await world.account()
        await self.run(world, job)
        return job

    async def run(self, world: World, job: Any, **body: Json) -> JobRun:
        return await world.run(*job, args={"users": ["alice"]}, **body)

    async def test_keeps_the_timetable(self, world: World, feed: Feed, job: Any) -> None:
        run = await self.run(world, job)
        assert feed.recalled == [None, {"etag": '"1"'}]
        assert await world.uids("alice") == ["a1", "a2"]
        assert (run.counts.records, run.counts.unchanged, run.counts.deleted) == (2, 2, 0)

    async def test_is_not_asked_by_a_run_that_ignores_the_previous_one(
        self, world: World, feed: Feed, job: Any
    ) -> None:
        await self.run(world, job, ignore_previous_run=True)
        assert feed.recalled == [None, None]

    @pytest.mark.parametrize("flaw", ["cut off", "unmappable", "refused"])
    async def test_is_not_asked_after_a_read_that_was_not_flawless(
        self, world: World, feed: Feed, job: Any, flaw: str
    ) -> None:
        feed.etag = '"2"'
        if flaw == "cut off":
            feed.after = [ReadFailed("Cut off.")]
        elif flaw == "unmappable":
            error = RecordError(place="record 2", detail="It has no start.")
            feed.page = page(lecture("alice", "a1"), errors=[error])
        else:
            feed.page = page(*contradiction("alice"))
        await self.run(world, job)
        await self.run(world, job)
        assert feed.recalled[2] != {"etag": '"2"'}
        assert await world.uids("alice") == ["a1", "a2"]

    async def test_keeps_it_again_and_again(self, world: World, feed: Feed, job: Any) -> None:
        for _ in range(3):
            await self.run(world, job)
        assert feed.recalled[1:] == [{"etag": '"1"'}] * 3
        assert await world.uids("alice") == ["a1", "a2"]

    @pytest.mark.parametrize("flaw", [ReadFailed("No."), ZeroDivisionError()], ids=["kept", "failed"])
    async def test_does_not_bring_back_what_had_gone_before(
        self, world: World, feed: Feed, flaw: Exception
    ) -> None:
        """A run has read that a2 is gone, and remembered the ETag, but could not take a2 out."""
        exams = {"resource": "exams", "persist": True}
        job = await world.job(TIMETABLE, exams), await world.account()
        world.source.script("exams", page())
        await self.run(world, job)
        feed.etag, feed.page = '"2"', page(lecture("alice", "a1"))
        world.source.script("exams", flaw)
        await self.run(world, job)
        assert await world.uids("alice") == ["a1", "a2"]
        world.source.script("exams", page())
        await self.run(world, job)
        assert feed.recalled[-1] == {"etag": '"2"'}
        assert await world.uids("alice") == ["a1"]

    async def test_is_not_asked_where_another_run_has_read_the_user_differently(
        self, world: World, feed: Feed, job: Any
    ) -> None:
        await world.pool.execute("DELETE FROM source_records WHERE id = 'a2'")
        await self.run(world, job)
        assert feed.recalled == [None, None]
        assert await world.uids("alice") == ["a1", "a2"]

    @pytest.mark.parametrize("changed", ["job", "account"])
    async def test_is_not_asked_after_a_change(
        self, world: World, feed: Feed, job: Any, changed: str
    ) -> None:
        world.clock.advance(minutes=1)
        integrations = world.sources.integrations
        if changed == "job":
            patch: Json = {"environment_id": "new"}
            await jobs.change(world.pool, job[0], patch, integrations, world.clock())
        else:
            vault = open_vault(world.config)
            patch = {"settings": {"zone": "UTC"}}
            await accounts.change(world.pool, vault, job[1], patch, integrations, world.clock())
        await self.run(world, job)
        assert feed.recalled == [None, None]
