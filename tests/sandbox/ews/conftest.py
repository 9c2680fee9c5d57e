"""The EWS endpoint alone, for tests of its rules."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from providers.sandbox import ews
from providers.sandbox.credentials import Credentials
from providers.sandbox.state import State
from tests.sandbox.ews.soap import SCHEMAS, Exchange

credentials = cache(Credentials.generate)
"""The same for all tests: making the keys takes long."""


@asynccontextmanager
async def _serve(schemas: Path | None) -> AsyncIterator[Exchange]:
    state = State(schemas=schemas)
    state.credentials = credentials()
    application = web.Application(client_max_size=2**26)
    application.add_routes(ews.routes(state, lambda: ""))
    async with TestServer(application) as server, ClientSession() as session:
        yield Exchange(session, str(server.make_url("/EWS/Exchange.asmx")), state)


@pytest_asyncio.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """EWS over plain HTTP, checking what it hears and says by Microsoft's schemas where they are."""
    async with _serve(SCHEMAS if SCHEMAS.is_dir() else None) as running:
        yield running
        assert [violation for violation in running.state.violations if "answer" in violation] == []


@pytest_asyncio.fixture
async def plain() -> AsyncIterator[Exchange]:
    """EWS without Microsoft's schemas: only the sandbox's own rules."""
    async with _serve(None) as running:
        yield running
