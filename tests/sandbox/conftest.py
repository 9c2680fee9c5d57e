"""A running sandbox, and clients that trust its authority and nothing else."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msal
import pytest
import requests

from providers.sandbox.credentials import Credentials
from providers.sandbox.server import Sandbox

SCHEMAS = Path(__file__).parents[3] / "shared" / "reference" / "schemas"


@pytest.fixture(scope="session")
def credentials() -> Credentials:
    """The same ones for all tests of a process: an RSA key takes a while to make."""
    return Credentials.generate()


@pytest.fixture
async def sandbox(credentials: Credentials) -> AsyncIterator[Sandbox]:
    """The sandbox with all protocols over TLS, on a port of its own."""
    running = Sandbox()
    running.state.credentials = credentials
    async with running:
        yield running


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    """An aiohttp client that verifies certificates by the sandbox's CA, strictly."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=strict_context(sandbox))) as session:
        yield session


def strict_context(sandbox: Sandbox) -> ssl.SSLContext:
    """Verification as Python 3.13 does it by default, on every version."""
    context = ssl.create_default_context(cafile=str(sandbox.ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def requests_session(sandbox: Sandbox) -> requests.Session:
    """For libraries that use requests; REQUESTS_CA_BUNDLE in the environment is not to win."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(sandbox.ca_file)
    return session


class Control:
    """The control API, as the person who owns a mailbox and whoever watches would use it."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._url = url

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self._client.request(method, self._url + path, json=body) as response:
            text = await response.read()
            return response.status, await response.json() if text else None

    async def ok(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = await self.call(method, path, body)
        assert status < 300, answer
        return answer

    def mailbox(self, type: str, address: str, *rest: str) -> str:
        return "/".join(["/mailboxes", type, quote(address, safe=""), *(quote(r, safe="") for r in rest)])

    async def events(self, type: str, address: str) -> list[dict[str, Any]]:
        return list((await self.ok("GET", self.mailbox(type, address, "events")))["events"])

    async def add(self, type: str, address: str, **event: Any) -> dict[str, Any]:
        return dict(await self.ok("POST", self.mailbox(type, address, "events"), event))

    async def fault(self, **fault: Any) -> int:
        return int((await self.ok("POST", "/faults", fault))["id"])

    async def stats(self) -> dict[str, Any]:
        return dict(await self.ok("GET", "/stats"))


@pytest.fixture
def control(sandbox: Sandbox, client: aiohttp.ClientSession) -> Control:
    return Control(client, sandbox.control)


class Graph:
    """Graph's v1.0 as an application with a token reaches it."""

    def __init__(self, client: aiohttp.ClientSession, url: str, token: str) -> None:
        self._client = client
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}"}

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        /,
        headers: dict[str, str] | None = None,
        **params: str,
    ) -> tuple[int, Any]:
        """Status and JSON of the answer; ``path`` is under /v1.0, or a whole URL."""
        url = path if path.startswith("https:") else self.url + path
        async with self._client.request(
            method, url, json=body, headers=self.headers | (headers or {}), params=params or None
        ) as response:
            text = await response.read()
            return response.status, await response.json() if text else None

    async def ok(self, method: str, path: str, body: Any = None, /, **rest: Any) -> Any:
        status, answer = await self.call(method, path, body, **rest)
        assert status < 300, answer
        return answer

    async def refused(self, method: str, path: str, body: Any = None, /, **rest: Any) -> tuple[int, str]:
        """Status and error code of an answer that is a refusal."""
        status, answer = await self.call(method, path, body, **rest)
        assert set(answer) == {"error"}, answer
        assert answer["error"]["message"]
        return status, answer["error"]["code"]


def application(sandbox: Sandbox, credential: Any = None) -> msal.ConfidentialClientApplication:
    """msal's client, with the secret unless told otherwise. It blocks: call it in a thread."""
    credentials = sandbox.state.credentials
    return msal.ConfidentialClientApplication(
        credentials.client_id,
        authority=f"{sandbox.url}/{credentials.tenant_id}",
        client_credential=credential or credentials.client_secret,
        instance_discovery=False,
        http_client=requests_session(sandbox),
    )


@pytest.fixture
async def graph(sandbox: Sandbox, client: aiohttp.ClientSession) -> Graph:
    """Graph with a token from the token endpoint, gotten by msal."""

    def acquire() -> dict[str, Any]:
        return dict(application(sandbox).acquire_token_for_client(["https://graph.microsoft.com/.default"]))

    answer = await asyncio.to_thread(acquire)
    assert "access_token" in answer, answer
    return Graph(client, f"{sandbox.url}/v1.0", answer["access_token"])


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    """Makes the JSON of an event that Graph takes, changed as told."""

    def make(**changes: Any) -> dict[str, Any]:
        return {
            "subject": "Linear algebra",
            "start": {"dateTime": "2027-02-01T09:00:00", "timeZone": "W. Europe Standard Time"},
            "end": {"dateTime": "2027-02-01T10:45:00", "timeZone": "W. Europe Standard Time"},
            **changes,
        }

    return make
