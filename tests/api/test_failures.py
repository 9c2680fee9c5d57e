"""What callers get when something is wrong on our side, and what /metrics and /readyz say."""

import re
from collections.abc import Mapping
from typing import Any, cast

import asyncpg
import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from app.api.app import create_app
from app.config import Config
from app.database.types import Pool
from app.provisioning import users
from app.tokens import Role
from providers.adapter import Adapter
from tests.api.conftest import Client
from tests.api.test_v1_synchronizations import push
from tests.clock import SettableClock


@pytest.mark.parametrize("bug", [ZeroDivisionError, asyncpg.DataError])
@pytest.mark.parametrize("path", ["/api/v0/users/alice", "/api/v1/runs/1"])
async def test_a_bug_is_500_and_tells_nothing(
    client: Client, alice: str, monkeypatch: pytest.MonkeyPatch, path: str, bug: type[Exception]
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise bug("Alice's secret")

    monkeypatch.setattr(users, "find", broken)
    monkeypatch.setattr("app.provisioning.runs.find", broken)
    answer = await client.get(path)
    assert answer.status_code == 500
    assert answer.json()["errorType" if "v0" in path else "code"] == "internal_error"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("path", ["/api/v0/users", "/api/v0/users/alice", "/api/v1/runs", "/metrics"])
async def test_a_database_that_is_gone_is_503(client: Client, pool: Pool, path: str) -> None:
    await pool.close()
    answer = await client.get(path)
    assert answer.status_code == 503
    assert answer.json()["errorType" if "v0" in path else "code"] == "database_unavailable"
    assert answer.headers["Retry-After"]


async def test_json_that_is_nested_too_deeply_is_no_bug_of_ours(client: Client, alice: str) -> None:
    for path in ("/api/v1/synchronizations/sync", "/api/v1/synchronizations/1/refresh"):
        answer = await client.post(path, content=b"[" * 100_000, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
        assert answer.json()["detail"] == "The body is nested too deeply."


@pytest.mark.parametrize(
    "path", ["/api/v0/users/alice", "/api/v1/users/alice/timetable", "/api/v1/timetables"]
)
async def test_a_request_that_breaks_off_is_no_bug_of_ours(
    app: Litestar, tokens: dict[Role, str], path: str
) -> None:
    """Nobody reads the answer; the log and the metrics must not speak of an error here."""
    media_type = b"application/x-ndjson" if path.endswith("timetables") else b"application/json"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST" if path.endswith("timetables") else "PUT",
        "path": path,
        "root_path": "",
        "raw_path": path.encode(),
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "server": ("x", 80),
        "headers": [(b"apitoken", tokens["admin"].encode()), (b"content-type", media_type)],
    }
    received = [{"type": "http.request", "body": b'{"', "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return received.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    with capture_logs() as logged:
        await app(cast(Any, scope), receive, send)
    assert sent[0]["status"] == 400
    assert [entry["event"] for entry in logged if entry["log_level"] != "info"] == []


def text_parameters() -> list[tuple[str, str]]:
    """Path and parameter of whatever is got by a text, in the path or behind it."""
    app = create_app(cast(Any, None), {}, Config(), SettableClock())
    return [
        (path, parameter["name"])
        for path, item in app.openapi_schema.to_schema()["paths"].items()
        for parameter in item.get("get", {}).get("parameters", [])
        if parameter["in"] in ("path", "query") and "string" in str(parameter["schema"])
    ]


@pytest.mark.parametrize(("path", "parameter"), text_parameters())
async def test_what_the_database_cannot_hold_is_no_bug_of_ours(
    client: Client, synchronization: dict[str, Any], path: str, parameter: str
) -> None:
    """PostgreSQL's texts hold every character but U+0000."""
    names = re.findall(r"{(\w+)}", path)
    values = dict.fromkeys(names, 1) | {"username": "alice", "level": "user", "owner": "alice"}
    query = {"unlinkMode": "CLEANUP"} | ({} if parameter in names else {parameter: "\0"})
    answer = await client.get(path.format_map(values | {parameter: "%00"}), params=query)
    assert answer.status_code < 500, answer.text


async def test_not_ready_without_a_database(anonymous: Client, pool: Pool) -> None:
    await pool.close()
    answer = await anonymous.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "unavailable"
    assert (await anonymous.get("/healthz")).status_code == 200


async def test_not_ready_on_an_older_schema(anonymous: Client, pool: Pool) -> None:
    await pool.execute("DELETE FROM schema_migrations")
    answer = await anonymous.get("/readyz")
    assert answer.status_code == 503
    assert "rooster migrate" in answer.json()["detail"]


async def test_without_any_provider_no_type_is_known(
    client: Client, alice: str, pool: Pool, clock: SettableClock
) -> None:
    none: Mapping[str, Adapter] = {}
    app = create_app(pool, none, Config(instance="x"), clock)
    transport = ASGITransport(app)
    async with AsyncClient(transport=transport, base_url="http://test", headers=client.headers) as other:
        answer = await other.put(
            "/api/v0/synchronizations",
            data={"username": alice, "type": "ews", "provisioning_smtpAddress": "alice@uni.example"},
        )
    assert answer.status_code == 422
    assert answer.json()["errorType"] == "unknown_type"


async def samples(client: Client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_metrics_of_the_database(client: Client, pool: Pool, synchronization: dict[str, Any]) -> None:
    for uid in ("a", "b", "c"):
        await push(pool, synchronization["id"], uid)
    await push(pool, synchronization["id"], "d", state="deleting")
    await pool.execute("ANALYZE ledger")
    found = await samples(client)
    assert found["rooster_synchronizations", (("status", "PENDING"), ("type", "ews"))] == 1
    assert found["rooster_mailboxes_due", (("type", "ews"),)] == 1
    assert found["rooster_ledger_rows", (("state", "present"),)] == 3
    assert found["rooster_ledger_rows", (("state", "deleting"),)] == 1
    assert found["rooster_unlinks_open", ()] == 0
    await client.delete(f"/api/v0/synchronizations/{synchronization['id']}?unlinkMode=CLEANUP")
    assert (await samples(client))["rooster_unlinks_open", ()] == 1


async def test_requests_are_counted_by_route_and_never_by_name(client: Client, alice: str) -> None:
    route = ("method", "GET"), ("route", "/api/v0/users/{username}"), ("status", "200")
    before = (await samples(client)).get(("rooster_http_requests_total", route), 0)
    await client.get("/api/v0/users/alice")
    answer = await client.get("/api/v0/no/such/alice")
    assert answer.status_code == 404
    after = await samples(client)
    assert after["rooster_http_requests_total", route] == before + 1
    assert not any("alice" in str(labels) for _, labels in after)
    assert any(("route", "unmatched") in labels for _, labels in after)
