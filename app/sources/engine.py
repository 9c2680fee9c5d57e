"""Reads what a sync job describes: resources in their order, once for each element and each parent object."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

from app.clock import Clock
from app.config import Config
from app.provisioning.text import is_username
from app.sources.contract import (
    Account,
    Integration,
    Json,
    ListChanged,
    ReadFailed,
    Record,
    RecordError,
    ResourceRequest,
    RunEvent,
    Throttled,
    Webhook,
)
from app.sources.crew import Crew
from app.sources.definition import Resource
from app.sources.placeholders import Unresolved, Values, fill
from app.sources.reading import storable, utc
from app.sources.requests import TWICE, RequestContext, usable
from app.sources.staging import Key, Staging
from app.sources.validation import array_argument

__all__ = ["FailedFast", "Reading"]

CONCURRENCY = 8
"""Requests of a run at a time. How quickly they follow each other, the source's own rate says."""

MAX_TRIES = 10
"""How often one request is made that is throttled again and again."""

BATCH = 100
"""Errors that are told of together with error_handling batch."""

SAME_REST = timedelta(seconds=10)
"""By so much a rest may end later than the one that was told of and lasts, and be the same: requests that
were under way are told of it a little later."""

PROGRESS_SECONDS = 1.0


class FailedFast(ReadFailed):
    """The first error of a run that is to end with it."""


