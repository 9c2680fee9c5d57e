"""``/metrics`` of sync jobs: what an administrator has alerts on."""

from typing import Any

import pytest

from app.sources import triggers
from app.sources.contract import ReadFailed
from app.sources.triggers import CronTrigger
from tests.api.conftest import Client
from tests.api.test_failures import samples
from tests.sources.world import World, contradiction, lecture, page

SUCCEEDED = "rooster_sync_job_last_success_timestamp_seconds"
USERS = {"users": ["alice", "bob", "carol"]}


@pytest.fixture
async def trigger(world: World) -> CronTrigger:
    """A job of three users' timetables, every night."""
    await world.add_users(*USERS["users"])
    body = {
        "sync_job_id": str(await world.job()),
        "integrated_account_id": str(await world.account()),
        "cron_expression": "30 5 * * *",
        "args": USERS,
    }
    return await triggers.create(world.pool, body, world.sources.integrations, "UTC", world.clock())


async def series(client: Client, trigger: CronTrigger, name: str) -> dict[str, float]:
    """What is said of the trigger's job and account; by what was counted, if that is said."""
    found = {}
    for (sample, labels), value in (await samples(client)).items():
        where = dict(labels)
        pair = where.pop("sync_job", None), where.pop("integrated_account", None)
        if sample == name and pair == (str(trigger.sync_job_id), str(trigger.integrated_account_id)):
            found[where.get("counted", "")] = value
    return found


async def fire(world: World) -> None:
    """The next night."""
    world.clock.advance(days=1)
    await world.runner().run_until_idle()


async def test_when_a_run_was_last_done_is_known_from_the_first_night_on(
    client: Client, world: World, trigger: CronTrigger
) -> None:
    assert await series(client, trigger, SUCCEEDED) == {"": trigger.created_at.timestamp()}
    for user in USERS["users"]:
        world.source.give(user, page(lecture(user, user)))
    await fire(world)
    done = world.clock().timestamp()
    assert await series(client, trigger, SUCCEEDED) == {"": done}
    for user in USERS["users"]:
        world.source.give(user, ReadFailed("It answers with HTTP status 500."))
    await fire(world)
    assert await series(client, trigger, SUCCEEDED) == {"": done}


async def test_what_the_last_run_has_counted_and_how_long_it_took(
    client: Client, world: World, trigger: CronTrigger
) -> None:
    assert await series(client, trigger, "rooster_sync_job_last_run_counts") == {}

    async def a_while() -> None:
        world.clock.advance(seconds=90)

    world.source.give("alice", a_while, page(lecture("alice", "a")))
    world.source.give("bob", ReadFailed("It answers with HTTP status 500."))
    world.source.give("carol", page(*contradiction("carol")))
    await fire(world)
    assert await series(client, trigger, "rooster_sync_job_last_run_seconds") == {"": 90}
    assert await series(client, trigger, "rooster_sync_job_last_run_counts") == {
        "records": 3,
        "record_errors": 0,
        "read_errors": 1,
        "users_applied": 1,
        "users_kept": 1,
        "users_refused": 1,
    }


async def test_what_nobody_runs_by_the_clock_has_no_series(
    client: Client, world: World, trigger: CronTrigger
) -> None:
    await fire(world)
    await world.run(trigger.sync_job_id, await world.account(), args={"users": []})
    await triggers.change(
        world.pool, trigger.id, {"enabled": False}, world.sources.integrations, "UTC", world.clock()
    )
    assert not [name for name, labels in await samples(client) if "sync_job" in dict(labels)]


async def test_runs_that_have_not_ended_and_how_they_end(
    client: Client, world: World, trigger: CronTrigger
) -> None:
    def runs(found: dict[Any, float]) -> tuple[float, float, float]:
        waiting, running = (
            found["rooster_sync_job_runs_open", (("state", state),)] for state in ("queued", "running")
        )
        return waiting, running, found.get(("rooster_sync_job_runs_total", (("ending", "done"),)), 0)

    _, _, before = runs(await samples(client))
    during = []

    async def look() -> None:
        during.append(runs(await samples(client)))

    world.source.give("alice", look)
    await world.begin(trigger.sync_job_id, trigger.integrated_account_id, args={"users": ["alice"]})
    assert runs(await samples(client)) == (1, 0, before)
    await world.runner().run_until_idle()
    assert during == [(0, 1, before)]
    assert runs(await samples(client)) == (0, 0, before + 1)


async def test_triggers_whose_last_time_made_no_run(
    client: Client, world: World, trigger: CronTrigger
) -> None:
    failing = ("rooster_sync_job_triggers_failing", ())
    assert (await samples(client))[failing] == 0
    await world.pool.execute("UPDATE sync_job_cron_triggers SET time_zone = 'Mars/Olympus'")
    await fire(world)
    assert (await samples(client))[failing] == 1
