"""``/api/v0/users``: each row and status of CONTRACT §4."""

import gzip
from typing import Any
from urllib.parse import quote

import pytest

from app.api.streaming import PAGE
from app.database.types import Pool
from tests.api.conftest import Client

ALICE = {
    "username": "alice",
    "displayName": "Alice Liddell",
    "locale": "nl-NL",
    "attributes": [{"name": "number", "values": ["1", "2"]}, {"name": "formula", "values": ["a=b"]}],
    "roles": ["student", "assistant"],
}
FORM = {
    "username": "alice",
    "displayName": "Alice Liddell",
    "locale": "nl-NL",
    "attributes": ["number=1", "formula=a=b", "number=2"],
    "roles": ["student", "assistant"],
}
NOTHING: dict[str, Any] = {"displayName": None, "locale": None, "attributes": [], "roles": []}

NAMES = ["a@b.example", "DOMAIN\\alice", "a+b", "a b", "Zoë", "日本", "a/b", "100%", "%2F", "a?b#c", "..;"]


def path(username: str) -> str:
    return f"/api/v0/users/{quote(username, safe='')}"


async def test_a_user_is_created_from_a_form_and_read_back(client: Client) -> None:
    created = await client.post("/api/v0/users", data=FORM)
    assert created.status_code == 201
    assert created.json() == ALICE
    assert (await client.get(created.headers["Location"])).json() == ALICE


@pytest.mark.parametrize("attributes", [FORM["attributes"], ALICE["attributes"]])
async def test_a_user_is_created_from_json_with_the_same_names(client: Client, attributes: object) -> None:
    created = await client.post("/api/v0/users", json={**FORM, "attributes": attributes})
    assert created.status_code == 201
    assert created.json() == ALICE


async def test_an_empty_field_of_a_form_is_no_role_and_no_attribute(client: Client) -> None:
    """So a form says that there are none."""
    created = await client.post("/api/v0/users", data={"username": "bob", "roles": "", "attributes": ""})
    assert created.status_code == 201
    assert created.json() == NOTHING | {"username": "bob"}


async def test_a_compressed_body_is_refused_by_what_it_is(client: Client) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    answer = await client.post("/api/v0/users", content=gzip.compress(b"username=bob"), headers=headers)
    assert answer.status_code == 415
    assert answer.json()["errorMessage"].startswith("Content-Encoding: ")


async def test_creating_a_user_twice_is_a_conflict_and_changes_nothing(client: Client) -> None:
    await client.post("/api/v0/users", data=FORM)
    again = await client.post("/api/v0/users", data={"username": "alice"})
    assert again.status_code == 409
    assert again.json()["errorType"] == "user_exists"
    assert (await client.get("/api/v0/users/alice")).json() == ALICE


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"displayName": "Nobody"}},
        {"data": {"username": ""}},
        {"data": {"username": "a\x00b"}},
        {"data": {"username": "a" * 256}},
        {"data": {"username": ["alice", "bob"]}},
        {"data": {"username": "alice", "attributes": "no-value"}},
        {"data": {"username": "alice", "attributes": "=no name"}},
        {"data": {"username": "alice", "locale": "nl\nNL"}},
        {"data": {"username": "alice", "roles": "x" * 1001}},
        {"json": {"username": 1}},
        {"json": {"username": "alice", "roles": [1]}},
        {"json": {"username": "alice", "attributes": [{"name": "a", "values": "b"}]}},
        {"json": ["alice"]},
        {"content": b'{"username": "\\ud800"}', "headers": {"Content-Type": "application/json"}},
        {"content": b"{", "headers": {"Content-Type": "application/json"}},
        {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}},
        {
            "content": b"username=%ED%A0%80",
            "headers": {"Content-Type": "application/x-www-form-urlencoded"},
        },
        {"content": b"username=\xff", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {},
    ],
)
async def test_a_body_that_is_no_user_is_refused(client: Client, body: dict[str, Any]) -> None:
    answer = await client.post("/api/v0/users", **body)
    assert answer.status_code == 400
    assert answer.json()["status"] == "error"
    assert (await client.get("/api/v0/users")).json() == {"users": []}


