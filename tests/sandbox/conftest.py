"""A running sandbox, and a client that trusts its authority and nothing else."""

import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from providers.sandbox.server import Sandbox


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """The sandbox with all protocols over TLS, on a port of its own."""
    async with Sandbox() as running:
        yield running


@pytest_asyncio.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    """An aiohttp client that verifies certificates by the sandbox's CA, strictly."""
    connector = aiohttp.TCPConnector(ssl=strict_context(sandbox))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


def strict_context(sandbox: Sandbox) -> ssl.SSLContext:
    """Verification as Python 3.13 does it by default, on every version."""
    context = ssl.create_default_context(cafile=str(sandbox.ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


@pytest.fixture
def control(sandbox: Sandbox) -> str:
    """The control API's URL."""
    return sandbox.control
