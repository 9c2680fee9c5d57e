"""The adapter for Exchange Web Services (EWS)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

from providers.contract import (
    Clock,
    Mailbox,
    Operation,
    Outcome,
    Permit,
    ProviderError,
    Quota,
    RemoteEvent,
    always,
)
from providers.ews.apply import apply
from providers.ews.calendar import Calendar
from providers.ews.colours import Colours
from providers.ews.outcomes import FAILURES, no_right_to_write, read_outcome
from providers.ews.session import CONNECTIONS, Endpoint
from providers.marker import ATTEMPT, INSTANCE

__all__ = ["EwsAdapter"]

T = TypeVar("T")
Page = Sequence[RemoteEvent]

ATTEMPTS_A_SEARCH = 50
"""Values in one restriction; Exchange refuses restrictions that are too complex."""


class EwsAdapter:
    """Calendars on Exchange, through exchangelib's services in threads.

    Each service account has its own threads, at most ``session.CONNECTIONS``, so that one that hangs does not
    hold up another.
    """

    type = "ews"
    batch = 100
    quotas: tuple[Quota, ...] = ()
    """None that could be counted beforehand: Exchange measures time spent, and says when to wait."""

    idempotent_create = False

    def __init__(self, endpoints: dict[str, Endpoint], access_type: str, clock: Clock) -> None:
        """``endpoints`` by the name of their service account; at least one."""
        self._endpoints = endpoints
        self._threads = {
            name: ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="ews") for name in endpoints
        }
        self._access_type = access_type
        self._clock = clock
        self._colours = Colours(clock)

    @property
    def _delegate(self) -> bool:
        return self._access_type == "delegate"

    def account(self, address: str) -> str:
        """The service account for this mailbox: always the same one, as long as that is configured.

        By rendezvous hashing: another account takes over its share and leaves the others where they are.
        """
        key = address.lower()
        return max(self._endpoints, key=lambda name: sha256(f"{name}\n{key}".encode()).digest())

    async def probe(self, address: str) -> Mailbox:
        """Prove access by GetFolder of the calendar; the folder's id is the mailbox's identity.

        Exchange makes ids from the mailbox's GUID and the folder's entry id ([MS-OXCEXT] 2.2.6.1.1), so it is
        the same for all addresses of a mailbox, and stays when somebody is given another name. The
        primary address does not, and ResolveNames may find several people.
        """
        calendar = self._calendar(address)
        try:
            folder = await self._run(address, calendar.folder)
        except FAILURES as failure:
            outcome = read_outcome(failure, self._clock, delegate=self._delegate)
            raise ProviderError(outcome) from failure
        if not folder.usable:
            raise ProviderError(no_right_to_write())
        return Mailbox(address=address, identity=folder.id)

    async def apply(
        self, mailbox: Mailbox, operations: Sequence[Operation], permit: Permit = always
    ) -> list[Outcome]:
        if len(operations) > self.batch:
            raise ValueError(f"{len(operations)} operations, where {self.batch} are the most")
        calendar = self._calendar(mailbox.address, mailbox.calendar, permit)
        return await self._run(
            mailbox.address,
            lambda: apply(calendar, operations, self._clock, self._colours, delegate=self._delegate),
        )

    async def find(self, mailbox: Mailbox, instance: str, attempts: Sequence[UUID]) -> list[RemoteEvent]:
        wanted = set(attempts)
        found: dict[str, RemoteEvent] = {}
        calendar = self._calendar(mailbox.address)
        for start in range(0, len(attempts), ATTEMPTS_A_SEARCH):
            values = [attempt.hex for attempt in attempts[start : start + ATTEMPTS_A_SEARCH]]
            async for page in self._pages(mailbox.address, calendar.find(ATTEMPT, values)):
                for event in page:
                    if event.marker.instance == instance and event.marker.attempt in wanted:
                        found[event.id] = event
        return list(found.values())

    async def list(self, mailbox: Mailbox, instance: str) -> AsyncIterator[RemoteEvent]:
        calendar = self._calendar(mailbox.address)
        async for page in self._pages(mailbox.address, calendar.find(INSTANCE, [instance])):
            for event in page:
                if event.marker.instance == instance:  # Exchange compared without case
                    yield event

    async def close(self) -> None:
        """Let the requests that are under way end, send no more, and close the connections."""
        for threads in self._threads.values():
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)
        for endpoint in self._endpoints.values():
            endpoint.close()

    def _calendar(self, address: str, folder_id: str | None = None, permit: Permit = always) -> Calendar:
        return Calendar(address, self._endpoints[self.account(address)], self._access_type, folder_id, permit)

    async def _run(self, address: str, function: Callable[[], T]) -> T:
        threads = self._threads[self.account(address)]
        return await asyncio.get_running_loop().run_in_executor(threads, function)

    async def _pages(self, address: str, pages: Iterator[Page]) -> AsyncIterator[Page]:
        while True:
            try:
                page = await self._run(address, lambda: next(pages, None))
            except FAILURES as failure:
                outcome = read_outcome(failure, self._clock, delegate=self._delegate)
                raise ProviderError(outcome) from failure
            if page is None:
                return
            yield page
