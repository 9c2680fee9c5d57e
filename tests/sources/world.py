"""A source that tests script, a webhook that remembers, and the shorthands with which jobs are run."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from app.config import Config
from app.database.types import Pool
from app.errors import Problem
from app.sources import accounts, jobs, runs
from app.sources.contract import (
    Account,
    Context,
    DeliveryFailed,
    Json,
    Page,
    Record,
    ResourceRequest,
    RunEvent,
    RunIdentity,
    Webhook,
)
from app.sources.runner import SourceRunner
from app.sources.runs import JobRun
from app.sources.secrets import open_vault
from app.timetables.store import fetch
from providers.contract import Event
from tests.clock import SettableClock

START = datetime(2026, 9, 7, 9, tzinfo=UTC)
"""A day on which events are, after the tests' clock's."""

Step = Page | Exception | Callable[[], Any]
Script = Callable[[ResourceRequest, Context], Iterable[Step]]


def event(uid: str, **changes: Any) -> Event:
    """An hour's lecture."""
    fields = {"title": uid, "start": START, "end": START + timedelta(hours=1), "time_zone": "UTC"} | changes
    return Event(uid=uid, **fields)


def lecture(username: str, uid: str, **changes: Any) -> Record:
    """A record that is an event of this user."""
    made = event(uid, **changes)
    return Record(
        id=uid, place=f"record {uid}", data={"id": uid, "title": made.title}, username=username, event=made
    )


def thing(id: str, **data: Any) -> Record:
    """A record that is no event."""
    return Record(id=id, place=f"record {id}", data={"id": id, **data})


def page(*records: Record, **changes: Any) -> Page:
    return Page(records=records, **changes)


def contradiction(username: str) -> list[Record]:
    """Two records that are the same event with different contents: no timetable can hold both."""
    second = lecture(username, "same", title="another")
    return [lecture(username, "same"), msgspec.structs.replace(second, id="other")]


class FakeSource:
    """``contract.Integration`` without a source: what each resource answers is scripted.

    ``timetable`` is read for the user of ``query.user``; any other resource may be about anybody.
    """

    name = "fake"

    def __init__(self) -> None:
        self.calls: list[ResourceRequest] = []
        self.accounts: list[Account] = []
        self.timetables: dict[str, list[Step]] = {}
        """What ``timetable`` answers, by user."""
        self.scripts: dict[str, Script] = {"timetable": self._timetable}

    def give(self, username: str, *steps: Step) -> None:
        """From now on ``timetable`` answers this for a user."""
        self.timetables[username] = list(steps)

    def script(self, resource: str, *steps: Step) -> None:
        """From now on a resource answers this to everybody."""
        self.scripts[resource] = lambda _request, _context: list(steps)

    def check_account(self, account: Account) -> Sequence[Problem]:
        if "token" in account.credentials or "x" in account.credentials:
            return []
        return [Problem(field="credentials.token", detail="Missing.")]

    def check_resource(
        self, request: ResourceRequest, settings: Mapping[str, Json] | None
    ) -> Sequence[Problem]:
        if request.method not in ("list", "get"):
            return [Problem(field="method", detail="Expected list or get.")]
        if settings is not None and request.resource in settings.get("without", ()):
            return [Problem(field="resource", detail="The account has no such resource.")]
        return []

    def users(self, request: ResourceRequest, account: Account) -> Sequence[str] | None:
        return [request.query["user"]] if request.resource == "timetable" else None

    async def records(
        self, request: ResourceRequest, account: Account, context: Context
    ) -> AsyncIterator[Page]:
        self.calls.append(request)
        self.accounts.append(account)
        for step in self.scripts[request.resource](request, context):
            if isinstance(step, Exception):
                raise step
            if isinstance(step, Page):
                yield step
                continue
            made = await step()
            if isinstance(made, Page):
                yield made

    def _timetable(self, request: ResourceRequest, context: Context) -> list[Step]:
        return self.timetables.get(request.query["user"], [])

    def queries(self, resource: str) -> list[Mapping[str, Json]]:
        """What a resource was asked, in order."""
        return [dict(call.query) for call in self.calls if call.resource == resource]


