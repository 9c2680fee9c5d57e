"""Asking a source: patient when told to wait, persistent where that helps, never content with less."""

import contextlib
import gc
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from app.sources.client import ATTEMPTS, RESTS, decode_json
from app.sources.contract import ReadFailed
from app.sources.fetch import Answer, Request
from app.sources.pace import Pace
from app.sources.settings import SourceSettings
from tests.clock import SettableClock
from tests.sources.integrations.reading import Reading
from tests.sources.web import Web, json, redirect

NOW = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)
FAST = SourceSettings(requests_per_second=10_000)


async def get(server: Web, run: Reading, **headers: str) -> Answer:
    return await run.client.get(Request(url=server.url, headers=headers), run)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "seconds"), [("120", 120), ("Tue, 01 Sep 2026 08:05:00 GMT", 300), ("0", 0)]
)
async def test_a_source_that_asks_for_a_rest_gets_it_and_is_asked_again(
    server: Web, run: Reading, status: int, value: str, seconds: int
) -> None:
    server.script = [json([], status, Retry_After=value)]
    assert (await get(server, run)).status == 200
    assert run.rests == [NOW + timedelta(seconds=seconds)]
    assert run.pauses == []


async def test_one_that_does_not_say_for_how_long_gets_some_seconds(server: Web, run: Reading) -> None:
    server.script = [json([], 429)]
    await get(server, run)
    assert run.rests == [NOW + timedelta(seconds=10)]


async def test_one_that_asks_for_a_rest_for_ever_has_failed(server: Web, run: Reading) -> None:
    server.answer = lambda _: json([], 429, Retry_After="1")
    with pytest.raises(ReadFailed):
        await get(server, run)
    assert len(run.rests) == RESTS


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_server_that_fails_is_asked_again_with_growing_pauses(
    server: Web, run: Reading, status: int
) -> None:
    server.script = [json([], status), json([], status)]
    assert (await get(server, run)).status == 200
    assert run.pauses == [1, 2]
    assert run.rests == []


async def test_an_answer_that_was_cut_off_is_asked_for_again(server: Web, run: Reading) -> None:
    server.script = [web.Response(body=b"no gzip", headers={"Content-Encoding": "gzip"})]
    assert (await get(server, run)).body == b"well"
    assert len(server.requests) == 2


async def test_one_that_goes_on_to_fail_has_failed(server: Web, run: Reading) -> None:
    server.answer = lambda _: json([], 500)
    with pytest.raises(ReadFailed, match="500"):
        await get(server, run)
    assert len(server.requests) == ATTEMPTS


@pytest.mark.parametrize("status", [204, 304, 400, 401, 403, 404, 410, 418])
async def test_an_answer_that_will_not_change_is_not_asked_for_again(
    server: Web, run: Reading, status: int
) -> None:
    server.answer = lambda _: web.Response(status=status)
    with pytest.raises(ReadFailed):
        await get(server, run)
    assert len(server.requests) == 1


async def test_an_address_that_may_not_be_reached_is_not_tried_again(run: Reading) -> None:
    with pytest.raises(ReadFailed, match="allowed_networks"):
        await run.client.get(Request(url="http://127.0.0.2/"), run)
    assert run.pauses == []


@pytest.mark.parametrize("name", ["If-None-Match", "if-modified-since"])
async def test_unchanged_is_an_answer_to_a_request_with_a_condition(
    server: Web, run: Reading, name: str
) -> None:
    server.script = [web.Response(status=304)]
    assert (await get(server, run, **{name: "x"})).status == 304


async def test_one_request_that_is_told_to_wait_makes_all_to_that_host_wait(
    server: Web, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of this run, and of another one: while the one rests, the other begins."""
    run, other = Reading(clock, Pace(FAST, clock)), Reading(clock)
    other.client = run.client

    async def rest(until: datetime) -> None:
        await get(server, other)

    monkeypatch.setattr(run, "rest", rest)
    server.script = [json([], 429, Retry_After="120")]
    await get(server, run)
    assert (other.rests, len(server.requests)) == ([NOW + timedelta(seconds=120)], 3)
    await run.fetcher.close()
    await other.fetcher.close()


async def test_a_redirect_leads_to_no_host_that_is_to_be_left_alone(
    server: Web, clock: SettableClock
) -> None:
    run = Reading(clock, Pace(FAST, clock))
    told = NOW + timedelta(seconds=300)
    run.fetcher.rest(Answer(status=429, headers={}, body=b"", url=server.url.replace("127.0.0.1", "h")), told)
    server.script = [redirect(server.url.replace("127.0.0.1", "h"))]
    await get(server, run)
    assert (run.rests, server.paths) == ([told], ["/", "/"])
    await run.fetcher.close()


@pytest.mark.parametrize("body", [b"[]", b"["])
def test_garbage_is_looked_for_again_once_an_answer_is_decoded(body: bytes) -> None:
    assert gc.isenabled()
    with contextlib.suppress(ReadFailed):
        decode_json(Answer(status=200, headers={}, body=body, url=""))
    assert gc.isenabled()
