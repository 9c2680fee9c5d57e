"""Runs of the real integrations, from a real server to the timetables in the database."""

from base64 import b64encode
from typing import Any

import pytest
from aiohttp import web

from app.config import Config
from app.database.types import Pool
from app.sources import accounts, jobs, runs
from app.sources.integrations import INTEGRATIONS, open_sources
from app.sources.runner import SourceRunner
from app.sources.runs import JobRun
from app.sources.secrets import open_vault
from app.sources.settings import SourceSettings
from app.timetables.store import fetch
from tests.clock import SettableClock
from tests.sources.web import Web, json

USERS = {
    "type": "object",
    "properties": {"users": {"type": "array", "items": {"type": "string"}}},
    "required": ["users"],
}


@pytest.fixture
def config() -> Config:
    return Config(
        timezone="Europe/Amsterdam",
        sources=SourceSettings(
            allowed_networks=("127.0.0.1/32",),
            encryption_key=b64encode(bytes(32)).decode(),
            requests_per_second=10_000,
        ),
    )


class Campus:
    """Ada and Bob, a job for them, and its runs."""

    def __init__(self, pool: Pool, config: Config, clock: SettableClock, server: Web) -> None:
        self.pool = pool
        self.config = config
        self.clock = clock
        self.server = server
        self.form: dict[str, Any] = {}

    async def connect(self, integration: str, resources: list[Any], **account: Any) -> None:
        await self.pool.execute("INSERT INTO users (username) VALUES ('ada'), ('bob')")
        job = {"integration_name": integration, "args_schema": USERS, "resources": resources}
        made = await jobs.create(self.pool, job, INTEGRATIONS, self.clock())
        connection = {"integration_name": integration, "base_url": self.server.url} | account
        vault = open_vault(self.config)
        connected = await accounts.create(self.pool, vault, connection, INTEGRATIONS, self.clock())
        self.form = {"sync_job_id": str(made.id), "integrated_account_id": str(connected.id)}

    async def run(self, *users: str) -> JobRun:
        """A run to its end, some minutes after the one before."""
        self.clock.advance(minutes=5)
        form = self.form | {"args": {"users": list(users)}}
        begun = await runs.create(self.pool, form, INTEGRATIONS, self.clock(), webhook=False)
        async with open_sources(self.config, self.clock) as sources:
            await SourceRunner(self.pool, sources, self.config, self.clock).run_until_idle()
        return await runs.find(self.pool, begun.id)

    async def uids(self, username: str) -> list[str]:
        return sorted(event.uid for event in (await fetch(self.pool, username)).events)


@pytest.fixture
def campus(pool: Pool, config: Config, clock: SettableClock, server: Web) -> Campus:
    return Campus(pool, config, clock, server)


def feed(*uids: str) -> web.Response:
    lectures = "".join(
        f"BEGIN:VEVENT\r\nUID:{uid}\r\nSUMMARY:{uid}\r\nDTSTART:20260907T070000Z\r\nEND:VEVENT\r\n"
        for uid in uids
    )
    text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{lectures}END:VCALENDAR\r\n"
    return web.Response(text=text, headers={"ETag": f'"{"".join(uids)}"'})


def for_each(resource: str, method: str) -> dict[str, Any]:
    request = {"resource": resource, "method": method, "id": "{{args.users}}"}
    return request | {"loop_on": "users", "persist": True}


async def test_a_feed_that_has_not_changed_leaves_everything_as_it_is(campus: Campus) -> None:
    settings = {"path": "/{username}.ics"}
    await campus.connect("icalendar", [for_each("timetable", "get")], settings=settings)
    feeds = {"/ada.ics": feed("a", "b"), "/bob.ics": feed("c")}

    def answer(request: web.Request) -> web.Response:
        found = feeds[request.path]
        same = request.headers.get("If-None-Match") == found.headers["ETag"]
        return web.Response(status=304) if same else web.Response(text=found.text, headers=found.headers)

    campus.server.answer = answer
    assert (await campus.run("ada", "bob")).counts.created == 3
    again = await campus.run("ada", "bob")
    assert (again.state, again.counts.unchanged, again.counts.deleted) == ("done", 3, 0)
    asked = {request.path: request.headers.get("If-None-Match") for request in campus.server.requests[2:]}
    assert asked == {"/ada.ics": '"ab"', "/bob.ics": '"c"'}

    feeds["/ada.ics"] = feed("b")
    changed = await campus.run("ada", "bob")
    assert (changed.counts.deleted, changed.counts.unchanged) == (1, 2)
    assert [await campus.uids(user) for user in ("ada", "bob")] == [["b"], ["c"]]


async def test_an_element_that_cannot_be_mapped_any_more_takes_no_event_away(campus: Campus) -> None:
    credentials = {"api_token": "t"}
    await campus.connect("mytimetable", [for_each("timetable", "list")], credentials=credentials)
    times = {"startDate": 1788850800000, "endDate": 1788858000000}
    one, other = ({"id": id, "activityDescription": id, **times} for id in "ab")
    campus.server.answer = lambda _: json([one, other])
    assert (await campus.run("ada")).counts.created == 2
    campus.server.answer = lambda _: json([one | {"activityDescription": "new"}, other | {"startDate": None}])
    run = await campus.run("ada")
    assert (run.counts.record_errors, run.counts.updated, run.counts.deleted) == (1, 1, 0)
    assert [(error.username, error.place) for error in run.errors] == [
        ("ada", "timetable, users[0], page 1, record 2")
    ]
    assert await campus.uids("ada") == ["a", "b"]


async def test_lectures_are_read_for_each_person_that_the_source_names_and_then_only_what_has_changed(
    campus: Campus,
) -> None:
    resources = [
        {"resource": "people", "method": "list"},
        {
            "resource": "lectures",
            "method": "list",
            "id": "{{resources.people.login}}",
            "query": {"since": "{{previous_run_date}}"},
            "depends_on": "people",
            "persist": True,
        },
    ]
    event = {"uid": "key", "title": "key", "start": "at", "end": "at"}
    by_cursor = {"by": "cursor", "parameter": "after"}
    settings = {
        "resources": {
            "people": {"path": "/people", "id": "login", "records": "data", "pagination": by_cursor},
            "lectures": {"path": "/people/{id}/lectures", "event": event},
        }
    }
    await campus.connect("http-json", resources, settings=settings)
    lectures = {"ada": ["a", "b"], "bob": ["c"]}

    def answer(request: web.Request) -> web.Response:
        if request.path == "/people":
            first = "after" not in request.query
            return json({"data": [{"login": "ada" if first else "bob"}], "next": 1 if first else None})
        keys = lectures[request.path.split("/")[2]]
        return json([{"key": key, "at": "2026-09-07T09:00"} for key in keys])

    campus.server.answer = answer
    first = await campus.run()
    assert (first.counts.requests, first.counts.pages, first.counts.created) == (3, 4, 3)
    lectures = {"ada": ["d"], "bob": []}
    second = await campus.run()
    assert (second.counts.created, second.counts.deleted) == (1, 0)
    assert [await campus.uids(user) for user in ("ada", "bob")] == [["a", "b", "d"], ["c"]]
    asked = [request.query["since"] for request in campus.server.requests if "since" in request.query]
    assert asked == ["1970-01-01T00:00:00Z"] * 2 + ["2026-09-01T08:00:00Z"] * 2  # a little earlier
