"""Safe fetching: what may be reached, and what an answer may cost."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.sources.contract import Throttled
from app.sources.fetch import Answer, Fetcher, FetchFailed, Request
from app.sources.pace import Pace
from app.sources.settings import SourceSettings
from providers.sandbox.tls import Certificates, server_context
from tests.clock import SettableClock
from tests.sources.web import Web, redirect, serving

LOOPBACK = ("127.0.0.1/32",)
NOW = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
async def server() -> AsyncIterator[Web]:
    async with serving() as made:
        yield made


async def fetch(url: str, **settings: Any) -> Answer:
    fetcher = Fetcher(SourceSettings(**{"allowed_networks": LOOPBACK} | settings), None)
    try:
        return await fetcher.fetch(Request(url=url, credentials={"apiToken": "SECRET"}))
    finally:
        await fetcher.close()


async def refused(url: str, **settings: Any) -> FetchFailed:
    with pytest.raises(FetchFailed) as failed:
        await fetch(url, **settings)
    assert "SECRET" not in failed.value.message
    return failed.value


# Where a request may go.


async def test_an_address_in_a_private_network_is_refused_before_anything_is_sent(server: Web) -> None:
    error = await refused(server.url, allowed_networks=())
    assert error.code == "address_refused"
    assert "allowed_networks" in error.message
    assert server.requests == []


async def test_a_private_network_that_the_configuration_allows_is_reached(server: Web) -> None:
    assert (await fetch(server.url)).body == b"well"


async def test_another_private_address_than_the_allowed_one_is_refused(server: Web) -> None:
    server.answer = lambda _: redirect(server.url.replace("127.0.0.1", "127.0.0.2"))
    assert (await refused(server.url)).code == "address_refused"


@pytest.mark.parametrize(
    ("name", "code"),
    [("localhost", "address_refused"), ("0x7f.1", "address_refused"), ("2130706433", "bad_address")],
)
async def test_a_name_is_refused_by_the_address_that_it_stands_for(server: Web, name: str, code: str) -> None:
    url = server.url.replace("127.0.0.1", name)
    assert (await refused(url, allowed_networks=())).code == code
    assert server.requests == []


async def test_the_address_that_was_looked_up_is_the_one_that_is_checked_and_connected_to(
    server: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: a name that means a public address when asked first, and a private one after that."""
    port = int(server.url.rsplit(":", 1)[1])
    answers = iter(["127.0.0.2", "127.0.0.1"])
    asked = []

    async def look_up(host: str, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    assert (await refused(f"http://rebound.example:{port}")).code == "address_refused"
    assert asked == ["rebound.example"]
    assert server.requests == []


async def test_a_host_with_a_public_and_a_private_address_is_reached_by_the_allowed_one_only(
    server: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(server.url.rsplit(":", 1)[1])

    async def look_up(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    assert (await fetch(f"http://both.example:{port}")).body == b"well"


async def test_proxies_of_the_environment_are_not_used(server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    assert (await refused("http://127.0.0.2:9/")).code == "address_refused"
    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        *(
            "ftp://uni.example/feed",
            "file:///etc/passwd",
            "gopher://uni.example",
            "//uni.example",
            "uni.example",
        ),
        *("http://", "http://[::1", "https://ada:secret@uni.example/feed", "https://token@uni.example/feed"),
    ],
)
async def test_only_plain_http_and_https_urls_are_fetched(url: str) -> None:
    assert (await refused(url)).code == "bad_address"


# Redirects.


async def test_a_redirect_is_followed_with_credentials_at_the_same_origin(server: Web) -> None:
    server.script = [redirect("/elsewhere?a=1")]
    answer = await fetch(server.url)
    assert (answer.status, answer.url) == (200, f"{server.url}/elsewhere?a=1")
    assert [request.headers.get("apiToken") for request in server.requests] == ["SECRET", "SECRET"]


async def test_credentials_are_not_sent_on_to_another_origin_nor_back_from_there(server: Web) -> None:
    async with serving() as other:
        server.script = [redirect(other.url)]
        other.script = [redirect(f"{server.url}/back")]
        await fetch(server.url)
    assert [request.headers.get("apiToken") for request in server.requests] == ["SECRET", None]
    assert [request.headers.get("apiToken") for request in other.requests] == [None]


@pytest.mark.parametrize("location", ["ftp://uni.example/", "http://ada:x@127.0.0.1/", "http://[", ""])
async def test_a_redirect_to_what_is_no_plain_http_is_refused(server: Web, location: str) -> None:
    server.answer = lambda _: redirect(location)
    assert (await refused(server.url)).code == "redirect_refused"


async def test_redirects_that_do_not_end_are_given_up(server: Web) -> None:
    server.answer = lambda request: redirect(f"/{len(server.requests)}")
    assert (await refused(server.url, max_redirects=3)).code == "redirect_refused"
    assert len(server.requests) == 4


async def test_what_is_posted_is_not_sent_on_by_a_redirect(server: Web) -> None:
    server.answer = lambda _: redirect("/elsewhere", 307)
    fetcher = Fetcher(SourceSettings(allowed_networks=LOOPBACK), None)
    with pytest.raises(FetchFailed) as failed:
        await fetcher.fetch(Request(method="POST", url=server.url, body=b"{}"))
    await fetcher.close()
    assert failed.value.code == "redirect_refused"
    assert server.paths == ["/"]


# What an answer may cost.


def compressed(content: bytes) -> web.Response:
    return web.Response(body=content, headers={"Content-Encoding": "gzip"})


async def test_a_compressed_answer_is_decompressed(server: Web) -> None:
    server.answer = lambda _: compressed(gzip.compress(b"one ") + gzip.compress(b"two"))
    assert (await fetch(server.url)).body == b"one two"


async def test_the_size_is_counted_after_decompression(server: Web) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    assert len(bomb) < 10_000
    server.answer = lambda _: compressed(bomb)
    assert (await refused(server.url, max_bytes=100_000)).code == "too_large"


async def test_the_size_is_counted_as_it_streams_whatever_the_server_says_of_it(server: Web) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 10_000)
        except ConnectionError:
            return response

    server.answer = endless
    assert (await refused(server.url, max_bytes=100_000)).code == "too_large"


async def test_an_answer_of_just_the_size_is_taken(server: Web) -> None:
    server.answer = lambda _: web.Response(body=b"x" * 1000)
    assert len((await fetch(server.url, max_bytes=1000)).body) == 1000
    assert (await refused(server.url, max_bytes=999)).code == "too_large"


@pytest.mark.parametrize(
    "answer",
    [
        compressed(gzip.compress(b"a lecture " * 100)[:-10]),
        compressed(b"no gzip at all"),
        web.Response(body=b"?", headers={"Content-Encoding": "br"}),
    ],
    ids=["cut off", "not gzip", "not asked for"],
)
async def test_an_answer_that_cannot_be_decompressed_has_failed(server: Web, answer: web.Response) -> None:
    server.script = [answer]
    assert (await refused(server.url)).code == "bad_answer"


async def test_an_answer_that_is_cut_off_has_failed() -> None:
    async def half(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{}")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(half, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        error = await refused(f"http://127.0.0.1:{port}/")
    assert error.code == "bad_answer"
    assert error.passing


async def test_an_answer_that_does_not_come_to_an_end_in_time_has_failed(server: Web) -> None:
    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.05)
        except ConnectionError:
            return response

    server.answer = dripping
    async with asyncio.timeout(30):
        assert (await refused(server.url, timeout_seconds=1)).code == "timeout"


async def test_the_time_is_that_of_all_redirects_together(server: Web) -> None:
    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        return redirect(f"/{len(server.requests)}")

    server.answer = slow
    assert (await refused(server.url, timeout_seconds=1, max_redirects=10)).code == "timeout"


async def test_a_server_that_is_not_there_has_failed_for_now() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        error = await refused(f"http://127.0.0.1:{closed.getsockname()[1]}/")
    assert error.code == "unreachable"
    assert error.passing


async def test_a_certificate_has_to_be_trusted(tmp_path: Path) -> None:
    made = Certificates.generate()
    for name, text in {"ca": made.ca, "server": made.certificate, "key": made.key}.items():
        tmp_path.joinpath(name).write_text(text)
    context = server_context(tmp_path / "server", tmp_path / "key")
    async with serving(ssl=context) as server:
        assert (await refused(server.url)).code == "untrusted_certificate"
        assert (await fetch(server.url, ca_file=str(tmp_path / "ca"))).body == b"well"
        server.script = [redirect(server.url.replace("https", "http"))]
        downgraded = await refused(server.url, ca_file=str(tmp_path / "ca"))
        assert downgraded.code == "redirect_refused"


# What an answer says.


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("Tue, 01 Sep 2026 08:05:00 GMT", 300),
        ("Tue, 01 Sep 2026 07:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("9" * 30, None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, seconds: int | None) -> None:
    answer = Answer(status=429, headers={"retry-after": value}, body=b"", url="")
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert answer.retry_after(NOW) == expected


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        (['</p?page=2>; rel="next"'], "/p?page=2"),
        (["</p?page=1>; rel=prev, </p?page=3>; rel=next"], "/p?page=3"),
        (["</p?page=1>; rel=prev", "</p?page=3>; rel=next"], "/p?page=3"),
        (['</p?page=9>; rel="last next"'], "/p?page=9"),
        (['</p?page=9>; rel="last"'], None),
        ([], None),
    ],
)
async def test_the_next_page_is_read_from_the_link_header(
    server: Web, links: list[str], expected: str | None
) -> None:
    response = web.Response(text="[]")
    for link in links:
        response.headers.add("Link", link)
    server.script = [response]
    assert (await fetch(server.url)).next_url == (expected and server.url + expected)


