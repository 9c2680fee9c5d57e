"""``rooster sync``, ``runs``, ``explain`` and ``cleanup``: they start work, and tell what becomes of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.clock import system_clock
from app.provisioning import users
from app.provisioning.refresh import ask_for_refresh
from app.sync.housekeeping import working_types
from providers.contract import Event, Refused
from tests.clock import SettableClock
from tests.commands.conftest import Command
from tests.sync.world import World
from tests.sync.world import event as event_at

ALICE, BOB = "alice@uni.example", "bob@uni.example"


def event(uid: str) -> Event:
    """One that is in the future whenever the tests run."""
    return event_at(uid, datetime(2100, 9, 8, 9, tzinfo=UTC))


class Now(SettableClock):
    """The machine's clock, which the commands in their processes have too."""

    def __call__(self) -> datetime:
        return system_clock()


@pytest.fixture
def clock() -> SettableClock:
    return Now()


@pytest.fixture
async def linked(world: World) -> World:
    """Two people who have everything in their calendars."""
    for username in ("alice", "bob"):
        await world.publish(username, event("a"), event("b"))
        await world.link(username, f"{username}@uni.example")
    await world.work()
    return world


@asynccontextmanager
async def working(world: World) -> AsyncIterator[None]:
    """With a worker that has said that it is there."""
    stop = asyncio.Event()
    task = asyncio.create_task(world.worker().run(stop))
    try:
        while await working_types(world.pool) != ["ews"]:
            await asyncio.sleep(0.02)
        yield
    finally:
        stop.set()
        await task


class TestSync:
    async def test_it_ends_when_every_mailbox_was_visited(self, linked: World, command: Command) -> None:
        async with working(linked):
            ended = await command("sync", "--all")
        assert ended.status == 0, ended
        assert ended.out.endswith("is done: 2 of 2 mailboxes visited.\n")

    async def test_errors_are_told_and_are_the_exit_status(self, linked: World, command: Command) -> None:
        refused = Refused(code="x", reason="No access to this mailbox.", scope="mailbox")
        linked.adapter.fail("create", refused, times=None, mailbox=BOB)
        await linked.publish("bob", event("a"), event("b"), event("c"))
        async with working(linked):
            ended = await command("sync", "--user", "bob")
        assert ended.status == 1, ended
        assert f"ews {BOB}: No access to this mailbox." in ended.err

    async def test_without_a_worker_it_says_so_and_the_work_is_kept(
        self, linked: World, command: Command
    ) -> None:
        ended = await command("sync", "--type", "ews")
        assert ended.status == 3, ended
        assert "No worker runs for ews" in ended.err
        await linked.work()
        [listed] = (await command("runs")).out.splitlines()
        assert "\tsync\tdone\t100%\t2 of 2 mailboxes\t" in listed

    async def test_while_one_is_active_it_names_that_and_starts_nothing(
        self, linked: World, command: Command
    ) -> None:
        await command("sync", "--all", "--no-wait")
        ended = await command("sync", "--all")
        assert (ended.status, ended.out) == (1, "")
        assert ended.err.startswith("Error: Run ")
        assert "is active" in ended.err
        assert await linked.pool.fetchval("SELECT count(*) FROM runs") == 1

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            (("--user", "bob", "--user", "nobody"), "Error: There is no user with this username."),
            (("--user", "carol"), "Error: carol: there is no synchronization."),
            (("--type", "ews", "--type", "ewz"), "Error: Not configured: ewz. Configured: ews"),
        ],
    )
    async def test_what_is_not_there_is_named_and_nothing_is_started(
        self, linked: World, command: Command, arguments: tuple[str, ...], error: str
    ) -> None:
        await users.ensure(linked.pool, "carol", linked.clock)
        ended = await command("sync", *arguments)
        assert (ended.status, ended.out) == (1, "")
        assert ended.err.startswith(error), ended
        assert await linked.pool.fetchval("SELECT count(*) FROM runs") == 0

    @pytest.mark.parametrize("arguments", [(), ("--all", "--user", "alice")])
    async def test_what_to_sync_is_said_once(self, command: Command, arguments: tuple[str, ...]) -> None:
        assert (await command("sync", *arguments)).status == 2


class TestRefresh:
    async def test_it_ends_when_the_calendars_were_read_and_says_what_differs(
        self, linked: World, command: Command
    ) -> None:
        lost, _ = linked.pushed(ALICE)
        linked.mailbox(ALICE).remove(lost.id)
        async with working(linked):
            ended = await command("refresh", "--user", "alice", "--user", "bob")
        assert ended.status == 0, ended
        assert f"ews {ALICE}: done. Of ours: 1; 1 missing.\n" in ended.out
        assert f"ews {BOB}: done. Of ours: 2; no difference.\n" in ended.out
        assert linked.adapter.count("changes") == 2
        assert "Of ours: 1; 1 missing.\n" in (await command("runs", "1")).out

    async def test_without_a_worker_it_is_accepted_and_said(self, linked: World, command: Command) -> None:
        ended = await command("refresh", "--user", "alice")
        assert ended.status == 3, ended
        assert "No worker runs for ews" in ended.err

    async def test_of_nobody(self, linked: World, command: Command) -> None:
        assert (await command("refresh", "--id", "999")).status == 1
        assert (await command("refresh")).status == 2


