"""The adapter for Exchange Web Services (EWS)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

from providers import contract
from providers.adapter import Quota
from providers.contract import (
    Changes,
    Clock,
    Mailbox,
    Operation,
    Outcome,
    Permit,
    ProviderError,
    RemoteEvent,
    always,
)
from providers.ews import folders
from providers.ews.apply import apply
from providers.ews.calendar import Calendar
from providers.ews.changes import changes
from providers.ews.colours import Colours
from providers.ews.outcomes import FAILURES, folder_outcome, no_right_to_write, read_outcome
from providers.ews.session import CONNECTIONS, Endpoint
from providers.marker import ATTEMPT, INSTANCE

__all__ = ["EwsAdapter"]

T = TypeVar("T")
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
    moves_by_copying = False

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
        calendar = self._calendar(Mailbox(address=address, identity=""))
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
        calendar = self._calendar(mailbox, permit)
        delegate = self._hidden(mailbox)
        return await self._run(
            mailbox.address,
            lambda: apply(calendar, operations, self._clock, self._colours, delegate=delegate),
        )

    async def find(self, mailbox: Mailbox, instance: str, attempts: Sequence[UUID]) -> list[RemoteEvent]:
        wanted = set(attempts)
        found: dict[str, RemoteEvent] = {}
        calendar = self._calendar(mailbox)
        for start in range(0, len(attempts), ATTEMPTS_A_SEARCH):
            values = [attempt.hex for attempt in attempts[start : start + ATTEMPTS_A_SEARCH]]
            async for page in self._pages(mailbox, calendar.find(ATTEMPT, values)):
                for event in page:
                    if event.marker.instance == instance and event.marker.attempt in wanted:
                        found[event.id] = event
        return list(found.values())

    async def list(self, mailbox: Mailbox, instance: str) -> AsyncIterator[RemoteEvent]:
        calendar = self._calendar(mailbox)
        async for page in self._pages(mailbox, calendar.find(INSTANCE, [instance]), check=True):
            for event in page:
                if event.marker.instance == instance:  # Exchange compared without case
                    yield event

    async def changes(self, mailbox: Mailbox, instance: str, since: str | None) -> AsyncIterator[Changes]:
        pages = changes(self._calendar(mailbox), mailbox, instance, since)
        async for page in self._pages(mailbox, pages, check=True):
            yield page

    async def calendars(self, mailbox: Mailbox, instance: str) -> Sequence[contract.Calendar]:
        account = self._calendar(mailbox).account
        try:
            return await self._run(
                mailbox.address, lambda: folders.calendars(account, instance, delegate=self._delegate)
            )
        except FAILURES as failure:
            outcome = read_outcome(failure, self._clock, delegate=self._delegate)
            raise ProviderError(outcome) from failure

    async def make_calendar(
        self, mailbox: Mailbox, instance: str, name: str, permit: Permit = always
    ) -> contract.Calendar:
        account = self._calendar(mailbox).account
        return await self._change_folder(
            mailbox, lambda: folders.make_calendar(account, instance, name, permit)
        )

    async def remove_calendar(self, mailbox: Mailbox, instance: str, permit: Permit = always) -> bool:
        folder_id = mailbox.calendar
        if folder_id is None:
            return False
        account = self._calendar(mailbox).account
        return await self._change_folder(
            mailbox, lambda: folders.remove_calendar(account, instance, folder_id, permit)
        )

    async def close(self) -> None:
        """Let the requests that are under way end, send no more, and close the connections."""
        for threads in self._threads.values():
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)
        for endpoint in self._endpoints.values():
            endpoint.close()

    def _calendar(self, mailbox: Mailbox, permit: Permit = always) -> Calendar:
        endpoint = self._endpoints[self.account(mailbox.address)]
        return Calendar(mailbox.address, endpoint, self._access_type, mailbox.calendar, permit)

    def _hidden(self, mailbox: Mailbox) -> bool:
        """Whether a calendar that is not found may just not be shared: not so with one that we made."""
        return self._delegate and mailbox.calendar is None

    async def _run(self, address: str, function: Callable[[], T]) -> T:
        threads = self._threads[self.account(address)]
        return await asyncio.get_running_loop().run_in_executor(threads, function)

    async def _change_folder(self, mailbox: Mailbox, function: Callable[[], T]) -> T:
        try:
            return await self._run(mailbox.address, function)
        except FAILURES as failure:
            outcome = folder_outcome(failure, self._clock, delegate=self._delegate)
            raise ProviderError(outcome) from failure

    def _in_use(self, mailbox: Mailbox, pages: Iterator[T]) -> Iterator[T]:
        """The pages of a calendar of ours, once it is sure that its owner has not thrown it away."""
        if mailbox.calendar is not None and not self._delegate:
            folders.check_in_use(self._calendar(mailbox).account, mailbox.calendar)
        yield from pages

    async def _pages(self, mailbox: Mailbox, pages: Iterator[T], *, check: bool = False) -> AsyncIterator[T]:
        if check:
            pages = self._in_use(mailbox, pages)
        while True:
            try:
                page = await self._run(mailbox.address, lambda: next(pages, None))
            except FAILURES as failure:
                outcome = read_outcome(failure, self._clock, delegate=self._hidden(mailbox))
                raise ProviderError(outcome) from failure
            if page is None:
                return
            yield page
