"""The API against its own description: no input makes it fail, and no answer is one that is not described.

Over a real server and a real socket, so that what the server makes of bytes is part of it.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any, cast
from uuid import uuid4

import asyncpg
import pytest
import schemathesis
from httpx import Client
from hypothesis import given
from schemathesis import Case
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app.api.app import create_app
from app.api.server import listen
from app.config import Config, SyncSettings
from app.sources.settings import SourceSettings
from app.tokens import create_token
from tests.api.conftest import ENCRYPTION_KEY, to_form
from tests.clock import SettableClock
from tests.conftest import execute, in_database
from tests.fakes import FakeAdapter
from tests.properties import examples

EXAMPLES = 15


class Served:
    """A server in a thread of its own, and an admin's token for it."""

    def __init__(self, dsn: str) -> None:
        self.url = ""
        self.token = ""
        self.dsn = dsn
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> "Served":
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        adapter = FakeAdapter("ews")
        adapter.add_mailbox("alice@uni.example")
        config = Config(
            instance="test.example",
            sync=SyncSettings(probe_timeout_seconds=1),
            sources=SourceSettings(encryption_key=ENCRYPTION_KEY),
        )
        async with asyncpg.create_pool(self.dsn, min_size=1, max_size=5) as pool:
            async with pool.acquire() as connection:
                self.token = await create_token(connection, "admin", "admin")
            app = create_app(pool, {"ews": adapter}, config, SettableClock())
            await listen(app, "127.0.0.1", 0, self._stop, self._answers)

    def _answers(self, url: str) -> None:
        self.url = url
        self._ready.set()


@pytest.fixture(scope="module")
def served(database_server: str, database_template: str) -> Iterator[Served]:
    # Other processes may test beside this one on the same server.
    name = f"rooster_test_{uuid4().hex}"
    asyncio.run(execute(database_server, f"CREATE DATABASE {name} TEMPLATE {database_template}"))
    with Served(in_database(database_server, name)) as server:
        yield server
    asyncio.run(execute(database_server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="module")
def described(served: Served) -> Any:
    return schemathesis.openapi.from_url(f"{served.url}/schema/openapi.json", timeout=60)


EMPTY = """
TRUNCATE users, mailboxes, runs, history, quotas, sync_jobs, integrated_accounts RESTART IDENTITY CASCADE
"""


@pytest.fixture(autouse=True)
def alice(served: Served) -> None:
    """What every operation finds, whichever came before it: Alice, her synchronization, a run that is over.

    Nothing else, as nobody works here: what follows a run that goes on would wait for it for ever.
    """
    asyncio.run(execute(served.dsn, EMPTY))
    with Client(base_url=f"{served.url}/api", headers={"apiToken": served.token}, timeout=60) as client:
        form = to_form("alice", "ews", "alice@uni.example")
        world: list[tuple[str, str, dict[str, Any]]] = [
            ("PUT", "/v0/users/alice", {}),
            ("PUT", "/v0/synchronizations", {"data": form}),
            ("POST", "/v1/synchronizations/sync", {"json": {"all": True}}),
            ("DELETE", "/v1/runs/1", {}),
        ]
        for method, path, body in world:
            answer = client.request(method, path, **body)
            assert answer.is_success, answer.text


@schemathesis.serializer("application/x-ndjson")
def lines(_: object, value: object) -> bytes:
    """Whatever is generated, as a line of it."""
    return json.dumps(value).encode() if not isinstance(value, bytes) else value


def operations() -> list[tuple[str, str]]:
    """Path and method of everything that is described."""
    app = create_app(cast(Any, None), {}, Config(), SettableClock())
    return [
        (path, method.upper())
        for path, item in app.openapi_schema.to_schema()["paths"].items()
        for method in item
    ]


@pytest.mark.parametrize(("path", "method"), operations())
def test_every_answer_is_a_described_one(path: str, method: str, described: Any, served: Served) -> None:
    @given(case=described[path][method].as_strategy())
    @examples(EXAMPLES)
    def check(case: Case) -> None:
        case.call_and_validate(
            headers={"apiToken": served.token},
            timeout=60,
            # No schema says which users exist, which mailbox can be reached, or what an event's zone may be.
            excluded_checks=[positive_data_acceptance],
        )

    check()
