"""Who may do what: every route with every role (CONTRACT §3)."""

from typing import Any, Literal
from urllib.parse import quote
from uuid import uuid4

import pytest
from litestar import Litestar

from app.database.types import Pool
from app.tokens import Role
from tests.api.conftest import Client, to_form

Who = Literal["admin", "frontend", "other frontend", "frontend for nobody", "reader"]

READING: set[Who] = {"admin", "reader"}
OWN: set[Who] = {"admin", "frontend", "reader"}
WRITING: set[Who] = {"admin"}
OWN_WRITING: set[Who] = {"admin", "frontend"}
ALL: set[Who] = {"admin", "frontend", "other frontend", "frontend for nobody", "reader"}

ROUTES: list[tuple[str, str, set[Who]]] = [
    ("GET", "/api/v0/users", READING),
    ("POST", "/api/v0/users", WRITING),
    ("GET", "/api/v0/users/{username}", OWN),
    ("PUT", "/api/v0/users/{username}", WRITING),
    ("DELETE", "/api/v0/users/{username}", WRITING),
    ("GET", "/api/v0/users/{username}/synchronizations", OWN),
    ("DELETE", "/api/v0/users/{username}/synchronizations", WRITING),
    ("DELETE", "/api/v0/users/{username}/synchronizations/{type}", WRITING),
    ("GET", "/api/v0/synchronizations", READING),
    ("PUT", "/api/v0/synchronizations", WRITING),
    ("DELETE", "/api/v0/synchronizations/{id}", WRITING),
    ("GET", "/api/v1/synchronizations", READING),
    ("GET", "/api/v1/synchronizations/{id}", OWN),
    ("PATCH", "/api/v1/synchronizations/{id}", WRITING),
    ("GET", "/api/v1/synchronizations/{id}/events", OWN),
    ("GET", "/api/v1/synchronizations/{id}/events/{uid}", OWN),
    ("GET", "/api/v1/synchronizations/unlink-preview", READING),
    ("POST", "/api/v1/synchronizations/sync", OWN_WRITING),
    ("POST", "/api/v1/synchronizations/{id}/approve", WRITING),
    ("POST", "/api/v1/synchronizations/{id}/refresh", OWN_WRITING),
    ("GET", "/api/v1/runs", READING),
    ("GET", "/api/v1/runs/{id}", OWN),
    ("GET", "/api/v1/runs/{id}/events", OWN),
    ("DELETE", "/api/v1/runs/{id}", WRITING),
    ("GET", "/api/v1/preferences/{level}/{owner}", OWN),
    ("GET", "/api/v1/preferences/{level}/{owner}/{section}/{key}", OWN),
    ("PUT", "/api/v1/preferences/{level}/{owner}/{section}/{key}", OWN_WRITING),
    ("DELETE", "/api/v1/preferences/{level}/{owner}/{section}/{key}", OWN_WRITING),
    ("GET", "/api/v1/users/{username}/preferences", OWN),
    ("GET", "/api/v1/users/{username}/timetable", OWN),
    ("PUT", "/api/v1/users/{username}/timetable", OWN_WRITING),
    ("PATCH", "/api/v1/users/{username}/timetable", OWN_WRITING),
    ("POST", "/api/v1/timetables", {"admin", "frontend", "other frontend", "frontend for nobody"}),
    ("GET", "/api/v1/preference-descriptions", ALL),
    ("POST", "/api/v1/preference-descriptions", WRITING),
    ("GET", "/api/v1/preference-descriptions/{id}", ALL),
    ("PATCH", "/api/v1/preference-descriptions/{id}", WRITING),
    ("DELETE", "/api/v1/preference-descriptions/{id}", WRITING),
    *(
        (method, f"/api/v1/{resource}{path}", READING if method == "GET" else WRITING)
        for resource in ("sync-job", "integrated-account", "sync-job-run", "sync-job-cron-trigger")
        for method, path in (
            ("GET", ""),
            ("POST", ""),
            ("GET", "/{id}"),
            ("PATCH", "/{id}"),
            ("DELETE", "/{id}"),
        )
        if (resource, method) != ("sync-job-run", "PATCH")
    ),
    ("GET", "/metrics", READING),
]
"""Who may do what. POST /timetables says of each line whether it may."""

