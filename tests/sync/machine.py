"""A machine that does things in random order, and a model that says what has to come of them.

The model is a plain list of what was published, linked and unlinked. The machine publishes, links, unlinks,
acts as people do, and lets the provider and the workers fail; when all is settled, mailbox, ledger and model
agree, and nothing that is not ours was touched. It runs over any ``Provider``.

A test run plays the same sequences each time. As many others as one likes:

    PROPERTY_EXAMPLES=500 ./run tests tests/sync/test_properties.py --hypothesis-seed=7 --timeout=0
"""

import asyncio
import sys
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from structlog.testing import capture_logs

from app.errors import NoAccess
from providers.contract import Event
from tests.clock import SettableClock
from tests.conftest import in_database
from tests.properties import examples
from tests.sync.provider import ADDRESSES, Held, Provider
from tests.sync.world import World, event

__all__ = ["START", "USERS", "Drawn", "Reconciling", "numbers", "pick", "sequences", "timetables"]

Result = TypeVar("Result")
Item = TypeVar("Item")


def sequences(count: int) -> settings:
    """So many sequences of up to 25 steps."""
    return examples(count, stateful_step_count=25)


USERS = ("alice", "bob")
UIDS = ("a", "b", "c", "d")
MODES = ("UNLINK_ONLY", "DELETE_FUTURE_EVENTS", "DELETE_ALL_EVENTS", "CLEANUP")
START = datetime(2026, 9, 1, 8, tzinfo=UTC)
SETTLED = 30
"""Hours after the last failure, when all work is done that becomes due by itself."""

Drawn = dict[str, tuple[int, str, bool]]
"""A timetable: of each event the days from the start, the room, and whether it is cancelled."""

timetables: st.SearchStrategy[Drawn] = st.dictionaries(
    st.sampled_from(UIDS),
    st.builds(
        lambda days, room, cancelled: (days, room, cancelled),
        st.integers(-20, 20),
        st.sampled_from(("Room 1", "Room 2")),
        st.booleans().filter(lambda drawn: drawn) | st.just(False) | st.just(False),
    ),
)
users, addresses = st.sampled_from(USERS), st.sampled_from(ADDRESSES)
numbers = st.integers(0, 2**16 - 1)
"""For ``pick``."""
operations = st.sampled_from(("create", "update", "delete"))
calls = st.sampled_from(("create", "update", "delete", "find"))


def pick(number: int, items: Sequence[Item]) -> Item | None:
    """One of the items; None where there are none.

    What is drawn does not depend on what there is: that may be one more or one less by the order in which two
    mailboxes were worked on, and Hypothesis refuses to go on where what it may draw differs from before.
    """
    return items[number % len(items)] if items else None


@dataclass
class Link:
    """A synchronization, as the model knows it. ``linked`` is False once it was unlinked."""

    id: int
    username: str
    address: str
    linked: bool = True


