"""Feed URLs that are secrets, as Google and Outlook give them to each person: kept with the credentials."""

import logging
from typing import Any

import pytest
from aiohttp import web

from app.sources.contract import ReadFailed
from app.sources.integrations.icalendar import ICalendar
from tests.sources.integrations.reading import Reading, account, errors, records
from tests.sources.web import Web, redirect

SECRET = "private-s3cret"
WRONG = ("feed", "feed:", "a feed:ada")
CALENDAR = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//tests//EN
BEGIN:VEVENT
UID:lecture
SUMMARY:Algorithms
DTSTART:20260902T090000Z
DTEND:20260902T104500Z
END:VEVENT
BEGIN:VEVENT
UID:broken
SUMMARY:Algorithms
END:VEVENT
END:VCALENDAR
"""


def calendar(text: str = CALENDAR) -> web.Response:
    return web.Response(text=text.replace("\n", "\r\n"), content_type="text/calendar", headers={"ETag": "x"})


async def read(
    run: Reading, server: Web, username: str = "ada", path: str | None = None, **query: Any
) -> Any:
    feeds = {"feed:ada": f"{server.url}/{SECRET}/ada.ics?key={SECRET}"}
    connection = account("https://calendar.uni.example", {"path": path} if path else {}, **feeds)
    return await run.pages(ICalendar(run.client), connection, "timetable", "get", username, **query)


async def test_a_user_has_the_feed_that_the_credentials_name(server: Web, run: Reading) -> None:
    server.answer = lambda _: calendar()
    pages = await read(run, server, path="/{username}.ics")
    assert server.paths == [f"/{SECRET}/ada.ics?key={SECRET}"]
    assert [record.id for record in records(pages)] == ["lecture"]
    assert len(errors(pages)) == 1
    assert SECRET not in repr(pages) + repr(run.memory)


async def test_one_that_the_request_names_comes_before_it(server: Web, run: Reading) -> None:
    server.answer = lambda _: calendar()
    await read(run, server, url=f"{server.url}/other")
    assert server.paths == ["/other"]


async def test_somebody_else_has_not(server: Web, run: Reading) -> None:
    with pytest.raises(ReadFailed, match="feed:USERNAME"):
        await read(run, server, "ad")
    assert server.requests == []


@pytest.mark.parametrize("given", ["credentials", "query"])
@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(status=404),
        lambda _: web.Response(status=500),
        lambda _: web.Response(text="<html>"),
        lambda _: redirect(f"gopher://{SECRET}"),
        lambda request: redirect(str(request.rel_url)),
        lambda _: calendar(CALENDAR[:100]),
    ],
)
async def test_no_error_and_no_log_shows_it(
    server: Web, run: Reading, caplog: pytest.LogCaptureFixture, answer: Any, given: str
) -> None:
    server.answer = answer
    query = {"url": f"{server.url}/{SECRET}"} if given == "query" else {}
    with caplog.at_level(logging.DEBUG), pytest.raises(ReadFailed) as failed:
        await read(run, server, **query)
    logged = [record.getMessage() for record in caplog.records if record.name != "aiohttp.access"]
    assert SECRET not in " ".join([failed.value.message, *logged])


@pytest.mark.parametrize("url", [f"webcal://{SECRET}", SECRET, f"https://ada:{SECRET}@uni.example/"])
def test_what_is_no_feed_url_is_refused_without_showing_it(run: Reading, url: str) -> None:
    connection = account("https://uni.example", {}, **{"feed:ada": url})
    [problem] = ICalendar(run.client).check_account(connection)
    assert problem.field == "credentials.feed:ada"
    assert SECRET not in problem.detail


def test_a_feed_is_somebodys(run: Reading) -> None:
    connection = account("https://uni.example", {}, **dict.fromkeys(WRONG, "https://uni.example/x"))
    problems = ICalendar(run.client).check_account(connection)
    assert {problem.field for problem in problems} == {f"credentials.{name}" for name in WRONG}