async def test_a_body_of_another_media_type_is_refused(client: Client) -> None:
    answer = await client.post("/api/v0/users", content=b"alice", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert answer.json()["errorType"] == "unsupported_media_type"


async def test_a_body_over_the_limit_is_refused(client: Client) -> None:
    answer = await client.post("/api/v0/users", data={"username": "a" * 11_000_000})
    assert answer.status_code == 413
    assert answer.json()["errorType"] == "too_large"


@pytest.mark.parametrize("username", NAMES)
async def test_a_username_is_percent_encoded_in_the_path(client: Client, username: str) -> None:
    assert (await client.put(path(username))).status_code == 204
    assert (await client.get(path(username))).json()["username"] == username
    assert (await client.get(path(username) + "/synchronizations")).json() == {"synchronizations": []}
    assert (await client.get("/api/v0/users")).json() == {"users": [username]}
    assert (await client.delete(path(username))).status_code == 204
    assert (await client.get("/api/v0/users")).json() == {"users": []}


async def test_a_plus_in_the_path_is_a_plus(client: Client) -> None:
    await client.put("/api/v0/users/a+b")
    assert (await client.get("/api/v0/users")).json() == {"users": ["a+b"]}


@pytest.mark.parametrize("username", ["%00", "%ff", "%ED%A0%80", "a" * 256])
async def test_a_name_that_nobody_can_have(client: Client, username: str) -> None:
    assert (await client.put(f"/api/v0/users/{username}")).status_code == 400
    assert (await client.put(f"/api/v0/users/{username}", data=FORM)).status_code == 400
    assert (await client.get(f"/api/v0/users/{username}")).status_code == 404
    assert (await client.delete(f"/api/v0/users/{username}")).status_code == 404
    assert (await client.get(f"/api/v0/users/{username}/synchronizations")).status_code == 404


async def test_put_without_a_body_makes_sure_that_the_user_exists(client: Client) -> None:
    assert (await client.put("/api/v0/users/alice")).status_code == 204
    assert (await client.get("/api/v0/users/alice")).json() == {"username": "alice", **NOTHING}


async def test_put_without_a_body_changes_nothing(client: Client) -> None:
    await client.post("/api/v0/users", data=FORM)
    answer = await client.put("/api/v0/users/alice")
    assert answer.status_code == 204
    assert answer.content == b""
    assert (await client.get("/api/v0/users/alice")).json() == ALICE


async def test_put_with_a_body_creates(client: Client) -> None:
    answer = await client.put("/api/v0/users/alice", data=FORM)
    assert answer.status_code == 201
    assert answer.json() == ALICE


@pytest.mark.parametrize("body", [{"data": {"displayName": "A."}}, {"json": {"displayName": "A."}}])
async def test_put_with_a_body_replaces_what_is_not_given_by_nothing(
    client: Client, body: dict[str, Any]
) -> None:
    await client.post("/api/v0/users", data=FORM)
    answer = await client.put("/api/v0/users/alice", **body)
    assert answer.status_code == 200
    assert answer.json() == {"username": "alice", **NOTHING, "displayName": "A."}
    assert (await client.get("/api/v0/users/alice")).json() == answer.json()


async def test_put_with_an_empty_object_replaces_everything_by_nothing(client: Client) -> None:
    await client.post("/api/v0/users", data=FORM)
    answer = await client.put("/api/v0/users/alice", json={})
    assert answer.status_code == 200
    assert answer.json() == {"username": "alice", **NOTHING}


async def test_put_with_the_name_of_another_user_is_refused(client: Client) -> None:
    answer = await client.put("/api/v0/users/bob", data=FORM)
    assert answer.status_code == 400
    assert (await client.get("/api/v0/users")).json() == {"users": []}


async def test_usernames_are_sorted_and_complete_beyond_a_page(client: Client, pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO users (username) SELECT 'u' || i FROM generate_series(1, $1) AS i", PAGE * 2 + 1
    )
    names = (await client.get("/api/v0/users")).json()["users"]
    assert names == sorted(f"u{i}" for i in range(1, PAGE * 2 + 2))


async def test_no_users(client: Client) -> None:
    assert (await client.get("/api/v0/users")).json() == {"users": []}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_user(client: Client, method: str) -> None:
    answer = await client.request(method, "/api/v0/users/nobody")
    assert answer.status_code == 404
    assert answer.json() == {
        "errorType": "user_not_found",
        "errorMessage": "There is no user with this username.",
        "status": "error",
    }


async def test_deleting_a_user_takes_the_timetable_along(client: Client, pool: Pool, alice: str) -> None:
    await pool.execute(
        "INSERT INTO timetable_events (username, uid, starts_at, ends_at, content, content_hash)"
        " VALUES ($1, 'e', now(), now(), '{}', '')",
        alice,
    )
    answer = await client.delete("/api/v0/users/alice")
    assert answer.status_code == 204
    assert (await client.get("/api/v0/users/alice")).status_code == 404
    assert await pool.fetchval("SELECT count(*) FROM timetable_events") == 0


async def test_deleting_a_user_only_unlinks_if_nothing_else_is_said(
    client: Client, pool: Pool, synchronization: dict[str, Any]
) -> None:
    assert (await client.delete("/api/v0/users/alice")).status_code == 204
    assert (await client.get("/api/v0/synchronizations")).json() == {"synchronizations": []}
    assert await pool.fetchval("SELECT mode FROM unlinks") == "UNLINK_ONLY"


async def test_deleting_a_user_in_a_mode(client: Client, pool: Pool, synchronization: dict[str, Any]) -> None:
    answer = await client.delete("/api/v0/users/alice?unlinkMode=DELETE_ALL_EVENTS")
    assert answer.status_code == 204
    assert await pool.fetchval("SELECT mode FROM unlinks") == "DELETE_ALL_EVENTS"


@pytest.mark.parametrize("query", ["unlinkMode=ALL", "unlinkMode=", "unlinkMode=CLEANUP&unlinkMode=CLEANUP"])
async def test_deleting_a_user_in_an_unknown_mode_touches_nothing(
    client: Client, synchronization: dict[str, Any], query: str
) -> None:
    answer = await client.delete(f"/api/v0/users/alice?{query}")
    assert answer.status_code == 400
    assert (await client.get("/api/v0/users/alice")).status_code == 200
    assert len((await client.get("/api/v0/synchronizations")).json()["synchronizations"]) == 1
