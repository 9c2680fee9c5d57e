"""One sandbox for all tests of the suite; each test has a mailbox of its own."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from providers.adapter import Adapter
from providers.contract import Mailbox
from providers.sandbox.server import Sandbox
from tests.contract.harness import PROVIDERS, Control, connect
from tests.sandbox.conftest import strict_context

SCHEMAS = Path(__file__).parents[3] / "shared" / "reference" / "schemas"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The sandbox serves the whole session, so that all its tests share one event loop."""
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sandbox() -> AsyncIterator[Sandbox]:
    """Checks against the vendors' schemas where they are at hand."""
    async with Sandbox(schemas=SCHEMAS if SCHEMAS.is_dir() else None) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def other_sandbox() -> AsyncIterator[Sandbox]:
    """Another one, with other credentials and another CA."""
    async with Sandbox() as running:
        yield running


@pytest.fixture(params=PROVIDERS)
def type(request: pytest.FixtureRequest) -> str:
    """The synchronization type under test."""
    return str(request.param)


@pytest_asyncio.fixture(loop_scope="session")
async def control(sandbox: Sandbox, type: str) -> AsyncIterator[Control]:
    """The control API; at the end nothing may have broken the protocol or sent mail."""
    connector = aiohttp.TCPConnector(ssl=strict_context(sandbox))
    async with aiohttp.ClientSession(connector=connector) as client:
        control = Control(client, sandbox.control, type)
        await control.forget()
        yield control
        assert await control.violations() == []
        assert await control.mails() == 0
        await control.forget()


@pytest_asyncio.fixture(loop_scope="session")
async def adapter(sandbox: Sandbox, type: str, control: Control) -> AsyncIterator[Adapter]:
    """The adapter under test, connected by nothing but the sandbox's rooster.toml."""
    adapter = await connect(type, sandbox.config)
    yield adapter
    await adapter.close()


@pytest.fixture
def address() -> str:
    """The address of a mailbox that nobody else uses."""
    return f"{uuid4().hex}@uni.example"


@pytest_asyncio.fixture(loop_scope="session")
async def mailbox(adapter: Adapter, control: Control, address: str) -> Mailbox:
    """An empty mailbox, reached once: the adapter has its token and knows the way."""
    mailbox = await adapter.probe(address)
    await control.forget()
    return mailbox
