"""A calendar provider in memory, with mailboxes to look into and failures to script.

It is as strict as the providers are: a create sent twice makes two events unless ``idempotent_create``
says otherwise, two writers in one mailbox at once are an error of the caller, and an attempt whose event
was deleted cannot be used again.
"""

from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, time
from itertools import count
from typing import Any
from uuid import UUID

import msgspec

from providers.adapter import Quota
from providers.contract import (
    Calendar,
    Changes,
    Content,
    Create,
    Delete,
    Done,
    Event,
    Gone,
    Mailbox,
    Marker,
    Move,
    Operation,
    Outcome,
    Permit,
    ProviderError,
    Refused,
    RemoteEvent,
    StartOver,
    Throttled,
    Unknown,
    Update,
    always,
)

__all__ = ["DOWN", "NO_ACCESS", "Call", "FakeAdapter", "FakeCalendar", "FakeEvent", "FakeMailbox"]

DOWN = Unknown(code="connection_refused", reason="The provider does not answer.")
NO_ACCESS = Refused(code="access_denied", reason="No access to this mailbox.", scope="mailbox")
NO_CALENDAR = Gone(what="calendar", code="no_such_calendar", reason="There is no such calendar.")

NAMES: dict[type[Operation], str] = {
    Create: "create",
    Update: "update",
    Delete: "delete",
    Move: "move",
}


class FakeEvent(msgspec.Struct, kw_only=True):
    """An event in a mailbox. ``fields`` are those that Rooster owns, ``notes`` is the person's."""

    id: str
    version: int
    fields: dict[str, Any]
    marker: Marker | None = None
    notes: str = ""
    calendar: str | None = None

    @property
    def event(self) -> Event:
        return Event(**self.fields)


class FakeCalendar(msgspec.Struct, kw_only=True):
    """A calendar besides the default one; ``maker`` is the instance of Rooster that made it, if one did."""

    name: str
    maker: str | None = None


