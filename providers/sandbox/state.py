"""What the sandbox knows: mailboxes with their events, the faults to play, what was asked of it.

Each protocol keeps events in its own native form, so that what a client stored comes back as it was
and what nobody touched stays byte for byte the same. A ``Dialect`` translates for the control API.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, Protocol

import msgspec

from providers.sandbox.credentials import Credentials

__all__ = ["Dialect", "Fault", "Faults", "Native", "SandboxCalendar", "SandboxMailbox", "State", "Stats"]

Native = dict[str, Any]
"""An event as its protocol keeps it: JSON-able, its id under the key ``id``.

The key ``calendar`` is the id of the calendar that it is in; without it, that is the default one.
"""


class SandboxCalendar(msgspec.Struct, kw_only=True):
    """A calendar besides the default one."""

    id: str
    name: str
    native: dict[str, Any] = {}
    """What else its protocol keeps of it."""


class SandboxMailbox(msgspec.Struct, kw_only=True):
    """One mailbox. ``events`` holds those of all its calendars by id, Google's cancelled ones too."""

    type: str
    address: str
    aliases: list[str] = []
    access: bool = True
    """Whether the service account may use it; the control API can withdraw that."""
    gone: bool = False
    events: dict[str, Native] = {}
    calendars: dict[str, SandboxCalendar] = {}
    """Those besides the default one, by id."""
    native: dict[str, Any] = {}
    """What else its protocol keeps of the mailbox: master categories, what was removed."""
    serial: int = 0
    """Grows with every change; versions, change keys and sync states are made from it."""

    def next_serial(self) -> int:
        """A number that was never used in this mailbox."""
        self.serial += 1
        return self.serial


class Fault(msgspec.Struct, kw_only=True):
    """A fault to play, as ``POST /faults`` names it. Other keys of the request are in ``options``."""

    type: str
    fault: str
    operation: str | None = None
    mailbox: str | None = None
    nth: int | None = None
    """Only the nth matching operation from now on (1 is the next one)."""
    rate: float | None = None
    """A share of the matching operations, 0 to 1, drawn from a seeded generator."""
    times: int | None = None
    """How often to play it before it goes away; None: until it is removed (``nth``: once)."""
    retry_after: float | None = None
    """Seconds, for throttle and unavailable; None: the answer does not say."""
    options: dict[str, Any] = {}
    id: int = 0
    """Given by ``Faults.add``."""
    seen: int = 0
    played: int = 0


class Faults:
    """The faults in force."""

    def __init__(self, seed: int = 0) -> None:
        self.active: list[Fault] = []
        self._random = Random(seed)  # noqa: S311 - reproducible, not secret
        self._added = 0

    def add(self, fault: Fault) -> int:
        """Put the fault in force, after those that are; its id."""
        self._added += 1
        fault.id = self._added
        self.active.append(fault)
        return fault.id

    def take(self, type: str, operation: str, mailbox: str | None = None) -> Fault | None:
        """The fault to play for this operation, if any; it counts as played."""
        for fault in self.active:
            if fault.type not in (type, "*") or fault.operation not in (None, operation):
                continue
            if fault.fault == "deny" and operation == "token" and fault.operation is None:
                continue  # rights to a mailbox are meant, and not those of the whole application
            if fault.mailbox is not None and fault.mailbox.casefold() != (mailbox or "").casefold():
                continue
            fault.seen += 1
            if fault.nth is not None and fault.seen != fault.nth:
                continue
            if fault.rate is not None and self._random.random() >= fault.rate:
                continue
            fault.played += 1
            limit = 1 if fault.nth is not None and fault.times is None else fault.times
            if limit is not None and fault.played >= limit:
                self.active.remove(fault)
            return fault
        return None


class Stats:
    """How many requests, batched operations and bytes came in, by provider and operation."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.operations: Counter[tuple[str, str]] = Counter()
        self.bytes: Counter[tuple[str, str]] = Counter()

    def reset(self) -> None:
        """Count from nothing again."""
        for counter in (self.requests, self.operations, self.bytes):
            counter.clear()

    def request(self, type: str, operation: str, size: int) -> None:
        """One HTTP request; ``operation`` is the protocol's name of it: ``$batch``, ``CreateItem``."""
        self.requests[type, operation] += 1
        self.bytes[type, operation] += size

    def operation(self, type: str, operation: str, count: int = 1) -> None:
        """Operations carried out, alone or inside a batch: ``create``, ``update``, ``delete``, ``read``."""
        self.operations[type, operation] += count


