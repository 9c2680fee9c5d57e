"""The adapter: the contract's calls in terms of Google Calendar's."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from googleapiclient.http import HttpRequest

from providers.contract import (
    Clock,
    Create,
    Delete,
    Gone,
    Mailbox,
    Operation,
    Outcome,
    ProviderError,
    Quota,
    Refused,
    RemoteEvent,
    Update,
)
from providers.googlecalendar import bodies, outcomes
from providers.googlecalendar.client import BATCH, Client
from providers.googlecalendar.replies import Answer, Reply
from providers.marker import ATTEMPT, INSTANCE, from_strings

__all__ = ["GoogleAdapter"]

CALENDAR = "primary"
WRITTEN = "id,etag,status"
MARKED = "id,etag,status,extendedProperties/private"
PAGE = 2500


class GoogleAdapter:
    """``providers.contract.Adapter`` for Google Workspace with domain-wide delegation.

    The id of an event that Rooster creates is its attempt, so that the same attempt can never make a
    second one.
    """

    type = "googlecalendar"
    batch = BATCH
    idempotent_create = True
    quotas: tuple[Quota, ...] = (
        Quota(scope="mailbox", operations=540, seconds=60),
        Quota(scope="account", operations=9_000, seconds=60),
    )
    """A tenth below Google's 600 and 10,000 a minute: reads and token checks count as well."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    def account(self, address: str) -> str:
        """Google counts by the project of the service account, whoever the mailbox belongs to."""
        return self._client.tokens.project

    async def probe(self, address: str) -> Mailbox:
        request = self._client.calendar_list.get(calendarId=CALENDAR, fields="id,accessRole")
        (reply,) = await self._client.send(address, [request])
        body = self._body(reply, "calendar")
        if body.get("accessRole") not in ("owner", "writer"):
            raise ProviderError(
                Refused(
                    code="accessRole",
                    reason="Rooster may read this calendar, but not write to it.",
                    permanent=False,
                    scope="mailbox",
                )
            )
        return Mailbox(address=address, identity=str(body["id"]).casefold())

    async def apply(self, mailbox: Mailbox, operations: Sequence[Operation]) -> list[Outcome]:
        if len(operations) > self.batch:
            raise ValueError(f"{len(operations)} operations are more than {self.batch}")
        done, versions = await self._before_status(mailbox, operations)
        first = {i: self._request(op, versions.get(i)) for i, op in enumerate(operations) if i not in done}
        replies = await self._send(mailbox, first)
        unclear: dict[int, Operation] = {}
        for i, reply in replies.items():
            operation = operations[i]
            if (isinstance(operation, Create) and outcomes.exists(reply)) or (
                isinstance(operation, Update) and outcomes.may_be_deleted(reply)
            ):
                unclear[i] = operation
            else:
                done[i] = self._outcome(operation, reply)
        found = await self._send(mailbox, {i: self._get(_id(op)) for i, op in unclear.items()})
        again: dict[int, HttpRequest] = {}
        for i, reply in found.items():
            operation = unclear[i]
            if isinstance(operation, Create):
                if outcomes.missing(reply) or (isinstance(reply, Answer) and reply.ok):
                    self._existing(i, operation, reply, done, again)
                else:
                    done[i] = outcomes.failure(reply, "event", self._clock())
            elif outcomes.missing(reply):
                done[i] = Gone(
                    what="event", code="cancelled", reason="The event was deleted in the calendar."
                )
            else:
                done[i] = self._outcome(operation, replies[i])
        for i, reply in (await self._send(mailbox, again)).items():
            done[i] = _revived(outcomes.written(reply, "event", self._clock()))
        return [done[i] for i in range(len(operations))]

    async def _before_status(
        self, mailbox: Mailbox, operations: Sequence[Operation]
    ) -> tuple[dict[int, Outcome], dict[int, str]]:
        """Look at the events whose status is to be set, because that would bring a deleted one back.

        The outcomes of those that are not there, and the versions that the patches of the others hold for.
        """
        wanted = {
            i: self._get(op.id)
            for i, op in enumerate(operations)
            if isinstance(op, Update) and bodies.touches_status(op)
        }
        done: dict[int, Outcome] = {}
        versions: dict[int, str] = {}
        for i, reply in (await self._send(mailbox, wanted)).items():
            if isinstance(reply, Answer) and reply.ok and not outcomes.missing(reply):
                versions[i] = str(reply.body["etag"])
            elif isinstance(reply, Answer) and reply.ok:
                done[i] = outcomes.written(reply, "event", self._clock())
            else:
                done[i] = outcomes.failure(reply, "event", self._clock())
        return done, versions

    def _existing(
        self,
        i: int,
        operation: Create,
        reply: Reply,
        done: dict[int, Outcome],
        again: dict[int, HttpRequest],
    ) -> None:
        """An event of this attempt is there, or was: take it as made, mend it or bring it back."""
        events, id = self._client.events, operation.marker.attempt.hex
        assert isinstance(reply, Answer)
        if not reply.ok:
            done[i] = _revived(outcomes.failure(reply, "event", self._clock()))
        elif outcomes.missing(reply):
            body = bodies.insertion(operation.event, operation.marker)
            again[i] = events.update(
                calendarId=CALENDAR, eventId=id, body=body, sendUpdates="none", fields=WRITTEN
            )
        elif _marker(reply.body) is None:
            body = bodies.full(operation.event, operation.marker)
            again[i] = events.patch(
                calendarId=CALENDAR, eventId=id, body=body, sendUpdates="none", fields=WRITTEN
            )
        else:
            done[i] = outcomes.written(reply, "event", self._clock())

    async def find(self, mailbox: Mailbox, instance: str, attempts: Sequence[UUID]) -> list[RemoteEvent]:
        if not attempts:
            return []
        wanted = set(attempts)
        only = f"{ATTEMPT}={attempts[0].hex}" if len(wanted) == 1 else f"{INSTANCE}={instance}"
        found = {event.id: event async for event in self._search(mailbox, instance, only)}
        # A search may lag behind a write; asking for the id does not.
        missed = [attempt for attempt in wanted if attempt.hex not in found]
        requests = {i: self._get(attempt.hex) for i, attempt in enumerate(missed)}
        for reply in (await self._send(mailbox, requests)).values():
            if outcomes.missing(reply):
                continue
            event = _remote(self._body(reply, "event"))
            if event is not None and event.marker.instance == instance:
                found[event.id] = event
        return [event for event in found.values() if event.marker.attempt in wanted]

    async def list(self, mailbox: Mailbox, instance: str) -> AsyncIterator[RemoteEvent]:
        async for event in self._search(mailbox, instance, f"{INSTANCE}={instance}"):
            yield event

    async def close(self) -> None:
        await self._client.close()

    async def _search(self, mailbox: Mailbox, instance: str, constraint: str) -> AsyncIterator[RemoteEvent]:
        """The events with a private property ``name=value``, compared once more by ourselves."""
        token: str | None = None
        while True:
            request = self._client.events.list(
                calendarId=CALENDAR,
                privateExtendedProperty=constraint,
                maxResults=PAGE,
                pageToken=token,
                fields=f"nextPageToken,items({MARKED})",
            )
            (reply,) = await self._client.send(mailbox.address, [request])
            page = self._body(reply, "calendar")
            for item in page.get("items", ()):
                event = _remote(item)
                if event is not None and event.marker.instance == instance:
                    yield event
            token = page.get("nextPageToken")
            if token is None:
                return

    async def _send(self, mailbox: Mailbox, requests: Mapping[int, HttpRequest]) -> dict[int, Reply]:
        replies = await self._client.send(mailbox.address, list(requests.values()))
        return dict(zip(requests, replies, strict=True))

    def _request(self, operation: Operation, version: str | None) -> HttpRequest:
        events = self._client.events
        common = {"calendarId": CALENDAR, "sendUpdates": "none"}
        match operation:
            case Create(event=event, marker=marker):
                return events.insert(**common, body=bodies.insertion(event, marker), fields=WRITTEN)
            case Update(id=id):
                request = events.patch(**common, eventId=id, body=bodies.patch(operation), fields=WRITTEN)
                if version is not None:
                    request.headers["If-Match"] = version
                return request
            case Delete(id=id):
                return events.delete(**common, eventId=id)

    def _get(self, id: str) -> HttpRequest:
        return self._client.events.get(calendarId=CALENDAR, eventId=id, fields=MARKED)

    def _outcome(self, operation: Operation, reply: Reply) -> Outcome:
        match operation:
            case Create():
                return outcomes.written(reply, "calendar", self._clock())
            case Update():
                return outcomes.written(reply, "event", self._clock())
            case Delete(id=id):
                return outcomes.deleted(reply, id, self._clock())

    def _body(self, reply: Reply, what: outcomes.What) -> dict[str, Any]:
        """The body of a read's answer. Raises ``ProviderError``."""
        if isinstance(reply, Answer) and reply.ok:
            return reply.body
        raise ProviderError(outcomes.failure(reply, what, self._clock()))


def _id(operation: Operation) -> str:
    return operation.marker.attempt.hex if isinstance(operation, Create) else operation.id


def _revived(outcome: Outcome) -> Outcome:
    """Where Google does not let a deleted event come back, this attempt is used up."""
    if isinstance(outcome, Refused) and outcome.scope != "account":
        return Gone(
            what="event", code=outcome.code, reason="A deleted event of this attempt cannot come back."
        )
    return outcome


def _marker(item: dict[str, Any]) -> Any:
    return from_strings(item.get("extendedProperties", {}).get("private", {}))


def _remote(item: dict[str, Any]) -> RemoteEvent | None:
    marker = _marker(item)
    if marker is None or item.get("status") == "cancelled":
        return None
    return RemoteEvent(id=item["id"], version=item.get("etag"), marker=marker)
