"""Properties of reconciling, over the real adapters and the sandbox: TLS between them, and all its faults.

A run tries the same few sequences each time. For more, drawn anew, by hand:

    PROPERTY_EXAMPLES=500 ./run tests tests/sync/test_provider_properties.py --hypothesis-seed=7 --timeout=0
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from app.config import load_config
from app.demo.compare import look_alike
from providers.adapter import Adapter
from providers.contract import (
    Create,
    Delete,
    Event,
    Mailbox,
    Move,
    Operation,
    Outcome,
    Permit,
    RemoteEvent,
    Update,
    always,
)
from providers.sandbox import ews, google, graph
from providers.sandbox.faults import parse_fault
from providers.sandbox.server import Sandbox
from providers.sandbox.state import Dialect, Native, SandboxMailbox, State
from tests.clock import SettableClock
from tests.contract.harness import MAILS, PROVIDERS
from tests.properties import takes_minutes
from tests.sync.machine import START, USERS, Drawn, Reconciling, numbers, pick, sequences, timetables
from tests.sync.provider import ADDRESSES, Held, Provider
from tests.sync.world import INSTANCE

Result = TypeVar("Result")

NOTES = "Bring my own chair"
KINDS: dict[type[Operation], str] = {
    Create: "create",
    Update: "update",
    Delete: "delete",
    Move: "move",
}

OPERATIONS = {
    "ews": ("create", "update", "delete", "read", "CreateItem", "UpdateItem", "DeleteItem", "FindItem", None),
    "o365": ("create", "update", "delete", "read", "$batch", None),
    "googlecalendar": ("create", "update", "delete", "read", "$batch", None),
}
"""What a fault meets: an operation, alone or in a batch; a request of the protocol; None: anything."""

FAULTS: dict[str, tuple[dict[str, Any], ...]] = {
    "ews": (
        *({"fault": "throttle", "shape": shape} for shape in ("503", "fault", "connections", "items")),
        *({"fault": "partial", "n": n} for n in (0, 1, 2)),
        {"fault": "gone"},
        {"fault": "gone", "what": "calendar"},
        {"fault": "gone", "what": "mailbox"},
        *(
            {"fault": "deny", "code": code}
            for code in (
                "ErrorAccessDenied",
                "ErrorInternalServerTransientError",
                "ErrorMailboxStoreUnavailable",
            )
        ),
    ),
    "o365": tuple({"fault": fault} for fault in ("throttle", "partial", "gone", "deny")),
    "googlecalendar": (
        *(
            {"fault": "throttle", "status": status, "reason": reason}
            for status, reason in (
                (403, "userRateLimitExceeded"),
                (403, "rateLimitExceeded"),
                (403, "quotaExceeded"),
                (429, "rateLimitExceeded"),
            )
        ),
        {"fault": "partial"},
        {"fault": "gone"},
        {"fault": "deny"},
        *({"fault": "unavailable", "status": status} for status in (500, 502, 504)),
    ),
}
ANYWHERE = (
    {"fault": "unavailable"},
    {"fault": "commit_then_drop"},
    {"fault": "commit_then_503"},
    {"fault": "slow"},
    {"fault": "expired_state"},
    {"fault": "truncated"},
    {"fault": "moves_on"},
)


@st.composite
def faults(draw: st.DrawFn, type: str) -> dict[str, Any]:
    """A fault as the control API takes it, which goes away by itself."""
    nth = draw(st.none() | st.integers(1, 4))
    return {
        "operation": draw(st.sampled_from(OPERATIONS[type])),
        "nth": nth,
        "times": None if nth else draw(st.integers(1, 4)),
        "retryAfter": draw(st.none() | st.integers(1, 900)),
        "mailbox": draw(st.none() | st.sampled_from(ADDRESSES)),
        "delay": 0,
        **draw(st.sampled_from((*FAULTS[type], *ANYWHERE))),
    }


class Mortal:
    """An adapter whose worker can be killed. Its batches are small, so that there are several in a run."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._dooms: list[tuple[str, bool]] = []
        self._under_way: set[asyncio.Task[Any]] = set()
        self.type = adapter.type
        self.batch = min(adapter.batch, 3)
        self.quotas = adapter.quotas
        self.idempotent_create = adapter.idempotent_create

    def doom(self, call: str, committed: bool) -> None:
        """The next call of this kind kills its worker, once it was answered or before it is made."""
        self._dooms.append((call, committed))

    def die(self) -> None:
        """The process ends now, whatever it has under way."""
        for task in self._under_way:
            task.cancel()

    def spare(self) -> None:
        """Nobody dies any more."""
        self._dooms.clear()

    async def apply(
        self, mailbox: Mailbox, operations: Sequence[Operation], permit: Permit = always
    ) -> list[Outcome]:
        kinds = {KINDS[type(operation)] for operation in operations}
        return await self._lives(kinds, lambda: self._adapter.apply(mailbox, operations, permit))

    async def find(self, mailbox: Mailbox, instance: str, attempts: Sequence[UUID]) -> list[RemoteEvent]:
        return await self._lives({"find"}, lambda: self._adapter.find(mailbox, instance, attempts))

    async def _lives(self, kinds: set[str], call: Callable[[], Awaitable[Result]]) -> Result:
        doom = next((doom for doom in self._dooms if doom[0] in kinds), None)
        if doom is not None:
            self._dooms.remove(doom)
            if doom[1]:
                await call()
            raise asyncio.CancelledError
        task = asyncio.ensure_future(call())
        self._under_way.add(task)
        try:
            return await task
        finally:
            self._under_way.discard(task)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)


