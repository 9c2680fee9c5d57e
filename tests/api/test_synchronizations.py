"""``/api/v0`` synchronizations: each row and status of CONTRACT §4."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.database.types import Pool
from providers.contract import Gone, Refused, Throttled, Unknown
from tests.api.conftest import Client, to_form
from tests.clock import SettableClock
from tests.fakes import DOWN, NO_ACCESS, Call, FakeAdapter

PUT = "/api/v0/synchronizations"


async def all_of(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/api/v0/synchronizations")).json()["synchronizations"]
    return found


async def put(client: Client, username: str, address: str, type: str = "ews") -> dict[str, Any]:
    answer = await client.put(PUT, data=to_form(username, type, address))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["synchronization"]
    return found


async def wakes(pool: Pool, synchronization: dict[str, Any]) -> int:
    found: int = await pool.fetchval(
        "SELECT wake FROM mailboxes WHERE id = (SELECT mailbox_id FROM synchronizations WHERE id = $1)",
        synchronization["id"],
    )
    return found


class TestPut:
    async def test_gives_the_user_a_synchronization(
        self, client: Client, alice: str, pool: Pool, clock: SettableClock
    ) -> None:
        synchronization = await put(client, alice, "alice@uni.example")
        assert synchronization == {
            "id": synchronization["id"],
            "username": "alice",
            "type": "ews",
            "description": "alice@uni.example",
            "enabled": True,
            "status": "PENDING",
            "lastResync": None,
        }
        assert await all_of(client) == [synchronization]
        assert await pool.fetchval("SELECT due_at FROM mailboxes") == clock()

    async def test_takes_json_with_the_same_names(self, client: Client, alice: str) -> None:
        answer = await client.put(PUT, json=to_form(alice, "ews", "alice@uni.example"))
        assert answer.status_code == 200
        assert await all_of(client) == [answer.json()["synchronization"]]

    async def test_is_idempotent(self, client: Client, alice: str, pool: Pool) -> None:
        first = await put(client, alice, "alice@uni.example")
        woken = await wakes(pool, first)
        assert await put(client, alice, "alice@uni.example") == first
        assert await all_of(client) == [first]
        assert await wakes(pool, first) == woken

    @pytest.mark.parametrize("address", ["a.liddell@uni.example", "ALICE@uni.example"])
    async def test_another_address_of_the_mailbox_updates_the_address(
        self, client: Client, alice: str, pool: Pool, address: str
    ) -> None:
        first = await put(client, alice, "alice@uni.example")
        again = await put(client, alice, address)
        assert again == {**first, "description": address}
        assert await all_of(client) == [again]
        assert await pool.fetchval("SELECT array_agg(address) FROM mailboxes") == [address]
        assert await wakes(pool, first) == 2

    async def test_another_mailbox_is_another_synchronization(self, client: Client, alice: str) -> None:
        first = await put(client, alice, "alice@uni.example")
        other = await put(client, alice, "bob@uni.example")
        assert other["id"] != first["id"]
        assert await all_of(client) == [first, other]

    async def test_another_type_is_another_synchronization(self, client: Client, alice: str) -> None:
        first = await put(client, alice, "alice@uni.example")
        other = await put(client, alice, "alice@uni.example", "o365")
        assert await all_of(client) == [first, other]

    async def test_two_users_may_share_a_mailbox(self, client: Client, alice: str, pool: Pool) -> None:
        await client.put("/api/v0/users/bob")
        first = await put(client, alice, "alice@uni.example")
        other = await put(client, "bob", "a.liddell@uni.example")
        assert await all_of(client) == [first, other]
        assert await pool.fetchval("SELECT count(*) FROM mailboxes") == 1

    async def test_after_an_unlinking_it_is_a_new_one(self, client: Client, alice: str) -> None:
        first = await put(client, alice, "alice@uni.example")
        await client.delete(f"{PUT}/{first['id']}?unlinkMode=UNLINK_ONLY")
        again = await put(client, alice, "alice@uni.example")
        assert again["id"] != first["id"]
        assert await all_of(client) == [again]

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"username": "nobody"}, "unknown_user"),
            ({"username": ""}, "unknown_user"),
            ({"username": "a\x00"}, "unknown_user"),
            ({"type": "googlecalendar"}, "unknown_type"),
            ({"type": ""}, "unknown_type"),
            ({"provisioning_smtpAddress": ""}, "invalid_address"),
            ({"provisioning_smtpAddress": "alice"}, "invalid_address"),
            ({"provisioning_smtpAddress": "alice@"}, "invalid_address"),
            ({"provisioning_smtpAddress": "@uni.example"}, "invalid_address"),
            ({"provisioning_smtpAddress": "a@b@uni.example"}, "invalid_address"),
            ({"provisioning_smtpAddress": "alice@uni..example"}, "invalid_address"),
            ({"provisioning_smtpAddress": "alice@uni.example\n"}, "invalid_address"),
            ({"provisioning_smtpAddress": "Alice <alice@uni.example>"}, "invalid_address"),
            ({"provisioning_smtpAddress": "a" * 250 + "@uni.example"}, "invalid_address"),
        ],
    )
    async def test_what_is_not_known_is_refused(
        self, client: Client, alice: str, change: dict[str, str], code: str
    ) -> None:
        answer = await client.put(PUT, data={**to_form(alice, "ews", "alice@uni.example"), **change})
        assert answer.status_code == 422
        assert answer.json()["errorType"] == code
        assert answer.json()["status"] == "error"
        assert await all_of(client) == []

    @pytest.mark.parametrize("field", ["username", "type"])
    async def test_what_is_missing_is_said(self, client: Client, alice: str, field: str) -> None:
        form = to_form(alice, "ews", "alice@uni.example")
        del form[field]
        answer = await client.put(PUT, data=form)
        assert answer.status_code == 422
        assert answer.json()["errorMessage"].startswith(f"{field}: missing.")

    @pytest.mark.parametrize("missing", ["username", "type", "provisioning_smtpAddress"])
    async def test_what_is_missing_is_refused(self, client: Client, alice: str, missing: str) -> None:
        form = to_form(alice, "ews", "alice@uni.example")
        del form[missing]
        assert (await client.put(PUT, data=form)).status_code == 422
        assert (await client.put(PUT, json=form)).status_code == 422

    async def test_no_body(self, client: Client) -> None:
        assert (await client.put(PUT)).status_code == 422

    @pytest.mark.parametrize(
        ("outcome", "code"),
        [
            (NO_ACCESS, "no_access"),
            (Gone(what="mailbox", code="x", reason="Not there."), "mailbox_not_found"),
            (Gone(what="calendar", code="x", reason="No calendar."), "mailbox_not_found"),
        ],
    )
    async def test_no_access_is_550(
        self, client: Client, alice: str, ews: FakeAdapter, outcome: Gone | Refused, code: str
    ) -> None:
        ews.fail("probe", outcome)
        answer = await client.put(PUT, data=to_form(alice, "ews", "alice@uni.example"))
        assert answer.status_code == 550
        assert answer.json()["errorType"] == code
        assert outcome.reason in answer.json()["errorMessage"]
        assert await all_of(client) == []

    @pytest.mark.parametrize(
        "outcome",
        [
            DOWN,
            Throttled(until=datetime(2026, 9, 1, 9, tzinfo=UTC), scope="account"),
            Refused(code="x", reason="Wrong password.", scope="account"),
        ],
    )
    async def test_a_provider_that_is_down_is_no_error(
        self, client: Client, alice: str, ews: FakeAdapter, pool: Pool, outcome: Unknown | Throttled | Refused
    ) -> None:
        ews.fail("probe", outcome)
        synchronization = await put(client, alice, "alice@uni.example")
        assert synchronization["status"] == "PENDING"
        assert await all_of(client) == [synchronization]
        assert await wakes(pool, synchronization) == 1

    async def test_a_provider_that_does_not_answer_in_time_is_no_error(
        self, client: Client, alice: str, ews: FakeAdapter
    ) -> None:
        async def hang(_: Call) -> None:
            await asyncio.Event().wait()

        ews.before = hang
        synchronization = await put(client, alice, "alice@uni.example")
        assert synchronization["status"] == "PENDING"

    async def test_repeated_while_the_provider_is_down_it_is_the_same(
        self, client: Client, alice: str, ews: FakeAdapter
    ) -> None:
        ews.down = DOWN
        first = await put(client, alice, "alice@uni.example")
        again = await put(client, alice, "Alice@uni.example")
        assert again["id"] == first["id"]
        assert len(await all_of(client)) == 1

    async def test_provisioned_while_the_provider_was_down_and_again_by_another_address(
        self, client: Client, alice: str, ews: FakeAdapter
    ) -> None:
        ews.down = DOWN
        first = await put(client, alice, "alice@uni.example")
        ews.recover()
        again = await put(client, alice, "a.liddell@uni.example")
        assert again["id"] == first["id"]
        assert await all_of(client) == [again]

    async def test_two_that_turn_out_to_be_one_mailbox_become_one(
        self, client: Client, alice: str, ews: FakeAdapter, pool: Pool
    ) -> None:
        ews.down = DOWN
        first = await put(client, alice, "alice@uni.example")
        await put(client, alice, "a.liddell@uni.example")
        ews.recover()
        again = await put(client, alice, "alice@uni.example")
        assert again["id"] == first["id"]
        assert await all_of(client) == [again]

    async def test_a_mailbox_that_the_provider_calls_by_another_name_now_is_the_same(
        self, client: Client, alice: str, ews: FakeAdapter, pool: Pool
    ) -> None:
        first = await put(client, alice, "alice@uni.example")
        mailbox = ews.mailbox("alice@uni.example")
        assert mailbox is not None
        mailbox.identity = "renamed"
        again = await put(client, alice, "a.liddell@uni.example")
        assert again == {**first, "description": "a.liddell@uni.example"}
        assert await pool.fetchval("SELECT array_agg(identity) FROM mailboxes") == ["renamed"]

    async def test_a_renamed_mailbox_that_is_known_already_keeps_its_events(
        self, client: Client, alice: str, ews: FakeAdapter, pool: Pool
    ) -> None:
        first = await put(client, alice, "alice@uni.example")
        await push(pool, first, "lecture")
        mailbox = ews.mailbox("alice@uni.example")
        assert mailbox is not None
        mailbox.identity = "renamed"
        await client.put("/api/v0/users/bob")
        other = await put(client, "bob", "alice@uni.example")
        again = await put(client, alice, "alice@uni.example")
        assert [s["id"] for s in await all_of(client)] == [first["id"], other["id"]]
        assert again["id"] == first["id"]
        mailboxes = await pool.fetch(
            "SELECT DISTINCT mailbox_id FROM synchronizations UNION SELECT mailbox_id FROM ledger"
        )
        assert len(mailboxes) == 1

    async def test_access_that_is_proven_again_clears_the_doubt(
        self, client: Client, alice: str, pool: Pool
    ) -> None:
        first = await put(client, alice, "alice@uni.example")
        await pool.execute("UPDATE synchronizations SET status = 'PERMISSION_DENIED', last_error = 'No.'")
        again = await put(client, alice, "alice@uni.example")
        assert again == first
        assert await wakes(pool, first) == 2

    async def test_many_at_once_are_one(self, client: Client, alice: str, pool: Pool) -> None:
        found = await asyncio.gather(*(put(client, alice, "alice@uni.example") for _ in range(8)))
        assert len({synchronization["id"] for synchronization in found}) == 1
        assert len(await all_of(client)) == 1
        assert await pool.fetchval("SELECT count(*) FROM mailboxes") == 1

    async def test_many_at_once_while_the_provider_is_down_are_one(
        self, client: Client, alice: str, ews: FakeAdapter, pool: Pool
    ) -> None:
        ews.down = DOWN
        found = await asyncio.gather(*(put(client, alice, "alice@uni.example") for _ in range(8)))
        assert len({synchronization["id"] for synchronization in found}) == 1
        assert await pool.fetchval("SELECT count(*) FROM mailboxes") == 1


async def push(pool: Pool, synchronization: dict[str, Any], uid: str) -> None:
    """As a worker does: an event of this synchronization is in the mailbox."""
    await pool.execute(
        "INSERT INTO ledger (synchronization_id, mailbox_id, uid, state, remote_id, starts_at)"
        " SELECT id, mailbox_id, $2, 'present', 'remote-' || $2, now() FROM synchronizations WHERE id = $1",
        synchronization["id"],
        uid,
    )


class TestLists:
    async def test_a_user_with_none(self, client: Client, alice: str) -> None:
        answer = await client.get("/api/v0/users/alice/synchronizations")
        assert answer.status_code == 200
        assert answer.json() == {"synchronizations": []}

    async def test_only_the_users_own(self, client: Client, synchronization: dict[str, Any]) -> None:
        await client.put("/api/v0/users/bob")
        await put(client, "bob", "bob@uni.example")
        answer = await client.get("/api/v0/users/alice/synchronizations")
        assert answer.json() == {"synchronizations": [synchronization]}

    async def test_an_unknown_user(self, client: Client) -> None:
        assert (await client.get("/api/v0/users/nobody/synchronizations")).status_code == 404

    async def test_last_resync_is_in_milliseconds(
        self, client: Client, synchronization: dict[str, Any], pool: Pool
    ) -> None:
        moment = datetime(2012, 12, 12, 14, tzinfo=UTC) + timedelta(milliseconds=7)
        await pool.execute("UPDATE synchronizations SET last_resync = $1, status = 'OK'", moment)
        [found] = await all_of(client)
        assert found == {**synchronization, "status": "OK", "lastResync": 1355320800007}


class TestDelete:
    @pytest.fixture
    def paths(self, synchronization: dict[str, Any]) -> list[str]:
        return [
            f"/api/v0/synchronizations/{synchronization['id']}",
            "/api/v0/users/alice/synchronizations",
            "/api/v0/users/alice/synchronizations/ews",
        ]

    @pytest.mark.parametrize("which", range(3))
    @pytest.mark.parametrize("mode", ["UNLINK_ONLY", "DELETE_FUTURE_EVENTS", "DELETE_ALL_EVENTS", "CLEANUP"])
    async def test_ends_it_and_asks_for_its_events_to_be_taken_out(
        self, client: Client, paths: list[str], pool: Pool, clock: SettableClock, which: int, mode: str
    ) -> None:
        now = clock.advance(minutes=1)
        answer = await client.delete(f"{paths[which]}?unlinkMode={mode}")
        assert answer.status_code == 204
        assert answer.content == b""
        assert await all_of(client) == []
        [unlink] = await pool.fetch("SELECT mode, accepted_at, done_at FROM unlinks")
        assert (unlink["mode"], unlink["accepted_at"]) == (mode, now)
        run = (await client.get(answer.headers["Operation-Location"])).json()
        assert run["kind"] == "unlink"
        assert run["state"] == ("done" if mode == "UNLINK_ONLY" else "active")
        assert run["counts"]["total"] == 1
        assert await pool.fetchval("SELECT wake FROM mailboxes") == 2
        assert await pool.fetchval("SELECT due_at <= $1 FROM mailboxes", now)

    @pytest.mark.parametrize("which", range(3))
    @pytest.mark.parametrize(
        "query",
        ["", "?unlinkMode=", "?unlinkMode=ALL", "?unlinkMode=cleanup", "?unlinkMode=CLEANUP&unlinkMode=X"],
    )
    async def test_without_a_known_mode_nothing_is_touched(
        self,
        client: Client,
        paths: list[str],
        synchronization: dict[str, Any],
        pool: Pool,
        which: int,
        query: str,
    ) -> None:
        answer = await client.delete(paths[which] + query)
        assert answer.status_code == 400
        if query.count("unlinkMode") < 2:
            for mode in ("UNLINK_ONLY", "DELETE_FUTURE_EVENTS", "DELETE_ALL_EVENTS", "CLEANUP"):
                assert mode in answer.json()["errorMessage"]
        assert await all_of(client) == [synchronization]
        assert await pool.fetchval("SELECT count(*) FROM unlinks") == 0

    @pytest.mark.parametrize("id", ["999", str(2**63), str(10**30), "-1", "x"])
    async def test_an_unknown_id(self, client: Client, id: str) -> None:
        answer = await client.delete(f"/api/v0/synchronizations/{id}?unlinkMode=CLEANUP")
        assert answer.status_code == 404
        assert answer.json()["status"] == "error"

    async def test_a_second_time(self, client: Client, paths: list[str]) -> None:
        assert (await client.delete(f"{paths[0]}?unlinkMode=CLEANUP")).status_code == 204
        assert (await client.delete(f"{paths[0]}?unlinkMode=CLEANUP")).status_code == 404

    async def test_all_of_a_user_with_none(self, client: Client, alice: str) -> None:
        answer = await client.delete("/api/v0/users/alice/synchronizations?unlinkMode=CLEANUP")
        assert answer.status_code == 204
        run = (await client.get(answer.headers["Operation-Location"])).json()
        assert run["state"] == "done"

    async def test_all_of_an_unknown_user(self, client: Client) -> None:
        answer = await client.delete("/api/v0/users/nobody/synchronizations?unlinkMode=CLEANUP")
        assert answer.status_code == 404

    @pytest.mark.parametrize(
        "path", ["alice/synchronizations/o365", "nobody/synchronizations/ews", "alice/synchronizations/%00"]
    )
    async def test_none_of_a_type(
        self, client: Client, synchronization: dict[str, Any], pool: Pool, path: str
    ) -> None:
        answer = await client.delete(f"/api/v0/users/{path}?unlinkMode=CLEANUP")
        assert answer.status_code == 422
        assert answer.json()["errorType"] == "no_synchronization"
        assert await pool.fetchval("SELECT count(*) FROM runs") == 0

    async def test_of_a_type_leaves_the_others(self, client: Client, synchronization: dict[str, Any]) -> None:
        other = await put(client, "alice", "alice@uni.example", "o365")
        await client.delete("/api/v0/users/alice/synchronizations/ews?unlinkMode=DELETE_ALL_EVENTS")
        assert await all_of(client) == [other]

    async def test_a_cleanup_goes_to_where_earlier_ones_left_events(
        self, client: Client, synchronization: dict[str, Any], pool: Pool
    ) -> None:
        await push(pool, synchronization, "lecture")
        await client.delete("/api/v0/users/alice/synchronizations?unlinkMode=UNLINK_ONLY")
        current = await put(client, "alice", "bob@uni.example")
        answer = await client.delete("/api/v0/users/alice/synchronizations?unlinkMode=CLEANUP")
        assert answer.status_code == 204
        rows = await pool.fetch(
            "SELECT m.address, u.synchronization_id"
            " FROM unlinks AS u JOIN mailboxes AS m ON m.id = u.mailbox_id"
            " WHERE u.mode = 'CLEANUP' ORDER BY m.address"
        )
        assert [tuple(row) for row in rows] == [
            ("alice@uni.example", None),
            ("bob@uni.example", current["id"]),
        ]

    @pytest.mark.parametrize("path", ["", "/ews"])
    async def test_a_cleanup_without_any_current_one(
        self, client: Client, synchronization: dict[str, Any], pool: Pool, path: str
    ) -> None:
        await push(pool, synchronization, "lecture")
        await client.delete(f"/api/v0/users/alice/synchronizations{path}?unlinkMode=UNLINK_ONLY")
        answer = await client.delete(f"/api/v0/users/alice/synchronizations{path}?unlinkMode=CLEANUP")
        assert answer.status_code == 204
        run = (await client.get(answer.headers["Operation-Location"])).json()
        assert (run["state"], run["counts"]["total"]) == ("active", 1)

    @pytest.mark.parametrize("mode", ["UNLINK_ONLY", "DELETE_FUTURE_EVENTS", "DELETE_ALL_EVENTS"])
    async def test_the_other_modes_need_a_current_one(
        self, client: Client, synchronization: dict[str, Any], pool: Pool, mode: str
    ) -> None:
        await push(pool, synchronization, "lecture")
        await client.delete("/api/v0/users/alice/synchronizations/ews?unlinkMode=UNLINK_ONLY")
        answer = await client.delete(f"/api/v0/users/alice/synchronizations/ews?unlinkMode={mode}")
        assert answer.status_code == 422
