"""A source that is a real server on this machine, and a run as an integration sees it."""

from collections.abc import AsyncIterator

import pytest

from tests.clock import SettableClock
from tests.sources.integrations.reading import Reading
from tests.sources.web import Web, serving


@pytest.fixture
async def server() -> AsyncIterator[Web]:
    async with serving() as made:
        yield made


@pytest.fixture
async def run(clock: SettableClock) -> AsyncIterator[Reading]:
    made = Reading(clock)
    yield made
    await made.fetcher.close()
