"""``/api/v1/sync-job``: kept as it was given, and refused where it could not be run."""

import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.api import integrated_accounts, sync_jobs
from app.database.types import Pool
from app.sources import accounts, jobs
from app.sources.integrations import INTEGRATIONS
from app.sources.secrets import Vault
from tests.api.conftest import Client
from tests.clock import SettableClock
from tests.sources.world import World

PATH = "/api/v1/sync-job"

ARGS_SCHEMA = {
    "type": "object",
    "properties": {
        "department": {"type": "string"},
        "users": {"type": "array", "items": {"type": "string"}},
        "period": {"type": "object", "properties": {"start": {"type": "string"}}},
    },
}


def resource(name: str, **changes: Any) -> dict[str, Any]:
    return {"resource": name, **changes}


def job(*resources: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "integration_name": "fake",
        "args_schema": ARGS_SCHEMA,
        "resources": list(resources) or [resource("users")],
        **changes,
    }


async def create(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_job_is_given_out_as_it_was_given(client: Client) -> None:
    given = job(
        resource(
            "users", query={"department": "{{args.department}}", "deep": [{"from": "{{args.period.start}}"}]}
        ),
        resource(
            "timetable",
            method="get",
            id="{{resources.users.id}}",
            query={"since": "{{previous_run_date}}", "u": "{{args.users}}"},
            loop_on="users",
            depends_on="users",
            persist=True,
        ),
        environment_id="3f1c9d2e-8a54-4c8e-9a35-0d7a1b2c3d4e",
    )
    made = await create(client, given)
    times = {"created_at": "2026-09-01T08:00:00Z", "updated_at": "2026-09-01T08:00:00Z"}
    defaults = {
        "method": "list",
        "id": None,
        "query": {},
        "loop_on": None,
        "depends_on": None,
        "persist": False,
    }
    resources = [defaults | each for each in given["resources"]]
    assert made == {"id": made["id"], **given, "resources": resources, **times}
    assert (await client.get(f"{PATH}/{made['id']}")).json() == made
    assert (await client.get(PATH)).json() == {"sync_jobs": [made], "next": None}


async def test_a_list_comes_in_pages(client: Client) -> None:
    ids = [(await create(client, job()))["id"] for _ in range(3)]
    first = (await client.get(PATH, params={"limit": 2})).json()
    second = (await client.get(PATH, params={"limit": 2, "cursor": first["next"]})).json()
    assert [each["id"] for each in first["sync_jobs"] + second["sync_jobs"]] == ids
    assert second["next"] is None


@pytest.mark.parametrize("path", ["sync-job", "integrated-account"])
async def test_a_list_can_be_of_one_environment(client: Client, path: str) -> None:
    account = {"integration_name": "fake", "base_url": "https://uni.example", "credentials": {"token": "t"}}
    for name in ("production", "test", None):
        body = (job() if path == "sync-job" else account) | {"environment_id": name}
        assert (await client.post(f"/api/v1/{path}", json=body)).status_code == 201

    async def environments(**params: str) -> list[str]:
        [items] = [
            items
            for items in (await client.get(f"/api/v1/{path}", params=params)).json().values()
            if items is not None
        ]
        return [item["environment_id"] for item in items]

    assert await environments(environment_id="test") == ["test"]
    assert await environments(environment_id="nowhere") == []
    assert await environments() == ["production", "test", None]


PATHS = ("sync-job", "integrated-account", "sync-job-run", "sync-job-cron-trigger")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "The body is missing: send a JSON object."),
        (b'{"integration_name": ', 400, "The body is not JSON"),
        (b"integration_name=fake", 400, "The body is not JSON"),
        (b'{"integration_name": "\xff"}', 400, "The body is not JSON"),
        (b"[" * 100_000, 400, "nested too deeply"),
        (b"[]", 422, "Expected a JSON object."),
        (b"null", 422, "Expected a JSON object."),
    ],
)
async def test_a_body_that_is_no_object_is_refused_in_a_sentence(
    client: Client, path: str, body: bytes, status: int, said: str
) -> None:
    answer = await client.post(f"/api/v1/{path}", content=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"resources": 3}, "Expected an array, got an integer."),
        ({"environment_id": 3}, "Expected a string or null, got an integer."),
        ({"resources": [{"resource": "a", "persist": "yes"}]}, "Expected true or false, got a string."),
        ({"resources": [{"resource": "a", "query": None}]}, "Expected an object, got null."),
    ],
)
async def test_types_have_the_names_that_they_have_in_json(
    client: Client, change: dict[str, Any], detail: str
) -> None:
    [problem] = (await client.post(PATH, json=job(**change))).json()["problems"]
    assert problem["detail"] == detail


