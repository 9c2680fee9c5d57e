"""``$select``: an answer with the properties alone that the caller asks for."""

from typing import Any

import pytest

from tests.api.conftest import Client

SYNC = "/api/v1/synchronizations"


async def test_of_one_thing(client: Client, synchronization: dict[str, Any]) -> None:
    found = (await client.get(f"{SYNC}/{synchronization['id']}?$select=id,status")).json()
    assert found == {"id": synchronization["id"], "status": "PENDING"}


async def test_of_the_items_of_a_page(client: Client, synchronization: dict[str, Any]) -> None:
    await client.post(f"{SYNC}/sync", json={"all": True})
    found = (await client.get("/api/v1/runs?$select=kind,counts/total,counts/done")).json()
    assert found == {"runs": [{"kind": "sync", "counts": {"total": 1, "done": 0}}], "next": None}
    found = (await client.get(f"{SYNC}?$select=username")).json()
    assert found == {"synchronizations": [{"username": "alice"}], "next": None}


async def test_nested_in_lists_and_in_what_may_be_null(
    client: Client, synchronization: dict[str, Any]
) -> None:
    path = f"{SYNC}/{synchronization['id']}/events/a"
    assert (await client.get(f"{path}?$select=tries/code,removed/by,uid")).json() == {
        "tries": [],
        "removed": None,
        "uid": "a",
    }
    timetable = {
        "events": [
            {"uid": "a", "title": "A", "start": "2026-09-08T09:00:00Z", "end": "2026-09-08T10:00:00Z"},
            {"uid": "b", "title": "B", "start": "2026-09-08T09:00:00Z", "end": "2026-09-08T10:00:00Z"},
        ]
    }
    await client.put("/api/v1/users/alice/timetable", json=timetable)
    found = (await client.get("/api/v1/users/alice/timetable?$select=events/uid")).json()
    assert found == {"events": [{"uid": "a"}, {"uid": "b"}]}


@pytest.mark.parametrize("select", ["counts,counts/total", "counts/total,counts"])
async def test_the_whole_includes_its_parts(
    client: Client, synchronization: dict[str, Any], select: str
) -> None:
    run = (await client.post(f"{SYNC}/sync", json={"all": True})).json()["run"]
    found = (await client.get(f"/api/v1/runs/{run}?$select={select}")).json()
    assert found == {"counts": {"total": 1, "done": 0, "removed": 0}}


@pytest.mark.parametrize(
    "select", ["", "nothing", "id,", "id/x", "counts/nothing", "/", "Id", "runs/id", "id,,kind"]
)
async def test_an_unknown_name_is_answered_with_the_known_ones(client: Client, select: str) -> None:
    answer = await client.get(f"/api/v1/runs?$select={select}")
    assert answer.status_code == 400
    assert answer.json()["code"] == "unknown_property"
    assert "id, kind, state, createdAt" in answer.json()["detail"]
    assert "counts, counts/total, counts/done" in answer.json()["detail"]


async def test_every_get_of_the_first_version_that_answers_json_knows_it(anonymous: Client) -> None:
    paths = (await anonymous.get("/schema/openapi.json")).json()["paths"]
    gets = {
        path: item["get"] for path, item in paths.items() if path.startswith("/api/v1/") and "get" in item
    }
    assert gets
    for path, operation in gets.items():
        if "application/json" in operation["responses"]["200"]["content"]:
            assert "$select" in {parameter["name"] for parameter in operation["parameters"]}, path
