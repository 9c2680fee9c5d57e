"""The EWS endpoint alone, for tests of its rules."""

from collections.abc import AsyncIterator

import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from providers.sandbox import ews
from providers.sandbox.state import State
from tests.sandbox.ews.soap import SCHEMAS, Exchange


@pytest_asyncio.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """EWS over plain HTTP, checking what it hears and says by Microsoft's schemas where they are."""
    state = State(schemas=SCHEMAS)
    application = web.Application(client_max_size=2**26)
    application.add_routes(ews.routes(state, lambda: ""))
    async with TestServer(application) as server, ClientSession() as session:
        yield Exchange(session, str(server.make_url("/EWS/Exchange.asmx")), state)
    assert [violation for violation in state.violations if "answer" in violation] == []
