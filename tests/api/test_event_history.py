"""``/synchronizations/{id}/events/{uid}`` and the list of those that are due (CONTRACT §6)."""

from typing import Any
from urllib.parse import quote

import pytest

from app.database.types import Pool
from app.tokens import Role
from tests.api.conftest import Client, to_form
from tests.clock import SettableClock

EVENT = {"title": "Lecture", "start": "2026-09-08T09:00:00Z", "end": "2026-09-08T10:00:00Z"}


@pytest.fixture
def id(synchronization: dict[str, Any]) -> int:
    found: int = synchronization["id"]
    return found


async def publish(client: Client, *uids: str) -> None:
    events = [{**EVENT, "uid": uid} for uid in uids]
    answer = await client.put("/api/v1/users/alice/timetable?confirm=true", json={"events": events})
    assert answer.status_code == 200, answer.text


class TestHistory:
    async def test_of_a_published_event(self, client: Client, id: int) -> None:
        await publish(client, "a")
        answer = await client.get(f"/api/v1/synchronizations/{id}/events/a")
        assert answer.status_code == 200
        assert answer.json() == {
            "synchronization": id,
            "username": "alice",
            "uid": "a",
            "status": "waiting",
            "explanation": [
                "It is wanted since 2026-09-01 08:00:00 UTC.",
                "It is not in the mailbox yet.",
                "It waits for a worker since 2026-09-01 08:00:00 UTC.",
            ],
            "wanted": True,
            "leftOutBy": None,
            "leftOutLevel": None,
            "leftOutOwner": None,
            "calendar": None,
            "wantedSince": "2026-09-01T08:00:00Z",
            "changedAt": "2026-09-01T08:00:00Z",
            "publishedAt": "2026-09-01T08:00:00Z",
            "state": None,
            "remoteId": None,
            "pushedAt": None,
            "start": None,
            "end": None,
            "refused": None,
            "waiting": {
                "code": "worker",
                "reason": "It waits for a worker since 2026-09-01 08:00:00 UTC.",
                "since": None,
                "until": "2026-09-01T08:00:00Z",
            },
            "removed": None,
            "tries": [],
        }

    @pytest.mark.parametrize("uid", ["a/b", "a b+c%", "Zoë", "https://uni.example/?q=1#x", "..", "a\\b"])
    async def test_a_uid_may_hold_anything(self, client: Client, id: int, uid: str) -> None:
        await publish(client, uid)
        # Dots are no part of a path if they are encoded as well (RFC 3986 section 6.2.2.3 is for clients).
        encoded = quote(uid, safe="").replace(".", "%2E")
        found = (await client.get(f"/api/v1/synchronizations/{id}/events/{encoded}")).json()
        assert (found["uid"], found["wanted"]) == (uid, True)

    @pytest.mark.parametrize("uid", ["never", "%00", "%FF", "%F0%9F%98%80", "x" * 3000])
    async def test_one_that_nobody_published_has_a_history_too(
        self, client: Client, id: int, uid: str
    ) -> None:
        await publish(client, "a")
        answer = await client.get(f"/api/v1/synchronizations/{id}/events/{uid}")
        assert answer.status_code == 200, answer.text
        assert (answer.json()["status"], answer.json()["wanted"]) == ("not_published", False)

    @pytest.mark.parametrize("unknown", ["999", "0", "-1", str(2**63), str(10**30), "x"])
    async def test_an_unknown_synchronization_has_none(self, client: Client, unknown: str) -> None:
        answer = await client.get(f"/api/v1/synchronizations/{unknown}/events/a")
        assert answer.status_code == 404

    async def test_an_unlinked_one_still_has(self, client: Client, id: int, tokens: dict[Role, str]) -> None:
        await publish(client, "a")
        await client.delete(f"/api/v0/synchronizations/{id}?unlinkMode=CLEANUP")
        path = f"/api/v1/synchronizations/{id}/events/a"
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["status"]) == (200, "unlinked")
        headers = {"apiToken": tokens["frontend"], "requestedAuth": "bob"}
        assert (await client.get(path, headers=headers)).status_code == 403