class TestPatch:
    async def test_merges_by_rfc_7396(self, client: Client, clock: SettableClock) -> None:
        made = await create(client, job(environment_id="x"))
        clock.advance(minutes=1)
        patch = {
            "args_schema": {"properties": {"department": None, "room": {"type": "string"}}},
            "environment_id": None,
        }
        headers = {"Content-Type": "application/merge-patch+json"}
        answer = await client.request("PATCH", f"{PATH}/{made['id']}", json=patch, headers=headers)
        assert answer.status_code == 200, answer.text
        changed = answer.json()
        assert set(changed["args_schema"]["properties"]) == {"users", "period", "room"}
        assert changed["environment_id"] is None
        assert changed["updated_at"] == "2026-09-01T08:01:00Z"
        unchanged = ("id", "integration_name", "resources", "created_at")
        assert {name: changed[name] for name in unchanged} == {name: made[name] for name in unchanged}
        assert (await client.get(f"{PATH}/{made['id']}")).json() == changed

    async def test_what_was_read_can_be_sent_back_and_is_no_change(
        self, client: Client, clock: SettableClock
    ) -> None:
        made = await create(client, job())
        clock.advance(minutes=1)
        assert (await client.patch(f"{PATH}/{made['id']}", json=made)).json() == made

    async def test_is_refused_as_a_whole_where_the_job_would_be_wrong(self, client: Client) -> None:
        made = await create(client, job(resource("a", query={"d": "{{args.department}}"})))
        patch = {"environment_id": "new", "args_schema": {"properties": {"department": None}}}
        answer = await client.patch(f"{PATH}/{made['id']}", json=patch)
        assert answer.status_code == 422
        assert [problem["field"] for problem in answer.json()["problems"]] == ["resources[0].query.d"]
        assert (await client.get(f"{PATH}/{made['id']}")).json() == made

    async def test_a_run_goes_on_as_it_was_made(self, client: Client, world: World) -> None:
        made = await create(client, job(resource("users"), args_schema={}))
        run = await world.begin(made["id"], await world.account())
        await client.patch(f"{PATH}/{made['id']}", json={"resources": [resource("rooms")]})
        world.source.script("users")
        await world.runner().run_until_idle()
        assert [call.resource for call in world.source.calls] == ["users"]
        assert (await client.get(f"/api/v1/sync-job-run/{run.id}")).json()["state"] == "done"


class TestDelete:
    async def test_takes_its_triggers_and_runs_along(self, client: Client, world: World) -> None:
        made = await create(client, job(args_schema={}))
        ids = {"sync_job_id": made["id"], "integrated_account_id": str(await world.account())}
        trigger = (
            await client.post("/api/v1/sync-job-cron-trigger", json={**ids, "cron_expression": "0 5 * * *"})
        ).json()
        world.source.script("users")
        run = await world.run(*ids.values())
        assert (await client.delete(f"{PATH}/{made['id']}")).status_code == 204
        for path in (
            f"sync-job/{made['id']}",
            f"sync-job-run/{run.id}",
            f"sync-job-cron-trigger/{trigger['id']}",
        ):
            assert (await client.get(f"/api/v1/{path}")).status_code == 404

    async def test_waits_for_the_end_of_its_run(self, client: Client, world: World) -> None:
        made = await create(client, job(args_schema={}))
        run = await world.begin(made["id"], await world.account())
        answer = await client.delete(f"{PATH}/{made['id']}")
        assert (answer.status_code, answer.json()["code"]) == (409, "sync_job_run_active")
        assert answer.json()["run"] == str(run.id)


CYCLE = [resource("a", depends_on="c"), resource("b", depends_on="a"), resource("c", depends_on="b")]

REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    # the form
    ({}, ["integration_name"]),
    ({"integration_name": "fake"}, ["resources"]),
    (job(resources="users"), ["resources"]),
    (job(resources=[]), ["resources"]),
    (job(resources=[{}]), ["resources[0].resource"]),
    (job(resource("a"), resource("b", persist="yes")), ["resources[1].persist"]),
    (job(resource("a", dependson="b")), ["resources[0].dependson"]),
    (job(surprise=1), ["surprise"]),
    (job(environment_id="a\x00b"), ["environment_id"]),
    (job(resource("")), ["resources[0].resource"]),
    (job(resource("a", query={"deep": json.loads("[" * 60 + "]" * 60)})), [""]),
    # the integration
    (job(integration_name="nobody"), ["integration_name"]),
    (job(resource("a"), resource("b", method="destroy")), ["resources[1].method"]),
    # the schema
    (job(args_schema={"properties": {"a": {"type": "strin"}}}), ["args_schema.properties.a.type"]),
    (job(args_schema={"type": "array"}), ["args_schema.type"]),
    (job(args_schema={"properties": {"a": {"pattern": "("}}}), ["args_schema.properties.a.pattern"]),
    # what no engine can match in linear time
    (
        job(args_schema={"properties": {"a": {"pattern": "^(?=(a+)+$)b"}}}),
        ["args_schema.properties.a.pattern"],
    ),
    (job(args_schema={"properties": {"a": {"$ref": "#/$defs/none"}}}), ["args_schema"]),
    (job(args_schema={"properties": {"a": {"$ref": "https://example.com/a.json"}}}), ["args_schema"]),
    (job(args_schema={"properties": {"a": {"$ref": "file:///etc/passwd"}}}), ["args_schema"]),
    (job(args_schema={"$schema": "https://example.com/dialect"}), ["args_schema"]),
    (job(args_schema={"description": "x" * 200_000}), ["args_schema"]),
    # the order
    (job(resource("a", depends_on="b")), ["resources[0].depends_on"]),
    (job(resource("a", depends_on="a")), ["resources[0].depends_on"]),
    (job(*CYCLE, resource("d", depends_on="a")), [f"resources[{n}].depends_on" for n in range(3)]),
    (job(resource("a/b"), resource("a.b")), ["resources[1].resource"]),
    # what loops
    (job(resource("a", loop_on="rooms")), ["resources[0].loop_on"]),
    (job(resource("a", loop_on="department")), ["resources[0].loop_on"]),
    # placeholders
    (job(resource("a", id="{{args.nothing}}")), ["resources[0].id"]),
    (job(resource("a", query={"q": [{"x": "-{{args.nothing}}-"}]})), ["resources[0].query.q[0].x"]),
    (job(resource("a", query={"q": "{{args.period.nothing}}"})), ["resources[0].query.q"]),
    (job(resource("a", query={"q": "{{nothing}}"})), ["resources[0].query.q"]),
    (job(resource("a", query={"q": "{{}}"})), ["resources[0].query.q"]),
    (job(resource("a", query={"q": "{{args.department"})), ["resources[0].query.q"]),
    (job(resource("a", query={"q": "{{resources.b.id}}"}), resource("b")), ["resources[0].query.q"]),
    (job(resource("a", query={"q": "{{resources.a.id}}"})), ["resources[0].query.q"]),
    (
        job(resource("b"), resource("a", depends_on="b", query={"q": "{{resources.b}}"})),
        ["resources[1].query.q"],
    ),
]


@pytest.mark.parametrize(("body", "fields"), REFUSED)
async def test_what_could_not_be_run_is_refused_by_its_place(
    client: Client, body: dict[str, Any], fields: list[str]
) -> None:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid_source"
    assert [problem.get("field", "") for problem in answer.json()["problems"]] == fields
    assert (await client.get(PATH)).json()["sync_jobs"] == []


async def test_a_schema_reaches_nowhere_else(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text('{"type": "string"}')
    for uri in (file.as_uri(), "https://json.schemastore.org/package.json"):
        body = job(args_schema={"properties": {"a": {"$ref": uri}}})
        [problem] = (await client.post(PATH, json=body)).json()["problems"]
        assert problem["field"] == "args_schema"
        assert "Retrieval is disabled" in problem["detail"]


async def test_everything_that_is_wrong_is_said_at_once(client: Client) -> None:
    body = job(resource("a", depends_on="x", query={"q": "{{y}}"}), args_schema={"type": "array"})
    problems = (await client.post(PATH, json=body)).json()["problems"]
    assert [problem["field"] for problem in problems] == [
        "args_schema.type",
        "resources[0].depends_on",
        "resources[0].query.q",
    ]


async def test_the_examples_of_the_documentation_are_accepted(pool: Pool, clock: SettableClock) -> None:
    text = Path(__file__).parents[2].joinpath("docs", "sync-jobs.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"^```json job\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    await jobs.create(pool, json.loads(shown), INTEGRATIONS, clock())
    await jobs.create(pool, sync_jobs.EXAMPLE, INTEGRATIONS, clock())
    await accounts.create(pool, Vault(bytes(32)), integrated_accounts.EXAMPLE, INTEGRATIONS, clock())


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_one_that_is_not_there(client: Client, method: str) -> None:
    for id in (uuid4(), "x"):
        answer = await client.request(method, f"{PATH}/{id}", json={} if method == "PATCH" else None)
        assert answer.status_code == 404
