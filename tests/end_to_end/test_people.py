"""What people do to our events, and what a refresh makes of it, over the real protocols."""

import pytest

from tests.end_to_end.installation import TYPES, Installation
from tests.end_to_end.test_main_job import ours, timetable


@pytest.mark.parametrize("type", TYPES)
async def test_a_refresh_finds_what_people_did_and_puts_it_right(rooster: Installation, type: str) -> None:
    await rooster.serve()
    events = timetable(6, description="Bring the book.")
    id = await rooster.person("alice", type, events)
    await rooster.until_synced(id)
    assert await rooster.api("POST", f"/v1/synchronizations/{id}/refresh", json={}) == 0
    nothing = (await rooster.api("GET", "/v1/runs"))["runs"][0]["drift"]
    assert nothing["events"] == 6
    assert sum(count for kind, count in nothing.items() if kind != "events") == 0

    # She deletes one, moves one, copies one, and makes notes in one.
    held = ours(await rooster.held(type, "alice@uni.example"))
    await rooster.person_does("DELETE", type, "alice@uni.example", held["event-0"]["id"])
    moved = {"title": "Nap", "location": "At home"}
    await rooster.person_does("PATCH", type, "alice@uni.example", held["event-1"]["id"], moved)
    noted = {"description": "Bring the book.\n\nAsk about chapter 3."}
    await rooster.person_does("PATCH", type, "alice@uni.example", held["event-2"]["id"], noted)
    mailbox = f"/mailboxes/{type}/alice@uni.example/events"
    copy = await rooster.post_control(mailbox, {"copyOf": held["event-3"]["id"]})

    answer = await rooster.api("POST", f"/v1/synchronizations/{id}/refresh", json={})
    run = answer or (await rooster.api("GET", "/v1/runs"))["runs"][0]["id"]

    async def done() -> bool:
        return bool((await rooster.api("GET", f"/v1/runs/{run}"))["state"] == "done")

    await rooster.until(done)
    drift = (await rooster.api("GET", f"/v1/runs/{run}"))["drift"]
    assert (drift["missing"], drift["changed"], drift["copied"]) == (1, 1, 1)

    async def put_right() -> bool:
        after = [e for e in await rooster.held(type, "alice@uni.example") if e["id"] != copy["id"]]
        by_uid = ours(after)
        return len(by_uid) == 6 and by_uid["event-1"]["title"] == "Lecture 1"

    await rooster.until(put_right)
    await rooster.until_synced(id)
    after = {e["id"]: e for e in await rooster.held(type, "alice@uni.example")}
    assert after.pop(copy["id"])["title"] == "Lecture 3"
    by_uid = ours(list(after.values()))
    assert by_uid["event-1"]["location"] == "Room 1"
    assert "Ask about chapter 3." in by_uid["event-2"]["description"]
    assert {row["remoteId"] for row in await rooster.ledger(id)} == set(after)

    # Her notes outlive a change of the text around them.
    events = timetable(6, description="Bring a pencil.")
    await rooster.api("PUT", "/v1/users/alice/timetable", json={"events": events})

    async def renewed() -> bool:
        event = ours([e for e in await rooster.held(type, "alice@uni.example") if e["id"] in after])
        return "Bring a pencil." in event["event-2"]["description"]

    await rooster.until(renewed)
    text = ours([e for e in await rooster.held(type, "alice@uni.example") if e["id"] in after])["event-2"]
    assert "Ask about chapter 3." in text["description"]
    assert "Bring the book." not in text["description"]
