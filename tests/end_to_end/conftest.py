from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.end_to_end.installation import Installation, installation


@pytest.fixture
async def rooster(tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation with its sandbox; nothing of Rooster itself runs yet.

    For tests that stop or configure something. All others can do with ``serving``.
    """
    async with installation(tmp_path) as made:
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def serving(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """One that serves, for all tests that leave it as it is; each has people of its own."""
    async with installation(tmp_path_factory.mktemp("rooster")) as made:
        await made.serve()
        yield made
