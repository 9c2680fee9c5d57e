"""``providers.adapter.Adapter`` for Microsoft Graph."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from providers.adapter import Quota
from providers.contract import (
    Calendar,
    Changes,
    Clock,
    Create,
    Done,
    Gone,
    Mailbox,
    Operation,
    Outcome,
    Permit,
    ProviderError,
    Refused,
    RemoteEvent,
    Throttled,
    Unknown,
    always,
)
from providers.o365 import outcomes, reading
from providers.o365.apply import Application
from providers.o365.batch import MAX_BATCH, fitting
from providers.o365.calendars import Calendars
from providers.o365.categories import Categories
from providers.o365.http import Graph
from providers.o365.messages import NoAnswer
from providers.o365.reader import Reader, ours
from providers.o365.tracking import Tracking
from providers.settings import O365Settings

__all__ = ["GraphAdapter"]


class GraphAdapter:
    """Mailboxes in Exchange Online.

    The caller keeps to one ``apply``, ``find`` or ``list`` a mailbox at a time: Graph lets in four
    requests at once.

    A PATCH touches only the fields that changed, and goes with If-Match only where the text or the
    categories are among them, in which people put things of their own. An ETag changes on its own seconds
    after a create, and whenever the person sets a reminder: that costs a further read, and holds nothing
    up. Deletes go without.
    """

    type = "o365"

    batch = MAX_BATCH
    """One ``$batch``: the caller's ledger hears of each before the next one goes out."""

    quotas: tuple[Quota, ...] = (Quota(scope="mailbox", operations=9_500, seconds=600.0),)
    """Documented are 10,000 requests in 10 minutes by application and mailbox; the rest is for reads
    (https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits)."""

    idempotent_create = False
    """Microsoft documents ``transactionId`` as avoiding "redundant POST operations", and neither how
    long it is remembered nor what happens once that event is deleted. If it were forgotten, two events
    would carry one attempt, and one of them would pass for the person's copy and stay for good. With a new
    attempt for each create, one that was believed lost and arrives late is recognised as ours and goes.
    ``transactionId`` is sent all the same: it stops repeats by the network in between."""

    moves_by_copying = True
    """Microsoft Graph v1.0 has no action that moves an event, as it has for messages
    (https://learn.microsoft.com/graph/api/resources/event#methods)."""

    def __init__(self, settings: O365Settings, graph: Graph, clock: Clock) -> None:
        self._account = f"{settings.client_id}@{settings.tenant_id}"
        self._graph = graph
        self._clock = clock
        self._reader = Reader(graph, clock)
        self._categories = Categories(graph, self._reader, clock)
        self._tracking = Tracking(graph, self._reader, clock)
        self._calendars = Calendars(graph, self._reader, clock)

    def account(self, address: str) -> str:
        """The application in its tenant."""
        return self._account

    async def probe(self, address: str) -> Mailbox:
        """As the contract says. The identity is the id of the default calendar.

        All addresses of a mailbox lead to it; it stays when the person is renamed, unlike any address,
        and an address that is given to a newcomer has another one. Ids of calendars are constant
        (https://learn.microsoft.com/graph/outlook-immutable-id). To read it takes no more than
        Calendars.ReadWrite, whereas the user's own id would take User.Read.All.
        """
        body = await self._reader.read(reading.probe_request(address))
        if not body.get("canEdit"):
            raise ProviderError(outcomes.calendar_read_only())
        if not isinstance(body.get("id"), str):
            raise ProviderError(outcomes.no_answer(NoAnswer("calendar_without_id")))
        return Mailbox(address=address, identity=body["id"])

    async def apply(
        self, mailbox: Mailbox, operations: Sequence[Operation], permit: Permit = always
    ) -> list[Outcome]:
        """As the contract says: one request for one operation, else one ``$batch``; see ``Application``.

        Before them go those that see to the colours of categories, where an event wants any.
        """
        held_up = await self._categories.see_to(mailbox.address, operations, permit)
        if held_up is not None:
            return [held_up] * len(operations)
        look_up = partial(self._created_before, mailbox)
        application = Application(self._graph, self._clock, mailbox, operations, look_up, permit)
        answered = await application.run()
        if any(isinstance(outcome, Refused) and outcome.scope == "mailbox" for outcome in answered):
            self._categories.try_again(mailbox.address)
        return answered

    async def find(self, mailbox: Mailbox, instance: str, attempts: Sequence[UUID]) -> list[RemoteEvent]:
        """As the contract says: a search for each attempt, twenty in a request."""
        wanted = set(attempts)
        requests = [reading.find_request(mailbox, attempt) for attempt in sorted(wanted)]
        items: list[dict[str, Any]] = []
        while requests:
            count = fitting(requests)
            for answer in await self._reader.together(requests[:count], chained=True):
                items += [item async for item in self._reader.items(self._reader.body(answer))]
            requests = requests[count:]
        items.sort(key=reading.created)
        # Graph matches values without case.
        return [event for event in ours(items, instance) if event.marker.attempt in wanted]

    async def list(self, mailbox: Mailbox, instance: str) -> AsyncIterator[RemoteEvent]:
        """As the contract says."""
        first = await self._reader.read(reading.list_request(mailbox, instance))
        async for item in self._reader.items(first):
            for event in ours([item], instance):
                yield event

    async def changes(self, mailbox: Mailbox, instance: str, since: str | None) -> AsyncIterator[Changes]:
        """As the contract says, all in one page; see ``Tracking``."""
        if since is None:
            yield await self._tracking.everything(mailbox, instance)
        else:
            yield await self._tracking.since(mailbox, instance, since)

    async def calendars(self, mailbox: Mailbox, instance: str) -> Sequence[Calendar]:
        """As the contract says. Those that others share with the person are others'."""
        return await self._calendars.all(mailbox.address, instance)

    async def make_calendar(
        self, mailbox: Mailbox, instance: str, name: str, permit: Permit = always
    ) -> Calendar:
        """As the contract says."""
        return await self._calendars.make(mailbox.address, instance, name, permit)

    async def remove_calendar(self, mailbox: Mailbox, instance: str, permit: Permit = always) -> bool:
        """As the contract says. It goes to the person's deleted items, from where they can take it back."""
        return await self._calendars.remove(mailbox, instance, permit)

    async def close(self) -> None:
        await self._graph.close()

    async def _created_before(self, mailbox: Mailbox, operation: Create) -> Outcome:
        """The event of an attempt that Graph says it has carried out already."""
        try:
            found = await self.find(mailbox, operation.marker.instance, [operation.marker.attempt])
        except ProviderError as error:
            return _unknown(error.outcome)
        if not found:
            # Deleted since, or not to be seen yet.
            return outcomes.no_answer(NoAnswer("repeated_create"))
        # They may have added to it since.
        return Done(found[0].id, None)


def _unknown(outcome: Refused | Throttled | Gone | Unknown) -> Unknown:
    """A create whose event could not be looked up."""
    return (
        outcome
        if isinstance(outcome, Unknown)
        else Unknown(code=outcome.code, reason="The event could not be looked up.")
    )
