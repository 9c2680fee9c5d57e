"""HEAD is GET without the body (RFC 9110 section 9.3.2)."""

import pytest
from litestar import Litestar

from app.tokens import Role
from tests.api.conftest import Client
from tests.api.test_server import connected, serving


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/api/v0/users/alice", "/api/v1/users/alice/timetable"]
)
async def test_it_has_the_status_and_the_headers_and_nothing_else(
    app: Litestar, tokens: dict[Role, str], path: str
) -> None:
    headers = {"apiToken": tokens["admin"]}
    async with serving(app) as server, connected(server, headers) as client:
        await client.put("/api/v0/users/alice")
        got, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-type", "etag", "cache-control"):
            assert head.headers.get(name) == got.headers.get(name)
        assert (await client.get("/healthz")).status_code == 200, "the connection goes on"


async def test_what_get_refuses_is_refused(anonymous: Client) -> None:
    assert (await anonymous.head("/api/v0/users")).status_code == 401
    assert (await anonymous.head("/api/v1/none")).status_code == 404


async def test_it_is_counted_as_what_it_is(client: Client) -> None:
    await client.head("/healthz")
    counted = (await client.get("/metrics")).text
    assert 'rooster_http_requests_total{method="HEAD",route="/healthz",status="200"}' in counted
