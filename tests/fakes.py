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

from providers.contract import (
    Content,
    Create,
    Delete,
    Done,
    Event,
    Gone,
    Mailbox,
    Marker,
    Operation,
    Outcome,
    ProviderError,
    Quota,
    Refused,
    RemoteEvent,
    Throttled,
    Unknown,
    Update,
)

__all__ = ["DOWN", "NO_ACCESS", "Call", "FakeAdapter", "FakeEvent", "FakeMailbox"]

DOWN = Unknown(code="connection_refused", reason="The provider does not answer.")
NO_ACCESS = Refused(code="access_denied", reason="No access to this mailbox.", scope="mailbox")

NAMES: dict[type[Operation], str] = {Create: "create", Update: "update", Delete: "delete"}


class FakeEvent(msgspec.Struct, kw_only=True):
    """An event in a mailbox. ``fields`` are those that Rooster owns, ``notes`` is the person's."""

    id: str
    version: int
    fields: dict[str, Any]
    marker: Marker | None = None
    notes: str = ""

    @property
    def event(self) -> Event:
        return Event(**self.fields)


class FakeMailbox(msgspec.Struct, kw_only=True):
    """A mailbox with one calendar. A person uses the methods, Rooster the adapter."""

    identity: str
    addresses: list[str]
    writable: bool = True
    gone: bool = False
    events: dict[str, FakeEvent] = {}
    used_attempts: set[UUID] = set()
    busy: bool = False
    serial: int = 0

    def next(self) -> int:
        self.serial += 1
        return self.serial

    def put(self, event: Event, marker: Marker | None = None, notes: str = "") -> FakeEvent:
        """The person adds an event of their own (or, with a marker, Rooster does)."""
        serial = self.next()
        made = FakeEvent(
            id=f"{self.identity}/{serial}",
            version=serial,
            fields=msgspec.structs.asdict(event),
            marker=marker,
            notes=notes,
        )
        self.events[made.id] = made
        return made

    def copy(self, id: str) -> FakeEvent:
        """The person copies an event: another id, the same content, the marker included."""
        source = self.events[id]
        return self.put(source.event, source.marker, source.notes)

    def change(self, id: str, **fields: Any) -> None:
        """The person changes an event by their own client; ``notes`` is theirs, the rest is ours."""
        event = self.events[id]
        event.notes = fields.pop("notes", event.notes)
        event.fields.update(fields)
        event.version = self.next()

    def remove(self, id: str) -> None:
        """The person deletes an event."""
        del self.events[id]

    def pushed(self, instance: str | None = None) -> list[FakeEvent]:
        """The events that carry a marker (of this instance), in the order in which they were made."""
        return [e for e in self.events.values() if e.marker and instance in (None, e.marker.instance)]

    def titles(self) -> Counter[str]:
        """How often each title is in the calendar."""
        return Counter(str(e.fields["title"]) for e in self.events.values())


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the adapter: ``probe``, ``apply``, ``find`` or ``list``."""

    operation: str
    address: str
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
    """Fulfils ``providers.contract.Adapter`` in memory."""

    def __init__(
        self,
        type: str = "ews",
        *,
        batch: int = 20,
        quotas: tuple[Quota, ...] = (),
        idempotent_create: bool = False,
        account: str = "service",
    ) -> None:
        self.type = type
        self.batch = batch
        self.quotas = quotas
        self.idempotent_create = idempotent_create
        self.accounts: dict[str, str] = {}
        self._account = account
        self._mailboxes: list[FakeMailbox] = []
        self._failures: dict[str, deque[Failure]] = {}
        self._late: list[tuple[FakeMailbox, Create]] = []
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

        ``operation`` is ``probe``, ``find``, ``list``, ``create``, ``update`` or ``delete``. An exception is
        raised, as if the process died there. ``committed``: it is done all the same, and only the answer
        is lost. ``late``: a create is done when ``deliver`` is called. Failures are used up in the
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
        """The creates that were on their way arrive. Returns how many."""
        late, self._late = self._late, []
        for mailbox, create in late:
            self._create(mailbox, create)
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

    async def apply(self, mailbox: Mailbox, operations: Sequence[Operation]) -> list[Outcome]:
        assert len(operations) <= self.batch, f"more than {self.batch} operations in one call"
        held = self.mailbox(mailbox.address)
        if held is not None:
            assert not held.busy, "two calls write to one mailbox at once"
            held.busy = True
        try:
            await self._called(Call(operation="apply", address=mailbox.address, operations=tuple(operations)))
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
        await self._called(Call(operation="find", address=mailbox.address, attempts=tuple(attempts)))
        held = self._reach(mailbox.address, "find")
        return [
            self._remote(e) for e in held.pushed(instance) if e.marker and e.marker.attempt in set(attempts)
        ]

    async def list(self, mailbox: Mailbox, instance: str) -> AsyncIterator[RemoteEvent]:
        await self._called(Call(operation="list", address=mailbox.address))
        for position, event in enumerate(self._reach(mailbox.address, "list").pushed(instance)):
            if position == self.list_fails_after:
                raise ProviderError(DOWN)
            yield self._remote(event)

    async def close(self) -> None:
        self.closed = True

    # How it does that.

    async def _called(self, call: Call) -> None:
        self.calls.append(call)
        if self.before is not None:
            await self.before(call)

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
            if failure.committed and held is not None:
                self._carry_out(held, operation)
            if failure.late and held is not None:
                assert isinstance(operation, Create)
                self._late.append((held, operation))
            if isinstance(failure.answer, BaseException):
                raise failure.answer
            return failure.answer
        if held is None or held.identity != mailbox.identity:
            return self._no_mailbox()
        if not held.writable:
            return NO_ACCESS
        return self._carry_out(held, operation)

    def _carry_out(self, held: FakeMailbox, operation: Operation) -> Outcome:
        match operation:
            case Create():
                return self._create(held, operation)
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
                held.events.pop(id, None)
                return Done(id)

    def _create(self, held: FakeMailbox, create: Create) -> Outcome:
        attempt = create.marker.attempt
        if self.idempotent_create:
            for event in held.pushed():
                if event.marker and event.marker.attempt == attempt:
                    return Done(event.id, str(event.version))
            if attempt in held.used_attempts:
                return Refused(code="duplicate", reason="This id was used by an event that is deleted.")
        held.used_attempts.add(attempt)
        made = held.put(create.event, create.marker)
        return Done(made.id, str(made.version))

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
        )
        return RemoteEvent(id=event.id, version=str(event.version), marker=event.marker, content=content)

    @staticmethod
    def _no_mailbox() -> Gone:
        return Gone(what="mailbox", code="no_such_mailbox", reason="There is no such mailbox.")
