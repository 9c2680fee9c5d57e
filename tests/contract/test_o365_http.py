"""Requests to Graph as they go over the wire: what is sent again, and what never is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from providers.adapter import Adapter
from providers.contract import Done, Mailbox, ProviderError, Refused, Unknown
from providers.o365.adapter import GraphAdapter
from providers.o365.auth import Tokens
from providers.o365.http import Graph
from providers.o365.messages import PREFERENCES
from providers.settings import O365Settings
from tests.contract.harness import create, lecture

ALICE = Mailbox(address="alice@uni.example", identity="AAMkCalendar")
MADE = {"id": "AAMk=", "changeKey": "CK"}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class NumberedTokens(Tokens):
    """Tokens that tell themselves apart."""

    def __init__(self) -> None:
        self.number = 1

    async def get(self) -> str:
        return f"token{self.number}"

    def reject(self, token: str) -> None:
        self.number += 1

    async def close(self) -> None:
        pass


class Server:
    """A Graph that answers as the test says, and remembers the requests."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[web.Request] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.requests.append(request)
        return await self.answers[min(len(self.requests), len(self.answers)) - 1](request)


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> Server:
    return Server()


@pytest_asyncio.fixture(loop_scope="session")
async def adapter(server: Server) -> AsyncIterator[Adapter]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    settings = O365Settings(
        tenant_id="t", client_id="c", client_secret="s", graph_url=f"http://{host}:{port}/v1.0"
    )
    adapter = GraphAdapter(settings, Graph(settings, NumberedTokens()), lambda: datetime.now(UTC))
    yield adapter
    await adapter.close()
    await runner.cleanup()


def says(status: int, body: object = None, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is None:
            return web.Response(status=status, headers=named)
        return web.json_response(body, status=status, headers=named)

    return answer


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=201, headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"id": "AAMk=", ')
    assert request.transport is not None
    request.transport.close()
    return response


async def test_every_request_asks_for_ids_that_do_not_change(adapter: Adapter, server: Server) -> None:
    server.answers = [says(201, MADE)]
    assert await adapter.apply(ALICE, [create(lecture())]) == [Done("AAMk=", "CK")]
    (request,) = server.requests
    assert request.headers["Prefer"] == PREFERENCES["Prefer"]
    assert request.headers["Authorization"] == "Bearer token1"
    assert request.raw_path == "/v1.0/users/alice@uni.example/events"


async def test_a_rejected_token_is_renewed_once(adapter: Adapter, server: Server) -> None:
    unauthorized = says(401, {"error": {"code": "InvalidAuthenticationToken"}})
    server.answers = [unauthorized, says(201, MADE)]
    assert await adapter.apply(ALICE, [create(lecture())]) == [Done("AAMk=", "CK")]
    assert [request.headers["Authorization"] for request in server.requests] == [
        "Bearer token1",
        "Bearer token2",
    ]


async def test_a_new_token_that_is_rejected_too_is_the_answer(adapter: Adapter, server: Server) -> None:
    server.answers = [says(401, {"error": {"code": "InvalidAuthenticationToken"}})]
    (outcome,) = await adapter.apply(ALICE, [create(lecture())])
    assert isinstance(outcome, Refused)
    assert outcome.scope == "account"
    assert len(server.requests) == 2


async def test_a_request_that_a_new_token_sends_again_is_permitted_anew(
    adapter: Adapter, server: Server
) -> None:
    heard: list[int] = []

    def permit() -> None:
        heard.append(len(server.requests))
        if len(heard) == 2:
            raise TimeoutError("the lease is over")

    server.answers = [says(401, {"error": {"code": "InvalidAuthenticationToken"}}), says(201, MADE)]
    with pytest.raises(TimeoutError, match="the lease is over"):
        await adapter.apply(ALICE, [create(lecture())], permit)
    assert heard == [0, 1]
    assert len(server.requests) == 1


async def test_the_permit_is_asked_for_with_a_connection_in_hand(adapter: Adapter) -> None:
    """However long it takes to get one, the permit is no older than that."""

    def permit() -> None:
        raise AssertionError("there is nothing to send on")

    async def nowhere(*_: object, **__: object) -> object:
        raise aiohttp.ClientConnectionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aiohttp.TCPConnector, "connect", nowhere)
        (outcome,) = await adapter.apply(ALICE, [create(lecture())], permit)
    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize("broken", [hang_up, cut_off, says(503), says(504), says(502), says(500)])
@pytest.mark.parametrize("count", [1, 2])
async def test_a_create_is_never_sent_again(
    adapter: Adapter, server: Server, broken: Answer, count: int
) -> None:
    server.answers = [broken]
    outcomes = await adapter.apply(ALICE, [create(lecture(n)) for n in range(count)])
    assert [type(outcome) for outcome in outcomes] == [Unknown] * count
    assert len(server.requests) == 1


async def test_a_create_on_a_connection_that_was_closed_meanwhile_is_never_sent_again(
    adapter: Adapter, server: Server
) -> None:
    """HTTP libraries like to repeat what they send on an old connection."""
    server.answers = [says(201, MADE), hang_up]
    await adapter.apply(ALICE, [create(lecture(0))])
    (outcome,) = await adapter.apply(ALICE, [create(lecture(1))])
    assert isinstance(outcome, Unknown)
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirection_is_not_followed(adapter: Adapter, server: Server, status: int) -> None:
    """It would send the create, or our token, to somewhere else."""
    server.answers = [says(status, Location="/v1.0/elsewhere"), says(201, MADE)]
    (outcome,) = await adapter.apply(ALICE, [create(lecture())])
    assert isinstance(outcome, Unknown)
    assert len(server.requests) == 1


async def test_an_answer_that_is_no_json_is_no_empty_calendar(adapter: Adapter, server: Server) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>Sign in to the network</html>", content_type="text/html")

    server.answers = [page]
    with pytest.raises(ProviderError) as error:
        await adapter.find(ALICE, "uni.example", [create(lecture()).marker.attempt])
    assert isinstance(error.value.outcome, Unknown)


async def test_who_stops_waiting_leaves_nothing_behind(adapter: Adapter, server: Server) -> None:
    asked = asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    server.answers = [never, says(201, MADE)]
    waiting = asyncio.create_task(adapter.apply(ALICE, [create(lecture(0))]))
    await asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await adapter.apply(ALICE, [create(lecture(1))]) == [Done("AAMk=", "CK")]
