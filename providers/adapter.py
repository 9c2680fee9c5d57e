"""What Rooster asks of a calendar provider: the one interface behind which each of them is.

What passes through it, and what an adapter may answer, is in ``providers.contract``.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from providers.contract import Calendar, Changes, Mailbox, Operation, Outcome, Permit, RemoteEvent, always

__all__ = ["Adapter", "Quota"]


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """At most ``operations`` in any ``seconds``, for one mailbox or for the whole account."""

    scope: Literal["mailbox", "account"]
    operations: int
    seconds: float


class Adapter(Protocol):
    """One provider. Safe for concurrent use within one event loop, on different mailboxes.

    Nothing here retries: whoever calls has the ledger, knows what is safe to send again, and when.
    Nothing raises for what a provider or network does, other than ``ProviderError`` where it says so.
    """

    type: str
    """The synchronization type: ``ews``, ``o365`` or ``googlecalendar``."""

    batch: int
    """How many operations one ``apply`` takes at the most."""

    quotas: tuple[Quota, ...]
    """The provider's documented limits; the caller keeps to them over all workers."""

    idempotent_create: bool
    """Whether sending a Create with the same attempt again can never make a second event."""

    moves_by_copying: bool
    """How a Move is done: by a copy that carries the Move's marker, whereupon the original is deleted.
    Else the event itself goes, with the marker that it has, and no Move ever makes a second event."""

    def account(self, address: str) -> str:
        """The name of the account that the provider's limits count for this mailbox against."""
        ...

    async def probe(self, address: str) -> Mailbox:
        """Prove that events can be written to this mailbox, and learn its identity.

        Raises ``ProviderError``: Gone (no such mailbox or no calendar), Refused with scope "mailbox"
        (no access) or "account" (our credentials), Throttled, Unknown (down, or not answering).
        """
        ...

    async def apply(
        self, mailbox: Mailbox, operations: Sequence[Operation], permit: Permit = always
    ) -> list[Outcome]:
        """Carry out at most ``batch`` operations in as few requests as the provider allows.

        One outcome for each operation, in their order. A Delete of an event that is not there is
        Done; an Update of one is Gone(what="event"). A Create whose attempt is already there is Done
        with that event's id; it is Gone(what="event") where the attempt is used up (its event was
        deleted and cannot come back), so that it takes another attempt. A Move is Done when the event is in
        the other calendar and nowhere else; it is Gone(what="event") where the event is not in
        ``mailbox.calendar``, whether it was moved before or not. Operations that were not
        sent because an earlier answer said to wait are Throttled with the same ``until``, never
        Unknown.

        ``permit`` is called right before each request that writes (in whatever thread sends it, after
        all preparation, tokens and waiting for a connection of our own included); what it raises ends the
        call, and nothing further is sent. Creates go into ``mailbox.calendar``, Moves into their own; one
        that is not there is Gone(what="calendar"). A colour that cannot be set for lack of a permission
        holds nothing up.
        """
        ...

    async def find(self, mailbox: Mailbox, instance: str, attempts: Sequence[UUID]) -> list[RemoteEvent]:
        """The events of ``instance`` in the calendar whose marker names one of the attempts.

        More than one may have the same attempt: a person's copies carry our marker too. Those of one
        attempt come in the order in which they were made, the original before its copies.
        The answer is complete, or ``ProviderError`` is raised: a failed read is never an empty list.
        """
        ...

    def list(self, mailbox: Mailbox, instance: str) -> AsyncIterator[RemoteEvent]:
        """All events of ``instance`` in the calendar, page by page. Raises ``ProviderError``."""
        ...

    def changes(self, mailbox: Mailbox, instance: str, since: str | None) -> AsyncIterator[Changes]:
        """What has changed among the events of ``instance`` in the calendar since that state.

        ``since`` None: all events, and a state to go on from. At least one page; what the provider says of
        other people's events is left out, or is a removed id at the most. Copies come after their originals.
        Raises ``StartOver`` where the state is too old, or is none, and ``ProviderError``: then nothing of
        what came before counts.
        """
        ...

    async def calendars(self, mailbox: Mailbox, instance: str) -> Sequence[Calendar]:
        """The mailbox's calendars that events can be put into, the default one first.

        Raises ``ProviderError``.
        """
        ...

    async def make_calendar(
        self, mailbox: Mailbox, instance: str, name: str, permit: Permit = always
    ) -> Calendar:
        """Make a calendar that is marked as this instance's. Raises ``ProviderError``.

        The caller has looked among ``calendars`` first, and looks there again after Unknown. A calendar of
        the person's own that has the name already is left alone: where the provider wants names to
        be unique, ours gets a number behind it.
        """
        ...

    async def remove_calendar(self, mailbox: Mailbox, instance: str, permit: Permit = always) -> bool:
        """Remove ``mailbox.calendar`` if this instance made it and nothing at all is in it.

        Returns whether it is gone; also True if it was not there. The default calendar never is. Raises
        ``ProviderError``.
        """
        ...

    async def close(self) -> None:
        """Give back connections and threads."""
        ...
