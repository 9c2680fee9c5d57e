"""What a run reads, in which order, and what becomes of errors."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from app.sources.contract import (
    Context,
    Json,
    ListChanged,
    Page,
    ReadFailed,
    RecordError,
    ResourceRequest,
    Throttled,
)
from app.sources.engine import CONCURRENCY
from app.sources.runs import JobRun
from app.sources.slices import SLICE
from app.sources.staging import Staging
from app.timetables.store import fetch
from tests.sources.world import TIMETABLE, World, lecture, page, thing

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
USERS = {"resource": "directory/users", "method": "list"}
OF_EACH = {
    "resource": "timetable",
    "depends_on": "directory/users",
    "query": {"user": "{{resources.directory.users.login}}"},
    "persist": True,
}


async def test_what_is_persisted_is_the_users_timetable(world: World) -> None:
    await world.add_users("alice", "bob")
    world.source.give("alice", page(lecture("alice", "a1")), page(lecture("alice", "a2")))
    world.source.give("bob", page(lecture("bob", "b1")))
    run = await world.run(await world.job(), await world.account(), args={"users": ["alice", "bob"]})
    assert (run.state, run.errors) == ("done", [])
    assert (await world.uids("alice"), await world.uids("bob")) == (["a1", "a2"], ["b1"])
    counts = run.counts
    assert (counts.requests, counts.pages, counts.records) == (2, 3, 3)
    assert (counts.users, counts.users_applied, counts.created) == (2, 2, 3)


async def test_the_account_comes_decrypted(world: World) -> None:
    world.source.give("alice", page())
    await world.run(await world.job(), await world.account(), args={"users": ["alice"]})
    account = world.source.accounts[0]
    assert (account.base_url, account.credentials) == ("https://source.example/api", {"token": "s3cret"})
    assert "s3cret" not in repr(account)


@pytest.mark.parametrize("loop_on", ["rooms", "args.rooms", "{{ args.rooms }}"])
async def test_a_loop_asks_once_for_each_element_with_its_type(world: World, loop_on: str) -> None:
    resource = {
        "resource": "rooms",
        "query": {"room": "{{args.rooms}}", "t": "n{{args.rooms}}"},
        "loop_on": loop_on,
    }
    schema = {"properties": {"rooms": {"type": "array"}}}
    world.source.script("rooms", page())
    job = await world.job(resource, args_schema=schema)
    await world.run(job, await world.account(), args={"rooms": [1, "two", {"n": 3}]})
    asked = sorted(world.source.queries("rooms"), key=str)
    assert asked == [
        {"room": "two", "t": "ntwo"},
        {"room": 1, "t": "n1"},
        {"room": {"n": 3}, "t": 'n{"n":3}'},
    ]


async def test_a_child_is_read_for_each_object_of_its_parent(world: World) -> None:
    await world.add_users("alice", "bob")
    world.source.script("directory/users", page(thing("1", login="alice")), page(thing("2", login="bob")))
    for username in ("alice", "bob"):
        world.source.give(username, page(lecture(username, f"of {username}")))
    run = await world.run(await world.job(OF_EACH, USERS, args_schema={}), await world.account())
    assert (run.state, run.counts.requests) == ("done", 3)
    assert await world.uids("bob") == ["of bob"]


async def test_what_goes_wrong_with_a_child_is_told_with_the_object_that_it_is_of(world: World) -> None:
    rooms = {"resource": "rooms", "depends_on": "buildings", "query": {"q": "{{resources.buildings.n}}"}}
    looped = {"resource": "floors", "depends_on": "buildings", "loop_on": "floors"}
    world.source.script("buildings", page(thing("B1", n=1), thing("B2")))
    world.source.script("rooms", ReadFailed("Cut off."))
    world.source.script("floors", ReadFailed("Cut off."))
    schema = {"properties": {"floors": {"type": "array"}}}
    job = await world.job({"resource": "buildings"}, rooms, looped, args_schema=schema)
    run = await world.run(job, await world.account(), args={"floors": [7]})
    assert sorted((error.place, error.detail) for error in run.errors) == [
        ("floors of buildings B1, floors[0]", "Cut off."),
        ("floors of buildings B2, floors[0]", "Cut off."),
        ("rooms of buildings B1", "Cut off."),
        ("rooms of buildings B2", "What it depends on has no {{resources.buildings.n}}."),
    ]


async def test_a_grandchild_sees_all_that_it_depends_on(world: World) -> None:
    chain: list[dict[str, Json]] = [
        {
            "resource": "c",
            "depends_on": "b",
            "id": "{{resources.b.n}}",
            "query": {"q": "{{resources.a.list.0}}"},
        },
        {"resource": "b", "depends_on": "a", "query": {"q": "{{resources.a.id}}"}},
        {"resource": "a"},
    ]
    world.source.script("a", page(thing("A", list=["first"])))
    world.source.script("b", page(thing("B1", n=1), thing("B2", n=2)))
    world.source.script("c", page())
    await world.run(await world.job(*chain, args_schema={}), await world.account())
    asked = [(call.id, dict(call.query)) for call in world.source.calls if call.resource == "c"]
    assert sorted(asked) == [(1, {"q": "first"}), (2, {"q": "first"})]


async def test_what_is_under_way_at_a_time_grows_with_the_depth_of_a_job_and_not_with_its_width(
    world: World,
) -> None:
    """A page is in memory for as long as what depends on its records is read."""
    names, width = "abcde", 5
    open_pages = most = 0

    def script(_request: ResourceRequest, _context: Context) -> Iterator[Page]:
        nonlocal open_pages, most
        open_pages += 1
        most = max(most, open_pages)
        yield page(*(thing(str(number)) for number in range(width)))
        open_pages -= 1

    world.source.scripts = dict.fromkeys(names, script)
    chain = [
        {"resource": name, "depends_on": above} for above, name in zip([None, *names], names, strict=False)
    ]
    run = await world.run(await world.job(*chain, args_schema={}), await world.account())
    assert run.counts.requests == sum(width**level for level in range(len(names)))
    assert open_pages == 0
    assert CONCURRENCY < most <= CONCURRENCY * len(names)


async def test_an_argument_that_was_not_given_is_left_out_and_a_default_is_filled_in(world: World) -> None:
    resource = {"resource": "a", "query": {"x": "{{args.x}}", "y": "{{args.y}}", "z": ["{{args.x}}", 1]}}
    schema = {"properties": {"x": {"type": "string"}, "y": {"type": "integer", "default": 7}}}
    world.source.script("a", page())
    run = await world.run(await world.job(resource, args_schema=schema), await world.account())
    assert run.args == {"y": 7}
    assert world.source.queries("a") == [{"y": 7, "z": [None, 1]}]


async def test_a_parents_object_without_the_field_is_an_error_of_its_own(world: World) -> None:
    await world.add_users("bob")
    world.source.script("directory/users", page(thing("1"), thing("2", login="bob")))
    world.source.give("bob", page(lecture("bob", "b")))
    run = await world.run(await world.job(USERS, OF_EACH, args_schema={}), await world.account())
    assert run.state == "done"
    assert [(error.kind, error.resource) for error in run.errors] == [("read", "timetable")]
    assert "{{resources.directory.users.login}}" in run.errors[0].detail
    assert await world.uids("bob") == ["b"]


class TestWebhook:
    async def test_what_is_not_persisted_goes_there_in_order(self, world: World) -> None:
        world.source.script("a", page(*(thing(str(n)) for n in range(5))), page(thing("5")))
        run = await world.run(await world.job({"resource": "a"}, args_schema={}), await world.account())
        assert world.hook.names() == ["started", *["record"] * 6, "completed"]
        assert [data["record"]["id"] for data in world.hook.data("record")] == list("012345")
        assert run.counts.sent == 6
        assert world.hook.data("completed")[0]["counts"]["records"] == 6

    async def test_what_would_go_nowhere_is_not_fetched(self, world: World) -> None:
        """A trigger's run, or one that a worker takes up whose configuration has no webhook (any more)."""
        world.sources.configured = False
        world.source.script("rooms", page(thing("1")))
        run = await world.run(await world.job({"resource": "rooms"}, args_schema={}), await world.account())
        assert (run.state, world.source.calls) == ("failed", [])
        assert (run.detail or "").startswith("The records of rooms would go nowhere")

    async def test_what_is_persisted_does_not(self, world: World) -> None:
        world.source.give("alice", page(lecture("alice", "a")))
        await world.run(await world.job(), await world.account(), args={"users": ["alice"]})
        assert world.hook.names() == ["started", "completed"]

    async def test_a_webhook_that_takes_nothing_fails_the_run_and_nothing_is_applied(
        self, world: World
    ) -> None:
        await world.add_users("alice")
        world.hook.refuse = "record"
        world.source.give("alice", page(lecture("alice", "a")))
        world.source.script("a", page(thing("1")))
        job = await world.job(TIMETABLE, {"resource": "a"})
        run = await world.run(job, await world.account(), args={"users": ["alice"]})
        assert (run.state, run.detail) == (
            "failed",
            "The webhook answers with HTTP status 500. It was tried 8 times.",
        )
        assert await world.uids("alice") == []


