"""From a source to the mailboxes: 500 people whose timetables Rooster fetches by itself, over real HTTP."""

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook as Verifier

from tests.end_to_end.installation import Installation
from tests.end_to_end.test_main_job import ours
from tests.sources.server import TOKEN, Campus
from tests.sources.web import Web, serving

PEOPLE = 500
OTHERS = {"ews": 10, "googlecalendar": 10}
"""People whose mailbox is there; everybody else's is in Microsoft 365."""
SECRET = "whsec_" + b64encode(bytes(range(32))).decode()
JOB: dict[str, Any] = {
    "integration_name": "mytimetable",
    "args_schema": {
        "type": "object",
        "properties": {"usernames": {"type": "array", "items": {"type": "string"}}},
        "required": ["usernames"],
    },
    "resources": [
        {
            "resource": "timetable",
            "method": "list",
            "id": "{{args.usernames}}",
            "query": {"startDate": "2100-09-01", "endDate": "2101-07-01"},
            "loop_on": "usernames",
            "persist": True,
        }
    ],
}


@pytest.fixture
async def source() -> AsyncIterator[Web]:
    async with serving() as made:
        yield made


def configure(rooster: Installation, **settings: str) -> None:
    """Let sources be reached on this machine, as quickly as it can."""
    lines = [
        "[sources]",
        'allowed_networks = ["127.0.0.1/32"]',
        "requests_per_second = 5000",
        *(f"{name} = {value}" for name, value in settings.items()),
    ]
    with Path(rooster.folder, "rooster.toml").open("a") as file:
        file.write("\n" + "\n".join(lines) + "\n")


async def connect(rooster: Installation, source: Web, job: dict[str, Any]) -> dict[str, str]:
    """A job and an account; gives what a run is made of."""
    made = await rooster.api("POST", "/v1/sync-job", 201, json=job)
    account = {
        "integration_name": "mytimetable",
        "base_url": source.url,
        "credentials": {"api_token": TOKEN},
        "settings": {"zone": "Europe/Amsterdam"},
    }
    connected = await rooster.api("POST", "/v1/integrated-account", 201, json=account)
    return {"sync_job_id": made["id"], "integrated_account_id": connected["id"]}


async def run(rooster: Installation, **form: Any) -> dict[str, Any]:
    """A run from its beginning to its end."""
    begun = await rooster.api("POST", "/v1/sync-job-run", 201, json=form)

    async with asyncio.timeout(240):
        while True:
            found: dict[str, Any] = await rooster.api("GET", f"/v1/sync-job-run/{begun['id']}")
            if found["state"] not in ("queued", "running"):
                return found
            await asyncio.sleep(0.2)


def type_of(number: int) -> str:
    for type, count in OTHERS.items():
        if number < count:
            return type
        number -= count
    return "o365"


async def provision(rooster: Installation, usernames: list[str]) -> dict[str, str]:
    """A mailbox for everybody; gives its type by username."""
    types = {username: type_of(number) for number, username in enumerate(usernames)}
    for username, type in types.items():
        await rooster.api("PUT", f"/v0/users/{username}", 204)
        form = {"username": username, "type": type, "provisioning_smtpAddress": f"{username}@uni.example"}
        await rooster.api("PUT", "/v0/synchronizations", data=form)
    return types


async def until_pushed(rooster: Installation) -> None:
    """Until every calendar is as it should be."""
    async with asyncio.timeout(240):
        while True:
            ready = await rooster.api("GET", "/v1/synchronizations?ready=true&limit=1")
            listed = await rooster.api("GET", "/v0/synchronizations")
            statuses = {synchronization["status"] for synchronization in listed["synchronizations"]}
            if not ready["synchronizations"] and statuses == {"OK"}:
                return
            await asyncio.sleep(0.5)


async def calendars(rooster: Installation, types: dict[str, str]) -> dict[str, dict[str, dict[str, Any]]]:
    """What is really in everybody's calendar, by username and uid."""
    return {
        username: ours(await rooster.held(type, f"{username}@uni.example"))
        for username, type in types.items()
    }