class Reading:
    """Everything that one run reads. ``read`` is called once."""

    def __init__(
        self,
        staging: Staging,
        integration: Integration,
        account: Account,
        config: Config,
        clock: Clock,
        webhook: Webhook | None,
        previous_run_date: str,
    ) -> None:
        self._staging = staging
        self._counts = staging.counts
        self._run = staging.run
        self._integration = integration
        self._account = account
        self._config = config
        self._clock = clock
        self._webhook = webhook
        self._previous_run_date = previous_run_date
        self._children: dict[str | None, list[Resource]] = {}
        for resource in self._run.resources:
            self._children.setdefault(resource.depends_on, []).append(resource)
        self._crew = Crew(CONCURRENCY)
        self._batch: list[dict[str, Json]] = []
        self._limited_until: datetime | None = None
        self._shown_at = 0.0

    async def read(self) -> None:
        """Read everything, whatever goes wrong with parts of it.

        Raises FailedFast if the run is to end with its first error, and DeliveryFailed.
        """
        for resource in self._children.get(None, []):
            await self._resource(resource, {})
        await self._tell_batch()

    async def _resource(
        self, resource: Resource, parents: Mapping[str, Mapping[str, Json]], of: str = ""
    ) -> None:
        """Make a resource's requests; ``of``: for which object of its parent, for messages."""
        where = f"{resource.resource}{of}"
        if resource.loop_on is None:
            await self._request(resource, self._run.args, parents, where)
            return
        name = array_argument(resource.loop_on)

        async def once(numbered: tuple[int, Json]) -> None:
            position, element = numbered
            place = f"{where}, {name}[{position}]"
            await self._request(resource, {**self._run.args, name: element}, parents, place)

        elements: Sequence[Json] = self._run.args[name]
        await self._crew.each(enumerate(elements), once)

    async def _request(
        self,
        resource: Resource,
        args: Mapping[str, Json],
        parents: Mapping[str, Mapping[str, Json]],
        place: str,
    ) -> None:
        self._counts.requests += 1
        users: Sequence[str] | None = None
        try:
            request = self._fill(resource, Values(args, self._previous_run_date, parents), place)
            if resource.persist:
                named = self._integration.users(request, self._account)
                if not all(map(is_username, named or ())):
                    raise ReadFailed("It names a user by an empty text, one too long, or control characters.")
                users = named
            if users is not None:
                await self._staging.expect(users)
            await self._read(resource, request, users, parents)
        except FailedFast:
            raise
        except (ReadFailed, Unresolved) as error:
            detail = (
                error.message
                if isinstance(error, ReadFailed)
                else f"What it depends on has no {{{{{error.expression}}}}}."
            )
            await self._read_failed(resource, users, place, detail)

    def _fill(self, resource: Resource, values: Values, place: str) -> ResourceRequest:
        query = {name: fill(value, values.resolve) for name, value in resource.query.items()}
        return ResourceRequest(
            resource=resource.resource,
            method=resource.method,
            id=fill(resource.id, values.resolve),
            query={name: value for name, value in query.items() if value is not None},
            place=place,
        )

    async def _read(
        self,
        resource: Resource,
        request: ResourceRequest,
        users: Sequence[str] | None,
        parents: Mapping[str, Mapping[str, Json]],
    ) -> None:
        """Read a request to its end, made anew for as long as the source wants to be left alone.

        What it then gives is newer than what it gave before, and takes its place. What it does not give any
        more stays for this run: another request may have given the same.
        """
        leaf = resource.resource not in self._children
        given: set[Key] = set()
        changed = False
        for attempt in range(1, MAX_TRIES + 1):
            context = RequestContext(
                self._staging,
                self._config,
                self._clock,
                resource.resource,
                self._rate_limited,
                users if leaf and not self._run.ignore_previous_run else None,
                given,
            )
            try:
                flawless = await self._pages(resource, request, users, parents, context)
            except ListChanged:
                if changed or attempt == MAX_TRIES:
                    raise
                changed = True
            except Throttled as error:
                if attempt == MAX_TRIES:
                    raise ReadFailed(f"{error.message} It was asked {MAX_TRIES} times.") from None
                await context.rest(error.until)
            else:
                if flawless and users is not None and context.remembered:
                    await self._staging.remember(resource.resource, users, context.remembered)
                return
            given = context.given

    async def _pages(
        self,
        resource: Resource,
        request: ResourceRequest,
        users: Sequence[str] | None,
        parents: Mapping[str, Mapping[str, Json]],
        context: RequestContext,
    ) -> bool:
        """Read all pages; whether every record could be mapped."""
        flawless = True
        async with AsyncExitStack() as stack:
            pages = self._integration.records(request, self._account, context)
            if isinstance(pages, AsyncGenerator):
                stack.push_async_callback(pages.aclose)
            while True:
                try:
                    page = await anext(pages, None)
                except OSError as error:  # of which TimeoutError is one
                    raise ReadFailed(f"The connection broke off ({type(error).__name__}).") from error
                if page is None:
                    return flawless
                self._counts.pages += 1
                if page.unchanged:
                    if users is None or context.recalled is None:
                        raise ReadFailed("It answered that nothing has changed, and was not asked that.")
                    self._counts.records += await self._staging.keep(
                        resource.resource, users, context.recalled
                    )
                for records, errors in usable(page, context):
                    if resource.persist:
                        records, twice = await self._store(resource, records, context)
                        errors += twice
                    else:
                        await self._send_records(resource, records)
                    self._counts.records += len(records)
                    if errors:
                        flawless = False
                        await self._record_errors(resource, users, request.place, errors)
                    await self._show()
                    await self._depending(resource, records, parents)
                    await asyncio.sleep(0)  # others may have their turn, where nothing was waited for
                await self._show()

    async def _store(
        self, resource: Resource, records: Sequence[Record], context: RequestContext
    ) -> tuple[list[Record], list[RecordError]]:
        """Store records; what was, and what is wrong with those that this run has read differently before."""
        stored, refused = await self._staging.add(resource.resource, records, context.outdated)
        context.took(stored)
        return stored, [
            RecordError(place=record.place, detail=TWICE, username=record.username) for record in refused
        ]

    async def _depending(
        self, resource: Resource, records: Sequence[Record], parents: Mapping[str, Mapping[str, Json]]
    ) -> None:
        for child in self._children.get(resource.resource, []):

            async def once(record: Record, child: Resource = child) -> None:
                whose = f" of {resource.resource} {record.id}"
                await self._resource(child, {**parents, resource.resource: record.data}, whose)

            await self._crew.each(records, once)

    async def _send_records(self, resource: Resource, records: Sequence[Record]) -> None:
        for record in records:
            if await self._tell("record", {"resource": resource.resource, "record": record.data}):
                self._counts.sent += 1

    async def _record_errors(
        self,
        resource: Resource,
        users: Sequence[str] | None,
        place: str,
        errors: Sequence[RecordError],
    ) -> None:
        """Note records that cannot be mapped. Whose they are loses nothing; if nobody can say whose, all."""
        placed = [
            RecordError(
                place=storable(f"{place}, {error.place}" if error.place else place),
                detail=storable(error.detail),
                username=error.username,
            )
            for error in errors
        ]
        self._counts.record_errors += len(placed)
        await self._staging.add_errors("record", placed, resource.resource)
        if self._persists_below(resource):
            await self._staging.incomplete(None)
        elif resource.persist:
            if any(error.username is None for error in placed):
                await self._staging.incomplete(users)
            if named := {error.username for error in placed if error.username is not None}:
                await self._staging.incomplete(list(named))
        await self._tell_errors(resource, placed)

    async def _read_failed(
        self, resource: Resource, users: Sequence[str] | None, place: str, detail: str
    ) -> None:
        """Note that a request failed. Those whose timetable it would have read lose nothing."""
        self._counts.read_errors += 1
        self._staging.first_failure = self._staging.first_failure or f"{place}: {detail}"
        whose = users[0] if users is not None and len(users) == 1 else None
        error = RecordError(place=storable(place), detail=storable(detail), username=whose)
        await self._staging.add_errors("read", [error], resource.resource)
        if self._persists_below(resource):
            await self._staging.incomplete(None)
        elif resource.persist:
            await self._staging.incomplete(users)
        await self._tell_errors(resource, [error])

    def _persists_below(self, resource: Resource) -> bool:
        """Whether something is persisted that is read for each of this resource's objects."""
        return any(
            child.persist or self._persists_below(child)
            for child in self._children.get(resource.resource, [])
        )

    async def _tell_errors(self, resource: Resource, errors: Sequence[RecordError]) -> None:
        told = [
            {"resource": resource.resource, "place": error.place, "detail": error.detail} for error in errors
        ]
        if self._run.error_handling == "batch":
            self._batch += told
            while len(self._batch) >= BATCH:
                await self._tell_batch()
            return
        for error in told:
            await self._tell("record_error", {"errors": [error]})
        if self._run.error_handling == "fail_fast":
            raise FailedFast(f"{errors[0].place}: {errors[0].detail}")

    async def _tell_batch(self) -> None:
        batch, self._batch = self._batch[:BATCH], self._batch[BATCH:]
        if batch:
            await self._tell("record_error", {"errors": batch})

    async def _rate_limited(self, until: datetime) -> None:
        told = self._limited_until
        if told is not None and until <= (told + SAME_REST if self._clock() < told else told):
            return  # another request was told the same
        self._limited_until = until
        await self._staging.progress(f"The source asks to be left alone until {utc(until)}.")
        await self._tell("rate_limited", {"until": utc(until)})

    async def _tell(self, event: RunEvent, data: Mapping[str, Json]) -> bool:
        """Send an event; whether there is somebody to send it to."""
        if self._webhook is None:
            return False
        await self._webhook.send(event, data)
        return True

    async def _show(self) -> None:
        """Let others see how far we are, now and then."""
        now = asyncio.get_running_loop().time()
        if now - self._shown_at >= PROGRESS_SECONDS:
            self._shown_at = now
            await self._staging.progress()