PARTS = {
    "username": "alice",
    "type": "ews",
    "uid": "a",
    "level": "user",
    "owner": "alice",
    "section": "presentation",
    "key": "showAs",
}
"""What the paths are filled in with, ids aside."""

SOURCES = ("/api/v1/sync-job", "/api/v1/integrated-account")
"""Of these an id is a UUID."""

PUBLIC = {"/healthz", "/readyz"}

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("PATCH", "/api/v1/synchronizations/{id}"): {"json": {"enabled": True}},
    ("POST", "/api/v1/synchronizations/sync"): {"json": {"users": ["alice"]}},
    ("PUT", "/api/v1/preferences/{level}/{owner}/{section}/{key}"): {"json": {"value": "free"}},
    ("PUT", "/api/v1/users/{username}/timetable"): {"json": {"events": []}},
    ("PATCH", "/api/v1/users/{username}/timetable"): {"json": {"upsert": [], "delete": []}},
    ("POST", "/api/v1/timetables"): {
        "content": b"",
        "headers": {"Content-Type": "application/x-ndjson"},
    },
    ("POST", "/api/v0/users"): {"data": {"username": "carol"}},
    ("PUT", "/api/v0/synchronizations"): {"data": to_form("alice", "o365", "alice@uni.example")},
}

WHO: dict[Who, tuple[Role, dict[str, str]]] = {
    "admin": ("admin", {}),
    "frontend": ("frontend", {"requestedAuth": "alice"}),
    "other frontend": ("frontend", {"requestedAuth": "bob"}),
    "frontend for nobody": ("frontend", {}),
    "reader": ("reader", {}),
}


def test_every_route_is_here(app: Litestar) -> None:
    described = {
        (method.upper(), path)
        for path, item in app.openapi_schema.to_schema()["paths"].items()
        if path not in PUBLIC
        for method in item
    }
    assert described == {(method, path) for method, path, _ in ROUTES}


@pytest.fixture
async def run(client: Client, synchronization: dict[str, Any], pool: Pool) -> int:
    """A sync of Alice's synchronization, over by now."""
    answer = await client.post(
        "/api/v1/synchronizations/sync", json={"synchronizations": [synchronization["id"]]}
    )
    found: int = answer.json()["run"]
    await pool.execute("UPDATE runs SET state = 'done'")
    return found


@pytest.mark.parametrize("who", WHO)
async def test_every_route_with_this_token(
    client: Client, tokens: dict[Role, str], synchronization: dict[str, Any], run: int, pool: Pool, who: Who
) -> None:
    await client.put("/api/v0/users/bob")
    role, headers = WHO[who]
    del client.headers["apiToken"]
    headers = {"apiToken": tokens[role], **headers}
    # What changes nothing first, so that everything is still there to be asked for.
    for method, template, allowed in sorted(ROUTES, key=lambda route: route[0] == "DELETE"):
        id = run if "/runs/" in template else synchronization["id"]
        if template.startswith(SOURCES):
            id = uuid4()
        path = template.format(**PARTS, id=id)
        body = BODIES.get((method, template), {})
        answer = await client.request(
            method, path, **{**body, "headers": {**headers, **body.get("headers", {})}}
        )
        if who in allowed:
            assert answer.status_code not in (401, 403, 405), f"{method} {path}: {answer.text}"
        else:
            assert answer.status_code == 403, f"{method} {path}: {answer.text}"
            code = answer.json()["errorType" if path.startswith("/api/v0") else "code"]
            assert code == "forbidden"


@pytest.mark.parametrize("headers", [{}, {"apiToken": "x"}, {"apiToken": ""}, {"Authorization": "Bearer x"}])
async def test_nothing_without_a_valid_token(anonymous: Client, headers: dict[str, str]) -> None:
    for method, template, _ in ROUTES:
        path = template.format(**PARTS, id=uuid4() if template.startswith(SOURCES) else 1)
        answer = await anonymous.request(method, path, headers=headers)
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        if path.startswith("/api/v0"):
            assert answer.json()["errorType"] == "unauthorized"
            assert answer.json()["status"] == "error"
        else:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "unauthorized"


