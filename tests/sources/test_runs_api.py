"""``/api/v1/sync-job-run``: begun, looked at, cancelled; one of a job and account at a time."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from app.sources.contract import Json
from tests.api.conftest import Client
from tests.sources.world import TIMETABLE, USERS_SCHEMA, World, lecture, page

PATH = "/api/v1/sync-job-run"


@pytest.fixture
async def ids(world: World) -> dict[str, str]:
    """A job and an account."""
    return {"sync_job_id": str(await world.job()), "integrated_account_id": str(await world.account())}


async def begin(client: Client, ids: dict[str, str], **body: Json) -> dict[str, Any]:
    answer = await client.post(PATH, json={**ids, "args": {"users": ["alice"]}, **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_run_from_its_beginning_to_its_end(client: Client, ids: dict[str, str], world: World) -> None:
    await client.put("/api/v0/users/alice")
    world.source.give("alice", page(lecture("alice", "a")))
    made = await begin(client, ids)
    assert made == {
        "id": made["id"],
        **ids,
        "cron_trigger_id": None,
        "args": {"users": ["alice"]},
        "error_handling": "ignore",
        "ignore_previous_run": False,
        "confirm": False,
        "state": "queued",
        "detail": None,
        "previous_run_date": None,
        "counts": made["counts"],
        "errors": [],
        "attempts": 0,
        "created_at": "2026-09-01T08:00:00Z",
        "started_at": None,
        "finished_at": None,
    }
    assert set(made["counts"].values()) == {0}
    world.clock.advance(minutes=1)
    await world.runner().run_until_idle()
    run = (await client.get(f"{PATH}/{made['id']}")).json()
    assert (run["state"], run["started_at"], run["finished_at"]) == (
        "done",
        "2026-09-01T08:01:00Z",
        "2026-09-01T08:01:00Z",
    )
    assert run["counts"]["created"] == 1
    assert (await client.get(PATH)).json() == {"sync_job_runs": [run | {"args": None}], "next": None}


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"sync_job_id": str(uuid4())}, "sync_job_id"),
            ({"sync_job_id": "x"}, "sync_job_id"),
            ({"integrated_account_id": str(uuid4())}, "integrated_account_id"),
            ({"error_handling": "panic"}, "error_handling"),
            ({"surprise": 1}, "surprise"),
            ({"args": {}}, "args"),
            ({"args": {"users": "alice"}}, "args.users"),
            ({"args": {"users": ["alice", 3]}}, "args.users[1]"),
        ],
    )
    async def test_by_the_place_of_what_is_wrong(
        self, client: Client, ids: dict[str, str], change: dict[str, Json], field: str
    ) -> None:
        answer = await client.post(PATH, json={**ids, "args": {"users": ["alice"]}, **change})
        assert answer.status_code == 422, answer.text
        assert answer.json()["problems"][0]["field"] == field
        assert (await client.get(PATH)).json()["sync_job_runs"] == []

    async def test_with_the_values_that_there_are(self, client: Client, ids: dict[str, str]) -> None:
        body = {**ids, "args": {"users": ["alice"]}, "error_handling": "failfast"}
        assert "expected one of batch, fail_fast, ignore." in (await client.post(PATH, json=body)).text

    async def test_once(self, client: Client, ids: dict[str, str]) -> None:
        """What the schema says of an argument is not said again by the resource that loops on it."""
        answer = await client.post(PATH, json={**ids, "args": {"users": "alice"}})
        assert [problem["field"] for problem in answer.json()["problems"]] == ["args.users"]

    @pytest.mark.parametrize(("length", "listed"), [(3, 3), (200, 100), (40_000, 1)])
    async def test_with_no_more_problems_than_are_of_use(
        self, client: Client, world: World, length: int, listed: int
    ) -> None:
        """Of very long arguments with the first alone: to list them all takes gigabytes."""
        rooms = {"type": "array", "items": {"enum": [f"room {number}" for number in range(300)]}}
        job = await world.job(
            {"resource": "a", "persist": True}, args_schema={"properties": {"rooms": rooms}}
        )
        ids = {"sync_job_id": str(job), "integrated_account_id": str(await world.account())}
        answer = await client.post(PATH, json={**ids, "args": {"rooms": ["x"] * length}})
        assert answer.status_code == 422
        fields = [problem["field"] for problem in answer.json()["problems"]]
        assert fields == [f"args.rooms[{number}]" for number in range(listed)]

    async def test_without_showing_an_argument(self, client: Client, world: World) -> None:
        schema = {"properties": {"pin": {"type": "string", "pattern": "^[0-9]+$", "maxLength": 3}}}
        job = await world.job({"resource": "a", "persist": True}, args_schema=schema)
        ids = {"sync_job_id": str(job), "integrated_account_id": str(await world.account())}
        answer = await client.post(PATH, json={**ids, "args": {"pin": "private"}})
        assert answer.status_code == 422
        assert "private" not in answer.text

    @pytest.mark.parametrize(
        ("resource", "args", "field"),
        [
            ({"resource": "a", "query": {"q": "n-{{args.n}}"}}, {}, "args.n"),
            ({"resource": "a", "loop_on": "list"}, {}, "args.list"),
            ({"resource": "a", "loop_on": "list"}, {"list": None}, "args.list"),
        ],
    )
    async def test_if_the_job_cannot_do_without_an_argument(
        self, client: Client, world: World, resource: dict[str, Json], args: dict[str, Json], field: str
    ) -> None:
        schema = {"properties": {"n": {}, "list": {"type": ["array", "null"]}}}
        job = await world.job(resource | {"persist": True}, args_schema=schema)
        ids = {"sync_job_id": str(job), "integrated_account_id": str(await world.account())}
        answer = await client.post(PATH, json={**ids, "args": args})
        assert [problem["field"] for problem in answer.json()["problems"]] == [field]

    @pytest.mark.parametrize(
        ("resources", "named"),
        [
            ([{"resource": "rooms"}], "rooms"),
            ([TIMETABLE, {"resource": "rooms", "loop_on": "users"}, {"resource": "staff"}], "rooms, staff"),
            ([{"resource": "rooms"}, {"resource": "staff", "depends_on": "rooms"}], "staff"),
        ],
    )
    async def test_if_its_records_would_go_nowhere(
        self, client: Client, world: World, resources: list[dict[str, Json]], named: str
    ) -> None:
        """Not persisted, and no webhook is configured."""
        job = await world.job(*resources)
        ids = {"sync_job_id": str(job), "integrated_account_id": str(await world.account())}
        answer = await client.post(PATH, json={**ids, "args": {"users": []}})
        assert answer.status_code == 422, answer.text
        [problem] = answer.json()["problems"]
        assert problem["field"] == "sync_job_id"
        assert f"records of {named} would go nowhere" in problem["detail"]
        assert "[sources] webhook" in problem["detail"]

    async def test_but_not_if_another_resource_depends_on_it(self, client: Client, world: World) -> None:
        job = await world.job({"resource": "people"}, TIMETABLE | {"depends_on": "people"})
        ids = {"sync_job_id": str(job), "integrated_account_id": str(await world.account())}
        await begin(client, ids)

    async def test_if_the_account_is_of_another_integration(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        await world.pool.execute("UPDATE integrated_accounts SET integration_name = 'another'")
        answer = await client.post(PATH, json={**ids, "args": {"users": []}})
        assert answer.json()["problems"] == [
            {"field": "integrated_account_id", "detail": "It is of another, the job is for fake."}
        ]

    async def test_if_the_account_lacks_what_the_job_asks_for(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        await world.pool.execute("""UPDATE integrated_accounts SET settings = '{"without": ["timetable"]}'""")
        answer = await client.post(PATH, json={**ids, "args": {"users": []}})
        assert answer.status_code == 422
        assert answer.json()["problems"] == [
            {
                "field": "integrated_account_id",
                "detail": "The job's resources[0].resource: The account has no such resource.",
            }
        ]


class TestOneAtATime:
    async def test_another_of_the_job_and_account_is_named(self, client: Client, ids: dict[str, str]) -> None:
        first = await begin(client, ids)
        answer = await client.post(PATH, json={**ids, "args": {"users": []}})
        assert (answer.status_code, answer.json()["code"]) == (409, "sync_job_run_active")
        assert answer.json()["run"] == first["id"]

    async def test_of_many_at_once_one_is_made(self, client: Client, ids: dict[str, str]) -> None:
        body = {**ids, "args": {"users": []}}
        answers = await asyncio.gather(*(client.post(PATH, json=body) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7

    async def test_others_do_not_wait(self, client: Client, ids: dict[str, str], world: World) -> None:
        await begin(client, ids)
        await begin(client, ids | {"integrated_account_id": str(await world.account())})
        await begin(client, ids | {"sync_job_id": str(await world.job())})

    async def test_the_next_one_may_come_when_it_has_ended(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        await begin(client, ids)
        await world.runner().run_until_idle()
        await begin(client, ids)


class TestList:
    async def test_the_latest_first_in_pages_of_a_job_or_account(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        other = str(await world.job(TIMETABLE, args_schema=USERS_SCHEMA))
        made = []
        for job in (ids["sync_job_id"], other, ids["sync_job_id"]):
            made.append((await begin(client, ids | {"sync_job_id": job}))["id"])
            await world.runner().run_until_idle()
        first = (await client.get(PATH, params={"limit": 2})).json()
        second = (await client.get(PATH, params={"limit": 2, "cursor": first["next"]})).json()
        found = [run["id"] for run in first["sync_job_runs"] + second["sync_job_runs"]]
        assert (found, second["next"]) == (made[::-1], None)
        of_other = (await client.get(PATH, params={"sync_job_id": other})).json()["sync_job_runs"]
        assert [run["id"] for run in of_other] == [made[1]]
        params = {"integrated_account_id": str(uuid4()), "$select": "id,state"}
        assert (await client.get(PATH, params=params)).json()["sync_job_runs"] == []


async def test_one_whose_arguments_cannot_be_read_is_shown_without_them(
    client: Client, ids: dict[str, str], world: World
) -> None:
    made = await begin(client, ids)
    await world.pool.execute("""UPDATE sync_job_runs SET args = '{"users": [1e999]}'""")
    await world.runner().run_until_idle()
    run = (await client.get(f"{PATH}/{made['id']}")).json()
    assert (run["state"], run["args"]) == ("failed", None)
    assert run["detail"].startswith("What is stored of this run cannot be read")


class TestCancel:
    async def test_one_that_waits_ends_at_once(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        made = await begin(client, ids)
        for _ in range(2):
            answer = await client.delete(f"{PATH}/{made['id']}")
            assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
        await world.runner().run_until_idle()
        assert world.source.calls == []

    async def test_one_that_has_ended_cannot_be(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        made = await begin(client, ids)
        await world.runner().run_until_idle()
        answer = await client.delete(f"{PATH}/{made['id']}")
        assert (answer.status_code, answer.json()["code"]) == (409, "run_ended")

    async def test_none(self, client: Client) -> None:
        assert (await client.delete(f"{PATH}/{uuid4()}")).status_code == 404
