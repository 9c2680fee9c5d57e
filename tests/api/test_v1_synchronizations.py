"""``/api/v1/synchronizations``: how far they have got, and what can be done about them (CONTRACT §6)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.database.queries import query
from app.database.types import Pool
from tests.api.conftest import Client, to_form
from tests.clock import SettableClock

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)


async def push(pool: Pool, synchronization: int, uid: str, **columns: Any) -> None:
    """As a worker does: a row of the ledger; an event that is in the mailbox if nothing else is said."""
    values = {
        "state": "present",
        "remote_id": f"remote-{uid}",
        "content": f'{{"title": "Title of {uid}"}}',
        "content_hash": b"now",
        "starts_at": NOW + timedelta(days=1),
        "ends_at": NOW + timedelta(days=1, hours=1),
        "pushed_at": NOW,
        **columns,
    }
    await pool.execute(
        f"INSERT INTO ledger (synchronization_id, mailbox_id, uid, {', '.join(values)})"
        " SELECT id, mailbox_id, $2,"
        f" {', '.join(f'${n}' for n in range(3, 3 + len(values)))} FROM synchronizations WHERE id = $1",
        synchronization,
        uid,
        *values.values(),
    )


async def want(pool: Pool, uid: str, content_hash: bytes = b"now", *, cancelled: bool = False) -> None:
    """Alice's timetable has this event."""
    await pool.execute(
        "INSERT INTO timetable_events (username, uid, starts_at, ends_at, content, content_hash, cancelled)"
        " VALUES ('alice', $1, $2, $2, '{}', $3, $4)",
        uid,
        NOW,
        content_hash,
        cancelled,
    )


@pytest.fixture
def id(synchronization: dict[str, Any]) -> int:
    found: int = synchronization["id"]
    return found


@pytest.fixture
def path(id: int) -> str:
    return f"/api/v1/synchronizations/{id}"