async def test_a_bearer_token(anonymous: Client, tokens: dict[Role, str]) -> None:
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {tokens['reader']}"}
        assert (await anonymous.get("/api/v0/users", headers=headers)).status_code == 200
    headers = {"Authorization": f"Basic {tokens['reader']}"}
    assert (await anonymous.get("/api/v0/users", headers=headers)).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_needs_no_token(anonymous: Client, path: str) -> None:
    assert (await anonymous.get(path)).json() == {"status": "ok"}


@pytest.mark.parametrize("username", ["Zoë", "日本", "DOMAIN\\a b", "a+b@c"])
@pytest.mark.parametrize("encode", [lambda name: name.encode(), lambda name: quote(name).encode()])
async def test_the_requested_user_in_utf_8_or_percent_encoded(
    client: Client, tokens: dict[Role, str], username: str, encode: Any
) -> None:
    path = f"/api/v0/users/{quote(username)}"
    await client.put(path)
    headers = {b"apiToken": tokens["frontend"].encode(), b"requestedAuth": encode(username)}
    del client.headers["apiToken"]
    assert (await client.get(path, headers=headers)).json()["username"] == username


async def test_two_requested_users_are_none(client: Client, tokens: dict[Role, str], alice: str) -> None:
    del client.headers["apiToken"]
    headers = [("apiToken", tokens["frontend"]), ("requestedAuth", "alice"), ("requestedAuth", "bob")]
    assert (await client.get("/api/v0/users/alice", headers=headers)).status_code == 403


@pytest.mark.parametrize(
    "body", [{"all": True}, {"types": ["ews"]}, {"users": ["alice", "bob"]}, {"users": []}]
)
async def test_a_frontend_syncs_nobody_elses(
    client: Client, tokens: dict[Role, str], synchronization: dict[str, Any], body: dict[str, Any]
) -> None:
    headers = {"apiToken": tokens["frontend"], "requestedAuth": "alice"}
    answer = await client.post("/api/v1/synchronizations/sync", json=body, headers=headers)
    assert answer.status_code == 403


async def test_a_frontend_syncs_by_id_its_users_only(
    client: Client, tokens: dict[Role, str], synchronization: dict[str, Any]
) -> None:
    await client.put("/api/v0/users/bob")
    other = (
        await client.put("/api/v0/synchronizations", data=to_form("bob", "ews", "bob@uni.example"))
    ).json()["synchronization"]
    headers = {"apiToken": tokens["frontend"], "requestedAuth": "alice"}
    for ids, status in (
        ([other["id"]], 403),
        ([synchronization["id"], other["id"]], 403),
        ([synchronization["id"], 10**30], 422),
        ([synchronization["id"]], 202),
    ):
        answer = await client.post(
            "/api/v1/synchronizations/sync", json={"synchronizations": ids}, headers=headers
        )
        assert answer.status_code == status, answer.text


async def test_a_frontend_sees_no_run_that_is_about_others_too(
    client: Client, tokens: dict[Role, str], synchronization: dict[str, Any]
) -> None:
    await client.put("/api/v0/users/bob")
    await client.put("/api/v0/synchronizations", data=to_form("bob", "ews", "bob@uni.example"))
    run = (await client.post("/api/v1/synchronizations/sync", json={"all": True})).json()["run"]
    headers = {"apiToken": tokens["frontend"], "requestedAuth": "alice"}
    assert (await client.get(f"/api/v1/runs/{run}", headers=headers)).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v0/nothing", 404, "not_found"),
        ("GET", "/api/v0", 404, "not_found"),
        ("PATCH", "/api/v0/users", 405, "method_not_allowed"),
        ("TRACE", "/api/v0/users", 405, "method_not_allowed"),
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("DELETE", "/api/v1/runs", 405, "method_not_allowed"),
        ("GET", "/api/v1/runs/x", 404, "not_found"),
        ("POST", "/api/v1/synchronizations/1/nothing", 404, "not_found"),
    ],
)
async def test_an_unknown_address_in_the_shape_of_its_api(
    client: Client, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    if path.startswith("/api/v0"):
        assert answer.json()["errorType"] == code
    else:
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json()["code"], answer.json()["status"]) == (code, status)
    if status == 405:
        assert "GET" in answer.headers["Allow"] or "DELETE" in answer.headers["Allow"]