class Reconciling(RuleBasedStateMachine):
    """See the module. Subclasses make the provider."""

    server: str
    template: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = self.make_loop()
        self.logs_context = capture_logs()
        self.logs = self.logs_context.__enter__()
        self.name = f"machine_{uuid4().hex}"
        self.clock = SettableClock(START)
        self.provider = self.make_provider(self.clock)
        self.run(self._open())
        self.published: dict[str, dict[str, Event]] = {}
        self.links: list[Link] = []
        self.foreign: dict[str, dict[str, Any]] = {address: {} for address in ADDRESSES}
        """What is not ours, as it was when it was made, by id."""
        self.noted: dict[str, set[str]] = {address: set() for address in ADDRESSES}
        self.removed: set[str] = set()
        """What people have deleted."""

    def make_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that everything runs in; it is not closed."""
        raise NotImplementedError

    def make_provider(self, clock: SettableClock) -> Provider:
        """The provider, whose adapter goes by the clock."""
        raise NotImplementedError

    def run(self, work: Awaitable[Result]) -> Result:
        return self.loop.run_until_complete(work)

    async def _open(self) -> None:
        connection = await asyncpg.connect(self.server)
        await connection.execute(f"CREATE DATABASE {self.name} TEMPLATE {self.template} STRATEGY FILE_COPY")
        await connection.close()
        dsn = in_database(self.server, self.name)
        self.pool = await asyncpg.create_pool(dsn, min_size=1, max_size=4)
        self.world = World(self.pool, self.clock, self.provider.adapter)

    def teardown(self) -> None:
        try:
            # Unless a step has failed, whose exception is on its way then.
            if sys.exc_info()[0] is None:
                self.settle()
        finally:
            self.run(self._close())
            self.logs_context.__exit__(None, None, None)

    async def _close(self) -> None:
        await self.provider.recover()
        await self.pool.close()
        connection = await asyncpg.connect(self.server)
        await connection.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
        await connection.close()

    # What the frontend and the administrators do. There is a worker at once, or not.

    @initialize(drawn=st.tuples(timetables, timetables), homes=st.tuples(addresses, addresses))
    def begin(self, drawn: tuple[Drawn, Drawn], homes: tuple[str, str]) -> None:
        """Everybody has a timetable, in mailboxes of their own or in one together."""
        for username, timetable, address in zip(USERS, drawn, homes, strict=True):
            self.publish(username, timetable, False)
            self.link(username, address, True)

    @rule(username=users, timetable=timetables, now=st.booleans())
    def publish(self, username: str, timetable: Drawn, now: bool) -> None:
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
        self.work_if(now)

    @rule(username=users, address=addresses, now=st.booleans())
    def link(self, username: str, address: str, now: bool) -> None:
        try:
            id = self.run(self.world.link(username, address))
        except NoAccess:
            # The provider said so for a moment: nothing was linked.
            return
        if all(link.id != id for link in self.links):
            self.links.append(Link(id, username, address))
        self.work_if(now)

    @rule(number=numbers, mode=st.sampled_from(MODES), now=st.booleans())
    def unlink(self, number: int, mode: str, now: bool) -> None:
        link = pick(number, [link for link in self.links if link.linked])
        if link is not None:
            self.run(self.world.unlink(mode, link.id))
            link.linked = False
            self.work_if(now)

    # What people do.

    @rule(address=addresses)
    def add_own(self, address: str) -> None:
        self._remember(address, self.provider.add(address))

    @rule(address=addresses, number=numbers)
    def copy(self, address: str, number: int) -> None:
        # What the ledger knows is ours; a copy of what nobody knows yet cannot be told from it.
        if id := pick(number, self._known(address)):
            self._remember(address, self.provider.copy(address, id))

    @rule(address=addresses, number=numbers)
    def write_notes(self, address: str, number: int) -> None:
        if id := pick(number, sorted(self._ours(address))):
            self.provider.write_notes(address, id)
            self.noted[address].add(id)

    @rule(address=addresses, number=numbers)
    def rename(self, address: str, number: int) -> None:
        if id := pick(number, self._known(address)):
            self.provider.rename(address, id)

    @rule(address=addresses, number=numbers)
    def remove(self, address: str, number: int) -> None:
        if id := pick(number, self._known(address)):
            self.provider.remove(address, id)
            self.removed.add(id)

    def _remember(self, address: str, id: str) -> None:
        self.foreign[address][id] = self.provider.held(address)[id].state

    def _ours(self, address: str) -> dict[str, Held]:
        held = self.provider.held(address)
        return {id: e for id, e in held.items() if e.ours and id not in self.foreign[address]}

    def _known(self, address: str) -> list[str]:
        """Events of ours that the ledger knows, too."""
        ours = self._ours(address)
        return [row["remote_id"] for row in self.run(self.world.ledger(address)) if row["remote_id"] in ours]

    # What goes wrong.

    @rule(operation=operations, committed=st.booleans(), times=st.integers(1, 4))
    def lose_answers(self, operation: str, committed: bool, times: int) -> None:
        self.provider.lose_answers(operation, committed, times)

    @rule(times=st.integers(1, 4))
    def delay_creates(self, times: int) -> None:
        self.provider.delay_creates(times)

    @rule(operation=calls, seconds=st.integers(1, 900))
    def throttle(self, operation: str, seconds: int) -> None:
        self.provider.throttle(operation, self.clock() + timedelta(seconds=seconds))

    @rule(call=calls, committed=st.booleans())
    def kill_in_a_call(self, call: str, committed: bool) -> None:
        self.provider.kill(call, committed and call != "find")

    @rule()
    def work(self) -> None:
        self.run(self._work())

    @rule(minutes=st.integers(1, 2000), now=st.booleans())
    def wait(self, minutes: int, now: bool) -> None:
        self.clock.advance(minutes=minutes)
        self.work_if(now)

    def work_if(self, now: bool) -> None:
        if now:
            self.work()

    async def _work(self) -> None:
        await self.world.work()
        # The leases of workers that were killed run out.
        await self.pool.execute("UPDATE mailboxes SET lease_until = clock_timestamp() - interval '1 second'")

    # What must hold.

    @invariant()
    def what_is_not_ours_is_untouched(self) -> None:
        for address, known in self.foreign.items():
            held = self.provider.held(address)
            assert {id: held[id].state for id in known if id in held} == known

    @invariant()
    def no_run_crashed(self) -> None:
        assert [entry for entry in self.logs if entry["event"] == "run_crashed"] == []

    def settle(self) -> None:
        """Everything that was delayed arrives, nothing fails any more, all work is done, and all is well."""
        self.run(self._settle())
        for address in ADDRESSES:
            self._compare(address)
        self.provider.check()

    async def _settle(self) -> None:
        await self.provider.recover()
        await self._work()
        await self.world.settle(hours=SETTLED)
        # What people did is found by reading, and put right.
        for link in self.links:
            if link.linked:
                await self.world.refresh(link.id)

    def _compare(self, address: str) -> None:
        rows = self.run(self.world.ledger(address))
        held = self._ours(address)
        current = {link.id: link for link in self.links if link.linked and link.address == address}
        # Nobody reads a mailbox any more in which no synchronization is.
        missed = set() if current else {row["remote_id"] for row in rows} & self.removed
        # The ledger and the mailbox agree: nothing lost, nothing twice, nothing forgotten.
        assert {row["remote_id"] for row in rows} - missed == set(held)
        assert {row["state"] for row in rows} <= {"present"}
        for id, link in current.items():
            wanted = self.published.get(link.username, {})
            mine = {row["uid"]: held[row["remote_id"]] for row in rows if row["synchronization_id"] == id}
            assert set(mine) == set(wanted)
            assert [uid for uid, e in wanted.items() if not mine[uid].shows(e)] == []
        # What people have added stays.
        assert [id for id in self.noted[address] if id in held and not held[id].noted] == []
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