class FakeWebhook:
    """Remembers what it is sent; refuses everything from ``refuse`` on."""

    def __init__(self) -> None:
        self.events: list[tuple[RunEvent, Mapping[str, Json]]] = []
        self.attempts: list[int] = []
        self.fences: list[int] = []
        self.refuse: RunEvent | None = None
        self.on: dict[RunEvent, Callable[[], None]] = {}
        """What happens when an event has come."""

    async def send(self, event: RunEvent, data: Mapping[str, Json]) -> None:
        if event == self.refuse:
            raise DeliveryFailed("The webhook answers with HTTP status 500. It was tried 8 times.")
        self.events.append((event, msgspec.json.decode(msgspec.json.encode(data))))
        self.on.get(event, lambda: None)()

    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def data(self, event: RunEvent) -> list[Mapping[str, Json]]:
        return [data for name, data in self.events if name == event]


class FakeSources:
    """``contract.Sources`` of one source and one webhook."""

    def __init__(self, source: FakeSource) -> None:
        self.source = source
        self.integrations = {source.name: source}
        self.hook = FakeWebhook()
        self.configured = True
        """Whether there is a webhook at all."""

    @asynccontextmanager
    async def webhook(self, run: RunIdentity) -> AsyncIterator[Webhook | None]:
        self.hook.attempts.append(run.attempt)
        self.hook.fences.append(run.fence)
        yield self.hook if self.configured else None


TIMETABLE: dict[str, Json] = {
    "resource": "timetable",
    "query": {"user": "{{args.users}}"},
    "loop_on": "users",
    "persist": True,
}
"""The timetable of each user in an argument."""

USERS_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"users": {"type": "array", "items": {"type": "string"}}},
    "required": ["users"],
}


class World:
    """A job of the fake source, an account, and a worker to run it."""

    def __init__(self, pool: Pool, config: Config, clock: SettableClock, sources: FakeSources) -> None:
        self.pool = pool
        self.config = config
        self.clock = clock
        self.sources = sources
        self.source = sources.source
        self.hook = sources.hook

    def runner(self) -> SourceRunner:
        return SourceRunner(self.pool, self.sources, self.config, self.clock)

    async def job(self, *resources: Mapping[str, Json], **changes: Json) -> Any:
        """The id of a new job; by default of the timetables of the users in an argument."""
        body = {
            "integration_name": "fake",
            "args_schema": USERS_SCHEMA,
            "resources": list(resources) or [TIMETABLE],
        }
        made = await jobs.create(self.pool, body | changes, self.sources.integrations, self.clock())
        return made.id

    async def account(self) -> Any:
        """The id of a new account."""
        body = {
            "integration_name": "fake",
            "base_url": "https://source.example/api",
            "credentials": {"token": "s3cret"},
        }
        made = await accounts.create(
            self.pool, open_vault(self.config), body, self.sources.integrations, self.clock()
        )
        return made.id

    async def begin(self, job: Any, account: Any, **body: Json) -> JobRun:
        """A new run, that nobody has taken up yet."""
        ids = {"sync_job_id": str(job), "integrated_account_id": str(account)}
        form = {**ids, "args": {}, **body}
        return await runs.create(self.pool, form, self.sources.integrations, self.clock(), webhook=True)

    async def run(self, job: Any, account: Any, **body: Json) -> JobRun:
        """A new run, at its end. A minute later than whatever was before it."""
        self.clock.advance(minutes=1)
        begun = await self.begin(job, account, **body)
        await self.runner().run_until_idle()
        return await runs.find(self.pool, begun.id)

    async def add_users(self, *usernames: str) -> None:
        await self.pool.executemany(
            "INSERT INTO users (username) VALUES ($1)", [(name,) for name in usernames]
        )

    async def uids(self, username: str) -> list[str]:
        """What a user's timetable holds now."""
        return sorted(event.uid for event in (await fetch(self.pool, username)).events)
