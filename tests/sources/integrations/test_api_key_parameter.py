"""A key that the source wants in the query: it is sent to the source, and to be found nowhere else."""

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from app.config import Config
from app.sources.contract import Integration, Page, ReadFailed
from app.sources.fetch import Request
from app.sources.integrations import INTEGRATIONS, open_sources
from app.sources.settings import SourceSettings
from tests.clock import SettableClock
from tests.sources.integrations.reading import Reading, account
from tests.sources.web import Web, json, redirect, serving

KEY = "s3cret/+ &="
ROOMS = {"path": "/rooms?kind=hall", "records": "data"}
SETTINGS = {"api_key_parameter": "apikey"}

Read = Callable[..., Any]


@pytest.fixture
async def integration(clock: SettableClock) -> AsyncIterator[Integration]:
    settings = SourceSettings(allowed_networks=("127.0.0.1/32",), requests_per_second=1_000)
    async with open_sources(Config(sources=settings), clock) as sources:
        yield sources.integrations["http-json"]


@pytest.fixture
def read(server: Web, run: Reading, integration: Integration) -> Read:
    async def reading(pagination: Any = None, **query: Any) -> list[Page]:
        settings = SETTINGS | {"resources": {"rooms": ROOMS | {"pagination": pagination or {}}}}
        connection = account(f"{server.url}/api", settings, api_key=KEY)
        return await run.pages(integration, connection, "rooms", "list", None, **query)

    return reading


def rooms(*ids: int, **headers: str) -> web.Response:
    return json({"data": [{"id": id} for id in ids]}, **headers)


def queries(server: Web) -> list[list[tuple[str, str]]]:
    return [list(request.query.items()) for request in server.requests]


async def test_the_key_is_sent_as_the_parameter_and_in_no_header(server: Web, read: Read) -> None:
    server.answer = lambda _: rooms(1)
    await read(floor=2)
    assert queries(server) == [[("kind", "hall"), ("floor", "2"), ("apikey", KEY)]]
    assert "X-Api-Key" not in server.requests[0].headers


@pytest.mark.parametrize("link", ["/api/rooms?page=2", "/api/rooms?page=2&apikey=s3cret%2F%2B%20%26%3D"])
@pytest.mark.parametrize("by", ["link", "cursor"])
async def test_it_is_sent_once_with_each_page(server: Web, read: Read, by: str, link: str) -> None:
    """Also where the source repeats it in the address of the next one."""
    first = (
        rooms(1, Link=f'<{link}>; rel="next"') if by == "link" else json({"data": [{"id": 1}], "next": link})
    )
    server.script = [first, rooms(2)]
    assert len(await read({"by": by})) == 2
    assert queries(server)[1] == [("page", "2"), ("apikey", KEY)]


async def test_it_is_sent_on_by_a_redirect_of_the_source_itself(server: Web, read: Read) -> None:
    server.script = [redirect("/moved?x=1&apikey=s3cret%2F%2B%20%26%3D"), rooms(1)]
    await read()
    assert queries(server)[1] == [("x", "1"), ("apikey", KEY)]


@pytest.mark.parametrize("name", ["apikey", "k"])
async def test_it_is_not_sent_to_another_origin_nor_back_from_there(
    server: Web, read: Read, name: str
) -> None:
    """Not even where the source itself writes it into the address."""
    async with serving() as other:
        server.script = [redirect(f"{other.url}/there?{name}=s3cret%2F%2B%20%26%3D&x=1")]
        other.script = [redirect(f"{server.url}/back")]
        server.answer = lambda _: rooms(1)
        await read()
        assert [*queries(other), queries(server)[1]] == [[("x", "1")], []]


async def test_it_is_not_sent_to_another_server_by_a_next_link(server: Web, read: Read) -> None:
    async with serving() as other:
        server.script = [rooms(1, Link=f'<{other.url}/rooms>; rel="next"')]
        with pytest.raises(ReadFailed, match="another server"):
            await read({"by": "link"})
        assert other.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: json({}, 404),
        lambda _: web.Response(text="<html>"),
        lambda _: redirect("ftp://elsewhere?apikey=s3cret"),
        lambda request: redirect(str(request.rel_url)),
    ],
)
async def test_no_error_and_no_log_shows_it(
    server: Web, read: Read, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    server.answer = answer
    with caplog.at_level(logging.DEBUG), pytest.raises(ReadFailed) as failed:
        await read()
    logged = [record.getMessage() for record in caplog.records if record.name != "aiohttp.access"]
    assert "s3cret" not in " ".join([failed.value.message, *logged])


async def test_no_address_of_an_answer_shows_it(server: Web, run: Reading) -> None:
    """Neither its own nor that of the next page, although the source repeats it there."""
    server.answer = lambda _: rooms(1, Link='</rooms?apikey=s3cret%2F%2B%20%26%3D&page=2>; rel="next"')
    answer = await run.fetcher.fetch(Request(url=f"{server.url}/rooms?x=1", parameters={"apikey": KEY}))
    assert (answer.url, answer.next_url) == (f"{server.url}/rooms?x=1", f"{server.url}/rooms?page=2")


async def test_no_record_and_no_place_shows_it(server: Web, read: Read, run: Reading) -> None:
    server.answer = lambda _: json({"data": [{"id": 1}, "not an object"]})
    assert "s3cret" not in repr(await read()) + repr(run.memory)


def test_its_name_is_one_that_a_parameter_can_have() -> None:
    settings = {"resources": {}, "api_key_parameter": "a&b=c"}
    [problem] = INTEGRATIONS["http-json"].check_account(account("https://x", settings, api_key=KEY))
    assert problem.field == "settings.api_key_parameter"
