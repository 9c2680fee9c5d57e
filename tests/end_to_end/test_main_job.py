"""The main job through the real commands, a real database, and the sandbox over TLS."""

from asyncio.subprocess import Process
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.end_to_end.installation import TYPES, Installation

pytestmark = pytest.mark.timeout(300)

TODAY = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def timetable(count: int, **fields: Any) -> list[dict[str, Any]]:
    """Events of an hour, one a day, half of them over and half to come."""
    first = TODAY - timedelta(days=count // 2, hours=2)
    return [
        {
            "uid": f"event-{number}",
            "title": f"Lecture {number}",
            "start": (first + timedelta(days=number)).isoformat(),
            "end": (first + timedelta(days=number, hours=1)).isoformat(),
            "timeZone": "Europe/Amsterdam",
            "location": "Room 1",
            **fields,
        }
        for number in range(count)
    ]


def ours(held: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Our events in a calendar, by uid; none is there twice."""
    marked = [event for event in held if event["marker"]]
    by_uid = {event["marker"]["event"]: event for event in marked}
    assert len(by_uid) == len(marked), Counter(event["marker"]["event"] for event in marked)
    return by_uid


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("type", TYPES)
async def test_one_changed_event_of_300_costs_one_request_and_a_resync_none(
    serving: Installation, type: str
) -> None:
    username, address = f"changing-{type}", f"changing-{type}@uni.example"
    events = timetable(300)
    id = await serving.person(username, type, events)
    synced_at = await serving.until_synced(id)
    before = ours(await serving.held(type, address))
    assert len(before) == 300
    asked = await serving.requests(type)

    events[200]["location"] = "Room 2"
    counts = await serving.api("PUT", f"/v1/users/{username}/timetable", json={"events": events})
    assert (counts["updated"], counts["unchanged"]) == (1, 299)
    synced_at = await serving.until_synced(id, since=synced_at)
    after = ours(await serving.held(type, address))
    assert after["event-200"]["location"] == "Room 2"
    assert [uid for uid in after if after[uid] != before[uid]] == ["event-200"]
    spent = sum((await serving.requests(type)).values()) - sum(asked.values())
    assert spent == 1

    # A resync of what has not changed.
    asked = await serving.requests(type)
    await serving.api("POST", "/v1/synchronizations/sync", 202, json={"synchronizations": [id]})
    await serving.until_synced(id, since=synced_at)
    assert await serving.requests(type) == asked


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("type", TYPES)
async def test_unlinking_takes_out_what_the_preview_says_and_nothing_else(
    serving: Installation, type: str
) -> None:
    future = sum(datetime.fromisoformat(e["start"]) > TODAY + timedelta(hours=1) for e in timetable(20))
    expected = {"UNLINK_ONLY": 0, "DELETE_FUTURE_EVENTS": future, "DELETE_ALL_EVENTS": 20, "CLEANUP": 20}
    for mode, count in expected.items():
        username = f"{mode.lower()}-{type}"
        address = f"{username}@uni.example"
        id = await serving.person(username, type, timetable(20))
        await serving.until_synced(id)
        some = next(iter(ours(await serving.held(type, address)).values()))
        mailbox = f"/mailboxes/{type}/{address}/events"
        await serving.post_control(mailbox, {"copyOf": some["id"]})
        await serving.post_control(
            mailbox, {"title": "Dentist", "start": "2030-01-07T09:00:00Z", "end": "2030-01-07T10:00:00Z"}
        )
        before = {event["id"]: event for event in await serving.held(type, address)}
        preview = await serving.api("GET", f"/v1/synchronizations/unlink-preview?unlinkMode={mode}&id={id}")

        await serving.api(
            "DELETE",
            f"/v0/synchronizations/{id}?unlinkMode={mode}",
            204,
            headers={"Prefer": "wait=60"},
        )

        after = {event["id"]: event for event in await serving.held(type, address)}
        removed = set(before) - set(after)
        assert removed == {event["remoteId"] for event in preview["remove"]}
        assert after == {key: event for key, event in before.items() if key not in removed}
        assert len(removed) == count
        assert (await serving.api("GET", f"/v0/users/{username}/synchronizations"))["synchronizations"] == []
        listed = (await serving.api("GET", "/v0/synchronizations"))["synchronizations"]
        assert id not in {synchronization["id"] for synchronization in listed}
        await serving.api("GET", f"/v1/synchronizations/{id}", 404)


async def test_killed_workers_lose_nothing_and_do_nothing_twice(rooster: Installation) -> None:
    server = await rooster.serve("--no-worker")
    events = timetable(250)
    ids = [await rooster.person(f"person-{type}", type, events) for type in TYPES]
    for round in range(6):
        worker = await rooster.start(
            "worker", environ={"ROOSTER_SYNC__LEASE_SECONDS": "5", "ROOSTER_SYNC__CONCURRENCY__EWS": "1"}
        )

        async def working(round: int = round) -> bool:
            return await rooster.created() > 100 * (round + 1)

        async def either(worker: Process = worker) -> bool:
            return worker.returncode is not None or await working()

        await rooster.until(either)
        await rooster.kill(worker)
    worker = await rooster.start("worker", environ={"ROOSTER_SYNC__LEASE_SECONDS": "5"})
    for id in ids:
        await rooster.until_synced(id)
    for type, id in zip(TYPES, ids, strict=True):
        held = ours(await rooster.held(type, f"person-{type}@uni.example"))
        assert set(held) == {event["uid"] for event in events}
        assert {row["remoteId"] for row in await rooster.ledger(id)} == {e["id"] for e in held.values()}
    assert await rooster.terminate(worker) == 0
    assert await rooster.terminate(server) == 0


async def test_sigterm_in_the_middle_of_a_push_leaves_everything_resumable(rooster: Installation) -> None:
    server = await rooster.serve()
    events = timetable(300)
    id = await rooster.person("alice", "o365", events)

    async def begun() -> bool:
        return await rooster.created() > 0

    await rooster.until(begun)
    assert await rooster.terminate(server) == 0
    await rooster.serve()
    await rooster.until_synced(id)
    assert len(ours(await rooster.held("o365", "alice@uni.example"))) == 300


async def test_a_provider_that_is_down_holds_up_neither_provisioning_nor_the_others(
    rooster: Installation,
) -> None:
    await rooster.serve()
    await rooster.post_control("/faults", {"type": "ews", "fault": "unavailable"})
    down = await rooster.person("down", "ews", timetable(3))
    facts = await rooster.api("GET", f"/v1/synchronizations/{down}")
    assert facts["status"] in {"PENDING", "ERROR", "THROTTLED"}
    for type in ("o365", "googlecalendar"):
        await rooster.until_synced(await rooster.person(f"up-{type}", type, timetable(3)))
    async with rooster.http.delete(f"{rooster.control}/faults") as response:
        assert response.status < 300
    await rooster.until_synced(down)
    assert len(ours(await rooster.held("ews", "down@uni.example"))) == 3


async def test_no_secret_token_or_title_is_in_a_log(rooster: Installation) -> None:
    server = await rooster.serve()
    title = "Confidential appraisal"
    ids = [await rooster.person(f"p-{type}", type, timetable(3, title=title)) for type in TYPES]
    for id in ids:
        await rooster.until_synced(id)
    await rooster.terminate(server)
    config = rooster.folder.joinpath("rooster.toml").read_text()
    secrets = [
        line.split('"')[1] for line in config.splitlines() if line.startswith(("password", "client_secret"))
    ]
    assert len(secrets) == 2
    log = rooster.folder.joinpath("serve.log").read_text()
    assert "mailbox_run" in log
    for private in [title, rooster.token, *secrets]:
        assert private not in log
