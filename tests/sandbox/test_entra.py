"""The token endpoint, through msal as any client would, and by hand where msal would not go."""

import asyncio
from datetime import timedelta
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from providers.sandbox.server import Sandbox

from .conftest import Control, Graph, application

SCOPE = "https://graph.microsoft.com/.default"


async def acquired(sandbox: Sandbox, credential: Any = None, scope: str = SCOPE) -> dict[str, Any]:
    def acquire() -> dict[str, Any]:
        return dict(application(sandbox, credential).acquire_token_for_client([scope]))

    return await asyncio.to_thread(acquire)


async def posted(
    sandbox: Sandbox, client: aiohttp.ClientSession, tenant: str | None = None, **changes: str
) -> tuple[int, dict[str, Any]]:
    credentials = sandbox.state.credentials
    form = {
        "grant_type": "client_credentials",
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "scope": SCOPE,
    } | changes
    url = f"{sandbox.url}/{tenant or credentials.tenant_id}/oauth2/v2.0/token"
    async with client.post(url, data=form) as response:
        return response.status, await response.json()


def certificate(sandbox: Sandbox) -> dict[str, str]:
    credentials = sandbox.state.credentials
    thumbprint = x509.load_pem_x509_certificate(credentials.certificate.encode()).fingerprint(hashes.SHA256())
    return {
        "private_key": credentials.private_key,
        "public_certificate": credentials.certificate,
        "thumbprint": thumbprint.hex(),
    }


async def test_the_secret_gets_a_token_that_graph_takes(graph: Graph) -> None:
    assert (await graph.ok("GET", "/users/alice@uni.example/calendar"))["name"] == "Calendar"


async def test_the_certificate_gets_a_token_that_graph_takes(
    sandbox: Sandbox, client: aiohttp.ClientSession
) -> None:
    answer = await acquired(sandbox, certificate(sandbox))
    graph = Graph(client, f"{sandbox.url}/v1.0", answer["access_token"])
    assert (await graph.ok("GET", "/users/alice@uni.example/calendar"))["name"] == "Calendar"


async def test_a_token_can_be_asked_for_by_the_sandboxs_own_address(
    sandbox: Sandbox, client: aiohttp.ClientSession
) -> None:
    answer = await acquired(sandbox, scope=f"{sandbox.url}/.default")
    graph = Graph(client, f"{sandbox.url}/v1.0", answer["access_token"])
    assert (await graph.ok("GET", "/users/alice@uni.example/calendar"))["name"] == "Calendar"


async def test_a_wrong_secret_is_refused(sandbox: Sandbox) -> None:
    answer = await acquired(sandbox, "wrong")
    assert answer["error"] == "invalid_client"
    assert answer["error_codes"] == [7000215]
    assert "wrong" not in answer["error_description"]


async def test_another_key_than_the_certificates_is_refused(sandbox: Sandbox) -> None:
    answer = await acquired(sandbox, {**certificate(sandbox), "private_key": another_key()})
    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [700027])


def another_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    return (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        .decode()
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tenant": "3c7b1d43-0000-4000-8000-000000000000"}, (400, "invalid_request", 90002)),
        ({"client_id": "3c7b1d43-0000-4000-8000-000000000000"}, (400, "unauthorized_client", 700016)),
        ({"grant_type": "password"}, (400, "unsupported_grant_type", 70003)),
        ({"scope": "https://graph.microsoft.com/Calendars.ReadWrite"}, (400, "invalid_scope", 1002012)),
        ({"scope": "https://elsewhere.example/.default"}, (400, "invalid_resource", 500011)),
    ],
)
async def test_what_is_wrong_with_a_token_request_is_said_by_entras_code(
    sandbox: Sandbox,
    client: aiohttp.ClientSession,
    changes: dict[str, str],
    expected: tuple[int, str, int],
) -> None:
    status, answer = await posted(sandbox, client, **changes)
    assert (status, answer["error"], answer["error_codes"][0]) == expected
    assert answer["error_description"].startswith(f"AADSTS{expected[2]}: ")


async def test_an_assertion_is_for_this_endpoint_and_does_not_last(
    sandbox: Sandbox, client: aiohttp.ClientSession
) -> None:
    credentials = sandbox.state.credentials
    claims = {
        "aud": f"{sandbox.url}/{credentials.tenant_id}/oauth2/v2.0/token",
        "iss": credentials.client_id,
        "sub": credentials.client_id,
        "exp": int((sandbox.state.now() + timedelta(minutes=5)).timestamp()),
    }

    async def status(**changes: Any) -> int:
        assertion = jwt.encode(claims | changes, credentials.private_key, algorithm="RS256")
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        return (await posted(sandbox, client, client_assertion=assertion, client_assertion_type=kind))[0]

    assert await status() == 200
    assert await status(aud="https://login.microsoftonline.com/common") == 401
    assert await status(exp=int((sandbox.state.now() - timedelta(minutes=5)).timestamp())) == 401
    assert await status(sub="somebody") == 401


async def test_graph_refuses_what_is_no_token_of_its_own(graph: Graph, sandbox: Sandbox) -> None:
    path = "/users/alice@uni.example/calendar"
    forged = jwt.encode({"aud": "https://graph.microsoft.com", "exp": 9999999999, "appid": "x"}, "k" * 32)
    for authorization in ("", "Bearer", "Bearer nonsense", f"Bearer {forged}", "Basic YTpi"):
        refused = await graph.refused("GET", path, headers={"Authorization": authorization})
        assert refused == (401, "InvalidAuthenticationToken")


async def test_a_token_expires_after_an_hour(graph: Graph, sandbox: Sandbox) -> None:
    later = sandbox.state.now() + timedelta(hours=1)
    sandbox.state.now = lambda: later
    assert await graph.refused("GET", "/users/alice@uni.example/calendar") == (
        401,
        "InvalidAuthenticationToken",
    )


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        ("throttle", 429, "temporarily_unavailable"),
        ("unavailable", 503, "temporarily_unavailable"),
        ("deny", 401, "invalid_client"),
        ("gone", 400, "invalid_request"),
    ],
)
async def test_the_endpoint_plays_faults(
    sandbox: Sandbox, client: aiohttp.ClientSession, control: Control, fault: str, status: int, error: str
) -> None:
    await control.fault(type="o365", operation="token", fault=fault, nth=1)
    refused, answer = await posted(sandbox, client)
    assert (refused, answer["error"]) == (status, error)
    assert (await posted(sandbox, client))[0] == 200


@pytest.mark.parametrize("fault", ["commit_then_drop", "partial"])
async def test_the_endpoint_can_break_off(
    sandbox: Sandbox, client: aiohttp.ClientSession, control: Control, fault: str
) -> None:
    await control.fault(type="o365", operation="token", fault=fault, nth=1)
    with pytest.raises(aiohttp.ClientError):
        await posted(sandbox, client)
    assert (await posted(sandbox, client))[0] == 200