class TestRuns:
    async def test_one_is_cancelled(self, linked: World, command: Command) -> None:
        await command("sync", "--all")
        [number] = [str(row["id"]) for row in await linked.pool.fetch("SELECT id FROM runs")]
        ended = await command("runs", number, "--cancel")
        assert ended.status == 0
        assert "\tcancelled\t" in ended.out
        assert (await command("runs", number, "--follow")).status == 3
        assert (await command("runs", "999")).status == 1

    async def test_one_is_followed_to_its_end(self, linked: World, command: Command) -> None:
        run = await linked.unlink("CLEANUP", username="alice")
        async with working(linked):
            ended = await command("runs", str(run), "--follow")
        assert ended.status == 0
        assert "2 events removed" in ended.out

    async def test_following_one_that_fails_ends_as_that(self, linked: World, command: Command) -> None:
        [id] = await linked.pool.fetch("SELECT id FROM synchronizations WHERE username = 'alice'")
        number = await ask_for_refresh(linked.pool, linked.clock, id["id"], ["Nowhere"])
        async with working(linked):
            ended = await command("runs", str(number), "--follow")
        assert ended.status == 1, ended
        assert "Nowhere" in ended.out


class TestExplain:
    async def test_in_plain_sentences(self, linked: World, command: Command) -> None:
        ended = await command("explain", "alice", "a")
        assert ended.status == 0, ended
        [pushed] = [e for e in linked.pushed(ALICE) if e.marker and e.marker.event == "a"]
        first = ended.out.splitlines()[0]
        assert first.endswith(": present")
        assert f"  It is in the mailbox with the id {pushed.id}, last written at " in ended.out

    async def test_in_data(self, linked: World, command: Command) -> None:
        found = json.loads((await command("explain", "alice", "c/d", "--json")).out)
        assert (found["uid"], found["status"]) == ("c/d", "not_published")

    async def test_of_somebody_who_has_nothing(self, linked: World, command: Command) -> None:
        ended = await command("explain", "carol", "a")
        assert ended.status == 1
        assert ended.err == "Error: carol has no synchronization, and never had one.\n"


class TestCleanup:
    async def test_the_preview_the_question_and_the_work(self, linked: World, command: Command) -> None:
        async with working(linked):
            ended = await command("cleanup", "--user", "alice", input="y\n")
        assert ended.status == 0, ended
        assert "ews: 2 events to remove, 0 to keep, in 1 mailboxes" in ended.out
        assert f"2100-09-08 09:00 UTC  ews {ALICE}  Lecture a  (a)" in ended.out
        assert ended.out.endswith("is done: 2 events removed.\n")
        assert linked.pushed(ALICE) == []
        assert len(linked.pushed(BOB)) == 2

    async def test_no_is_no(self, linked: World, command: Command) -> None:
        ended = await command("cleanup", "--all", input="n\n")
        assert ended.status == 1
        assert ended.out.endswith("Nothing was begun.\n")
        assert await linked.pool.fetchval("SELECT count(*) FROM runs") == 0

    async def test_usernames_from_a_file(self, linked: World, command: Command, tmp_path: Path) -> None:
        names = tmp_path / "names.txt"
        names.write_text("bob\n\nalice\nbob\nnobody\n")
        async with working(linked):
            ended = await command("cleanup", "--file", str(names), "--mode", "DELETE_FUTURE_EVENTS", "--yes")
        assert ended.status == 0, ended
        assert "Nothing to unlink for nobody." in ended.err
        assert linked.pushed(ALICE) == linked.pushed(BOB) == []
        assert await linked.pool.fetchval("SELECT count(*) FROM runs") == 1

    async def test_the_mode_is_kept_to(self, linked: World, command: Command) -> None:
        ended = await command("cleanup", "--all", "--mode", "UNLINK_ONLY", "--yes")
        assert ended.status == 0, ended
        assert "ews: 0 events to remove, 4 to keep, in 2 mailboxes" in ended.out
        assert len(linked.pushed(ALICE)) == 2
        assert await linked.pool.fetchval("SELECT count(*) FROM current_synchronizations") == 0

    async def test_what_former_synchronizations_left_is_found(self, linked: World, command: Command) -> None:
        await linked.unlink("UNLINK_ONLY", username="alice")
        async with working(linked):
            ended = await command("cleanup", "--user", "alice", "--type", "ews", "--yes")
        assert ended.status == 0, ended
        assert linked.pushed(ALICE) == []

    async def test_another_type_is_left_alone(self, linked: World, command: Command) -> None:
        ended = await command("cleanup", "--all", "--type", "o365", "--yes")
        assert (ended.status, ended.out) == (0, "There is nothing to do.\n")
        assert len(linked.pushed(ALICE)) == 2

    async def test_without_a_worker_it_is_accepted_and_said(self, linked: World, command: Command) -> None:
        ended = await command("cleanup", "--all", "--yes")
        assert ended.status == 3, ended
        assert "No worker runs for ews" in ended.err
        assert "a worker will do it" in ended.out
        await linked.work()
        assert linked.pushed(ALICE) == linked.pushed(BOB) == []