class Dialect(Protocol):
    """How one protocol's native events look from outside, for the control API.

    The common shape is a dict with ``id``, ``version``, ``title``, ``start`` and ``end`` (RFC 3339 in
    UTC; for all-day events dates, the end exclusive), ``timeZone`` (IANA), ``allDay``, ``location``,
    ``description``, ``categories``, ``showAs`` (busy, free, tentative), ``reminderMinutes`` (null: none),
    ``privacy`` (normal, private), ``colour`` (of ``providers.contract.Colour``: the event's, or that of its
    first category that has one; or null), ``calendar`` (the id; null: the default one) and ``marker``
    ({"instance", "synchronization", "event", "attempt"} or null).
    """

    type: str

    def describe(self, mailbox: SandboxMailbox, native: Native) -> dict[str, Any]:
        """The event in the common shape."""
        ...

    def create(self, mailbox: SandboxMailbox, common: dict[str, Any]) -> Native:
        """The person adds an event by their own client; stored in ``mailbox.events`` and returned."""
        ...

    def change(self, mailbox: SandboxMailbox, native: Native, common: dict[str, Any]) -> None:
        """The person changes the given fields; the version moves on."""
        ...

    def copy(self, mailbox: SandboxMailbox, native: Native) -> Native:
        """The person copies the event as their client would: new id, same content, marker included."""
        ...

    def remove(self, mailbox: SandboxMailbox, native: Native) -> None:
        """The person deletes the event."""
        ...

    def visible(self, mailbox: SandboxMailbox) -> Iterator[Native]:
        """The events that a person sees in their calendars, in the order in which they were made."""
        ...

    def move(self, mailbox: SandboxMailbox, native: Native, calendar: str | None) -> Native:
        """The person drags the event into another calendar; gives it as it is there."""
        ...

    def make_calendar(self, mailbox: SandboxMailbox, name: str) -> SandboxCalendar:
        """The person makes a calendar; stored in ``mailbox.calendars`` and returned."""
        ...


DEFAULT_DOMAIN = "@uni.example"


class State:
    """Everything the sandbox holds in memory."""

    def __init__(self, seed: int = 0, schemas: Path | None = None) -> None:
        self.mailboxes: dict[tuple[str, str], SandboxMailbox] = {}
        self._aliases: dict[tuple[str, str], str] = {}
        self.faults = Faults(seed)
        self.stats = Stats()
        self.schemas = schemas
        """Folder with the vendors' schemas (``ews``, ``msgraph``) to check against, if any."""
        self.violations: list[str] = []
        """Requests or answers that the vendors' schemas do not allow, where they are checked."""
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        """The sandbox's clock: aware, UTC. Tests put their own in its place."""
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        """How the fault ``slow`` waits, in seconds. Tests put their own in its place."""
        self.ews_accounts: dict[str, str] = {}
        """EWS service accounts besides that of ``credentials``: user name to password."""
        self.quotas = True
        """Whether the providers' documented rate limits are in force."""

    @cached_property
    def credentials(self) -> Credentials:
        """What clients have to show. Made at first use, as RSA keys take a while."""
        return Credentials.generate()

    def mailbox(self, type: str, address: str) -> SandboxMailbox | None:
        """The mailbox with this address or alias, compared without case; None if there is none.

        Any address at uni.example exists from the start; it is made at its first use.
        """
        key = address.casefold()
        found = self.mailboxes.get((type, self._aliases.get((type, key), key)))
        if found is not None:
            return None if found.gone else found
        if key.endswith(DEFAULT_DOMAIN) and key != DEFAULT_DOMAIN:
            return self.add_mailbox(type, address)
        return None

    def add_mailbox(self, type: str, address: str, aliases: list[str] | None = None) -> SandboxMailbox:
        """Make (or make anew) an empty mailbox."""
        mailbox = SandboxMailbox(type=type, address=address)
        self.put_mailbox(mailbox)
        self.set_aliases(mailbox, aliases or [])
        return mailbox

    def put_mailbox(self, mailbox: SandboxMailbox) -> None:
        """Take in a mailbox as it is, in the place of one with the same address."""
        key = (mailbox.type, mailbox.address.casefold())
        if key in self.mailboxes:
            self.set_aliases(self.mailboxes[key], [])
        self.mailboxes[key] = mailbox
        self.set_aliases(mailbox, mailbox.aliases)

    def set_aliases(self, mailbox: SandboxMailbox, aliases: list[str]) -> None:
        """The other addresses of the mailbox, in place of those it had."""
        for alias in mailbox.aliases:
            self._aliases.pop((mailbox.type, alias), None)
        mailbox.aliases = [alias.casefold() for alias in aliases]
        self._aliases |= {(mailbox.type, alias): mailbox.address.casefold() for alias in mailbox.aliases}

    def remove_mailbox(self, type: str, address: str) -> bool:
        """Take a mailbox away, so that its address is not found any more. False if there is none."""
        mailbox = self.mailbox(type, address)
        if mailbox is None:
            return False
        mailbox.gone = True
        mailbox.events.clear()
        mailbox.calendars.clear()
        return True
