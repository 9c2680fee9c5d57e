"""Properties of reconciling: whatever happens, in whatever order, the mailbox ends as it should.

A model says what should be there: a plain list of what was published, linked and unlinked. The machine
publishes, links, unlinks, edits as people do, and lets the provider and the workers fail; when all is
settled, mailbox, ledger and model agree, and nothing that is not ours was touched.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from structlog.testing import capture_logs

from providers.contract import Event, Throttled, Unknown
from tests.clock import SettableClock
from tests.conftest import in_database
from tests.fakes import FakeAdapter
from tests.sync.world import INSTANCE, World, event

Result = TypeVar("Result")

USERS = ("alice", "bob")
ADDRESSES = ("one@uni.example", "two@uni.example")
UIDS = ("a", "b", "c", "d")
MODES = ("UNLINK_ONLY", "DELETE_FUTURE_EVENTS", "DELETE_ALL_EVENTS", "CLEANUP")
START = datetime(2026, 9, 1, 8, tzinfo=UTC)
LOST = Unknown(code="lost", reason="No answer came.")

events = st.dictionaries(
    st.sampled_from(UIDS),
    st.builds(
        lambda days, room, cancelled: (days, room, cancelled),
        st.integers(-20, 20),
        st.sampled_from(("Room 1", "Room 2")),
        st.booleans().filter(lambda drawn: drawn) | st.just(False) | st.just(False),
    ),
)
users, addresses = st.sampled_from(USERS), st.sampled_from(ADDRESSES)


@dataclass
class Link:
    """A synchronization, as the model knows it. ``linked`` is False once it was unlinked."""

    id: int
    username: str
    address: str
    linked: bool = True


class Reconciling(RuleBasedStateMachine):
    """See the module."""

    server: str
    template: str
    idempotent: bool

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.logs_context = capture_logs()
        self.logs = self.logs_context.__enter__()
        self.name = f"machine_{id(self)}"
        self.run(self._open())
        self.published: dict[str, dict[str, Event]] = {}
        self.links: list[Link] = []
        self.foreign: dict[str, dict[str, int]] = {address: {} for address in ADDRESSES}

    def run(self, work: Awaitable[Result]) -> Result:
        return self.loop.run_until_complete(work)

    async def _open(self) -> None:
        connection = await asyncpg.connect(self.server)
        await connection.execute(f"CREATE DATABASE {self.name} TEMPLATE {self.template} STRATEGY FILE_COPY")
        await connection.close()
        dsn = in_database(self.server, self.name)
        self.pool = await asyncpg.create_pool(dsn, min_size=1, max_size=4)
        self.adapter = FakeAdapter("ews", batch=3, idempotent_create=self.idempotent)
        for address in ADDRESSES:
            self.adapter.add_mailbox(address)
        self.world = World(self.pool, SettableClock(START), self.adapter)

    def teardown(self) -> None:
        self.run(self._close())
        self.loop.close()
        self.logs_context.__exit__(None, None, None)

    async def _close(self) -> None:
        await self.pool.close()
        connection = await asyncpg.connect(self.server)
        await connection.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
        await connection.close()

    # What the frontend and the administrators do.

    @rule(username=users, timetable=events)
    def publish(self, username: str, timetable: dict[str, tuple[int, str, bool]]) -> None:
        made = [
            event(
                uid,
                START + timedelta(days=days),
                location=room,
                status="cancelled" if cancelled else "confirmed",
            )
            for uid, (days, room, cancelled) in timetable.items()
        ]
        self.run(self.world.publish(username, *made))
        self.published[username] = {e.uid: e for e in made if e.status != "cancelled"}

    @rule(username=users, address=addresses)
    def link(self, username: str, address: str) -> None:
        id = self.run(self.world.link(username, address))
        if all(link.id != id for link in self.links):
            self.links.append(Link(id, username, address))

    @precondition(lambda self: any(link.linked for link in self.links))
    @rule(data=st.data(), mode=st.sampled_from(MODES))
    def unlink(self, data: st.DataObject, mode: str) -> None:
        link = data.draw(st.sampled_from([link for link in self.links if link.linked]))
        self.run(self.world.unlink(mode, link.id))
        link.linked = False

    # What people do.

    @rule(address=addresses)
    def add_own(self, address: str) -> None:
        made = self.world.mailbox(address).put(event("own", title="Dentist"))
        self.foreign[address][made.id] = made.version

    @rule(address=addresses, data=st.data())
    def copy(self, address: str, data: st.DataObject) -> None:
        # What the ledger knows is ours; a copy of what nobody knows yet cannot be told from it.
        known = [row["remote_id"] for row in self.run(self.world.ledger(address)) if row["remote_id"]]
        present = [id for id in known if id in self.world.mailbox(address).events]
        if present:
            made = self.world.mailbox(address).copy(data.draw(st.sampled_from(present)))
            self.foreign[address][made.id] = made.version

    @rule(address=addresses, data=st.data())
    def write_notes(self, address: str, data: st.DataObject) -> None:
        ours = [e for e in self.world.pushed(address) if e.id not in self.foreign[address]]
        if ours:
            e = data.draw(st.sampled_from(ours))
            self.world.mailbox(address).change(e.id, notes="mine")

    # What goes wrong.

    @rule(
        operation=st.sampled_from(("create", "update", "delete")),
        committed=st.booleans(),
        times=st.integers(1, 4),
    )
    def lose_answers(self, operation: str, committed: bool, times: int) -> None:
        self.adapter.fail(operation, LOST, committed=committed, times=times)

    @rule(times=st.integers(1, 4))
    def delay_creates(self, times: int) -> None:
        self.adapter.fail("create", LOST, late=True, times=times)

    @rule(operation=st.sampled_from(("create", "update", "delete", "find")), seconds=st.integers(1, 900))
    def throttle(self, operation: str, seconds: int) -> None:
        until = self.world.clock() + timedelta(seconds=seconds)
        self.adapter.fail(operation, Throttled(until=until, scope="account"))

    @rule(operation=st.sampled_from(("create", "update", "delete", "find")), committed=st.booleans())
    def kill_in_a_call(self, operation: str, committed: bool) -> None:
        committed = committed and operation != "find"
        self.adapter.fail(operation, asyncio.CancelledError(), committed=committed)

    @rule()
    def work(self) -> None:
        self.run(self._work())

    @rule(minutes=st.integers(1, 2000))
    def wait(self, minutes: int) -> None:
        self.world.clock.advance(minutes=minutes)

    async def _work(self) -> None:
        await self.world.work()
        # The leases of workers that were killed run out.
        await self.pool.execute("UPDATE mailboxes SET lease_until = clock_timestamp() - interval '1 second'")

    # What must hold.

    @invariant()
    def what_is_not_ours_is_untouched(self) -> None:
        for address, known in self.foreign.items():
            held = self.world.mailbox(address).events
            assert {id: held[id].version for id in known if id in held} == known

    @invariant()
    def no_run_crashed(self) -> None:
        assert [entry for entry in self.logs if entry["event"] == "run_crashed"] == []

    @rule()
    def settle(self) -> None:
        """Everything that was delayed arrives, nothing fails any more, and all work is done."""
        self.adapter.recover()
        self.run(self._settle())
        for address in ADDRESSES:
            self._compare(address)

    async def _settle(self) -> None:
        self.adapter.deliver()
        await self._work()
        await self.world.settle(hours=30)

    def _compare(self, address: str) -> None:
        rows = self.run(self.world.ledger(address))
        held = {
            e.id: e for e in self.world.mailbox(address).pushed(INSTANCE) if e.id not in self.foreign[address]
        }
        # The ledger and the mailbox agree: nothing lost, nothing twice, nothing forgotten.
        assert {row["remote_id"] for row in rows} == set(held)
        assert {row["state"] for row in rows} <= {"present"}
        current = {link.id: link for link in self.links if link.linked and link.address == address}
        for id, link in current.items():
            wanted = self.published.get(link.username, {})
            mine = {
                row["uid"]: held[row["remote_id"]].event for row in rows if row["synchronization_id"] == id
            }
            assert mine == wanted
        # What unlinked synchronizations left is once in the mailbox, beside nothing of their user's.
        for username in USERS:
            theirs = [
                row["uid"]
                for row in rows
                if any(
                    link.id == row["synchronization_id"] for link in self.links if link.username == username
                )
            ]
            if any(link.username == username for link in current.values()):
                assert len(theirs) == len(set(theirs))


@pytest.mark.parametrize("idempotent", [False, True], ids=["like Exchange", "idempotent"])
@pytest.mark.timeout(600)
def test_whatever_happens_it_ends_well(
    database_server: str, database_template: str, idempotent: bool
) -> None:
    machine = type(
        "Machine",
        (Reconciling,),
        {"server": database_server, "template": database_template, "idempotent": idempotent},
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
