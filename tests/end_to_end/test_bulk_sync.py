"""Two servers and three workers on one database: one bulk sync at a time, and all of it done."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.end_to_end.installation import Installation

PEOPLE = 24
TOMORROW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)


@pytest.mark.timeout(300)
async def test_one_bulk_sync_at_a_time_whoever_asks(
    rooster: Installation, record_property: Callable[[str, object], None]
) -> None:
    await rooster.serve("--no-worker")
    first = rooster.url
    await rooster.serve("--no-worker")
    second = rooster.url
    assert first != second
    event = {"uid": "a", "title": "A", "start": TOMORROW.isoformat(), "end": TOMORROW.isoformat()}
    ids = [await rooster.person(f"person-{number}", "ews", [event]) for number in range(PEOPLE)]
    # Long enough for somebody else to ask meanwhile.
    fault = {"type": "ews", "fault": "slow", "operation": "create", "delay": 2}
    await rooster.post_control("/faults", fault)

    rooster.url = first
    run = (await rooster.api("POST", "/v1/synchronizations/sync", 202, json={"all": True}))["run"]
    rooster.url = second
    loop = asyncio.get_running_loop()
    begun = loop.time()
    busy = await rooster.api("POST", "/v1/synchronizations/sync", 409, json={"synchronizations": ids[:1]})
    record_property("seconds until the busy call was answered", loop.time() - begun)
    assert (busy["code"], busy["run"]) == ("sync_active", run)

    for _ in range(3):
        await rooster.start("worker")

    async def done() -> bool:
        return bool((await rooster.api("GET", f"/v1/runs/{run}"))["state"] == "done")

    await rooster.until(done)
    counts = (await rooster.api("GET", f"/v1/runs/{run}"))["counts"]
    assert (counts["total"], counts["done"]) == (PEOPLE, PEOPLE)
    for number in range(PEOPLE):
        held = await rooster.held("ews", f"person-{number}@uni.example")
        assert [one["marker"]["event"] for one in held] == ["a"]
    # And now the other server may.
    await rooster.api("POST", "/v1/synchronizations/sync", 202, json={"synchronizations": ids[:1]})