def wanted(elements: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """What a calendar is to hold of these elements, by uid."""
    return {element["id"]: _wanted(element) for element in elements if not element["filtered"]}


def _wanted(element: dict[str, Any]) -> tuple[Any, ...]:
    start, end = (datetime.fromtimestamp(element[name] / 1000, UTC) for name in ("startDate", "endDate"))
    if element["allDay"]:  # midnights in Amsterdam, two hours before those in UTC
        start, end = start + timedelta(hours=2), end + timedelta(hours=2)
    room = element["locations"][0]["name"] if element["locations"] else ""
    return element["activityDescription"], element["allDay"], start, end, room


def shown(calendar: dict[str, dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """The same of what a calendar holds."""
    return {
        uid: (
            event["title"],
            event["allDay"],
            datetime.fromisoformat(event["start"]).astimezone(UTC),
            datetime.fromisoformat(event["end"]).astimezone(UTC),
            event["location"],
        )
        for uid, event in calendar.items()
    }


@pytest.mark.timeout(600)
async def test_a_campus_is_fetched_and_its_calendars_follow_it(rooster: Installation, source: Web) -> None:
    usernames = [f"person-{number:03}" for number in range(PEOPLE)]
    campus = Campus(usernames, throttle_every=400)
    source.answer = campus.handle
    configure(rooster)
    await rooster.serve()
    types = await provision(rooster, usernames)
    form = await connect(rooster, source, JOB) | {"args": {"usernames": usernames}}

    # The first run: somebody's second page cannot be read.
    campus.failing = {("person-100", 2)}
    first = await run(rooster, **form)
    assert first["state"] == "done", first
    assert [error["place"] for error in first["errors"]] == ["timetable, usernames[100]"]
    counts = {"requests": 500, "read_errors": 1, "users": 500, "users_applied": 500, "users_kept": 1}
    assert {name: first["counts"][name] for name in counts} == counts
    assert first["counts"]["created"] == 3 * PEOPLE - 1
    assert campus.seen["throttled"] > 0
    assert campus.seen["early"] == 0
    await until_pushed(rooster)
    before = await calendars(rooster, types)
    read = campus.elements | {"person-100": campus.elements["person-100"][:2]}
    assert {username: shown(calendar) for username, calendar in before.items()} == {
        username: wanted(elements) for username, elements in read.items()
    }

    # Then the campus changes, and somebody else's second page cannot be read, in which they had an event.
    mailbox = f"/mailboxes/{types['person-001']}/person-001@uni.example/events"
    own = {"title": "Dentist", "start": "2100-09-06T07:00:00Z", "end": "2100-09-06T08:00:00Z"}
    await rooster.post_control(mailbox, own)
    campus.elements["person-000"][0]["locations"] = [{"name": "Aula"}]
    del campus.elements["person-001"][1]
    campus.elements["person-002"] += [campus.elements["person-002"][0] | {"id": "new"}]
    campus.elements["person-003"] = []
    campus.elements["person-200"][0]["locations"] = [{"name": "Aula"}]
    campus.failing = {("person-200", 2)}
    second = await run(rooster, **form)
    assert second["state"] == "done", second
    assert [error["place"] for error in second["errors"]] == ["timetable, usernames[200]"]
    changes = {"created": 2, "updated": 2, "deleted": 4, "users_applied": 500, "users_kept": 1}
    assert {name: second["counts"][name] for name in changes} == changes
    await until_pushed(rooster)
    after = await calendars(rooster, types)
    assert {username: shown(calendar) for username, calendar in after.items()} == {
        username: wanted(elements) for username, elements in campus.elements.items()
    }
    changed = {"person-000", "person-001", "person-002", "person-003", "person-100", "person-200"}
    assert {username for username in usernames if after[username] != before[username]} == changed
    held = await rooster.held(types["person-001"], "person-001@uni.example")
    assert [event["title"] for event in held if not event["marker"]] == ["Dentist"]


@pytest.mark.timeout(300)
async def test_what_is_not_kept_is_sent_on_signed_and_in_order(rooster: Installation, source: Web) -> None:
    usernames = [f"person-{number}" for number in range(20)]
    campus = Campus(usernames, throttle_every=15)
    campus.elements["person-7"][0]["startDate"] = None
    source.answer = campus.handle
    async with serving() as receiver:
        receiver.script = [web.Response(status=500)]
        configure(rooster, webhook=f'{{ url = "{receiver.url}", secret = "{SECRET}" }}')
        await rooster.serve()
        job = JOB | {"resources": [JOB["resources"][0] | {"persist": False}]}
        form = await connect(rooster, source, job)
        done = await run(rooster, **form, args={"usernames": usernames})
    assert done["state"] == "done", done
    assert (done["counts"]["sent"], done["counts"]["users"]) == (59, 0)
    events: dict[str, dict[str, Any]] = {}
    for request, body in zip(receiver.requests, receiver.bodies, strict=True):
        verified = Verifier(SECRET).verify(body, dict(request.headers))
        events.setdefault(request.headers["webhook-id"], verified)
    assert len(receiver.requests) == len(events) + 1
    assert [event["data"]["run"]["sequence"] for event in events.values()] == list(range(1, len(events) + 1))
    kinds = [event["type"] for event in events.values()]
    assert (kinds[0], kinds[-1]) == ("started", "completed")
    assert Counter(kinds[1:-1]) == {
        "record": 59,
        "record_error": 1,
        "rate_limited": kinds.count("rate_limited"),
    }