class FakeMailbox(msgspec.Struct, kw_only=True):
    """A mailbox with its calendars. A person uses the methods, Rooster the adapter."""

    identity: str
    addresses: list[str]
    writable: bool = True
    gone: bool = False
    events: dict[str, FakeEvent] = {}
    calendars: dict[str, FakeCalendar] = {}
    removed: list[tuple[int, str | None, str]] = []
    """When, from which calendar and which event was removed."""
    forgotten: int = 0
    """What happened until then, nobody knows any more: states from before mean to start over."""
    used_attempts: set[UUID] = set()
    busy: bool = False
    serial: int = 0

    def next(self) -> int:
        self.serial += 1
        return self.serial

    def put(
        self, event: Event, marker: Marker | None = None, notes: str = "", calendar: str | None = None
    ) -> FakeEvent:
        """The person adds an event of their own (or, with a marker, Rooster does)."""
        serial = self.next()
        made = FakeEvent(
            id=f"{self.identity}/{serial}",
            version=serial,
            fields=msgspec.structs.asdict(event),
            marker=marker,
            notes=notes,
            calendar=calendar,
        )
        self.events[made.id] = made
        return made

    def copy(self, id: str) -> FakeEvent:
        """The person copies an event: another id, the same content, the marker included."""
        source = self.events[id]
        return self.put(source.event, source.marker, source.notes, source.calendar)

    def move(self, id: str, calendar: str | None) -> FakeEvent:
        """The person drags an event into another calendar (or Rooster moves it), where it has another id.

        It was made when it was made: it stays before the copies of it.
        """
        before = dict(self.events)
        source = before[id]
        self.remove(id)
        moved = self.put(source.event, source.marker, source.notes, calendar)
        self.events = {event.id: event for event in (moved if e.id == id else e for e in before.values())}
        return moved

    def make_calendar(self, name: str, maker: str | None = None) -> str:
        """The person makes a calendar (or, with a maker, Rooster does); gives its id."""
        id = f"{self.identity}/calendar-{self.next()}"
        self.calendars[id] = FakeCalendar(name=name, maker=maker)
        return id

    def remove_calendar(self, id: str) -> None:
        """The person removes a calendar with everything in it."""
        for event in [e for e in self.events.values() if e.calendar == id]:
            self.remove(event.id)
        del self.calendars[id]

    def change(self, id: str, **fields: Any) -> None:
        """The person changes an event by their own client; ``notes`` is theirs, the rest is ours."""
        event = self.events[id]
        event.notes = fields.pop("notes", event.notes)
        event.fields.update(fields)
        event.version = self.next()

    def remove(self, id: str) -> None:
        """The person deletes an event."""
        self.removed.append((self.next(), self.events.pop(id).calendar, id))

    def pushed(self, instance: str | None = None) -> list[FakeEvent]:
        """The events that carry a marker (of this instance), in the order in which they were made."""
        return [e for e in self.events.values() if e.marker and instance in (None, e.marker.instance)]

    def titles(self) -> Counter[str]:
        """How often each title is in the calendar."""
        return Counter(str(e.fields["title"]) for e in self.events.values())


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the adapter: the name of its method, in short."""

    operation: str
    address: str
    calendar: str | None = None
    operations: tuple[Operation, ...] = ()
    attempts: tuple[UUID, ...] = ()


class Failure(msgspec.Struct, kw_only=True):
    """What is to happen instead of, or after, the real answer. See ``FakeAdapter.fail``."""

    answer: Outcome | BaseException
    mailbox: str | None
    times: int | None
    committed: bool
    late: bool


class FakeAdapter:
    """Fulfils ``providers.adapter.Adapter`` in memory."""

    def __init__(
        self,
        type: str = "ews",
        *,
        batch: int = 20,
        quotas: tuple[Quota, ...] = (),
        idempotent_create: bool = False,
        moves_by_copying: bool = False,
        account: str = "service",
    ) -> None:
        self.type = type
        self.batch = batch
        self.quotas = quotas
        self.idempotent_create = idempotent_create
        self.moves_by_copying = moves_by_copying
        self.accounts: dict[str, str] = {}
        self._account = account
        self._mailboxes: list[FakeMailbox] = []
        self._failures: dict[str, deque[Failure]] = {}
        self._late: list[tuple[FakeMailbox, Create | Move, str | None]] = []
        self._identities = count(1)
        self.down: Outcome | None = None
        """While set, every call and every operation has this answer, and nothing is done."""
        self.before: Callable[[Call], Awaitable[None]] | None = None
        """Awaited before a call does anything: to hold it, or to do something meanwhile."""
        self.list_fails_after: int | None = None
        """After so many events, a list breaks off."""
        self.calls: list[Call] = []
        self.closed = False

    # What a test sets up and looks at.

    def add_mailbox(
        self, address: str, *, aliases: Iterable[str] = (), identity: str | None = None
    ) -> FakeMailbox:
        """Make an empty mailbox that these addresses lead to."""
        mailbox = FakeMailbox(
            identity=identity or f"{self.type}-mailbox-{next(self._identities)}",
            addresses=[address, *aliases],
        )
        self._mailboxes.append(mailbox)
        return mailbox

    def mailbox(self, address: str) -> FakeMailbox | None:
        """The mailbox with this address (compared without case), unless it is gone."""
        for mailbox in self._mailboxes:
            if not mailbox.gone and address.casefold() in (a.casefold() for a in mailbox.addresses):
                return mailbox
        return None

    def fail(
        self,
        operation: str,
        answer: Outcome | BaseException,
        *,
        times: int | None = 1,
        mailbox: str | None = None,
        committed: bool = False,
        late: bool = False,
    ) -> None:
        """The next ``times`` of ``operation`` (None: all from now on) have this answer.

        ``operation`` is ``probe``, ``find``, ``list``, ``changes``, ``calendars``, ``make_calendar``,
        ``remove_calendar``, ``create``, ``update``, ``move`` or ``delete``. An exception
        is raised, as if the process died there. ``committed``: it is done all the same, and only the answer
        is lost. ``late``: a create or a move is done when ``deliver`` is called. Failures are used up in the
        order in which they were scripted; ``mailbox`` (an address) limits one to that mailbox.
        """
        self._failures.setdefault(operation, deque()).append(
            Failure(answer=answer, mailbox=mailbox, times=times, committed=committed, late=late)
        )

    def recover(self) -> None:
        """No failures any more."""
        self.down = None
        self._failures.clear()

    def deliver(self) -> int:
        """The creates and moves that were on their way arrive. Returns how many."""
        late, self._late = self._late, []
        for mailbox, operation, calendar in late:
            if isinstance(operation, Create):
                self._create(mailbox, operation, calendar)
            elif operation.id in mailbox.events:
                self._move(mailbox, operation, calendar, late=True)
        return len(late)

    def count(self, operation: str) -> int:
        """How many calls (``probe``…) or operations within them (``create``…) were asked for."""
        return sum(
            (call.operation == operation) + sum(NAMES[type(o)] == operation for o in call.operations)
            for call in self.calls
        )

    # The contract.

    def account(self, address: str) -> str:
        return self.accounts.get(address.casefold(), self._account)

    async def probe(self, address: str) -> Mailbox:
        await self._called(Call(operation="probe", address=address))
        mailbox = self._reach(address, "probe")
        if not mailbox.writable:
            raise ProviderError(NO_ACCESS)
        return Mailbox(address=address, identity=mailbox.identity)

    async def apply(
        self, mailbox: Mailbox, operations: Sequence[Operation], permit: Permit = always
    ) -> list[Outcome]:
        assert len(operations) <= self.batch, f"more than {self.batch} operations in one call"
        held = self.mailbox(mailbox.address)
        if held is not None:
            assert not held.busy, "two calls write to one mailbox at once"
            held.busy = True
        try:
            await self._called(
                Call(
                    operation="apply",
                    address=mailbox.address,
                    calendar=mailbox.calendar,
                    operations=tuple(operations),
                )
            )
            permit()
            outcomes: list[Outcome] = []
            throttled: Throttled | None = None
            for operation in operations:
                outcome = throttled or self._apply(held, mailbox, operation)
                if isinstance(outcome, Throttled):
                    throttled = outcome
                outcomes.append(outcome)
            return outcomes
        finally:
            if held is not None:
                held.busy = False

    async def find(self, mailbox: Mailbox, instance: str, attempts: Sequence[UUID]) -> list[RemoteEvent]:
        held = await self._read(mailbox, "find", attempts)
        return [
            self._remote(e)
            for e in held.pushed(instance)
            if e.calendar == mailbox.calendar and e.marker and e.marker.attempt in set(attempts)
        ]

    async def list(self, mailbox: Mailbox, instance: str) -> AsyncIterator[RemoteEvent]:
        held = await self._read(mailbox, "list")
        events = [e for e in held.pushed(instance) if e.calendar == mailbox.calendar]
        for position, event in enumerate(events):
            if position == self.list_fails_after:
                raise ProviderError(DOWN)
            yield self._remote(event)

    async def changes(self, mailbox: Mailbox, instance: str, since: str | None) -> AsyncIterator[Changes]:
        """Page by page, three events each; a state is the serial up to which everything is told."""
        held = await self._read(mailbox, "changes")
        if since is not None and (not since.isdigit() or int(since) < held.forgotten):
            raise StartOver
        told = int(since or 0)
        events = [e for e in held.pushed(instance) if e.calendar == mailbox.calendar and e.version > told]
        # What went and has come back is there: an id is as its last mention says.
        there = {id for id, e in held.events.items() if e.calendar == mailbox.calendar}
        removed = tuple(
            id
            for at, calendar, id in held.removed
            if calendar == mailbox.calendar and at > told and id not in there
        )
        state = str(held.serial)
        for start in range(0, len(events), 3):
            if self.list_fails_after is not None and start >= self.list_fails_after:
                raise ProviderError(DOWN)
            yield Changes(events=tuple(self._remote(e) for e in events[start : start + 3]))
        yield Changes(removed=removed, state=state)

    async def calendars(self, mailbox: Mailbox, instance: str) -> Sequence[Calendar]:
        held = await self._read(mailbox, "calendars")
        return [
            Calendar(id=held.identity, name="Calendar", is_default=True, ours=False),
            *(
                Calendar(id=id, name=c.name, is_default=False, ours=c.maker == instance)
                for id, c in held.calendars.items()
            ),
        ]

    async def make_calendar(
        self, mailbox: Mailbox, instance: str, name: str, permit: Permit = always
    ) -> Calendar:
        held = await self._read(mailbox, "make_calendar")
        permit()
        return Calendar(id=held.make_calendar(name, instance), name=name, is_default=False, ours=True)

    async def remove_calendar(self, mailbox: Mailbox, instance: str, permit: Permit = always) -> bool:
        assert mailbox.calendar is not None
        held = await self._read(msgspec.structs.replace(mailbox, calendar=None), "remove_calendar")
        permit()
        calendar = held.calendars.get(mailbox.calendar)
        if calendar is None:
            return True
        if calendar.maker != instance or any(e.calendar == mailbox.calendar for e in held.events.values()):
            return False
        held.remove_calendar(mailbox.calendar)
        return True

    async def close(self) -> None:
        self.closed = True

    # How it does that.

    async def _called(self, call: Call) -> None:
        self.calls.append(call)
        if self.before is not None:
            await self.before(call)

    async def _read(self, mailbox: Mailbox, operation: str, attempts: Sequence[UUID] = ()) -> FakeMailbox:
        await self._called(
            Call(
                operation=operation,
                address=mailbox.address,
                calendar=mailbox.calendar,
                attempts=tuple(attempts),
            )
        )
        held = self._reach(mailbox.address, operation)
        if mailbox.calendar is not None and mailbox.calendar not in held.calendars:
            raise ProviderError(NO_CALENDAR)
        return held

    def _failure(self, operation: str, address: str) -> Failure | None:
        scripted = self._failures.get(operation, deque())
        for failure in scripted:
            if failure.mailbox in (None, address):
                if failure.times is not None:
                    failure.times -= 1
                    if failure.times == 0:
                        scripted.remove(failure)
                return failure
        return None

    def _reach(self, address: str, operation: str) -> FakeMailbox:
        failure = self._failure(operation, address)
        answer = failure.answer if failure else self.down
        if isinstance(answer, BaseException):
            raise answer
        if answer is not None:
            assert not isinstance(answer, Done)
            raise ProviderError(answer)
        mailbox = self.mailbox(address)
        if mailbox is None:
            raise ProviderError(self._no_mailbox())
        return mailbox

    def _apply(self, held: FakeMailbox | None, mailbox: Mailbox, operation: Operation) -> Outcome:
        failure = self._failure(NAMES[type(operation)], mailbox.address)
        if failure is None and self.down is not None:
            return self.down
        if failure is not None:
            if failure.committed and held is not None and self._has_calendar(held, operation, mailbox):
                self._carry_out(held, operation, mailbox.calendar)
            if failure.late and held is not None:
                assert isinstance(operation, Create | Move)
                self._late.append((held, operation, mailbox.calendar))
            if isinstance(failure.answer, BaseException):
                raise failure.answer
            return failure.answer
        if held is None or held.identity != mailbox.identity:
            return self._no_mailbox()
        if not held.writable:
            return NO_ACCESS
        if not self._has_calendar(held, operation, mailbox):
            return NO_CALENDAR
        return self._carry_out(held, operation, mailbox.calendar)

    @staticmethod
    def _has_calendar(held: FakeMailbox, operation: Operation, mailbox: Mailbox) -> bool:
        written_to = operation.calendar if isinstance(operation, Move) else mailbox.calendar
        return written_to is None or written_to in held.calendars

    def _carry_out(self, held: FakeMailbox, operation: Operation, calendar: str | None) -> Outcome:
        match operation:
            case Create():
                return self._create(held, operation, calendar)
            case Move(id=id):
                if id not in held.events or held.events[id].calendar != calendar:
                    return Gone(what="event", code="not_found", reason="The event is not there.")
                return self._move(held, operation, calendar)
            case Update(id=id, event=event):
                found = held.events.get(id)
                if found is None:
                    return Gone(what="event", code="not_found", reason="The event is not there.")
                previous = operation.previous
                before = found.fields if previous is None else msgspec.structs.asdict(previous)
                after = msgspec.structs.asdict(event)
                held.change(id, **{k: v for k, v in after.items() if before[k] != v})
                found.marker = operation.marker
                return Done(id, str(found.version))
            case Delete(id=id):
                if id in held.events:
                    held.remove(id)
                return Done(id)

    def _create(self, held: FakeMailbox, create: Create, calendar: str | None) -> Outcome:
        attempt = create.marker.attempt
        if self.idempotent_create:
            for event in held.pushed():
                if event.marker and event.marker.attempt == attempt:
                    return Done(event.id, str(event.version))
            if attempt in held.used_attempts:
                return Refused(code="duplicate", reason="This id was used by an event that is deleted.")
        held.used_attempts.add(attempt)
        made = held.put(create.event, create.marker, calendar=calendar)
        return Done(made.id, str(made.version))

    def _move(self, held: FakeMailbox, move: Move, calendar: str | None, *, late: bool = False) -> Outcome:
        """The event itself goes; an idempotent provider goes by its own ids, which it keeps.

        A copy that is made late is all that is done: only after its answer the original would be deleted.
        """
        event = held.events[move.id]
        if event.calendar != calendar or (move.calendar and move.calendar not in held.calendars):
            return NO_CALENDAR
        if self.moves_by_copying:
            made = held.put(event.event, move.marker, event.notes, move.calendar)
            if not late:
                held.remove(move.id)
            return Done(made.id)
        if self.idempotent_create:
            # What is on its way does not come after what was sent, and answered, later: the event has its id
            # again when it comes back, and nobody could tell that move from another one.
            self._late = [one for one in self._late if getattr(one[1], "id", None) != move.id]
            held.removed.append((held.next(), event.calendar, event.id))
            event.calendar, event.version = move.calendar, held.next()
            return Done(event.id)
        return Done(held.move(move.id, move.calendar).id)

    @staticmethod
    def _remote(event: FakeEvent) -> RemoteEvent:
        assert event.marker is not None
        held = event.event
        start, end = held.start, held.end
        if held.all_day:
            start, end = (datetime.combine(day, time(), UTC) for day in held.dates)
        content = Content(
            title=held.title,
            start=start,
            end=end,
            all_day=held.all_day,
            location=held.location,
            body=f"{held.body}\n{event.notes}",
            categories=held.categories,
            show_as=held.show_as,
            privacy=held.privacy or "normal",
        )
        return RemoteEvent(id=event.id, version=str(event.version), marker=event.marker, content=content)

    @staticmethod
    def _no_mailbox() -> Gone:
        return Gone(what="mailbox", code="no_such_mailbox", reason="There is no such mailbox.")