class TestWhatLeavesItOut:
    """Which preference it is, and where that is set."""

    PREFERENCE = "selection/daysAhead"
    LEVELS = (
        ("installation", "default", "(set for the installation)"),
        ("type", "ews", "(set for the type ews)"),
        ("role", "ROLE_STUDENT", "(set for the role ROLE_STUDENT)"),
        ("user", "alice", "(set for the user alice)"),
        ("synchronization", "{id}", "(set for this synchronization)"),
    )

    async def told(self, client: Client, id: int) -> tuple[str, str, str, str]:
        """Preference, level and owner, and the sentence that tells of them."""
        found = (await client.get(f"/api/v1/synchronizations/{id}/events/a")).json()
        assert found["status"] == "left_out"
        return (
            found["leftOutBy"],
            found["leftOutLevel"],
            found["leftOutOwner"],
            next(told for told in found["explanation"] if "filtered" in told),
        )

    async def test_at_the_level_that_wins(self, client: Client, id: int) -> None:
        await client.put("/api/v0/users/alice", json={"roles": ["ROLE_STUDENT"]})
        await publish(client, "a")
        for level, owner, phrase in self.LEVELS:
            owner = owner.format(id=id)
            path = f"/api/v1/preferences/{level}/{owner}/{self.PREFERENCE}"
            assert (await client.put(path, json={"value": 0})).status_code == 201
            preference, *where, sentence = await self.told(client, id)
            assert (preference, where) == ("selection.daysAhead", [level, owner])
            assert f"the preference selection.daysAhead {phrase}: it is outside the window" in sentence

    async def test_by_its_default(self, client: Client, id: int) -> None:
        await publish(client, "a")
        listed = (await client.get("/api/v1/preference-descriptions")).json()["preferenceDescriptions"]
        [description] = [one for one in listed if one["key"] == "daysAhead"]
        path = f"/api/v1/preference-descriptions/{description['prefDescId']}"
        assert (await client.patch(path, json={"default": 0})).status_code == 200
        preference, *where, sentence = await self.told(client, id)
        assert (preference, where) == ("selection.daysAhead", ["default", None])
        assert "(its default)" in sentence


class TestDue:
    PATH = "/api/v1/synchronizations"

    async def due(self, client: Client) -> dict[int, str]:
        answer = await client.get(f"{self.PATH}?ready=true")
        assert answer.status_code == 200
        return {found["id"]: found["why"] for found in answer.json()["synchronizations"]}

    async def test_why(self, client: Client, pool: Pool, clock: SettableClock, id: int) -> None:
        assert await self.due(client) == {id: "never_synced"}
        await pool.execute("UPDATE synchronizations SET last_resync = $1", clock())
        assert await self.due(client) == {id: "resync"}
        clock.advance(minutes=1)
        await publish(client, "a")
        assert await self.due(client) == {id: "timetable_changed"}
        await pool.execute(
            "UPDATE synchronizations SET failing_since = $1, last_error = 'It is down.'", clock()
        )
        [found] = (await client.get(f"{self.PATH}?ready=true")).json()["synchronizations"]
        assert (found["why"], found["reason"]) == (
            "retry",
            "The last run did not get to its end: It is down.",
        )
        run = (await client.post(f"{self.PATH}/sync", json={"all": True})).json()["run"]
        [found] = (await client.get(f"{self.PATH}?ready=true")).json()["synchronizations"]
        assert (found["why"], found["reason"]) == ("sync_run", f"Run {run}, a sync, is visiting its mailbox.")

    async def test_what_is_not(self, client: Client, pool: Pool, clock: SettableClock, id: int) -> None:
        await pool.execute("UPDATE mailboxes SET due_at = $1", clock.advance(seconds=1))
        clock.advance(seconds=-1)
        assert await self.due(client) == {}
        clock.advance(seconds=1)
        assert list(await self.due(client)) == [id]
        await pool.execute(
            "UPDATE mailboxes SET owner = gen_random_uuid(), lease_until = now() + interval '1 hour'"
        )
        assert await self.due(client) == {}
        # Its worker has died: it is to be taken up by another.
        await pool.execute("UPDATE mailboxes SET lease_until = now() - interval '1 minute'")
        assert list(await self.due(client)) == [id]
        await client.patch(f"{self.PATH}/{id}", json={"enabled": False})
        assert await self.due(client) == {}
        [found] = (await client.get(self.PATH)).json()["synchronizations"]
        assert (found["id"], found["status"], found["why"]) == (id, "DISABLED", None)

    async def test_page_by_page(self, client: Client, id: int) -> None:
        await client.put("/api/v0/users/bob")
        other = await client.put("/api/v0/synchronizations", data=to_form("bob", "ews", "bob@uni.example"))
        first = (await client.get(f"{self.PATH}?ready=true&limit=1")).json()
        second = (await client.get(f"{self.PATH}?ready=true&limit=1&cursor={first['next']}")).json()
        ids = [found["id"] for found in first["synchronizations"] + second["synchronizations"]]
        assert ids == [id, other.json()["synchronization"]["id"]]
        assert second["next"] is None
