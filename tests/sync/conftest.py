from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from app.database.types import Pool
from tests.clock import SettableClock
from tests.fakes import FakeAdapter
from tests.sync.world import World


@pytest.fixture(autouse=True)
def _no_run_crashes() -> Iterator[None]:
    """A worker survives a bug of ours; a test does not."""
    with capture_logs() as logs:
        yield
    crashes = [entry for entry in logs if entry["event"] == "run_crashed"]
    assert crashes == []


@pytest.fixture
def adapter() -> FakeAdapter:
    """A provider like Exchange: a create sent twice makes two events."""
    adapter = FakeAdapter("ews")
    adapter.add_mailbox("alice@uni.example", aliases=["a.lice@uni.example"])
    adapter.add_mailbox("bob@uni.example")
    return adapter


@pytest.fixture
def world(pool: Pool, clock: SettableClock, adapter: FakeAdapter) -> World:
    return World(pool, clock, adapter)
