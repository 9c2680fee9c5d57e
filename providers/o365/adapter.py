"""The contract of ``providers.contract``, fulfilled by Microsoft Graph."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from providers.contract import (
    Clock,
    Create,
    Done,
    Gone,
    Mailbox,
    Operation,
    Outcome,
    ProviderError,
    Quota,
    Refused,
    RemoteEvent,
    Throttled,
    Unknown,
)
from providers.o365 import events, outcomes
from providers.o365.batch import MAX_BATCH, fitting
from providers.o365.http import Graph
from providers.o365.messages import Answer, NoAnswer, Request
from providers.settings import O365Settings

__all__ = ["GraphAdapter"]


class GraphAdapter:
    """Mailboxes in Exchange Online.

    The caller keeps to one ``apply``, ``find`` or ``list`` a mailbox at a time: Graph lets in four
    requests at once.

    Updates and deletes go without If-Match. An ETag changes on its own seconds after a create, and
    whenever the person sets a reminder or a category; neither may hold up a changed lecture hall, and a
    PATCH touches only the fields that changed.
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

    def __init__(self, settings: O365Settings, graph: Graph, clock: Clock) -> None:
        self._account = f"{settings.client_id}@{settings.tenant_id}"
        self._graph = graph
        self._clock = clock

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
        body = await self._read(Request(method="GET", path=events.calendar_path(address)))
        if not body.get("canEdit"):
            raise ProviderError(outcomes.calendar_read_only())
        if not isinstance(body.get("id"), str):
            raise ProviderError(outcomes.no_answer(NoAnswer("calendar_without_id")))
        return Mailbox(address=address, identity=body["id"])

    async def apply(self, mailbox: Mailbox, operations: Sequence[Operation]) -> list[Outcome]:
        """As the contract says: one request for one operation, else one ``$batch``.

        Operations that Graph left out because the one before them failed were not carried out, and go
        out again in a further ``$batch``, unless that failure concerns them too.
        """
        requests = {
            number: request
            for number, operation in enumerate(operations)
            if (request := events.request_of(mailbox.address, operation)) is not None
        }
        results: dict[int, Outcome] = {
            number: _unchanged(operation)
            for number, operation in enumerate(operations)
            if number not in requests
        }
        while requests:
            numbers = list(requests)[: fitting(list(requests.values()))]
            sent: Sequence[Outcome | None] = await self._write(
                mailbox, [(operations[n], requests[n]) for n in numbers]
            )
            decided = {n: outcome for n, outcome in zip(numbers, sent, strict=True) if outcome is not None}
            if not decided:
                decided = dict.fromkeys(numbers, outcomes.no_answer(NoAnswer("batch_not_begun")))
            results |= decided
            requests = {n: request for n, request in requests.items() if n not in decided}
            now = self._clock()
            stops = (outcomes.of_unsent(outcome, now) for outcome in decided.values())
            stop = next((each for each in stops if each is not None), None)
            if stop is not None:
                results |= dict.fromkeys(requests, stop)
                break
        return [results[number] for number in range(len(operations))]

    async def find(self, mailbox: Mailbox, instance: str, attempts: Sequence[UUID]) -> list[RemoteEvent]:
        """As the contract says: a search for each attempt, twenty in a request."""
        wanted = set(attempts)
        requests = [events.find_request(mailbox.address, attempt) for attempt in sorted(wanted)]
        items: list[dict[str, Any]] = []
        while requests:
            count = fitting(requests)
            try:
                answers = await self._graph.send_chained(requests[:count])
            except NoAnswer as error:
                raise ProviderError(outcomes.no_answer(error)) from error
            for answer in answers:
                items += [item async for item in self._items(self._body(answer))]
            requests = requests[count:]
        items.sort(key=events.created)
        found = (_remote_event(item) for item in items)
        return [
            event
            for event in found
            # Graph matches values without case.
            if event is not None and event.marker.instance == instance and event.marker.attempt in wanted
        ]

    async def list(self, mailbox: Mailbox, instance: str) -> AsyncIterator[RemoteEvent]:
        """As the contract says."""
        first = await self._read(events.list_request(mailbox.address, instance))
        async for item in self._items(first):
            event = _remote_event(item)
            if event is not None and event.marker.instance == instance:
                yield event

    async def close(self) -> None:
        await self._graph.close()

    async def _write(
        self, mailbox: Mailbox, writes: Sequence[tuple[Operation, Request]]
    ) -> Sequence[Outcome | None]:
        """An outcome for each; None for one that Graph has left out."""
        try:
            answers = await self._graph.send_chained([request for _, request in writes])
        except NoAnswer as error:
            return [outcomes.no_answer(error)] * len(writes)
        except ProviderError as error:
            return [error.outcome] * len(writes)
        now = self._clock()
        results: list[Outcome | None] = []
        for (operation, _), answer in zip(writes, answers, strict=True):
            if answer is None:
                results.append(outcomes.no_answer(NoAnswer("left_out_of_batch_answer")))
            elif outcomes.not_executed(answer):
                results.append(None)
            elif isinstance(operation, Create) and outcomes.is_repeated_create(answer):
                results.append(await self._created_before(mailbox, operation))
            else:
                results.append(outcomes.of_write(operation, answer, now))
        return results

    async def _created_before(self, mailbox: Mailbox, operation: Create) -> Outcome:
        """The event of an attempt that Graph says it has carried out already."""
        try:
            found = await self.find(mailbox, operation.marker.instance, [operation.marker.attempt])
        except ProviderError as error:
            return _unknown(error.outcome)
        if not found:
            # Deleted since, or not to be seen yet.
            return outcomes.no_answer(NoAnswer("repeated_create"))
        return Done(found[0].id, found[0].version)

    async def _items(self, body: dict[str, Any] | None) -> AsyncIterator[dict[str, Any]]:
        """The items of this page and of all that follow."""
        while body is not None:
            items = body.get("value")
            if not isinstance(items, Sequence) or not all(isinstance(item, dict) for item in items):
                raise ProviderError(outcomes.no_answer(NoAnswer("unreadable_page")))
            for item in items:
                yield item
            link = body.get("@odata.nextLink")
            body = await self._follow(str(link)) if link is not None else None

    async def _read(self, request: Request) -> dict[str, Any]:
        try:
            return self._body(await self._graph.send(request))
        except NoAnswer as error:
            raise ProviderError(outcomes.no_answer(error)) from error

    async def _follow(self, link: str) -> dict[str, Any]:
        try:
            return self._body(await self._graph.follow(link))
        except NoAnswer as error:
            raise ProviderError(outcomes.no_answer(error)) from error

    def _body(self, answer: Answer | None) -> dict[str, Any]:
        """The body of a read that was answered. Raises ``ProviderError`` for any other."""
        if answer is None:
            raise ProviderError(outcomes.no_answer(NoAnswer("left_out_of_batch_answer")))
        failure = outcomes.of_read(answer, self._clock())
        if failure is not None:
            raise ProviderError(failure)
        assert answer.body is not None
        return answer.body


def _remote_event(item: dict[str, Any]) -> RemoteEvent | None:
    try:
        return events.remote_event(item)
    except (KeyError, TypeError) as error:
        raise ProviderError(outcomes.no_answer(NoAnswer("unreadable_page"))) from error


def _unchanged(operation: Operation) -> Done:
    assert not isinstance(operation, Create)
    return Done(operation.id, operation.version)


def _unknown(outcome: Refused | Throttled | Gone | Unknown) -> Unknown:
    """A create whose event could not be looked up."""
    return (
        outcome
        if isinstance(outcome, Unknown)
        else Unknown(code=outcome.code, reason="The event could not be looked up.")
    )
