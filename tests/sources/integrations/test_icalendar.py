"""iCalendar feeds: whose they are, when they are read again, and what is refused."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from app.sources.contract import Page, ReadFailed, ResourceRequest
from app.sources.integrations.icalendar import ICalendar
from tests.sources.integrations.reading import Reading, account, errors, records
from tests.sources.web import Web, redirect, serving

LECTURE = """\
BEGIN:VEVENT
UID:lecture
SUMMARY:Algorithms
DTSTART;TZID=Europe/Amsterdam:20260902T090000
DTEND;TZID=Europe/Amsterdam:20260902T104500
END:VEVENT
"""
WEEKLY = LECTURE.replace("END:VEVENT", "RRULE:FREQ=WEEKLY;COUNT=3\nEND:VEVENT")
NO_START = LECTURE.replace("UID:lecture", "UID:broken").replace("DTSTART", "X-START")
BOMB = LECTURE.replace("UID:lecture", "UID:bomb").replace("END:VEVENT", "RRULE:FREQ=SECONDLY\nEND:VEVENT")

Read = Callable[..., Any]


def calendar(*components: str, **headers: str) -> web.Response:
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//tests//EN\n{''.join(components)}END:VCALENDAR\n"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(text=text.replace("\n", "\r\n"), content_type="text/calendar", headers=named)


@pytest.fixture(autouse=True)
def lecture(server: Web) -> None:
    server.answer = lambda _: calendar(LECTURE)


@pytest.fixture
def read(server: Web, run: Reading) -> Read:
    async def reading(
        id: Any = "ada", path: str | None = "/feeds/{username}.ics", credentials: Any = None, **query: Any
    ) -> list[Page]:
        settings = {} if path is None else {"path": path}
        connection = account(server.url, settings, **credentials or {})
        return await run.pages(ICalendar(run.client), connection, "timetable", "get", id, **query)

    return reading


@pytest.mark.parametrize(
    ("id", "path"),
    [
        ("ada", "/feeds/ada.ics"),
        ("uni\\ada+1@x", "/feeds/uni%5Cada%2B1@x.ics"),
        ("a/../b?c#d", "/feeds/a%2F..%2Fb%3Fc%23d.ics"),
    ],
)
async def test_a_template_makes_the_feed_of_each_user(server: Web, read: Read, id: str, path: str) -> None:
    await read(id)
    assert [request.raw_path for request in server.requests] == [path]


async def test_a_feed_url_of_the_users_own_comes_before_the_template(server: Web, read: Read) -> None:
    await read("ada", path=None, url=f"{server.url}/private/ada?h=1")
    assert server.paths == ["/private/ada?h=1"]


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        ({"token": "t"}, "Bearer t"),
        ({"user": "ada", "password": "é"}, "Basic YWRhOsOp"),
        ({}, None),
    ],
)
async def test_credentials_are_sent_to_the_accounts_own_server(
    server: Web, read: Read, credentials: dict[str, str], expected: str | None
) -> None:
    await read(credentials=credentials)
    await read(credentials=credentials, url=f"{server.url}/own")
    assert [request.headers.get("Authorization") for request in server.requests] == [expected, expected]


async def test_and_to_no_other(server: Web, read: Read) -> None:
    async with serving() as other:
        other.answer = server.answer
        await read(credentials={"token": "t"}, url=other.url)
        server.script = [redirect(other.url)]
        await read(credentials={"token": "t"})
    assert [request.headers.get("Authorization") for request in other.requests] == [None, None]


async def test_events_are_read_and_recurrences_expanded(read: Read, server: Web) -> None:
    server.answer = lambda _: calendar(WEEKLY)
    pages = await read()
    assert [(record.id, record.username) for record in records(pages)] == [
        ("lecture/20260902T070000Z", "ada"),
        ("lecture/20260909T070000Z", "ada"),
        ("lecture/20260916T070000Z", "ada"),
    ]
    record = records(pages)[0]
    assert record.event.start == datetime(2026, 9, 2, 7, 0, tzinfo=UTC)
    assert record.data["title"] == "Algorithms"
    assert errors(pages) == []


async def test_times_without_a_zone_are_in_the_accounts_or_the_configured_one(
    server: Web, run: Reading
) -> None:
    server.answer = lambda _: calendar(LECTURE.replace(";TZID=Europe/Amsterdam", ""))
    for zone, hour in ((None, 7), ("Europe/Lisbon", 8)):
        connection = account(server.url, {"path": "/{username}", "zone": zone})
        pages = await run.pages(ICalendar(run.client), connection, "timetable", "get", "ada")
        assert records(pages)[0].event.start.hour == hour


VALIDATORS = {"ETag": '"v1"', "Last_Modified": "Tue, 01 Sep 2026 07:00:00 GMT"}
CONDITIONS = {"ETag": "If-None-Match", "Last_Modified": "If-Modified-Since"}


@pytest.mark.parametrize("names", [("ETag",), ("Last_Modified",), ("ETag", "Last_Modified")])
async def test_an_unchanged_feed_is_not_sent_again_and_not_taken_for_empty(
    server: Web, read: Read, names: tuple[str, ...]
) -> None:
    server.script = [
        calendar(LECTURE, **{name: VALIDATORS[name] for name in names}),
        web.Response(status=304),
        web.Response(status=304),
        calendar(LECTURE, WEEKLY.replace("lecture", "other"), ETag='"v2"'),
    ]
    assert len(records(await read())) == 1
    assert await read() == [Page(unchanged=True)]
    assert await read() == [Page(unchanged=True)]
    assert len(records(await read())) == 4
    for request in server.requests[1:]:
        sent = {name: request.headers.get(CONDITIONS[name]) for name in VALIDATORS}
        assert sent == {name: VALIDATORS[name] if name in names else None for name in VALIDATORS}


async def test_validators_are_the_users_own(server: Web, read: Read) -> None:
    server.answer = lambda _: calendar(LECTURE, ETag='"v1"')
    await read("ada")
    await read("bob")
    assert "If-None-Match" not in server.requests[1].headers


async def test_validators_are_not_used_for_another_address_of_the_feed(server: Web, read: Read) -> None:
    server.answer = lambda _: calendar(LECTURE, ETag='"v1"')
    await read()
    await read(path="/new/{username}.ics")
    assert "If-None-Match" not in server.requests[1].headers


async def test_a_feed_is_read_as_a_whole_once_a_day_as_its_recurrences_go_on(
    server: Web, read: Read, run: Reading
) -> None:
    server.answer = lambda _: calendar(LECTURE, ETag='"v1"')
    server.script = [server.answer, web.Response(status=304)]
    await read()
    run.clock.advance(hours=23)
    await read()
    run.clock.advance(hours=2)
    await read()
    assert [request.headers.get("If-None-Match") for request in server.requests] == [None, '"v1"', None]


async def test_a_secret_in_the_address_is_not_remembered(server: Web, read: Read, run: Reading) -> None:
    server.answer = lambda _: calendar(LECTURE, ETag='"v1"')
    await read(url=f"{server.url}/private?secret=hunter2")
    assert run.memory
    assert "hunter2" not in str(run.memory)


@pytest.mark.parametrize(
    "component", [NO_START, BOMB, LECTURE.replace("lecture", "broken").replace("T09", "T25")]
)
async def test_an_event_that_cannot_be_read_is_told_and_stops_no_other(
    server: Web, read: Read, component: str
) -> None:
    server.answer = lambda _: calendar(component, LECTURE)
    pages = await read()
    assert [record.id for record in records(pages)] == ["lecture"]
    assert errors(pages)
    for error in errors(pages):
        assert error.username == "ada"
        assert error.place in ("broken", "bomb")
        assert "Algorithms" not in error.detail


@pytest.mark.parametrize(("uid", "place"), [("lecture", "lecture"), ("x" * 300, "#2")])
async def test_a_series_of_which_a_part_cannot_be_read_is_left_out_as_a_whole(
    server: Web, read: Read, uid: str, place: str
) -> None:
    moved = LECTURE.replace("UID:lecture", "UID:lecture\nRECURRENCE-ID:20260909T070000Z")
    series = (WEEKLY + moved.replace("DTSTART", "X-START")).replace("UID:lecture", f"UID:{uid}")
    server.answer = lambda _: calendar(series, LECTURE.replace("lecture", "other"))
    pages = await read()
    assert [record.id for record in records(pages)] == ["other"]
    assert {error.place for error in errors(pages)} == {place}


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(text=""),
        web.Response(text="<html>Log in</html>"),
        web.Response(text='{"error": "no such feed"}'),
        web.Response(text=f"BEGIN:VCALENDAR\r\n{LECTURE}"),
        web.Response(body=b"BEGIN:VCALENDAR\r\n\xff\r\nEND:VCALENDAR\r\n"),
        calendar(LECTURE, Link='<?page=2>; rel="next"'),
    ],
    ids=["nothing", "a page", "an error", "cut off", "not UTF-8", "one page of several"],
)
async def test_an_answer_that_is_no_whole_calendar_has_failed_and_is_not_empty(
    server: Web, read: Read, run: Reading, answer: web.Response
) -> None:
    server.script = [answer]
    with pytest.raises(ReadFailed):
        await read()
    assert run.memory == {}


async def test_a_calendar_without_events_is_empty(server: Web, read: Read) -> None:
    server.answer = lambda _: calendar()
    assert await read() == [Page(records=[], errors=[])]


@pytest.mark.parametrize(
    ("id", "path", "query"),
    [
        (None, "/{username}", {}),
        (True, "/{username}", {}),
        ("..", "/{username}/feed", {}),
        ("ada", None, {}),
        ("ada", None, {"url": 5}),
        ("ada", None, {"url": "ftp://uni.example/ada"}),
        ("ada", None, {"url": "http://ada:x@127.0.0.1/"}),
    ],
)
async def test_a_request_without_a_feed_that_can_be_asked_for_has_failed(
    server: Web, read: Read, id: Any, path: str | None, query: dict[str, Any]
) -> None:
    with pytest.raises(ReadFailed):
        await read(id, path, **query)
    assert server.requests == []


def test_it_reads_the_whole_timetable_of_the_user_whom_it_names(run: Reading) -> None:
    integration, connection = ICalendar(run.client), account("http://x")
    for id, users in (("ada", ("ada",)), (None, None)):
        request = ResourceRequest(resource="timetable", method="get", id=id)
        assert integration.users(request, connection) == users


def test_an_account_is_checked_without_asking_the_source(run: Reading) -> None:
    integration = ICalendar(run.client)
    assert "slash" in integration.check_account(account("http://x", {"path": ".evil/{username}"}))[0].detail
    assert list(integration.check_account(account("http://x", {"path": "/{username}"}, token="t"))) == []
    wrong = integration.check_account(account("http://x", {"path": "/all.ics"}, api_token="t"))
    assert {problem.field for problem in wrong} == {"settings", "credentials.api_token"}
    assert "{username}" in wrong[0].detail
