"""What people do to our events, and what a refresh makes of it, over the real protocols."""

import pytest

from tests.end_to_end.installation import TYPES, Installation
from tests.end_to_end.test_main_job import ours, timetable


@pytest.mark.timeout(300)
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("type", TYPES)
async def test_a_refresh_finds_what_people_did_and_puts_it_right(serving: Installation, type: str) -> None:
    username, address = f"touching-{type}", f"touching-{type}@uni.example"
    events = timetable(6, description="Bring the book.")
    id = await serving.person(username, type, events)
    await serving.until_synced(id)
    nothing = (await serving.refresh(id))["drift"]
    assert nothing["events"] == 6
    assert sum(count for kind, count in nothing.items() if kind != "events") == 0

    # She deletes one, moves one, copies one, and makes notes in one.
    held = ours(await serving.held(type, address))
    await serving.person_does("DELETE", type, address, held["event-0"]["id"])
    moved = {"title": "Nap", "location": "At home"}
    await serving.person_does("PATCH", type, address, held["event-1"]["id"], moved)
    noted = {"description": "Bring the book.\n\nAsk about chapter 3."}
    await serving.person_does("PATCH", type, address, held["event-2"]["id"], noted)
    mailbox = f"/mailboxes/{type}/{address}/events"
    copy = await serving.post_control(mailbox, {"copyOf": held["event-3"]["id"]})

    drift = (await serving.refresh(id))["drift"]
    assert (drift["missing"], drift["changed"], drift["copied"]) == (1, 1, 1)

    async def put_right() -> bool:
        after = [e for e in await serving.held(type, address) if e["id"] != copy["id"]]
        by_uid = ours(after)
        return len(by_uid) == 6 and by_uid["event-1"]["title"] == "Lecture 1"

    await serving.until(put_right)
    await serving.until_synced(id)
    after = {e["id"]: e for e in await serving.held(type, address)}
    assert after.pop(copy["id"])["title"] == "Lecture 3"
    by_uid = ours(list(after.values()))
    assert by_uid["event-1"]["location"] == "Room 1"
    assert "Ask about chapter 3." in by_uid["event-2"]["description"]
    assert {row["remoteId"] for row in await serving.ledger(id)} == set(after)

    # Her notes outlive a change of the text around them.
    events = timetable(6, description="Bring a pencil.")
    await serving.api("PUT", f"/v1/users/{username}/timetable", json={"events": events})

    async def renewed() -> bool:
        event = ours([e for e in await serving.held(type, address) if e["id"] in after])
        return "Bring a pencil." in event["event-2"]["description"]

    await serving.until(renewed)
    text = ours([e for e in await serving.held(type, address) if e["id"] in after])["event-2"]
    assert "Ask about chapter 3." in text["description"]
    assert "Bring the book." not in text["description"]
