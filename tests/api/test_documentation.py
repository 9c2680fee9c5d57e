"""``/schema``: the API's documentation, without anybody else's host."""

import re
from typing import Any

import pytest
import yaml

from tests.api.conftest import Client


async def document(client: Client) -> dict[str, Any]:
    answer = await client.get("/schema/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_the_document_is_openapi_3_1(anonymous: Client) -> None:
    found = await document(anonymous)
    assert found["openapi"].startswith("3.1")
    assert set(found["components"]["securitySchemes"]) == {"apiToken", "bearer"}


async def test_yaml_says_the_same_as_json(anonymous: Client) -> None:
    answer = await anonymous.get("/schema/openapi.yaml")
    assert answer.status_code == 200
    assert yaml.safe_load(answer.text) == await document(anonymous)


async def test_every_operation_says_what_it_does_and_which_errors_it_answers(anonymous: Client) -> None:
    for path, item in (await document(anonymous))["paths"].items():
        for method, operation in item.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["tags"], where
            if path in ("/healthz", "/readyz"):
                continue
            assert {"401", "403", "400"} <= set(operation["responses"]), where
            media_type = "application/json" if path.startswith("/api/v0") else "application/problem+json"
            for status, response in operation["responses"].items():
                assert response["description"], where
                if int(status) >= 400:
                    assert list(response["content"]) == [media_type], f"{where} {status}"


async def test_forms_are_described_in_both_encodings(anonymous: Client) -> None:
    paths = (await document(anonymous))["paths"]
    for method, path in (("post", "/users"), ("put", "/users/{username}"), ("put", "/synchronizations")):
        content = paths[f"/api/v0{path}"][method]["requestBody"]["content"]
        assert set(content) == {"application/x-www-form-urlencoded", "application/json"}


async def test_the_four_modes_are_named(anonymous: Client) -> None:
    operation = (await document(anonymous))["paths"]["/api/v0/synchronizations/{id}"]["delete"]
    [mode] = [p for p in operation["parameters"] if p["name"] == "unlinkMode"]
    assert mode["required"]
    assert mode["schema"]["enum"] == [
        "UNLINK_ONLY",
        "DELETE_FUTURE_EVENTS",
        "DELETE_ALL_EVENTS",
        "CLEANUP",
    ]


async def test_the_mode_that_counts_where_none_is_given_is_named(anonymous: Client) -> None:
    operation = (await document(anonymous))["paths"]["/api/v0/users/{username}"]["delete"]
    [mode] = [p for p in operation["parameters"] if p["name"] == "unlinkMode"]
    assert not mode["required"]
    assert mode["schema"]["default"] == "UNLINK_ONLY"
    assert " Default: <code>UNLINK_ONLY</code>." in (await anonymous.get("/schema")).text


async def test_states_of_runs_are_named_and_their_figures_explained(anonymous: Client) -> None:
    described = await document(anonymous)
    run = described["components"]["schemas"]["Run"]["properties"]
    assert run["state"]["enum"] == ["active", "done", "failed", "cancelled"]
    assert [
        name for name in ("progress", "estimatedEnd", "errors", "drift") if not run[name]["description"]
    ] == []


async def test_the_page_lists_every_operation_and_schema(anonymous: Client) -> None:
    answer = await anonymous.get("/schema")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    found = await document(anonymous)
    for path, item in found["paths"].items():
        for operation in item.values():
            assert f'id="{operation["operationId"]}"' in answer.text
        assert f"<code>{path}</code>" in answer.text
    for name in found["components"]["schemas"]:
        assert f'id="{name}"' in answer.text


async def test_the_page_loads_nothing_from_elsewhere(anonymous: Client) -> None:
    page = (await anonymous.get("/schema")).text
    assert not re.search(r"<(script|img|iframe|link|object|embed)\b", page)
    assert not re.search(r"\b(src|action|srcset)\s*=", page)
    links = re.findall(r"""\bhref\s*=\s*["']?([^"'>]*)""", page)
    assert links
    assert all(link.startswith(("#", "/schema/")) for link in links)
    assert not re.search(r"url\(|@import", page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize("path", ["/schema/", "/schema/openapi.json"])
async def test_it_needs_no_token(anonymous: Client, path: str) -> None:
    assert (await anonymous.get(path)).status_code == 200