class TestErrors:
    """error_handling: what happens when a request fails, or a record cannot be mapped."""

    @pytest.fixture
    def bad(self, world: World) -> World:
        error = RecordError(place="page 1, record 2", detail="It has no start.")
        world.source.script("a", page(thing("1"), errors=[error]), page(thing("2")))
        world.source.script("b", ReadFailed("It answers with HTTP status 500."))
        world.source.script("c", page(thing("3")))
        return world

    async def run(self, world: World, error_handling: str) -> Any:
        job = await world.job(*({"resource": name} for name in "abc"), args_schema={})
        return await world.run(job, await world.account(), error_handling=error_handling)

    async def test_ignore_goes_on_and_tells_of_each(self, bad: World) -> None:
        run = await self.run(bad, "ignore")
        assert run.state == "done"
        assert [(error.kind, error.resource, error.place, error.detail) for error in run.errors] == [
            ("record", "a", "a, page 1, record 2", "It has no start."),
            ("read", "b", "b", "It answers with HTTP status 500."),
        ]
        assert (run.counts.record_errors, run.counts.read_errors, run.counts.errors) == (1, 1, 2)
        assert [len(data["errors"]) for data in bad.hook.data("record_error")] == [1, 1]
        assert [data["record"]["id"] for data in bad.hook.data("record")] == ["1", "2", "3"]

    async def test_batch_tells_of_a_hundred_at_a_time(self, world: World) -> None:
        errors = [RecordError(place=f"record {n}", detail="No.") for n in range(250)]
        world.source.script("a", page(errors=errors))
        job = await world.job({"resource": "a"}, args_schema={})
        await world.run(job, await world.account(), error_handling="batch")
        assert [len(data["errors"]) for data in world.hook.data("record_error")] == [100, 100, 50]

    async def test_batch_goes_on_and_tells_of_all_together(self, bad: World) -> None:
        run = await self.run(bad, "batch")
        assert run.state == "done"
        [data] = bad.hook.data("record_error")
        assert [error["resource"] for error in data["errors"]] == ["a", "b"]

    async def test_fail_fast_ends_with_the_first(self, bad: World) -> None:
        run = await self.run(bad, "fail_fast")
        assert (run.state, run.detail) == ("failed", "a, page 1, record 2: It has no start.")
        assert {call.resource for call in bad.source.calls} == {"a"}
        assert bad.hook.names()[-1] == "failed"

    async def test_fail_fast_applies_nothing(self, world: World) -> None:
        await world.add_users("alice", "bob")
        world.source.give("alice", page(lecture("alice", "a")))
        world.source.give("bob", ReadFailed("No."))
        run = await world.run(
            await world.job(),
            await world.account(),
            args={"users": ["alice", "bob"]},
            error_handling="fail_fast",
        )
        assert run.state == "failed"
        assert await world.uids("alice") == []

    async def test_a_run_of_which_no_request_succeeds_has_failed(self, world: World) -> None:
        world.source.give("alice", ReadFailed("It answers with HTTP status 401."))
        run = await world.run(await world.job(), await world.account(), args={"users": ["alice"]})
        assert run.state == "failed"
        assert run.detail == (
            "No request succeeded; the first: timetable, users[0]: It answers with HTTP status 401."
        )

    async def test_a_failed_read_is_said_with_whose_timetable_it_was(self, world: World) -> None:
        await world.add_users("alice", "bob")
        world.source.script("directory/users", page(thing("1", login="alice"), thing("2", login="bob")))
        world.source.give("alice", page(lecture("alice", "a")))
        world.source.give("bob", ReadFailed("It answers with HTTP status 500."))
        run = await world.run(await world.job(USERS, OF_EACH, args_schema={}), await world.account())
        assert [(error.kind, error.place, error.username) for error in run.errors] == [
            ("read", "timetable of directory/users 2", "bob")
        ]

    @pytest.mark.parametrize("error", [ConnectionResetError("x"), TimeoutError()])
    async def test_a_connection_that_breaks_off_is_a_failed_read(
        self, world: World, error: Exception
    ) -> None:
        world.source.give("alice", page(), error)
        run = await world.run(await world.job(), await world.account(), args={"users": ["alice"]})
        assert (run.state, run.errors[0].kind) == ("done", "read")
        assert run.errors[0].detail == f"The connection broke off ({type(error).__name__})."

    async def test_a_database_that_breaks_off_is_no_failed_read(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The run is begun anew, by whoever takes it up when its lease has run out."""

        async def gone(*_: object) -> None:
            raise ConnectionRefusedError

        def script(_request: ResourceRequest, context: Context) -> Iterator[Any]:
            yield lambda: context.recall("feed")

        monkeypatch.setattr(Staging, "recall", gone)
        world.source.scripts["timetable"] = script
        run = await world.run(await world.job(), await world.account(), args={"users": ["alice"]})
        assert (run.state, run.errors) == ("running", [])

    @pytest.mark.parametrize("username", ["", "a\x00b", "x" * 300])
    async def test_a_user_who_cannot_be_one_is_a_failed_read(self, world: World, username: str) -> None:
        run = await world.run(await world.job(), await world.account(), args={"users": [username]})
        assert run.state == "failed"
        assert "names a user by" in (run.detail or "")
        assert world.source.calls == []

    async def test_texts_from_a_source_that_cannot_be_stored_do_no_harm(self, world: World) -> None:
        error = RecordError(place="record\x00 \ud800", detail="No\x00 start.", username="a\x00b")
        strange = lecture("alice", "strange")
        other = msgspec.structs.replace(strange, data={"half": "\ud800"})
        deep: Json = {}
        for _ in range(10_000):
            deep = {"deeper": deep}
        world.source.give("alice", page(other, thing("\x00"), thing("deep", deeper=deep), errors=[error]))
        run = await world.run(await world.job(), await world.account(), args={"users": ["alice"]})
        assert (run.state, run.counts.record_errors) == ("done", 4)

    async def test_what_only_the_database_could_not_store_as_jsonb_is_stored(self, world: World) -> None:
        strange = msgspec.structs.replace(lecture("alice", "a"), data={"zero": "a\x00b"})
        world.source.give("alice", page(strange))
        run = await world.run(await world.job(), await world.account(), args={"users": ["alice"]})
        assert (run.state, run.counts.record_errors) == ("done", 0)

    async def test_a_bug_in_an_integration_fails_the_run_alone(self, world: World) -> None:
        world.source.give("alice", ZeroDivisionError("a person's text"))
        run = await world.run(await world.job(), await world.account(), args={"users": ["alice"]})
        assert run.state == "failed"
        assert run.detail == "Something went wrong on our side; the log of the service says where."

    async def test_of_very_many_errors_the_first_are_listed_and_all_counted(self, world: World) -> None:
        errors = [RecordError(place=f"record {n}", detail="No.") for n in range(1_500)]
        world.source.script("a", page(errors=errors))
        run = await world.run(await world.job({"resource": "a"}, args_schema={}), await world.account())
        assert (run.counts.errors, len(run.errors)) == (1_500, 100)
        assert await world.pool.fetchval("SELECT count(*) FROM sync_job_run_errors") == 1_000


class TestTwice:
    """The same id with another content: nobody can say which of the two it is."""

    NEW = "new title"

    @pytest.fixture
    async def job(self, world: World) -> Any:
        """Alice's timetable holds a1, and something that is gone from the source by now."""
        await world.add_users("alice", "bob")
        world.source.give("alice", page(lecture("alice", "a1"), lecture("alice", "gone")))
        job = await world.job(), await world.account()
        await self.run(world, job)
        return job

    async def run(self, world: World, job: Any) -> JobRun:
        return await world.run(*job, args={"users": ["alice", "bob"]})

    def give(self, world: World, alice: Sequence[Page], bob: Callable[[int], Iterable[Any]]) -> None:
        """What both requests answer, bob's after alice's was stored; by the number of the try, from 1."""
        stored = asyncio.Event()
        tries = 0

        async def store() -> None:
            stored.set()

        def script(request: ResourceRequest, _: Context) -> Iterator[Any]:
            nonlocal tries
            if request.query["user"] == "alice":
                yield from (*alice, store)
                return
            tries += 1
            yield stored.wait
            yield from bob(tries)

        world.source.scripts["timetable"] = script

    async def titles(self, world: World) -> dict[str, str]:
        return {event.uid: event.title for event in (await fetch(world.pool, "alice")).events}

    @pytest.mark.parametrize("where", ["page", "pages", "requests"])
    async def test_is_an_error_with_its_place_and_whose_it_is_loses_nothing(
        self, world: World, job: Any, where: str
    ) -> None:
        first, second = lecture("alice", "a1"), lecture("alice", "a1", title=self.NEW)
        pages = {"page": [page(first, second)], "pages": [page(first), page(second)]}
        bobs = [lecture("bob", "b"), *([second] if where == "requests" else [])]
        self.give(world, pages.get(where, [page(first)]), lambda _: [page(*bobs)])
        run = await self.run(world, job)
        [error] = run.errors
        place = f"timetable, users[{int(where == 'requests')}], record a1"
        assert (error.kind, error.username, error.place) == ("record", "alice", place)
        assert "same id" in error.detail
        assert (run.state, run.counts.users_kept, run.counts.record_errors) == ("done", 1, 1)
        assert await self.titles(world) == {"a1": "a1", "gone": "gone"}
        assert await world.uids("bob") == ["b"]

    @pytest.mark.parametrize("data", [{"id": "a1", "title": "a1"}, {"id": "a1", "page": 2}])
    async def test_a_repetition_does_no_harm(self, world: World, job: Any, data: Any) -> None:
        """Pages give some records again where something was put in before them. The event is what counts."""
        again = msgspec.structs.replace(lecture("alice", "a1"), data=data)
        self.give(world, [page(lecture("alice", "a1"), again), page(again)], lambda _: [page(again)])
        run = await self.run(world, job)
        assert (run.errors, run.counts.deleted) == ([], 1)
        assert await self.titles(world) == {"a1": "a1"}

    async def test_a_later_run_gives_it_anew(self, world: World, job: Any) -> None:
        self.give(world, [page(lecture("alice", "a1", title=self.NEW))], lambda _: [page()])
        run = await self.run(world, job)
        assert run.errors == []
        assert await self.titles(world) == {"a1": self.NEW}

    @pytest.mark.parametrize("why", [Throttled("No.", NOW), ListChanged("It has changed.")])
    async def test_a_request_that_is_made_anew_gives_what_is_newer(
        self, world: World, job: Any, why: Exception
    ) -> None:
        """Newer than what it gave before, and not than what another one gave."""

        def bob(attempt: int) -> Iterator[Any]:
            title = "old" if attempt == 1 else self.NEW
            yield page(lecture("alice", "a1", title=title), lecture("alice", "other", title=title))
            yield why if attempt == 1 else page(lecture("bob", "b"))

        self.give(world, [page(lecture("alice", "other"))], bob)
        run = await self.run(world, job)
        assert await self.titles(world) == {"a1": self.NEW, "gone": "gone", "other": "other"}
        assert await world.uids("bob") == ["b"]
        assert [error.place for error in run.errors] == ["timetable, users[1], record other"] * 2

    async def test_a_request_that_is_made_anew_contradicts_itself_like_any_other(
        self, world: World, job: Any
    ) -> None:
        def bob(attempt: int) -> Iterator[Any]:
            yield page(lecture("bob", "b"))
            yield Throttled("No.", NOW) if attempt == 1 else page(lecture("bob", "b", title=self.NEW))

        self.give(world, [page()], bob)
        run = await self.run(world, job)
        assert [error.place for error in run.errors] == ["timetable, users[1], record b"]


class TestListsThatChange:
    """``ListChanged``: a list that changed between its pages may lack what was on none of them."""

    async def run(self, world: World, *tries: list[Any]) -> Any:
        await world.add_users("alice")
        steps = iter(tries)
        world.source.scripts["timetable"] = lambda _request, _context: next(steps)
        return await world.run(await world.job(), await world.account(), args={"users": ["alice"]})

    async def test_it_is_read_anew_once(self, world: World) -> None:
        changed = [page(lecture("alice", "a")), ListChanged("It has changed.")]
        run = await self.run(world, changed, [page(lecture("alice", "a"), lecture("alice", "b"))])
        assert (run.state, run.errors) == ("done", [])
        assert await world.uids("alice") == ["a", "b"]

    async def test_one_that_changes_again_has_failed(self, world: World) -> None:
        changed = [page(lecture("alice", "a")), ListChanged("It has changed.")]
        run = await self.run(world, changed, changed)
        assert [(error.kind, error.detail) for error in run.errors] == [("read", "It has changed.")]
        assert (run.counts.users_kept, await world.uids("alice")) == (1, ["a"])


class TestManyRecords:
    async def test_errors_are_noted_together_whoever_they_are_of(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        transactions = 0
        writing = Staging.writing

        def counting(staging: Staging) -> Any:
            nonlocal transactions
            transactions += 1
            return writing(staging)

        monkeypatch.setattr(Staging, "writing", counting)
        errors = [RecordError(place=f"record {n}", detail="No.", username=f"user {n}") for n in range(SLICE)]
        await world.add_users("alice")
        world.source.give("alice", page(lecture("alice", "a"), errors=errors))
        run = await world.run(await world.job(), await world.account(), args={"users": ["alice"]})
        assert (run.counts.record_errors, run.counts.users) == (SLICE, SLICE + 1)
        assert transactions < 20
        kept = await world.pool.fetchval("SELECT count(*) FROM sync_job_run_users WHERE incomplete")
        assert kept == SLICE

    async def test_a_long_page_is_stored_in_parts_that_do_not_hold_up_the_lease(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stored: list[int] = []
        add = Staging.add

        async def counting(staging: Staging, resource: str, records: Any, *args: Any) -> Any:
            stored.append(len(records))
            return await add(staging, resource, records, *args)

        monkeypatch.setattr(Staging, "add", counting)
        count = 2 * SLICE + 1
        records = [lecture("alice", f"a{number}") for number in range(count)]
        await world.add_users("alice")
        world.source.give("alice", page(*records, lecture("alice", "a0", title="another")))
        run = await world.run(await world.job(), await world.account(), args={"users": ["alice"]})
        assert (run.counts.records, run.counts.record_errors, run.counts.created) == (count, 1, count)
        assert stored == [SLICE, SLICE, 1]

    async def test_others_have_their_turn_while_a_long_page_is_gone_through(self, world: World) -> None:
        """Also where nothing is waited for."""
        turns: list[int] = []

        async def others() -> None:
            while True:
                turns.append(1)
                await asyncio.sleep(0)

        async def begin() -> None:
            turns.clear()

        async def end() -> None:
            turns.append(-len(turns))

        long = page(*(thing(str(number)) for number in range(6 * SLICE)))
        # How far it is has been shown just before: that is not waited for in between.
        world.source.script("a", page(thing("first")), begin, long, end)
        task = asyncio.create_task(others())
        run = await world.run(await world.job({"resource": "a"}, args_schema={}), await world.account())
        task.cancel()
        assert run.counts.records == 6 * SLICE + 1
        assert -min(turns) >= 6


class TestThrottling:
    async def test_requests_that_are_told_the_same_tell_the_webhook_once(self, world: World) -> None:
        """They hear of it one after the other; a rest that is much longer is another one."""
        rests = {"alice": timedelta(minutes=5), "bob": timedelta(minutes=5, seconds=2)}
        rests["carol"] = timedelta(minutes=10)
        resting: set[str] = set()
        told = asyncio.Event()

        def script(request: ResourceRequest, _: Context) -> Iterator[Any]:
            user = request.query["user"]
            if user == "carol":
                yield told.wait
            if user not in resting:
                resting.add(user)
                yield Throttled("No.", NOW + rests[user])
            yield page()

        def hear() -> None:
            told.set()
            if len(world.hook.data("rate_limited")) == 2:
                world.clock.set(NOW + timedelta(minutes=11))

        world.source.scripts["timetable"] = script
        world.hook.on["rate_limited"] = hear
        run = await world.run(await world.job(), await world.account(), args={"users": list(rests)})
        assert (run.state, resting) == ("done", set(rests))
        assert [data["until"][11:16] for data in world.hook.data("rate_limited")] == ["08:05", "08:10"]

    async def test_a_throttled_request_is_made_again_when_the_source_wants(self, world: World) -> None:
        await world.add_users("alice")
        until = world.clock() + timedelta(minutes=10)
        asked_at: list[datetime] = []

        async def throttle_once() -> None:
            asked_at.append(world.clock())
            if len(asked_at) == 1:
                raise Throttled("Too many requests.", until)

        world.source.give("alice", throttle_once, page(lecture("alice", "a")))
        world.hook.on["rate_limited"] = lambda: world.clock.set(until)
        run = await world.run(await world.job(), await world.account(), args={"users": ["alice"]})
        assert (run.state, run.errors) == ("done", [])
        assert len(asked_at) == 2
        assert asked_at[1] >= until
        assert world.hook.data("rate_limited") == [{"until": "2026-09-01T08:10:00Z"}]
        assert await world.uids("alice") == ["a"]

    async def test_a_rest_that_is_too_long_is_a_failure(self, world: World) -> None:
        world.source.give("alice", Throttled("Too many requests.", world.clock() + timedelta(hours=1)))
        run = await world.run(await world.job(), await world.account(), args={"users": ["alice"]})
        assert run.state == "failed"
        assert "900 seconds (sources.max_wait_seconds)" in (run.detail or "")
        assert len(world.source.calls) == 1

    async def test_a_source_that_throttles_for_ever_is_given_up(self, world: World) -> None:
        world.source.give("alice", Throttled("Too many requests.", world.clock()))
        run = await world.run(await world.job(), await world.account(), args={"users": ["alice"]})
        assert run.state == "failed"
        assert "It was asked 10 times." in (run.detail or "")
