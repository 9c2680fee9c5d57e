"""The adapter, connected to a sandbox, and one person's mailbox."""

from collections.abc import AsyncIterator

import pytest

from providers.adapter import Adapter
from providers.contract import Mailbox
from providers.sandbox.server import Sandbox
from providers.sandbox.state import SandboxMailbox
from tests.sandbox.google import TYPE, connected


@pytest.fixture
async def adapter(sandbox: Sandbox) -> AsyncIterator[Adapter]:
    async with connected(sandbox) as adapter:
        yield adapter


@pytest.fixture
async def mailbox(adapter: Adapter) -> Mailbox:
    return await adapter.probe("alice@uni.example")


@pytest.fixture
def stored(sandbox: Sandbox, mailbox: Mailbox) -> SandboxMailbox:
    """The mailbox as the sandbox keeps it."""
    found = sandbox.state.mailbox(TYPE, mailbox.address)
    assert found is not None
    return found
