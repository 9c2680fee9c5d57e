"""``rooster ledger audit`` and ``rebuild``, on a provider in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from click.testing import CliRunner, Result

from app import commands
from app.commands import ledger as subject
from app.commands import rooster
from providers.contract import Marker
from tests.clock import SettableClock
from tests.fakes import NO_ACCESS, FakeAdapter
from tests.sync.world import INSTANCE, World, event

ALICE, BOB = "alice@uni.example", "bob@uni.example"

InWorld = Callable[[Callable[[World], Awaitable[Any]]], Any]
Ledger = Callable[..., Result]


@pytest.fixture
def adapter() -> FakeAdapter:
    adapter = FakeAdapter("ews")
    adapter.add_mailbox(ALICE)
    adapter.add_mailbox(BOB)
    return adapter


@pytest.fixture
def in_world(database: str, clock: SettableClock, adapter: FakeAdapter) -> InWorld:
    """Do something in the world, before or after a command: that has an event loop of its own."""

    async def work(do: Callable[[World], Awaitable[Any]]) -> Any:
        async with asyncpg.create_pool(database, min_size=1, max_size=4) as pool:
            return await do(World(pool, clock, adapter))

    return lambda do: asyncio.run(work(do))


@pytest.fixture
def ledger(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    adapter: FakeAdapter,
    clock: SettableClock,
    in_world: InWorld,
) -> Ledger:
    """Run ``rooster ledger``; alice and bob have two events each in their calendars."""

    @asynccontextmanager
    async def open_adapters(*_: object) -> AsyncIterator[dict[str, FakeAdapter]]:
        yield {"ews": adapter}

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOSTER_DATABASE__URL", database)
    monkeypatch.setenv("ROOSTER_INSTANCE", INSTANCE)
    monkeypatch.setattr(commands, "configure_logging", lambda *_: None)
    monkeypatch.setattr(subject, "open_adapters", open_adapters)
    monkeypatch.setattr(subject, "system_clock", clock)

    async def link(world: World) -> None:
        for username in ("alice", "bob"):
            await world.publish(username, event("a"), event("b"))
            await world.link(username, f"{username}@uni.example")
        await world.work()

    in_world(link)
    return lambda *arguments: CliRunner().invoke(rooster, ["ledger", *arguments])


def differ(adapter: FakeAdapter) -> tuple[str, str]:
    """Alice deletes an event and changes another; gives their ids."""
    mailbox = adapter.mailbox(ALICE)
    assert mailbox is not None
    first, second = sorted(mailbox.events, key=lambda id: str(mailbox.events[id].fields["uid"]))
    mailbox.remove(first)
    mailbox.change(second, location="My room", title="Not to be told")
    return first, second


def test_an_audit_of_true_mailboxes_is_one_line(ledger: Ledger) -> None:
    result = ledger("audit", "--all")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "2 mailboxes with 4 events: no difference; 0 not read\n"


def test_an_audit_tells_every_difference(ledger: Ledger, adapter: FakeAdapter) -> None:
    differ(adapter)
    result = ledger("audit", "--user", "alice")
    assert result.exit_code == 1
    assert f"ews {ALICE}" in result.stdout
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines()]
    assert [f"ews {ALICE}", "1", "a", "missing", ""] in rows
    assert [f"ews {ALICE}", "1", "b", "changed", "title, location"] in rows
    assert result.stdout.endswith("1 mailboxes with 1 events: 1 changed, 1 missing; 0 not read\n")
    assert "Not to be told" not in result.output


def test_an_audit_for_programs(ledger: Ledger, adapter: FakeAdapter) -> None:
    first, second = differ(adapter)
    adapter.fail("list", NO_ACCESS, mailbox=BOB)
    result = ledger("audit", "--all", "--json")
    assert result.exit_code == 1
    told = {line["address"]: line for line in map(json.loads, result.stdout.splitlines())}
    assert told[BOB] == {"type": "ews", "address": BOB, "error": NO_ACCESS.reason}
    assert told[ALICE] == {
        "type": "ews",
        "address": ALICE,
        "found": {
            "events": 1,
            "differences": [
                {"kind": "missing", "synchronization": 1, "uid": "a", "remoteId": first, "changes": []},
                {
                    "kind": "changed",
                    "synchronization": 1,
                    "uid": "b",
                    "remoteId": second,
                    "changes": ["title", "location"],
                },
            ],
        },
    }


def test_a_mailbox_that_cannot_be_read_is_told_and_holds_up_no_other(
    ledger: Ledger, adapter: FakeAdapter
) -> None:
    adapter.fail("list", NO_ACCESS, mailbox=ALICE)
    result = ledger("audit", "--all")
    assert (result.exit_code, result.stderr) == (1, f"ews {ALICE}: {NO_ACCESS.reason}\n")
    assert result.stdout == "2 mailboxes with 2 events: no difference; 1 not read\n"


def test_a_busy_mailbox_is_waited_for_as_long_as_said(ledger: Ledger, in_world: InWorld) -> None:
    in_world(
        lambda world: world.pool.execute(
            "UPDATE mailboxes SET owner = gen_random_uuid(), lease_until = now() + interval '1 minute'"
        )
    )
    result = ledger("audit", "--synchronization", "1", "--wait", "0")
    assert result.exit_code == 1
    assert (
        result.stderr == f"ews {ALICE}: A worker is busy in this mailbox: try again when it has finished.\n"
    )


@pytest.mark.parametrize("arguments", [[], ["--all", "--user", "alice"], ["--synchronization", "0"]])
def test_an_audit_wants_to_know_of_what(ledger: Ledger, arguments: list[str]) -> None:
    assert ledger("audit", *arguments).exit_code == 2


@pytest.mark.parametrize("arguments", [["--user", "carol"], ["--synchronization", "99"]])
def test_an_audit_of_nothing_says_so(ledger: Ledger, arguments: list[str]) -> None:
    result = ledger("audit", *arguments)
    assert result.exit_code == 1
    assert result.stderr == "Error: There is no such synchronization: nothing was read.\n"


@pytest.mark.parametrize("arguments", [[], ["--synchronization", "1"]])
def test_a_rebuild_says_what_it_did(
    ledger: Ledger, adapter: FakeAdapter, in_world: InWorld, arguments: list[str]
) -> None:
    mailbox = adapter.mailbox(ALICE)
    assert mailbox is not None
    for attempt in (1, 2):
        marker = Marker(instance=INSTANCE, synchronization=1, event="c", attempt=UUID(int=attempt))
        mailbox.put(event("c"), marker)
    mailbox.remove(next(iter(mailbox.events)))
    result = ledger("rebuild", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        f"{1 if arguments else 2} mailboxes: 1 events adopted, 0 rows corrected, 1 extra events to be taken"
        " out by workers; 0 mailboxes not read\n"
    )
    # Nothing was written so far; and then the workers make it true.
    assert adapter.count("delete") == 0

    async def work(world: World) -> None:
        wanted = [event("a"), event("b"), event("c")]
        await world.publish("alice", *wanted)
        await world.settle()
        await world.assert_true(ALICE, wanted)

    in_world(work)


def test_a_rebuild_that_could_not_read_a_mailbox_is_not_a_success(
    ledger: Ledger, adapter: FakeAdapter
) -> None:
    adapter.fail("list", NO_ACCESS, mailbox=BOB)
    result = ledger("rebuild")
    assert (result.exit_code, result.stderr) == (1, f"ews {BOB}: {NO_ACCESS.reason}\n")
