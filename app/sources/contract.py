"""What an integration is to the engine that runs sync jobs, and a webhook.

An integration knows one kind of source: how it is asked, how its pages follow each other, and what its
records mean as events. It knows nothing of jobs, runs and the database.

What can go wrong is told apart, since a read that failed must never look like a timetable with less in it:

================  ======================================================================================
RecordError       one record that cannot be mapped, with its place: part of a page, stops nothing
Throttled         the source wants to be left alone until a moment: the engine waits, and asks again
ReadFailed        the request failed, or its answer is not to be trusted (cut off, an error in a 200, a
                  page that repeats): nothing that it did not give may be taken for gone
ListChanged       a list changed between its pages, and one may be missing what was on none of them: the
                  engine makes the request anew, once, and it has failed if that happens again
DeliveryFailed    the webhook did not take an event, after all its retries: the run fails
================  ======================================================================================
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias
from uuid import UUID

import msgspec

from app.config import TimetableSettings
from app.errors import Problem, RoosterError
from providers.contract import Event

__all__ = [
    "Account",
    "Context",
    "DeliveryFailed",
    "Integration",
    "Json",
    "ListChanged",
    "Page",
    "ReadFailed",
    "Record",
    "RecordError",
    "ResourceRequest",
    "RunEvent",
    "RunIdentity",
    "Sources",
    "Throttled",
    "Webhook",
]

Json: TypeAlias = Any
"""Any value of JSON, as ``msgspec.json.decode`` gives it."""


class ReadFailed(RoosterError):
    """A request failed for good in this run. The message is a sentence; it holds no credential."""

    status = 502

    def __init__(self, message: str) -> None:
        super().__init__("read_failed", message)


class ListChanged(ReadFailed):
    """What is read in pages has changed meanwhile. The request is made anew, once."""


class Throttled(RoosterError):
    """The source asks for a rest until ``until`` (aware). The request is made anew after that.

    Where only a page was throttled, ``Context.rest`` is better: it comes back, and reading goes on there.
    """

    status = 503

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__("throttled", message)
        self.until = until


class DeliveryFailed(RoosterError):
    """The webhook did not take an event, in spite of retries. The message names neither URL nor secret."""

    status = 502

    def __init__(self, message: str) -> None:
        super().__init__("delivery_failed", message)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The connection of an integration, decrypted. Its repr shows no credential."""

    id: UUID
    integration_name: str
    base_url: str
    """http or https; without a trailing slash."""
    credentials: Mapping[str, str]
    """Secrets by name, as the integration defines them."""
    settings: Mapping[str, Json]
    """What is not secret and the integration's own: pagination, mapping, zone, …"""

    def __repr__(self) -> str:
        return f"Account(id={self.id}, integration_name={self.integration_name!r})"


class ResourceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request for a resource, with its placeholders filled in."""

    resource: str
    method: str
    """``list`` or ``get``, or another that the integration knows."""
    id: Json = None
    query: Mapping[str, Json] = msgspec.field(default_factory=dict)
    place: str = ""
    """Where in the job it stands, for messages: ``timetable[3]``."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One object of a resource."""

    id: str
    """The same in every read, unique in the resource, for each user if it has one."""
    place: str
    """Where in the answer it stands: ``page 3, record 17``."""
    data: Mapping[str, Json]
    """The object as the source gave it; ``{{resources.NAME.field}}`` reads it, and the webhook gets it."""
    username: str | None = None
    """Whose timetable the event belongs to. None where the record is no event."""
    event: Event | None = None
    """The event by the mapping, complete; times aware, in UTC. The engine checks its texts and limits."""


class RecordError(msgspec.Struct, frozen=True, kw_only=True):
    """A record that cannot be mapped. It says where and why, and holds nothing of the record's text."""

    place: str
    detail: str
    username: str | None = None
    """Whose it is, where that could be read: that user loses no event in this run."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some records, in the source's order."""

    records: Sequence[Record] = ()
    errors: Sequence[RecordError] = ()
    unchanged: bool = False
    """The source says that nothing has changed since the read whose validators were recalled (HTTP 304): the
    records stored then are taken for read now. Only for a request whose ``users`` are known."""


class Context(Protocol):
    """What an integration may ask of the run that it reads for."""

    now: datetime
    """The run's start: aware, in UTC."""
    timetables: TimetableSettings
    """Limits and the push window."""
    zone: str
    """IANA name of the configured zone."""

    async def rest(self, until: datetime) -> None:
        """Wait until then, and say so to whoever watches. Raises ReadFailed if that is too long to wait."""

    async def recall(self, key: str) -> Mapping[str, str] | None:
        """What was remembered under the key in the last complete read, by this job, account and resource.

        None where there is nothing, and in a run that ignores the previous one.
        """

    async def remember(self, key: str, values: Mapping[str, str]) -> None:
        """Keep these (an ETag, say) for the next run: once the request has been read to its end."""


class Integration(Protocol):
    """One kind of source. One instance serves all runs of the process; it keeps no state of a run."""

    name: str
    """As in ``integration_name``: lower case, words joined by hyphens."""

    def check_account(self, account: Account) -> Sequence[Problem]:
        """What is wrong with an account, without asking the source. ``field``: ``credentials.api_token``."""

    def check_resource(
        self, request: ResourceRequest, settings: Mapping[str, Json] | None
    ) -> Sequence[Problem]:
        """What is wrong with a job's resource, as far as it can be known. ``field``: ``id``, ``query.url``.

        ``id`` and ``query`` still hold placeholders, which may become anything. ``settings``: those of the
        account that it is to be run with; None where the job is saved, since any may come.
        """

    def users(self, request: ResourceRequest, account: Account) -> Sequence[str] | None:
        """The users whose timetable this request reads as a whole, known before it is made; None: not known.

        A failed request then touches these alone; and an empty answer is a timetable without events.
        """

    def records(self, request: ResourceRequest, account: Account, context: Context) -> AsyncIterator[Page]:
        """The pages of a request, to the last. Raises Throttled and ReadFailed.

        Ends only if everything was read; short retries of single requests are the integration's own matter.
        """


RunEvent: TypeAlias = Literal["started", "record", "record_error", "rate_limited", "completed", "failed"]
"""What a webhook hears of a run."""


class RunIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Which run a webhook hears of."""

    id: UUID
    sync_job_id: UUID
    integrated_account_id: UUID
    attempt: int
    """From 1; a run that was lost with its worker begins anew, so that events may come twice."""
    fence: int
    """Higher with each beginning, also after a worker that was stopped in the middle, which is no attempt."""


class Webhook(Protocol):
    """Where the events of one run go. One at a time, in order: the next is sent once the last was taken."""

    async def send(self, event: RunEvent, data: Mapping[str, Json]) -> None:
        """Deliver an event after those that were given before; retried with back-off. Raises DeliveryFailed.

        ``record``: ``{resource, record}``; ``record_error``: ``{errors: [{resource, place, detail}]}``;
        ``rate_limited``: ``{until}``; ``completed``: ``{counts}``; ``failed``: ``{detail, counts}``.
        """


class Sources(Protocol):
    """All that reaches out of this process.

    ``app.sources.integrations`` has ``open_sources(config, clock)``, an asynchronous context manager of
    these for whoever makes runs, and ``INTEGRATIONS``, the same integrations by name for checks alone: not
    connected to anything, ``records`` is not to be called.
    """

    integrations: Mapping[str, Integration]

    def webhook(self, run: RunIdentity) -> AbstractAsyncContextManager[Webhook | None]:
        """The webhook, for one run; None where none is configured ([sources.webhook])."""
