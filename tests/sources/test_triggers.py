"""``/api/v1/sync-job-cron-trigger``: runs by the clock, and no more of them than there should be."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from app.database.queries import query
from app.sources import jobs, runs
from app.sources.contract import Json
from app.sources.runs import JobRun, RunForm
from app.sources.triggers import fire_due
from tests.api.conftest import Client
from tests.sources.world import World

PATH = "/api/v1/sync-job-cron-trigger"

PATIENCE = 60
"""Seconds after which a thing that was waited for does not come any more."""

BLOCKED = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
async def ids(world: World) -> dict[str, str]:
    """A job and an account."""
    return {"sync_job_id": str(await world.job()), "integrated_account_id": str(await world.account())}


async def create(client: Client, ids: dict[str, str], **body: Json) -> dict[str, Any]:
    defaults = {"cron_expression": "30 5 * * *", "args": {"users": []}}
    answer = await client.post(PATH, json=ids | defaults | body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def all_runs(world: World) -> list[JobRun]:
    return [
        await runs.find(world.pool, run.id) for run in (await runs.page(world.pool, 100, None)).sync_job_runs
    ]


async def test_a_trigger_shows_its_next_run(client: Client, ids: dict[str, str]) -> None:
    made = await create(client, ids)
    assert made == {
        "id": made["id"],
        **ids,
        "cron_expression": "30 5 * * *",
        "time_zone": "Europe/Amsterdam",
        "args": {"users": []},
        "error_handling": "ignore",
        "ignore_previous_run": False,
        "enabled": True,
        "next_run": "2026-09-02T03:30:00Z",
        "last_run_id": None,
        "last_problem": None,
        "created_at": "2026-09-01T08:00:00Z",
        "updated_at": "2026-09-01T08:00:00Z",
    }
    assert (await client.get(f"{PATH}/{made['id']}")).json() == made
    assert (await client.get(PATH)).json() == {"sync_job_cron_triggers": [made], "next": None}
    elsewhere = await create(client, ids, time_zone="Asia/Tokyo")
    assert elsewhere["next_run"] == "2026-09-01T20:30:00Z"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cron_expression": "x"}, "cron_expression"),
        ({"cron_expression": "0 0 30 2 *"}, "cron_expression"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"args": {"users": [3]}}, "args.users[0]"),
        ({"sync_job_id": str(uuid4())}, "sync_job_id"),
        ({"error_handling": "panic"}, "error_handling"),
    ],
)
async def test_what_is_wrong_is_refused_by_its_place(
    client: Client, ids: dict[str, str], change: dict[str, Json], field: str
) -> None:
    body = {**ids, "cron_expression": "30 5 * * *", "args": {"users": []}, **change}
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["problems"][0]["field"] == field


async def test_a_list_can_be_of_one_job_or_account(client: Client, ids: dict[str, str], world: World) -> None:
    other_job = ids | {"sync_job_id": str(await world.job())}
    other_account = ids | {"integrated_account_id": str(await world.account())}
    first, second, third = [await create(client, each) for each in (ids, other_job, other_account)]

    async def listed(**params: str) -> list[str]:
        found = (await client.get(PATH, params=params)).json()["sync_job_cron_triggers"]
        return [trigger["id"] for trigger in found]

    assert await listed() == [first["id"], second["id"], third["id"]]
    assert await listed(sync_job_id=ids["sync_job_id"]) == [first["id"], third["id"]]
    assert await listed(integrated_account_id=ids["integrated_account_id"]) == [first["id"], second["id"]]
    assert await listed(sync_job_id=str(uuid4())) == []


class TestPatch:
    async def test_reckons_the_next_run_anew(self, client: Client, ids: dict[str, str]) -> None:
        made = await create(client, ids)
        patch = {"cron_expression": "0 12 * * *", "args": {"users": ["alice"]}}
        changed = (await client.patch(f"{PATH}/{made['id']}", json=patch)).json()
        assert (changed["next_run"], changed["args"]) == ("2026-09-01T10:00:00Z", {"users": ["alice"]})

    async def test_switches_off_and_on(self, client: Client, ids: dict[str, str], world: World) -> None:
        made = await create(client, ids)
        off = (await client.patch(f"{PATH}/{made['id']}", json={"enabled": False})).json()
        assert off["next_run"] is None
        world.clock.advance(days=3)
        assert await fire_due(world.pool, world.sources.integrations, world.clock) == 0
        on = (await client.patch(f"{PATH}/{made['id']}", json={"enabled": True})).json()
        assert on["next_run"] == "2026-09-05T03:30:00Z"

    @pytest.mark.parametrize(
        "fields", [["sync_job_id"], ["integrated_account_id"], ["sync_job_id", "integrated_account_id"]]
    )
    async def test_leaves_job_and_account_as_they_are(
        self, client: Client, ids: dict[str, str], fields: list[str]
    ) -> None:
        made = await create(client, ids)
        answer = await client.patch(f"{PATH}/{made['id']}", json={field: str(uuid4()) for field in fields})
        assert answer.status_code == 422
        assert [problem["field"] for problem in answer.json()["problems"]] == fields

    async def test_what_was_read_can_be_sent_back(self, client: Client, ids: dict[str, str]) -> None:
        made = await create(client, ids)
        assert (await client.patch(f"{PATH}/{made['id']}", json=made)).json() == made


async def test_deleting_one_leaves_its_runs(client: Client, ids: dict[str, str], world: World) -> None:
    made = await create(client, ids)
    world.clock.advance(days=1)
    await world.runner().run_until_idle()
    assert (await client.delete(f"{PATH}/{made['id']}")).status_code == 204
    assert (await client.get(f"{PATH}/{made['id']}")).status_code == 404
    assert [run.cron_trigger_id for run in await all_runs(world)] == [UUID(made["id"])]


class TestFiring:
    async def test_when_its_time_comes_it_makes_a_run(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        body = {"args": {"users": ["alice"]}, "error_handling": "batch", "ignore_previous_run": True}
        made = await create(client, ids, **body)
        world.clock.set(datetime(2026, 9, 2, 3, 29, 59, tzinfo=UTC))
        await world.runner().run_until_idle()
        assert await all_runs(world) == []
        world.clock.advance(seconds=1)
        await world.runner().run_until_idle()
        [run] = await all_runs(world)
        assert run.state == "done"
        assert {name: getattr(run, name) for name in body} == body
        trigger = (await client.get(f"{PATH}/{made['id']}")).json()
        assert (trigger["last_run_id"], trigger["last_problem"]) == (str(run.id), None)
        assert trigger["next_run"] == "2026-09-03T03:30:00Z"

    async def test_missed_times_are_not_piled_up(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        made = await create(client, ids)
        world.clock.advance(days=10)
        await world.runner().run_until_idle()
        await world.runner().run_until_idle()
        assert len(await all_runs(world)) == 1
        trigger = (await client.get(f"{PATH}/{made['id']}")).json()
        assert (trigger["last_problem"], trigger["next_run"]) == (None, "2026-09-12T03:30:00Z")

    async def test_many_workers_at_once_make_one_run(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        await create(client, ids)
        await create(client, ids, ignore_previous_run=True)
        world.clock.advance(days=1)
        fired = await asyncio.gather(
            *(fire_due(world.pool, world.sources.integrations, world.clock) for _ in range(6))
        )
        assert (sum(fired), [run.ignore_previous_run for run in await all_runs(world)]) == (1, [True])

    async def test_arguments_that_the_job_does_not_take_any_more_are_said(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        made = await create(client, ids)
        patch = {"args_schema": {"required": ["users", "year"]}}
        await client.patch(f"/api/v1/sync-job/{ids['sync_job_id']}", json=patch)
        world.clock.advance(days=1)
        await world.runner().run_until_idle()
        assert await all_runs(world) == []
        trigger = (await client.get(f"{PATH}/{made['id']}")).json()
        assert "year" in trigger["last_problem"]
        assert trigger["next_run"] == "2026-09-03T03:30:00Z"

    async def test_what_the_account_does_not_have_any_more_is_said(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        made = await create(client, ids)
        settings = """UPDATE integrated_accounts SET settings = '{"without": ["timetable"]}'"""
        await world.pool.execute(settings)
        refused = await client.patch(f"{PATH}/{made['id']}", json={"error_handling": "batch"})
        assert [problem["field"] for problem in refused.json()["problems"]] == ["integrated_account_id"]
        world.clock.advance(days=1)
        await world.runner().run_until_idle()
        assert await all_runs(world) == []
        trigger = (await client.get(f"{PATH}/{made['id']}")).json()
        assert "The account has no such resource." in trigger["last_problem"]


class TestWaiting:
    """A time that comes while a run of the same job and account is active."""

    async def test_it_is_made_up_for_by_one_run_at_the_end_of_that(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        made = await create(client, ids)
        active = await world.begin(*ids.values(), args={"users": []})
        world.clock.advance(days=3)
        assert await fire_due(world.pool, world.sources.integrations, world.clock) == 0
        assert [run.id for run in await all_runs(world)] == [active.id]
        assert (await client.get(f"{PATH}/{made['id']}")).json() == made
        await world.runner().run_until_idle()
        assert [run.cron_trigger_id for run in await all_runs(world)] == [UUID(made["id"]), None]
        trigger = (await client.get(f"{PATH}/{made['id']}")).json()
        assert (trigger["last_problem"], trigger["next_run"]) == (None, "2026-09-05T03:30:00Z")

    async def test_nobody_looks_for_it_meanwhile(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        await create(client, ids)
        later = await create(
            client, ids | {"sync_job_id": str(await world.job())}, cron_expression="0 12 * * *"
        )
        await world.begin(*ids.values(), args={"users": []})
        due = await world.pool.fetchval(query("cron_triggers.next_due"))
        assert due == datetime.fromisoformat(later["next_run"])

    @pytest.mark.parametrize(
        ("nightly", "full_first"),
        [("0 11 * * *", True), ("30 5 * * *", True), ("30 5 * * FRI", False)],
        ids=["due at once", "due 18 hours later", "due days later"],
    )
    async def test_a_full_read_comes_before_what_has_not_waited_for_a_day_longer(
        self, client: Client, ids: dict[str, str], world: World, nightly: str, full_first: bool
    ) -> None:
        await create(client, ids, cron_expression="0 * * * *")
        await create(client, ids, cron_expression=nightly, ignore_previous_run=True)
        world.clock.set(datetime(2026, 9, 4, 3, 30, tzinfo=UTC))
        await world.runner().run_until_idle()
        latest, first = await all_runs(world)
        assert (first.ignore_previous_run, latest.ignore_previous_run) == (full_first, not full_first)
        assert first.state == latest.state == "done"

    async def test_no_worker_fires_another_trigger_of_a_job_while_one_is_at_it(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        await create(client, ids)
        await create(client, ids, ignore_previous_run=True)
        world.clock.advance(days=1)
        async with world.pool.acquire() as connection, connection.transaction():
            assert await connection.fetchrow(query("cron_triggers.due"), world.clock())
            assert await fire_due(world.pool, world.sources.integrations, world.clock) == 0
        assert await fire_due(world.pool, world.sources.integrations, world.clock) == 1
        [run] = await all_runs(world)
        assert run.ignore_previous_run

    async def test_one_that_somebody_holds_just_now_is_looked_for_once_a_second(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        await create(client, ids)
        world.clock.advance(days=1)
        assert await world.runner()._seconds() == 1

    async def test_it_waits_also_for_a_run_that_somebody_asks_for_in_the_same_moment(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        made = await create(client, ids)
        world.clock.advance(days=1)
        async with world.pool.acquire() as connection, connection.transaction():
            job_id, account_id = map(UUID, ids.values())
            form = RunForm(sync_job_id=job_id, integrated_account_id=account_id, args={"users": []})
            job = await jobs.find(connection, form.sync_job_id)
            assert await runs.insert(connection, form, job, form.args, world.clock())
            firing = asyncio.create_task(fire_due(world.pool, world.sources.integrations, world.clock))
            async with asyncio.timeout(PATIENCE):
                while not await world.pool.fetchval(BLOCKED):
                    await asyncio.sleep(0.01)
        assert await firing == 0
        assert (await client.get(f"{PATH}/{made['id']}")).json() == made


@pytest.mark.parametrize("args", ['{"users": [1e999]}', "[]", '{"users": ' + "[" * 2_000 + "]" * 2_000 + "}"])
async def test_arguments_that_cannot_be_read_are_shown_as_null_and_can_be_given_anew(
    client: Client, ids: dict[str, str], world: World, args: str
) -> None:
    """Nobody can store such by the API; by the database, or with another version, it can be."""
    broken, whole = await create(client, ids), await create(client, ids)
    update = "UPDATE sync_job_cron_triggers SET args = $2::json WHERE id = $1"
    await world.pool.execute(update, broken["id"], args)
    answer = await client.get(PATH)
    assert answer.json()["sync_job_cron_triggers"] == [broken | {"args": None}, whole]
    refused = await client.patch(f"{PATH}/{broken['id']}", json={"enabled": False})
    assert [problem["field"] for problem in refused.json()["problems"]] == ["args"]
    mended = await client.patch(f"{PATH}/{broken['id']}", json={"args": {"users": []}})
    assert mended.json() == broken


class TestBroken:
    """A trigger that cannot be fired, whatever the reason."""

    @pytest.mark.parametrize(
        ("damage", "problem"),
        [
            ("time_zone = 'Mars/Olympus'", "The worker's time zone data holds no Mars/Olympus"),
            ("time_zone = 'Europe'", "The worker's time zone data holds no Europe"),
            ("cron_expression = 'never'", "It cannot be fired"),
            ("""args = '{"users": [1e999]}'""", "What is stored of its args cannot be read"),
            ("""args = '[]'""", "What is stored of its args cannot be read"),
            ("error_handling = 'panic'", "It cannot be fired"),
        ],
        ids=lambda value: value.partition(" ")[0],
    )
    async def test_it_is_set_aside_and_the_others_fire(
        self, client: Client, ids: dict[str, str], world: World, damage: str, problem: str
    ) -> None:
        broken = await create(client, ids)
        whole = await create(
            client, ids | {"sync_job_id": str(await world.job())}, cron_expression="0 6 * * *"
        )
        await world.pool.execute(f"UPDATE sync_job_cron_triggers SET {damage} WHERE id = $1", broken["id"])
        world.clock.advance(days=1)
        with capture_logs() as logs:
            assert await fire_due(world.pool, world.sources.integrations, world.clock) == 2
        assert [run.cron_trigger_id for run in await all_runs(world)] == [UUID(whole["id"])]
        assert [(log["event"], log["trigger"]) for log in logs] == [("cron_trigger_set_aside", broken["id"])]
        noted, tried_again = await world.pool.fetchrow(
            "SELECT last_problem, next_run FROM sync_job_cron_triggers WHERE id = $1", broken["id"]
        )
        assert noted.startswith(problem)
        assert tried_again == world.clock() + timedelta(hours=1)
        listed = (await client.get(PATH)).json()["sync_job_cron_triggers"]
        assert {trigger["id"]: trigger["last_problem"] for trigger in listed} == {
            broken["id"]: noted,
            whole["id"]: None,
        }

    async def test_it_makes_up_for_its_time_once_it_can_be_fired(
        self, client: Client, ids: dict[str, str], world: World
    ) -> None:
        made = await create(client, ids)
        zone = "UPDATE sync_job_cron_triggers SET time_zone = $1"
        await world.pool.execute(zone, "Mars/Olympus")
        world.clock.advance(days=1)
        await fire_due(world.pool, world.sources.integrations, world.clock)
        await world.pool.execute(zone, made["time_zone"])
        world.clock.advance(hours=1)
        await world.runner().run_until_idle()
        assert len(await all_runs(world)) == 1
        trigger = (await client.get(f"{PATH}/{made['id']}")).json()
        assert (trigger["last_problem"], trigger["next_run"]) == (None, "2026-09-03T03:30:00Z")
