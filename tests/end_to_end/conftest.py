from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.installation import Installation, installation


@pytest.fixture
async def rooster(tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation with its sandbox; nothing of Rooster itself runs yet."""
    async with installation(tmp_path) as made:
        yield made
