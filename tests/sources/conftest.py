"""Sources on a real database: the API as its callers see it, and runs of a source that tests script."""

from base64 import b64encode

import pytest
from litestar import Litestar

from app.api.app import furnish
from app.config import Config
from app.database.types import Pool
from app.sources.settings import SourceSettings
from tests.api.conftest import Client, anonymous, application, client, tokens
from tests.clock import SettableClock
from tests.sources.world import FakeSource, FakeSources, World

__all__ = ["Client", "anonymous", "client", "tokens"]

KEY = b64encode(bytes(range(32))).decode()


@pytest.fixture
def config() -> Config:
    return Config(
        instance="test.example", timezone="Europe/Amsterdam", sources=SourceSettings(encryption_key=KEY)
    )


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


@pytest.fixture
def world(pool: Pool, config: Config, clock: SettableClock, source: FakeSource) -> World:
    return World(pool, config, clock, FakeSources(source))


@pytest.fixture
def app(pool: Pool, config: Config, clock: SettableClock, source: FakeSource) -> Litestar:
    furnish(application(), pool, {}, config, clock, {"fake": source})
    return application()
