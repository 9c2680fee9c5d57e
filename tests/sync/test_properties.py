"""Properties of reconciling, over a provider in memory: whatever happens, it ends as it should."""

import asyncio
from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis.stateful import run_state_machine_as_test

from providers.contract import Event, Throttled, Unknown
from tests.clock import SettableClock
from tests.fakes import FakeAdapter, FakeEvent, FakeMailbox
from tests.properties import takes_minutes
from tests.sync.machine import Reconciling, sequences
from tests.sync.provider import ADDRESSES, Held, Provider
from tests.sync.world import INSTANCE, event

LOST = Unknown(code="lost", reason="No answer came.")
NOTES = "mine"


class InMemory:
    """The machine's ``Provider`` over a ``FakeAdapter``."""

    def __init__(self, idempotent: bool, moves_by_copying: bool = False) -> None:
        self.adapter = FakeAdapter(
            "ews", batch=3, idempotent_create=idempotent, moves_by_copying=moves_by_copying
        )
        for address in ADDRESSES:
            self.adapter.add_mailbox(address)

    def _mailbox(self, address: str) -> FakeMailbox:
        found = self.adapter.mailbox(address)
        assert found is not None
        return found

    def held(self, address: str) -> dict[str, Held]:
        return {e.id: self._held(e) for e in self._mailbox(address).events.values()}

    @staticmethod
    def _held(e: FakeEvent) -> Held:
        def shows(wanted: Event) -> bool:
            return e.event == wanted

        ours = e.marker is not None and e.marker.instance == INSTANCE
        return Held(ours=ours, noted=e.notes == NOTES, state=e.version, shows=shows)

    def add(self, address: str) -> str:
        return self._mailbox(address).put(event("own", title="Dentist")).id

    def copy(self, address: str, id: str) -> str:
        return self._mailbox(address).copy(id).id

    def write_notes(self, address: str, id: str) -> None:
        self._mailbox(address).change(id, notes=NOTES)

    def rename(self, address: str, id: str) -> None:
        self._mailbox(address).change(id, title="Renamed")

    def remove(self, address: str, id: str) -> None:
        self._mailbox(address).remove(id)

    def lose_answers(self, operation: str, committed: bool, times: int) -> None:
        self.adapter.fail(operation, LOST, committed=committed, times=times)

    def delay_creates(self, times: int) -> None:
        self.adapter.fail("create", LOST, late=True, times=times)

    def throttle(self, operation: str, until: datetime) -> None:
        self.adapter.fail(operation, Throttled(until=until, scope="account"))

    def kill(self, call: str, committed: bool) -> None:
        self.adapter.fail(call, asyncio.CancelledError(), committed=committed)

    async def recover(self) -> None:
        self.adapter.recover()
        self.adapter.deliver()

    def check(self) -> None:
        """There is neither mail nor a protocol."""


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize("idempotent", [False, True], ids=["like Exchange", "idempotent"])
@takes_minutes
def test_whatever_happens_it_ends_well(
    database_server: str, database_template: str, loop: asyncio.AbstractEventLoop, idempotent: bool
) -> None:
    class Machine(Reconciling):
        server, template = database_server, database_template

        def make_loop(self) -> asyncio.AbstractEventLoop:
            return loop

        def make_provider(self, clock: SettableClock) -> Provider:
            return InMemory(idempotent)

    run_state_machine_as_test(
        Machine,
        settings=sequences(25),
    )