class Stage(NamedTuple):
    """What all examples of a test share: the sandbox, and the adapter, whose clock is set for each."""

    loop: asyncio.AbstractEventLoop
    state: State
    dialect: Dialect
    adapter: Mortal
    clock: list[SettableClock]


class InSandbox:
    """The machine's ``Provider`` over the sandbox."""

    def __init__(self, stage: Stage, clock: SettableClock) -> None:
        self.adapter: Any = stage.adapter
        self._state = stage.state
        self._dialect = stage.dialect
        self._type = stage.adapter.type
        self._clock = clock
        self._arrive = asyncio.Event()
        self._delayed = 0
        self._state.sleep = self._delay
        stage.clock[:] = [clock]
        for address in ADDRESSES:
            self._state.add_mailbox(self._type, address)

    def _mailbox(self, address: str) -> SandboxMailbox:
        found = self._state.mailbox(self._type, address)
        assert found is not None
        return found

    def _event(self, address: str, id: str) -> tuple[SandboxMailbox, Native]:
        mailbox = self._mailbox(address)
        return mailbox, next(e for e in self._dialect.visible(mailbox) if e["id"] == id)

    def held(self, address: str) -> dict[str, Held]:
        mailbox = self._mailbox(address)
        described = [self._dialect.describe(mailbox, e) for e in self._dialect.visible(mailbox)]
        return {e["id"]: self._held(e) for e in described}

    @staticmethod
    def _held(described: dict[str, Any]) -> Held:
        def shows(wanted: Event) -> bool:
            text = (described["description"] or "").replace(NOTES, "")
            return look_alike(described | {"description": text}, wanted)

        marker = described["marker"]
        return Held(
            ours=marker is not None and marker["instance"] == INSTANCE,
            noted=NOTES in (described["description"] or ""),
            state=described,
            shows=shows,
        )

    def add(self, address: str) -> str:
        start = START + timedelta(days=1)
        times = {"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
        own = {"title": "Dentist", "timeZone": "Europe/Amsterdam", "allDay": False, **times}
        return str(self._dialect.create(self._mailbox(address), own)["id"])

    def copy(self, address: str, id: str) -> str:
        return str(self._dialect.copy(*self._event(address, id))["id"])

    def write_notes(self, address: str, id: str) -> None:
        mailbox, native = self._event(address, id)
        text = self._dialect.describe(mailbox, native)["description"] or ""
        self._dialect.change(mailbox, native, {"description": f"{text}\n{NOTES}"})

    def rename(self, address: str, id: str) -> None:
        self._dialect.change(*self._event(address, id), {"title": "Renamed"})

    def touch(self, address: str, id: str) -> None:
        """The provider gives the event another version by itself."""
        self._dialect.change(*self._event(address, id), {})

    def remove(self, address: str, id: str) -> None:
        self._dialect.remove(*self._event(address, id))

    def fault(self, **fault: Any) -> None:
        """From now on this goes wrong."""
        self._state.faults.add(parse_fault({"type": self._type, **fault}, {self._type}))

    def lose_answers(self, operation: str, committed: bool, times: int) -> None:
        self.fault(fault="commit_then_drop" if committed else "unavailable", operation=operation, times=times)

    def delay_creates(self, times: int) -> None:
        self.fault(fault="slow", operation="create", times=times, delay=1)

    def throttle(self, operation: str, until: datetime) -> None:
        seconds = (until - self._clock()).total_seconds()
        name = "read" if operation == "find" else operation
        self.fault(fault="throttle", operation=name, times=1, retryAfter=seconds)

    def kill(self, call: str, committed: bool) -> None:
        self.adapter.doom(call, committed)

    async def _delay(self, seconds: float) -> None:
        """A request is slow: its worker dies meanwhile, and it is carried out when ``recover`` says so."""
        if not seconds:
            return
        self._delayed += 1
        self.adapter.die()
        try:
            await self._arrive.wait()
        finally:
            self._delayed -= 1

    async def recover(self) -> None:
        self._state.faults.active.clear()
        self.adapter.spare()
        self._arrive.set()
        while self._delayed:
            await asyncio.sleep(0)
        self._arrive = asyncio.Event()

    def check(self) -> None:
        counts = self._state.stats.operations
        assert {name: counts[self._type, name] for name in MAILS if counts[self._type, name]} == {}
        assert self._state.violations == []


@pytest.fixture(params=PROVIDERS)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    dialects = {"ews": ews.dialect, "o365": graph.dialect, "googlecalendar": google.dialect}
    clock = [SettableClock(START)]

    async def connect(stack: AsyncExitStack) -> tuple[State, Mortal]:
        sandbox = await stack.enter_async_context(Sandbox())
        config = load_config({"ROOSTER_CONFIG": str(sandbox.config)}, sandbox.config.parent)
        adapter = await PROVIDERS[request.param](getattr(config.providers, request.param), lambda: clock[0]())
        stack.push_async_callback(adapter.close)
        return sandbox.state, Mortal(adapter)

    loop, stack = asyncio.new_event_loop(), AsyncExitStack()
    state, adapter = loop.run_until_complete(connect(stack))
    yield Stage(loop, state, dialects[request.param](), adapter, clock)
    loop.run_until_complete(stack.aclose())
    loop.close()


@takes_minutes
def test_whatever_happens_it_ends_well(database_server: str, database_template: str, stage: Stage) -> None:
    type = stage.adapter.type

    class Machine(Reconciling):
        server, template = database_server, database_template
        provider: Any

        def make_loop(self) -> asyncio.AbstractEventLoop:
            return stage.loop

        def make_provider(self, clock: SettableClock) -> Provider:
            return InSandbox(stage, clock)

        @rule(address=st.sampled_from(ADDRESSES), number=numbers)
        def move_versions(self, address: str, number: int) -> None:
            if id := pick(number, sorted(self._ours(address))):
                self.provider.touch(address, id)

        @rule(faults=st.lists(faults(type), min_size=1, max_size=3))
        def fail(self, faults: list[dict[str, Any]]) -> None:
            for fault in faults:
                self.provider.fault(**fault)

        @rule(fault=faults(type), username=st.sampled_from(USERS), timetable=timetables)
        def fail_a_push(self, fault: dict[str, Any], username: str, timetable: Drawn) -> None:
            self.provider.fault(**fault)
            self.publish(username, timetable, True)

    run_state_machine_as_test(
        Machine,
        settings=sequences(12),
    )


@takes_minutes
def test_whatever_happens_with_calendars_it_ends_well(
    database_server: str, database_template: str, stage: Stage
) -> None:
    """Nobody says that a calendar is gone which is not: its events would be there twice."""
    harmless = faults(stage.adapter.type).filter(lambda fault: fault["fault"] not in ("gone", "deny"))

    class Machine(Reconciling):
        server, template = database_server, database_template
        provider: Any

        def __init__(self) -> None:
            super().__init__()
            self.own: dict[int, bool] = {}

        def make_loop(self) -> asyncio.AbstractEventLoop:
            return stage.loop

        def make_provider(self, clock: SettableClock) -> Provider:
            return InSandbox(stage, clock)

        @rule(number=numbers, own=st.booleans(), fault=st.none() | harmless, now=st.booleans())
        def move(self, number: int, own: bool, fault: dict[str, Any] | None, now: bool) -> None:
            link = pick(number, [link.id for link in self.links if link.linked])
            if link is None:
                return
            if fault is not None:
                self.provider.fault(**fault)
            self.run(self.world.prefer(link, {"calendar.name": "Timetable"} if own else {}))
            self.own[link] = own
            self.work_if(now)

        @rule(username=st.sampled_from(USERS), address=st.sampled_from(ADDRESSES), now=st.booleans())
        def link(self, username: str, address: str, now: bool) -> None:
            super().link(username=username, address=address, now=False)
            # A new synchronization inherits what is set for its user: here, that is set anew for each.
            for link in self.links:
                if link.linked and link.username == username:
                    name = {"calendar.name": "Timetable"} if self.own.get(link.id) else {}
                    self.run(self.world.prefer(link.id, name))
            self.work_if(now)

        @rule(committed=st.booleans())
        def kill_in_a_move(self, committed: bool) -> None:
            self.provider.kill("move", committed)

        def _compare(self, address: str) -> None:
            super()._compare(address)
            held = self._ours(address)
            current = {link.id for link in self.links if link.linked and link.address == address}
            for row in self.run(self.world.ledger(address)):
                if (link := row["synchronization_id"]) in current:
                    place = held[row["remote_id"]].state["calendar"]
                    assert (place is not None) == self.own.get(link, False)

    run_state_machine_as_test(
        Machine,
        settings=sequences(6),
    )