class TestDetails:
    async def test_of_a_new_one(self, client: Client, synchronization: dict[str, Any], path: str) -> None:
        assert (await client.get(path)).json() == {
            **synchronization,
            "counts": {"creating": 0, "present": 0, "updating": 0, "deleting": 0, "refused": 0},
            "backlog": 0,
            "lastError": None,
            "nextAttempt": "2026-09-01T08:00:00Z",
        }

    async def test_counts_and_backlog(self, client: Client, pool: Pool, id: int, path: str) -> None:
        await push(pool, id, "as wanted")
        await want(pool, "as wanted")
        await push(pool, id, "changed")
        await want(pool, "changed", b"later")
        await want(pool, "new")
        await want(pool, "cancelled", cancelled=True)
        await push(pool, id, "unwanted")
        await push(pool, id, "going", state="deleting")
        await push(pool, id, "refused", state="refused", refused_hash=b"now")
        await want(pool, "refused")
        await push(pool, id, "refused before", state="refused", refused_hash=b"before")
        await want(pool, "refused before")
        found = (await client.get(path)).json()
        assert found["counts"] == {"creating": 0, "present": 3, "updating": 0, "deleting": 1, "refused": 2}
        assert found["backlog"] == len(["changed", "new", "unwanted", "going", "refused before"])

    async def test_what_went_wrong_and_when_it_is_tried_again(
        self, client: Client, pool: Pool, path: str
    ) -> None:
        await pool.execute("UPDATE synchronizations SET status = 'ERROR', last_error = 'Refused.'")
        await pool.execute("UPDATE mailboxes SET due_at = NULL")
        found = (await client.get(path)).json()
        assert (found["status"], found["lastError"], found["nextAttempt"]) == ("ERROR", "Refused.", None)

    @pytest.mark.parametrize("id", ["999", str(2**63), str(10**30), "0", "-1", "x", "%00"])
    @pytest.mark.parametrize("rest", ["", "/events"])
    async def test_an_unknown_one(self, client: Client, id: str, rest: str) -> None:
        answer = await client.get(f"/api/v1/synchronizations/{id}{rest}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"

    async def test_an_unlinked_one(self, client: Client, id: int, path: str) -> None:
        await client.delete(f"/api/v0/synchronizations/{id}?unlinkMode=UNLINK_ONLY")
        assert (await client.get(path)).status_code == 404


class TestSwitch:
    async def test_off_and_on(self, client: Client, pool: Pool, path: str) -> None:
        await pool.execute("UPDATE mailboxes SET due_at = NULL")
        off = await client.patch(path, json={"enabled": False})
        assert off.status_code == 200
        assert (off.json()["enabled"], off.json()["status"]) == (False, "DISABLED")
        on = await client.patch(path, json={"enabled": True})
        assert (on.json()["enabled"], on.json()["status"]) == (True, "PENDING")
        assert on.json()["nextAttempt"] is not None

    async def test_as_it_is_already(self, client: Client, pool: Pool, path: str) -> None:
        await pool.execute("UPDATE synchronizations SET status = 'OK'")
        before = (await client.get(path)).json()
        wake = await pool.fetchval("SELECT wake FROM mailboxes")
        assert (await client.patch(path, json={"enabled": True})).json() == before
        assert await pool.fetchval("SELECT wake FROM mailboxes") == wake

    @pytest.mark.parametrize(
        "body",
        [
            {"json": {}},
            {"json": {"enabled": "yes"}},
            {"json": {"enabled": None}},
            {"json": []},
            {"content": b"{"},
            {"content": b""},
            {"content": b'{"enabled": "\\ud800"}'},
        ],
    )
    async def test_a_body_that_says_nothing(self, client: Client, path: str, body: dict[str, Any]) -> None:
        answer = await client.patch(path, **body)
        assert answer.status_code == 400
        assert answer.json()["code"] == "bad_request"

    async def test_an_unknown_one(self, client: Client) -> None:
        answer = await client.patch("/api/v1/synchronizations/999", json={"enabled": True})
        assert answer.status_code == 404


class TestEvents:
    async def test_page_by_page(self, client: Client, pool: Pool, id: int, path: str) -> None:
        for number in range(5):
            await push(pool, id, f"e{number}")
        first = (await client.get(f"{path}/events?limit=2")).json()
        assert first["events"][0] == {
            "uid": "e0",
            "state": "present",
            "remoteId": "remote-e0",
            "start": "2026-09-02T08:00:00Z",
            "end": "2026-09-02T09:00:00Z",
            "pushedAt": "2026-09-01T08:00:00Z",
        }
        second = (await client.get(f"{path}/events?limit=2&cursor={first['next']}")).json()
        third = (await client.get(f"{path}/events?limit=2&cursor={second['next']}")).json()
        pages = (first, second, third)
        assert [[e["uid"] for e in page["events"]] for page in pages] == [["e0", "e1"], ["e2", "e3"], ["e4"]]
        assert third["next"] is None

    async def test_a_full_last_page_has_none_after_it(
        self, client: Client, pool: Pool, id: int, path: str
    ) -> None:
        await push(pool, id, "e")
        assert (await client.get(f"{path}/events?limit=1")).json()["next"] is None

    async def test_an_event_on_its_way(self, client: Client, pool: Pool, id: int, path: str) -> None:
        unsent = dict.fromkeys(("remote_id", "content", "starts_at", "ends_at", "pushed_at"))
        await push(pool, id, "e", state="creating", **unsent)
        assert (await client.get(f"{path}/events")).json()["events"] == [
            {"uid": "e", "state": "creating", "remoteId": None, "start": None, "end": None, "pushedAt": None}
        ]

    @pytest.mark.parametrize(
        "page",
        [
            "limit=0",
            "limit=1001",
            "limit=x",
            f"limit={10**30}",
            "cursor=x",
            f"cursor={10**18}0",
            "cursor=%00",
        ],
    )
    async def test_a_wrong_page(self, client: Client, path: str, page: str) -> None:
        assert (await client.get(f"{path}/events?{page}")).status_code == 400


class TestUnlinkPreview:
    PATH = "/api/v1/synchronizations/unlink-preview"

    @pytest.fixture
    async def earlier(self, client: Client, pool: Pool, id: int) -> int:
        """An earlier synchronization of Alice's that left an event in the same mailbox."""
        await push(pool, id, "left")
        await client.delete(f"/api/v0/synchronizations/{id}?unlinkMode=UNLINK_ONLY")
        return id

    @pytest.fixture
    async def now(self, client: Client, pool: Pool, earlier: int) -> int:
        """The synchronization of now, with an event past, one at this moment, and one to come."""
        answer = await client.put(
            "/api/v0/synchronizations", data=to_form("alice", "ews", "alice@uni.example")
        )
        found: int = answer.json()["synchronization"]["id"]
        await push(pool, found, "past", starts_at=NOW - timedelta(hours=1))
        await push(pool, found, "present", starts_at=NOW)
        await push(pool, found, "future", starts_at=NOW + timedelta(seconds=1))
        return found

    async def preview(self, client: Client, query: str) -> tuple[list[str], list[tuple[str, str]]]:
        answer = await client.get(f"{self.PATH}?{query}")
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["counts"] == {"remove": len(found["remove"]), "keep": len(found["keep"])}
        removed = [event["uid"] for event in found["remove"]]
        return removed, [(event["uid"], event["code"]) for event in found["keep"]]

    @pytest.mark.parametrize("selection", ["id", "user", "type"])
    @pytest.mark.parametrize(
        ("mode", "remove", "keep"),
        [
            (
                "UNLINK_ONLY",
                [],
                [(uid, "unlink_only") for uid in ("past", "present", "future", "left")],
            ),
            (
                "DELETE_FUTURE_EVENTS",
                ["future"],
                [
                    ("past", "not_in_the_future"),
                    ("present", "not_in_the_future"),
                    ("left", "other_synchronization"),
                ],
            ),
            ("DELETE_ALL_EVENTS", ["past", "present", "future"], [("left", "other_synchronization")]),
            ("CLEANUP", ["past", "present", "future", "left"], []),
        ],
    )
    async def test_in_each_mode(
        self,
        client: Client,
        now: int,
        mode: str,
        remove: list[str],
        keep: list[tuple[str, str]],
        selection: str,
    ) -> None:
        query = {"id": f"id={now}", "user": "username=alice", "type": "username=alice&type=ews"}[selection]
        assert await self.preview(client, f"unlinkMode={mode}&{query}") == (remove, keep)

    async def test_an_event(self, client: Client, now: int) -> None:
        answer = await client.get(f"{self.PATH}?unlinkMode=DELETE_FUTURE_EVENTS&id={now}")
        [event] = answer.json()["remove"]
        assert event == {
            "synchronization": now,
            "uid": "future",
            "title": "Title of future",
            "start": "2026-09-01T08:00:01Z",
            "remoteId": "remote-future",
        }
        assert answer.json()["keep"][0]["reason"].endswith(".")

    async def test_what_was_sent_and_never_answered_is_there_and_what_was_never_sent_is_not(
        self, client: Client, pool: Pool, id: int
    ) -> None:
        nothing = {"remote_id": None, "content": None, "pushed_at": None}
        await push(pool, id, "sent", state="creating", sent_at=NOW, sent_content='{"title": "T"}', **nothing)
        await push(pool, id, "planned", state="creating", **nothing)
        assert await self.preview(client, f"unlinkMode=DELETE_ALL_EVENTS&id={id}") == (["sent"], [])

    async def test_a_cleanup_by_user_without_a_current_one(self, client: Client, earlier: int) -> None:
        assert await self.preview(client, "unlinkMode=CLEANUP&username=alice") == (["left"], [])
        assert await self.preview(client, "unlinkMode=DELETE_ALL_EVENTS&username=alice") == ([], [])

    async def test_of_another_type(self, client: Client, now: int) -> None:
        assert await self.preview(client, "unlinkMode=CLEANUP&username=alice&type=o365") == ([], [])

    async def test_it_changes_nothing(self, client: Client, pool: Pool, now: int) -> None:
        await self.preview(client, f"unlinkMode=CLEANUP&id={now}")
        assert await pool.fetchval("SELECT count(*) FROM unlinks WHERE mode = 'CLEANUP'") == 0
        assert (await client.get(f"/api/v1/synchronizations/{now}")).status_code == 200

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("unlinkMode=CLEANUP", 400),
            ("unlinkMode=CLEANUP&id=1&username=alice", 400),
            ("unlinkMode=CLEANUP&id=1&type=ews", 400),
            ("unlinkMode=CLEANUP&id=x", 400),
            ("unlinkMode=CLEANUP&id=1&id=2", 400),
            ("unlinkMode=CLEANUP&username=alice&type=%00", 400),
            ("unlinkMode=NONE&username=alice", 400),
            ("username=alice", 400),
            (f"unlinkMode=CLEANUP&id={10**30}", 404),
            ("unlinkMode=CLEANUP&id=999", 404),
            ("unlinkMode=CLEANUP&username=nobody", 404),
            ("unlinkMode=CLEANUP&username=%00", 404),
        ],
    )
    async def test_a_wrong_selection(self, client: Client, alice: str, query: str, status: int) -> None:
        answer = await client.get(f"{self.PATH}?{query}")
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


