"""``/api/v1`` for timetables, as a frontend sees it (CONTRACT §5)."""

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient, Response

from app.api.app import furnish
from app.config import Config, TimetableSettings
from app.database.types import Pool
from app.tokens import create_token
from tests.api.conftest import application
from tests.clock import SettableClock

URL = "/api/v1/users/alice/timetable"
LINES = {"Content-Type": "application/x-ndjson"}
CALENDAR = {"Content-Type": "text/calendar"}
LECTURE = {
    "uid": "a",
    "title": "Algorithms",
    "start": "2026-09-07T09:00:00",
    "end": "2026-09-07T10:45:00",
}
ICS = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\nBEGIN:VEVENT\r\nUID:w\r\nSUMMARY:Weekly\r\n"
    "DTSTART:20260907T090000\r\nDTEND:20260907T100000\r\nRRULE:FREQ=WEEKLY;COUNT=3\r\n"
    "END:VEVENT\r\nEND:VCALENDAR\r\n"
)
MAX_BODY = 20_000


@pytest.fixture
async def anonymous(pool: Pool, alice: str, clock: SettableClock) -> AsyncIterator[AsyncClient]:
    config = Config(timezone="Europe/Amsterdam", timetables=TimetableSettings(max_body_bytes=MAX_BODY))
    furnish(application(), pool, {}, config, clock)
    transport = ASGITransport(application())
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
async def client(anonymous: AsyncClient, pool: Pool) -> AsyncClient:
    async with pool.acquire() as connection:
        anonymous.headers["apiToken"] = await create_token(connection, "admin", "admin")
    return anonymous


@pytest.fixture
async def frontend(anonymous: AsyncClient, pool: Pool) -> AsyncClient:
    """A client that may act for Alice alone."""
    async with pool.acquire() as connection:
        anonymous.headers["apiToken"] = await create_token(connection, "frontend", "frontend")
    anonymous.headers["requestedAuth"] = "alice"
    return anonymous


def events(count: int) -> dict[str, Any]:
    return {"events": [LECTURE | {"uid": f"u{number}"} for number in range(count)]}


def ndjson(*lines: Any) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def is_problem(answer: Response, status: int, code: str) -> bool:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["code"]) == (status, code)
    return True


async def test_a_timetable_is_published_and_read(client: AsyncClient) -> None:
    published = await client.put(URL, json={"events": [LECTURE]})
    assert published.status_code == 200
    assert published.headers["etag"] == '"1"'
    assert published.json() == {
        "revision": 1,
        "events": 1,
        "created": 1,
        "updated": 0,
        "deleted": 0,
        "unchanged": 0,
    }
    read = await client.get(URL)
    assert read.headers["etag"] == '"1"'
    assert read.json() == {
        "revision": 1,
        "events": [
            LECTURE
            | {
                "start": "2026-09-07T09:00:00+02:00",
                "end": "2026-09-07T10:45:00+02:00",
                "timeZone": "Europe/Amsterdam",
                "allDay": False,
                "status": "confirmed",
                "showAs": "busy",
            }
        ],
    }


async def test_what_was_read_can_be_published_in_either_format(client: AsyncClient) -> None:
    await client.put(URL, json={"events": [LECTURE, LECTURE | {"uid": "b", "status": "cancelled"}]})
    as_json = await client.get(URL)
    again = await client.put(URL, json=as_json.json())
    assert (again.json()["unchanged"], again.json()["revision"]) == (2, 1)
    as_calendar = await client.get(URL, headers={"Accept": "text/calendar"})
    assert as_calendar.headers["content-type"] == "text/calendar; charset=utf-8"
    again = await client.put(URL, content=as_calendar.content, headers=CALENDAR)
    assert (again.json()["unchanged"], again.json()["revision"]) == (2, 1)


async def test_recurrences_in_icalendar_become_events(client: AsyncClient) -> None:
    published = await client.put(URL, content=ICS, headers={"Content-Type": "text/calendar; charset=utf-8"})
    assert published.json()["created"] == 3
    uids = [event["uid"] for event in (await client.get(URL)).json()["events"]]
    assert uids == ["w/20260907T070000Z", "w/20260914T070000Z", "w/20260921T070000Z"]


async def test_a_user_without_a_timetable_and_no_user(client: AsyncClient) -> None:
    none = await client.get(URL)
    assert (none.json(), none.headers["etag"]) == ({"revision": 0, "events": []}, '"0"')
    for username in ("nobody", "%FF", "%00"):
        url = f"/api/v1/users/{username}/timetable"
        assert is_problem(await client.get(url), 404, "user_not_found")
        assert is_problem(await client.put(url, json=events(1)), 404, "user_not_found")
        assert is_problem(await client.patch(url, json={}), 404, "user_not_found")


async def test_usernames_may_hold_anything(client: AsyncClient) -> None:
    name = "UNI\\é+ a/b@x"
    await client.post(
        "/api/v1/timetables?createUsers=true", content=ndjson({"username": name} | events(1)), headers=LINES
    )
    assert len((await client.get("/api/v1/users/UNI%5C%C3%A9+%20a%2Fb@x/timetable")).json()["events"]) == 1


