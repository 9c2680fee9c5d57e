"""Properties of reconciling with preferences and calendars of its own: it ends as it should.

To the machine come preferences that change and leave out events and say which calendar they are in, moves
that fail or come late, people who remove calendars and drag events from one to another, and readings that
break off or have to start over.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from app.preferences.shape import LeftOut, Shape
from app.provisioning.refresh import ask_for_refresh
from providers.contract import Event, Refused, Unknown
from tests.clock import SettableClock
from tests.fakes import NO_ACCESS
from tests.properties import takes_minutes
from tests.sync.machine import USERS, Reconciling, numbers, pick, sequences
from tests.sync.provider import ADDRESSES, Provider
from tests.sync.test_properties import InMemory

LOST = Unknown(code="lost", reason="No answer came.")
REFUSED = Refused(code="busy", reason="Not now.", permanent=False)
NAMES = ("Timetable", "Rooster")

preferences = st.fixed_dictionaries(
    {},
    optional={
        "calendar.name": st.sampled_from(NAMES),
        "presentation.showAs": st.just("free"),
        "selection.excludeTitles": st.sampled_from(["a$", "b$"]).map(lambda pattern: [pattern]),
    },
)
users, addresses = st.sampled_from(USERS), st.sampled_from(ADDRESSES)
calls = st.sampled_from(("changes", "calendars", "make_calendar", "remove_calendar"))


class WithCalendars(InMemory):
    """Mailboxes in memory, with calendars besides the default one."""

    async def recover(self) -> None:
        self.adapter.recover()
        # What is on its way into, or out of, a calendar that was removed never arrives.
        self.adapter._late = [
            late for late in self.adapter._late if late[2] is None or late[2] in late[0].calendars
        ]
        self.adapter.deliver()


class Machine(Reconciling):
    """See the module."""

    loop: asyncio.AbstractEventLoop
    idempotent: bool
    copying: bool

    def __init__(self) -> None:
        super().__init__()
        self.preferred: dict[int, dict[str, Any]] = {}

    def make_loop(self) -> asyncio.AbstractEventLoop:
        return self.loop

    def make_provider(self, clock: SettableClock) -> Provider:
        return WithCalendars(self.idempotent, self.copying)

    @rule(number=numbers, preferred=preferences, now=st.booleans())
    def prefer(self, number: int, preferred: dict[str, Any], now: bool) -> None:
        if link := pick(number, [link for link in self.links if link.linked]):
            self.run(self.world.prefer(link.id, preferred))
            self.preferred[link.id] = preferred
            self.work_if(now)

    @rule(username=users, address=addresses, now=st.booleans())
    def link(self, username: str, address: str, now: bool) -> None:
        super().link(username=username, address=address, now=False)
        # A new synchronization inherits what is set for its user: here, that is set anew for each.
        for link in self.links:
            if link.linked and link.username == username:
                self.run(self.world.prefer(link.id, self.preferred.get(link.id, {})))
        self.work_if(now)

    @rule(address=addresses, number=numbers)
    def remove_calendar(self, address: str, number: int) -> None:
        mailbox = self.world.mailbox(address)
        if calendar := pick(number, sorted(mailbox.calendars)):
            within = [e.id for e in mailbox.events.values() if e.calendar == calendar]
            mailbox.remove_calendar(calendar)
            self.removed |= set(within)
            for id in within:
                self.foreign[address].pop(id, None)

    @rule(address=addresses, number=numbers, other=numbers)
    def drag(self, address: str, number: int, other: int) -> None:
        """Into another calendar: the person's from then on."""
        mailbox = self.world.mailbox(address)
        if id := pick(number, self._known(address)):
            others = [c for c in (None, *sorted(mailbox.calendars)) if c != mailbox.events[id].calendar]
            if others:
                self._remember(address, mailbox.move(id, pick(other, others)).id)
                self.removed.add(id)

    @rule(address=addresses)
    def add_to_ours(self, address: str) -> None:
        mailbox = self.world.mailbox(address)
        for calendar in list(mailbox.calendars)[:1]:
            id = self.provider.add(address)
            mailbox.events[id].calendar = calendar
            self._remember(address, id)

    @rule(address=addresses)
    def forget_states(self, address: str) -> None:
        self.world.mailbox(address).forgotten = self.world.mailbox(address).serial

    @rule(call=calls, answer=st.sampled_from((LOST, NO_ACCESS, asyncio.CancelledError())))
    def fail(self, call: str, answer: Any) -> None:
        self.world.adapter.fail(call, answer)

    @rule(committed=st.booleans(), times=st.integers(1, 4))
    def lose_moves(self, committed: bool, times: int) -> None:
        self.provider.lose_answers("move", committed, times)

    @rule(times=st.integers(1, 4))
    def delay_moves(self, times: int) -> None:
        self.world.adapter.fail("move", LOST, late=True, times=times)

    @rule(answer=st.sampled_from((LOST, NO_ACCESS, REFUSED)))
    def fail_a_move(self, answer: Any) -> None:
        self.world.adapter.fail("move", answer)

    @rule(committed=st.booleans())
    def kill_in_a_move(self, committed: bool) -> None:
        self.provider.kill("move", committed)

    @rule()
    def deliver(self) -> None:
        """What was on its way arrives, in the middle of all this."""
        self.world.adapter.deliver()

    @rule(after=st.sampled_from((None, 0, 3)))
    def break_off(self, after: int | None) -> None:
        self.world.adapter.list_fails_after = after

    @rule(number=numbers, now=st.booleans())
    def read(self, number: int, now: bool) -> None:
        if link := pick(number, [link for link in self.links if link.linked]):
            self.run(self._ask(link.id))
            self.work_if(now)

    async def _ask(self, id: int) -> None:
        await ask_for_refresh(self.pool, self.clock, id)

    async def _settle(self) -> None:
        self.world.adapter.list_fails_after = None
        await super()._settle()

    def _compare(self, address: str) -> None:
        published = self.published
        current = [link for link in self.links if link.linked and link.address == address]
        self.published = published | {link.username: self._shaped(link) for link in current}
        try:
            super()._compare(address)
        finally:
            self.published = published
        mailbox = self.world.mailbox(address)
        for link in current:
            expected = self.preferred.get(link.id, {}).get("calendar.name")
            rows = [r for r in self.run(self.world.ledger(address)) if r["synchronization_id"] == link.id]
            places = {mailbox.events[row["remote_id"]].calendar for row in rows}
            assert {mailbox.calendars[c].name if c else None for c in places} <= {expected}
            assert self.run(self.world.status(link.id)) == "OK"

    def _shaped(self, link: Any) -> dict[str, Event]:
        shape = Shape.parse(
            {k: v for k, v in self.preferred.get(link.id, {}).items() if k != "calendar.name"}
        )
        shaped = {uid: shape.shape(e) for uid, e in self.published.get(link.username, {}).items()}
        return {uid: e for uid, e in shaped.items() if not isinstance(e, LeftOut)}


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize(
    ("idempotent", "copying"),
    [(False, False), (True, False), (False, True)],
    ids=["like Exchange", "like Google", "like Graph"],
)
@takes_minutes
def test_whatever_happens_with_calendars_it_ends_well(
    database_server: str,
    database_template: str,
    loop: asyncio.AbstractEventLoop,
    idempotent: bool,
    copying: bool,
) -> None:
    attributes = {"server": database_server, "template": database_template, "loop": loop}
    run_state_machine_as_test(
        type("CalendarMachine", (Machine,), attributes | {"idempotent": idempotent, "copying": copying}),
        settings=sequences(10),
    )