# The pace.


class Waited:
    """Stands for ``asyncio.sleep``: time goes by as soon as somebody waits."""

    def __init__(self, clock: SettableClock) -> None:
        self.clock = clock
        self.seconds: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.clock.advance(seconds=seconds)
        self.meanwhile()


@pytest.fixture
def waited(clock: SettableClock) -> Waited:
    return Waited(clock)


async def test_requests_to_one_host_keep_its_pace_and_do_not_slow_down_others(
    clock: SettableClock, waited: Waited
) -> None:
    settings = SourceSettings(requests_per_second=1, rates={"quick.example": 1e9})
    pace = Pace(settings, clock, waited)
    for host in ("slow.example", "quick.example", "Slow.Example", "quick.example", "slow.example"):
        await pace.turn(host)
    first, second = (seconds for seconds in waited.seconds if seconds > 0.01)
    assert first == pytest.approx(1, abs=0.5)
    assert second - first == pytest.approx(1, abs=0.01)


async def test_a_host_that_asks_to_be_left_alone_is_by_everybody_until_then(
    clock: SettableClock, waited: Waited
) -> None:
    pace = Pace(SourceSettings(requests_per_second=1e9), clock, waited)
    until = clock() + timedelta(minutes=5)
    pace.rest("Tired.example", until)
    pace.rest("tired.example", until - timedelta(minutes=1))  # the longest counts
    await pace.turn("other.example")
    clock.set(until - timedelta(seconds=1))
    with pytest.raises(Throttled) as told:
        await pace.turn("tired.example")
    assert told.value.until == until
    clock.set(until)
    await pace.turn("tired.example")


async def test_whoever_waits_for_a_turn_does_not_take_it_while_the_host_rests(
    clock: SettableClock, waited: Waited
) -> None:
    pace = Pace(SourceSettings(requests_per_second=1), clock, waited)
    waited.meanwhile = lambda: pace.rest("tired.example", clock() + timedelta(minutes=5))
    await pace.turn("tired.example")
    with pytest.raises(Throttled):
        await pace.turn("tired.example")


@pytest.mark.parametrize(("max_wait_seconds", "hours"), [(900, 1), (7200, 2)])
async def test_a_rest_that_makes_no_sense_does_not_shut_a_host_out_for_good(
    clock: SettableClock, waited: Waited, max_wait_seconds: int, hours: int
) -> None:
    pace = Pace(SourceSettings(max_wait_seconds=max_wait_seconds), clock, waited)
    pace.rest("tired.example", clock() + timedelta(days=3650))
    clock.advance(hours=hours, seconds=-1)
    with pytest.raises(Throttled):
        await pace.turn("tired.example")
    clock.advance(seconds=1)
    await pace.turn("tired.example")