async def test_a_patch_answers_with_the_same_counts(client: AsyncClient) -> None:
    await client.put(URL, json=events(3))
    patched = await client.patch(URL, json={"upsert": [LECTURE], "delete": ["u0", "unknown"]})
    assert patched.headers["etag"] == '"2"'
    assert patched.json() == {
        "revision": 2,
        "events": 3,
        "created": 1,
        "updated": 0,
        "deleted": 1,
        "unchanged": 2,
    }


async def test_bad_input_is_refused_as_a_whole_with_every_problem(client: AsyncClient) -> None:
    await client.put(URL, json=events(1))
    bad = [LECTURE, LECTURE | {"uid": "b", "end": "never"}, LECTURE | {"uid": "c", "timeZone": "Mars"}]
    answer = await client.put(URL, json={"events": bad})
    assert is_problem(answer, 422, "invalid_timetable")
    where = [(problem["event"], problem["field"]) for problem in answer.json()["problems"]]
    assert sorted(where) == [("b", "end"), ("c", "timeZone")]
    assert is_problem(await client.patch(URL, json={"upsert": bad}), 422, "invalid_timetable")
    assert is_problem(await client.put(URL, content=ICS[:-20], headers=CALENDAR), 422, "invalid_calendar")
    stored = (await client.get(URL)).json()
    assert (stored["revision"], [event["uid"] for event in stored["events"]]) == (1, ["u0"])


async def test_if_match(client: AsyncClient) -> None:
    assert (await client.put(URL, json=events(1), headers={"If-Match": '"0"'})).status_code == 200
    for headers in ({"If-Match": '"0"'}, {"If-Match": 'W/"1"'}):
        assert is_problem(await client.put(URL, json=events(2), headers=headers), 412, "revision_mismatch")
        assert is_problem(await client.patch(URL, json={}, headers=headers), 412, "revision_mismatch")
    tag = (await client.get(URL, headers={"Accept": "text/calendar"})).headers["etag"]
    assert (await client.put(URL, json=events(2), headers={"If-Match": tag})).json()["revision"] == 2
    assert (await client.put(URL, json=events(3), headers={"If-Match": "*"})).json()["revision"] == 3


async def test_if_none_match(client: AsyncClient) -> None:
    await client.put(URL, json=events(1))
    same = await client.get(URL, headers={"If-None-Match": '"1"'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", '"1"')
    other = {"If-None-Match": '"1"', "Accept": "text/calendar"}
    assert (await client.get(URL, headers=other)).status_code == 200
    assert (await client.get(URL, headers={"If-None-Match": '"0"'})).status_code == 200


async def test_emptying_a_timetable_needs_a_confirmation(client: AsyncClient) -> None:
    await client.put(URL, json=events(30))
    refused = await client.put(URL, json={"events": []})
    assert is_problem(refused, 409, "mass_removal")
    assert "30 of 30" in refused.json()["detail"]
    assert (await client.put(f"{URL}?confirm=true", json={"events": []})).json()["deleted"] == 30


async def test_past_events_need_none(client: AsyncClient, clock: SettableClock) -> None:
    await client.put(URL, json=events(30))
    clock.advance(days=30)
    assert (await client.put(URL, json={"events": []})).json()["deleted"] == 30


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, LINES])
async def test_other_media_types(client: AsyncClient, headers: dict[str, str]) -> None:
    assert is_problem(await client.put(URL, content=b"x", headers=headers), 415, "unsupported_media_type")
    wrong = await client.post("/api/v1/timetables", content=b"x", headers=CALENDAR)
    assert is_problem(wrong, 415, "unsupported_media_type")
    assert is_problem(
        await client.put(URL, json=events(1), headers={"Content-Encoding": "br"}),
        415,
        "unsupported_media_type",
    )


async def test_too_large_a_body_declared_or_not_or_packed(client: AsyncClient) -> None:
    large = json.dumps(events(1) | {"padding": "x" * MAX_BODY}).encode()
    json_headers = {"Content-Type": "application/json"}

    async def chunked() -> AsyncIterator[bytes]:
        yield large

    assert is_problem(await client.put(URL, content=large, headers=json_headers), 413, "too_large")
    assert is_problem(await client.put(URL, content=chunked(), headers=json_headers), 413, "too_large")
    packed = json_headers | {"Content-Encoding": "gzip"}
    assert is_problem(await client.put(URL, content=gzip.compress(large), headers=packed), 413, "too_large")
    small = gzip.compress(json.dumps(events(1)).encode())
    assert (await client.put(URL, content=small, headers=packed)).status_code == 200