class TestSync:
    PATH = "/api/v1/synchronizations/sync"

    @pytest.fixture
    async def bob(self, client: Client) -> int:
        await client.put("/api/v0/users/bob")
        answer = await client.put("/api/v0/synchronizations", data=to_form("bob", "ews", "bob@uni.example"))
        found: int = answer.json()["synchronization"]["id"]
        return found

    async def visit(self, pool: Pool, clock: SettableClock, error: str | None = None) -> None:
        """As a worker does with the mailbox that is due first."""
        row = await pool.fetchrow("SELECT id, wake FROM mailboxes WHERE due_at IS NOT NULL ORDER BY id")
        assert row is not None
        await pool.execute("UPDATE mailboxes SET due_at = NULL WHERE id = $1", row["id"])
        await pool.execute(query("runs.visited"), row["id"], row["wake"], clock(), error)

    @pytest.mark.parametrize(
        ("body", "visits"),
        [
            ({"all": True}, 2),
            ({"users": ["alice"]}, 1),
            ({"users": ["alice", "bob", "nobody"]}, 2),
            ({"types": ["ews"]}, 2),
            ({"types": ["o365"]}, 0),
            ({"synchronizations": []}, 0),
        ],
    )
    async def test_wakes_the_mailboxes(
        self, client: Client, pool: Pool, id: int, bob: int, body: dict[str, Any], visits: int
    ) -> None:
        await pool.execute("UPDATE mailboxes SET due_at = NULL")
        answer = await client.post(self.PATH, json=body)
        assert answer.status_code == 202
        run = (await client.get(f"/api/v1/runs/{answer.json()['run']}")).json()
        assert run["counts"] == {"total": visits, "done": 0, "removed": 0}
        assert (run["kind"], run["state"]) == ("sync", "active" if visits else "done")
        assert await pool.fetchval("SELECT count(*) FROM mailboxes WHERE due_at IS NOT NULL") == visits

    async def test_by_id(self, client: Client, pool: Pool, id: int, bob: int) -> None:
        answer = await client.post(self.PATH, json={"synchronizations": [bob]})
        assert answer.status_code == 202
        visited = await pool.fetchval(
            "SELECT array_agg(m.address) FROM run_mailboxes JOIN mailboxes AS m ON m.id = mailbox_id"
        )
        assert visited == ["bob@uni.example"]

    async def test_leaves_disabled_ones_out(self, client: Client, pool: Pool, id: int) -> None:
        await client.patch(f"/api/v1/synchronizations/{id}", json={"enabled": False})
        answer = await client.post(self.PATH, json={"synchronizations": [id]})
        run = (await client.get(f"/api/v1/runs/{answer.json()['run']}")).json()
        assert (run["state"], run["progress"]) == ("done", 1.0)

    async def test_is_done_when_every_mailbox_was_visited(
        self, client: Client, pool: Pool, clock: SettableClock, id: int, bob: int
    ) -> None:
        run = (await client.post(self.PATH, json={"all": True})).json()["run"]
        await self.visit(pool, clock)
        half = (await client.get(f"/api/v1/runs/{run}")).json()
        assert (half["state"], half["progress"], half["finishedAt"]) == ("active", 0.5, None)
        clock.advance(minutes=1)
        await self.visit(pool, clock, "The provider is down.")
        over = (await client.get(f"/api/v1/runs/{run}")).json()
        assert (over["state"], over["progress"]) == ("done", 1.0)
        assert over["finishedAt"] == "2026-09-01T08:01:00Z"
        assert over["errors"] == [
            {"detail": "The provider is down.", "type": "ews", "address": "bob@uni.example"}
        ]

    async def test_a_visit_that_began_before_does_not_count(
        self, client: Client, pool: Pool, clock: SettableClock, id: int
    ) -> None:
        before = await pool.fetchrow("SELECT id, wake FROM mailboxes")
        assert before is not None
        run = (await client.post(self.PATH, json={"all": True})).json()["run"]
        await pool.execute(query("runs.visited"), before["id"], before["wake"], clock(), None)
        assert (await client.get(f"/api/v1/runs/{run}")).json()["state"] == "active"

    async def test_only_one_at_a_time(
        self, client: Client, pool: Pool, clock: SettableClock, id: int
    ) -> None:
        run = (await client.post(self.PATH, json={"all": True})).json()["run"]
        second = await client.post(self.PATH, json={"all": True})
        assert second.status_code == 409
        assert second.headers["content-type"] == "application/problem+json"
        assert (second.json()["code"], second.json()["run"]) == ("sync_active", run)
        await self.visit(pool, clock)
        assert (await client.post(self.PATH, json={"all": True})).status_code == 202

    async def test_unknown_ids(self, client: Client, pool: Pool, id: int) -> None:
        answer = await client.post(self.PATH, json={"synchronizations": [id, 999, -1, 10**18]})
        assert answer.status_code == 422
        assert [problem["field"] for problem in answer.json()["problems"]] == [
            "synchronizations[1]",
            "synchronizations[2]",
            "synchronizations[3]",
        ]
        assert await pool.fetchval("SELECT count(*) FROM runs") == 0

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({}, 400),
            ({"all": False}, 400),
            ({"all": True, "users": ["alice"]}, 400),
            ({"synchronizations": ["x"]}, 400),
            ({"users": ["a\x00"]}, 422),
            ({"types": [""]}, 422),
        ],
    )
    async def test_a_wrong_choice(
        self, client: Client, alice: str, body: dict[str, Any], status: int
    ) -> None:
        assert (await client.post(self.PATH, json=body)).status_code == status


class TestRuns:
    async def test_the_latest_first_page_by_page(self, client: Client, alice: str) -> None:
        for _ in range(3):
            await client.delete("/api/v0/users/alice/synchronizations?unlinkMode=CLEANUP")
        first = (await client.get("/api/v1/runs?limit=2")).json()
        second = (await client.get(f"/api/v1/runs?limit=2&cursor={first['next']}")).json()
        ids = [run["id"] for run in first["runs"] + second["runs"]]
        assert ids == sorted(ids, reverse=True)
        assert len(ids) == 3
        assert second["next"] is None

    @pytest.mark.parametrize("id", ["999", str(2**63), "0", "x"])
    async def test_an_unknown_one(self, client: Client, id: str) -> None:
        answer = await client.get(f"/api/v1/runs/{id}")
        assert answer.status_code == 404

    @pytest.mark.parametrize("query", ["limit=0", "cursor=x"])
    async def test_a_wrong_page(self, client: Client, query: str) -> None:
        assert (await client.get(f"/api/v1/runs?{query}")).status_code == 400
