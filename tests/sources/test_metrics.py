"""``/metrics`` of sync jobs: what an administrator has alerts on."""

from typing import Any

import msgspec
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


async def pairs(client: Client) -> set[tuple[str, ...]]:
    """The jobs and accounts of which anything is said."""
    return {
        tuple(value for label, value in labels if label in ("sync_job", "integrated_account"))
        for name, labels in await samples(client)
        if "sync_job" in dict(labels)
    }


async def test_what_nobody_runs_by_the_clock_has_a_series_for_a_day(
    client: Client, world: World, trigger: CronTrigger
) -> None:
    await world.add_users("dora")
    account = await world.account()
    other = msgspec.structs.replace(trigger, integrated_account_id=account)
    world.source.give("dora", ReadFailed("It answers with HTTP status 500."))
    await world.run(trigger.sync_job_id, account, args={"users": ["dora"]})
    asked_for = world.clock()
    assert await series(client, other, SUCCEEDED) == {"": asked_for.timestamp()}
    counts = await series(client, other, "rooster_sync_job_last_run_counts")
    assert (counts["read_errors"], counts["users_applied"]) == (1, 0)
    world.clock.advance(hours=23)
    world.source.give("dora", page(lecture("dora", "a")))
    await world.run(trigger.sync_job_id, account, args={"users": ["dora"]})
    assert await series(client, other, SUCCEEDED) == {"": world.clock().timestamp()}
    world.clock.advance(days=1)
    assert await pairs(client) == {(str(trigger.integrated_account_id), str(trigger.sync_job_id))}


async def test_of_what_nobody_runs_by_the_clock_the_latest_have_a_series(
    client: Client, world: World, trigger: CronTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many jobs a script makes."""
    monkeypatch.setattr("app.api.health.MAX_OTHERS", 2)
    accounts = [await world.account() for _ in range(3)]
    for account in accounts:
        await world.run(trigger.sync_job_id, account, args={"users": []})
    shown = [str(trigger.integrated_account_id), *map(str, accounts[1:])]
    assert sorted(account for account, _ in await pairs(client)) == sorted(shown)


async def test_a_trigger_that_is_switched_off_makes_no_series(
    client: Client, world: World, trigger: CronTrigger
) -> None:
    await triggers.change(
        world.pool, trigger.id, {"enabled": False}, world.sources.integrations, "UTC", world.clock()
    )
    assert await pairs(client) == set()


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