async def test_many_timetables_a_line_each(client: AsyncClient) -> None:
    answer = await client.post(
        "/api/v1/timetables",
        content=ndjson(
            {"username": "alice"} | events(2),
            {"username": "nobody"} | events(1),
            {"username": "bob", "events": [LECTURE | {"end": "never"}]},
            "nonsense",
        )
        + b'{"username": "bob"'
        + b" " * MAX_BODY
        + b'}\n\n{"cut'
        + b"\n"
        + ndjson({"username": "bob"} | events(3)),
        headers=LINES,
    )
    assert answer.status_code == 200
    summary = answer.json()
    errors = summary.pop("errors")
    assert summary == {
        "users": 2,
        "events": 5,
        "created": 5,
        "updated": 0,
        "deleted": 0,
        "unchanged": 0,
        "errorsTotal": 5,
    }
    assert [(error["line"], error["username"]) for error in errors] == [
        (2, "nobody"),
        (3, "bob"),
        (4, None),
        (5, None),
        (7, None),
    ]
    assert "end: Not a time" in errors[1]["detail"]
    assert "createUsers" in errors[0]["detail"]


async def test_users_are_created_only_by_good_lines(client: AsyncClient, pool: Pool) -> None:
    lines = ndjson({"username": "carol"} | events(1), {"username": "dave", "events": [{}]})
    answer = await client.post("/api/v1/timetables?createUsers=true", content=lines, headers=LINES)
    assert answer.json()["users"] == 1
    assert await pool.fetchval(
        "SELECT array_agg(username) FROM users WHERE username IN ('carol', 'dave')"
    ) == ["carol"]


async def test_the_last_line_of_a_user_counts(client: AsyncClient) -> None:
    lines = ndjson({"username": "alice"} | events(1), {"username": "alice"} | events(2))
    answer = await client.post("/api/v1/timetables", content=lines, headers=LINES)
    assert (answer.json()["created"], answer.json()["unchanged"]) == (2, 1)


async def test_a_line_that_empties_a_timetable_is_an_error_of_its_own(client: AsyncClient) -> None:
    await client.put(URL, json=events(30))
    lines = ndjson({"username": "alice", "events": []}, {"username": "bob"} | events(1))
    answer = (await client.post("/api/v1/timetables", content=lines, headers=LINES)).json()
    assert (answer["created"], [error["line"] for error in answer["errors"]]) == (1, [1])
    answer = (await client.post("/api/v1/timetables?confirm=true", content=lines, headers=LINES)).json()
    assert (answer["deleted"], answer["errors"]) == (30, [])


async def test_lines_may_come_packed(client: AsyncClient) -> None:
    headers = LINES | {"Content-Encoding": "gzip"}
    lines = gzip.compress(ndjson({"username": "alice"} | events(2)))
    assert (await client.post("/api/v1/timetables", content=lines, headers=headers)).json()["created"] == 2
    cut_off = await client.post("/api/v1/timetables", content=lines[:-9], headers=headers)
    assert is_problem(cut_off, 422, "invalid_gzip")


async def test_the_list_of_errors_has_an_end_and_their_number_is_told(client: AsyncClient) -> None:
    answer = (await client.post("/api/v1/timetables", content=b"x\n" * 1200, headers=LINES)).json()
    assert (len(answer["errors"]), answer["errorsTotal"]) == (1000, 1200)


async def test_a_frontend_acts_for_one_user(frontend: AsyncClient) -> None:
    assert (await frontend.put(URL, json=events(1))).status_code == 200
    bob = URL.replace("alice", "bob")
    for answer in (
        await frontend.get(bob),
        await frontend.put(bob, json=events(1)),
        await frontend.patch(bob, json={}),
    ):
        assert is_problem(answer, 403, "forbidden")
    lines = ndjson({"username": "bob"} | events(1), {"username": "alice"} | events(2))
    answer = (await frontend.post("/api/v1/timetables", content=lines, headers=LINES)).json()
    assert [(error["line"], error["username"]) for error in answer["errors"]] == [(1, "bob")]
    assert answer["users"] == 1


async def test_a_reader_only_reads(anonymous: AsyncClient, pool: Pool) -> None:
    assert is_problem(await anonymous.get(URL), 401, "unauthorized")
    async with pool.acquire() as connection:
        anonymous.headers["apiToken"] = await create_token(connection, "reader", "reader")
    assert (await anonymous.get(URL)).status_code == 200
    assert is_problem(await anonymous.put(URL, json=events(1)), 403, "forbidden")
    assert is_problem(await anonymous.post("/api/v1/timetables", headers=LINES), 403, "forbidden")


async def test_every_body_is_described_with_an_example_that_is_accepted(
    client: AsyncClient, pool: Pool
) -> None:
    paths = (await client.get("/schema/openapi.json")).json()["paths"]
    url, lines = "/api/v1/users/{username}/timetable", "/api/v1/timetables"
    sent: list[str] = []
    for path, method in ((url, "put"), (url, "patch"), (lines, "post")):
        for media_type, content in paths[path][method]["requestBody"]["content"].items():
            example = content["examples"]["example"]["value"]
            body = example if isinstance(example, str) else json.dumps(example)
            answer = await client.request(
                method,
                path.replace("{username}", "alice"),
                content=body,
                headers={"Content-Type": media_type},
            )
            assert answer.status_code == 200, answer.text
            assert not answer.json().get("errors") or isinstance(answer.json()["errors"], int)
            sent.append(media_type)
    assert sent == ["application/json", "text/calendar", "application/json", "application/x-ndjson"]
