"""``PATCH /api/v1/preference-descriptions/{id}``: both formats, preconditions, and what follows."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from app.database.types import Pool
from app.preferences.descriptions import find_by_name
from tests.api.conftest import Client
from tests.clock import SettableClock
from tests.preferences.describing import PATH, add, builtin, fields

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
FIRST = "Tue, 01 Sep 2026 08:00:00 GMT"
"""When the descriptions of these tests are made."""
WAITING = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


@pytest.fixture
async def url(client: Client) -> str:
    """A description to change."""
    return f"{PATH}/{(await add(client))['prefDescId']}"


async def patch(client: Client, url: str, body: Any, media_type: str = JSON, **headers: str) -> Any:
    return await client.patch(url, content=json.dumps(body), headers={"Content-Type": media_type, **headers})


class TestFormats:
    OPERATIONS = (
        {"op": "test", "path": "/valueType", "value": "text"},
        {"op": "remove", "path": "NAME/nl"},
        {"op": "add", "path": "/allowedvalues/-", "value": "grey"},
        {"op": "replace", "path": "maxLevel", "value": "user"},
    )
    MERGE: ClassVar = {"NAME": {"nl": None}, "allowedvalues": ["calm", "vivid", "grey"], "maxLevel": "user"}

    @pytest.mark.parametrize(
        ("media_type", "body"),
        [
            (JSON_PATCH, OPERATIONS),
            (MERGE_PATCH, MERGE),
            (JSON, OPERATIONS),
            (JSON, MERGE),
            ("Application/JSON-patch+json; charset=utf-8", OPERATIONS),
        ],
    )
    async def test_each(
        self, client: Client, url: str, clock: SettableClock, media_type: str, body: Any
    ) -> None:
        before = (await client.get(url)).json()
        clock.advance(minutes=1)
        answer = await patch(client, url, body, media_type)
        assert answer.status_code == 200, answer.text
        assert answer.json() == before | {
            "name": {"en": "Colour scheme"},
            "allowedValues": ["calm", "vivid", "grey"],
            "maxLevel": "user",
        }
        assert answer.headers["etag"] == '"2"'
        assert answer.headers["last-modified"] == "Tue, 01 Sep 2026 08:01:00 GMT"
        read = await client.get(url)
        assert (read.json(), read.headers["etag"]) == (answer.json(), '"2"')

    async def test_what_is_taken_out_is_as_it_is_by_default(self, client: Client) -> None:
        added = await add(client, rank=5, maxLevel="role", default="calm", subGroup="looks")
        url = f"{PATH}/{added['prefDescId']}"
        answer = await patch(client, url, {"rank": None, "maxLevel": None, "default": None, "subGroup": None})
        default = {"rank": 0, "maxLevel": "synchronization", "default": None, "subGroup": None}
        assert answer.json() == added | default

    async def test_no_difference_is_no_revision(self, client: Client, url: str, clock: SettableClock) -> None:
        clock.advance(minutes=1)
        for body in ({}, [], {"rank": 0}, [{"op": "test", "path": "/rank", "value": 0}]):
            answer = await patch(client, url, body)
            assert answer.status_code == 200
            assert (answer.headers["etag"], answer.headers["last-modified"]) == ('"1"', FIRST)

    async def test_another_media_type(self, client: Client, url: str) -> None:
        for media_type in ("text/plain", "application/xml", "", "application/json-patch"):
            answer = await patch(client, url, {}, media_type)
            assert answer.status_code == 415, media_type
            assert answer.headers["accept-patch"] == f"{JSON_PATCH}, {MERGE_PATCH}, {JSON}"
            assert answer.json()["code"] == "unsupported_media_type"


REFUSED: list[tuple[Any, int, str, list[str | None]]] = [
    ([{"op": "test", "path": "/rank", "value": 1}], 409, "test_failed", ["rank"]),
    ([{"op": "test", "path": "/isBuiltin", "value": 0}], 409, "test_failed", ["isBuiltin"]),
    ([{"op": "move", "from": "/name", "path": "/description"}], 422, "invalid_patch", ["1/op"]),
    ([{"op": "copy", "from": "/name", "path": "/description"}], 422, "invalid_patch", ["1/op"]),
    ([{"op": "replace", "path": "/colour", "value": 1}], 422, "invalid_patch", ["colour"]),
    ([{"op": "remove", "path": "/name/de"}], 422, "invalid_patch", ["name/de"]),
    ([{"op": "add", "path": "/colour", "value": 1}], 422, "invalid_description", ["colour"]),
    ([{"op": "remove", "path": "/section"}], 422, "invalid_description", ["section"]),
    ([{"op": "remove", "path": "/name/en"}], 422, "invalid_description", ["name/en"]),
    ([{"op": "replace", "path": "", "value": []}], 422, "invalid_description", [None]),
    ({"default": "loud"}, 422, "invalid_description", ["default"]),
    ({"minValue": 5, "maxValue": 4}, 422, "invalid_description", ["maxValue"]),
    ({"maxLevel": "user", "sysMaxLevel": "role"}, 422, "invalid_description", ["maxLevel"]),
    ({"prefDescId": 1}, 422, "invalid_description", ["prefDescId"]),
    ({"isBuiltin": True}, 422, "invalid_description", ["isBuiltin"]),
    ({"key": "OTHER"}, 409, "preference_exists", ["key"]),
    ("rank", 422, "invalid_patch", []),
]


class TestRefusals:
    """All or nothing."""

    async def test_nothing_is_changed(self, client: Client, url: str) -> None:
        await add(client, key="other")
        for body, status, code, wrong in REFUSED:
            if isinstance(body, list):
                body = [{"op": "replace", "path": "/rank", "value": 7}, *body]
            elif isinstance(body, dict):
                body = {"rank": 7, **body}
            answer = await patch(client, url, body)
            assert (answer.status_code, answer.json()["code"], fields(answer)) == (status, code, wrong), body
            after = await client.get(url)
            assert (after.headers["etag"], after.json()["rank"]) == ('"1"', 0), body

    async def test_what_is_no_json(self, client: Client, url: str) -> None:
        twice = b'[{"op": "add", "path": "/rank", "value": 1, "op": "remove"}]'
        for body in (b"", b"{", twice, b'{"rank": NaN}'):
            answer = await client.patch(url, content=body, headers={"Content-Type": JSON})
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_body"), body

    async def test_what_is_nested_far_too_deeply(self, client: Client, url: str) -> None:
        for depth in (300, 900, 100_000):
            deep = b"[" * depth + b"]" * depth
            for body in (
                b'{"default": ' + deep + b"}",
                b'[{"op": "add", "path": "/default", "value": ' + deep + b"}]",
            ):
                answer = await client.patch(url, content=body, headers={"Content-Type": JSON})
                assert answer.status_code in (400, 422), answer.text

    async def test_what_is_too_large(self, client: Client, url: str) -> None:
        assert (await patch(client, url, {"section": "a" * 300_000})).status_code == 413


class TestBuiltIn:
    async def test_what_an_administrator_may_change(self, client: Client) -> None:
        before = await builtin(client, "presentation.showAs")
        changes = {
            "name": {"en": "Shown as"},
            "description": {"en": "To others."},
            "minLevel": "type",
            "maxLevel": "user",
            "subGroup": "looks",
            "rank": 99,
            "default": "free",
        }
        answer = await patch(client, f"{PATH}/{before['prefDescId']}", list(replacements(changes)))
        assert answer.status_code == 200, answer.text
        assert answer.json() == before | changes

    async def test_the_rest_is_protected(self, client: Client) -> None:
        before = await builtin(client, "presentation.showAs")
        changes: dict[str, Any] = {
            "section": "looks",
            "key": "looks",
            "valueType": "list",
            "minValue": 1,
            "maxValue": 2,
            "allowedValues": ["busy"],
            "sysMaxLevel": "user",
            "accessFlags": {"frontend": []},
        }
        for field, value in changes.items():
            answer = await patch(client, f"{PATH}/{before['prefDescId']}", {field: value, "rank": 99})
            assert answer.status_code == 422
            # The levels stay in order, and the roles that are not named lose what they might.
            assert fields(answer) == [field]
        assert await builtin(client, "presentation.showAs") == before

    async def test_a_closest_level_is_narrowed_and_widened_again_and_not_beyond_the_systems(
        self, client: Client
    ) -> None:
        url = f"{PATH}/{(await builtin(client, 'sync.resyncMinutes'))['prefDescId']}"
        for level, status in (("installation", 200), ("type", 200), ("role", 422), ("user", 422)):
            answer = await patch(client, url, {"maxLevel": level})
            assert answer.status_code == status
            if status == 422:
                assert fields(answer) == ["maxLevel"]
        assert (await client.get(url)).json()["maxLevel"] == "type"


def replacements(changes: dict[str, Any]) -> Any:
    """A merge patch as operations."""
    return ({"op": "replace", "path": f"/{field}", "value": value} for field, value in changes.items())


SEEN: list[tuple[dict[str, str], int]] = [
    ({"If-Match": '"1"'}, 200),
    ({"If-Match": '"7", "1"'}, 200),
    ({"If-Match": "*"}, 200),
    ({"If-Match": '"2"'}, 412),
    ({"If-Match": 'W/"1"'}, 412),
    ({"If-Match": "1"}, 412),
    ({"If-Unmodified-Since": FIRST}, 200),
    ({"If-Unmodified-Since": "Tue, 01 Sep 2026 09:00:00 GMT"}, 200),
    ({"If-Unmodified-Since": "Tue, 01 Sep 2026 07:59:59 GMT"}, 412),
    ({"If-Unmodified-Since": "Tuesday, 01-Sep-26 07:59:59 GMT"}, 412),
    ({"If-Unmodified-Since": "Tue Sep  1 07:59:59 2026"}, 412),
    ({"If-Unmodified-Since": "Tue Sep  1 08:00:00 2026"}, 200),
    ({"If-Unmodified-Since": "yesterday"}, 200),
    ({"If-Match": '"1"', "If-Unmodified-Since": "Tue, 01 Sep 2026 07:59:59 GMT"}, 200),
    ({"If-Match": '"2"', "If-Unmodified-Since": FIRST}, 412),
]
"""What a caller says to have seen of revision 1, and the answer."""


class TestPreconditions:
    async def test_by_tag_and_by_date(self, client: Client) -> None:
        for position, (headers, status) in enumerate(SEEN):
            url = f"{PATH}/{(await add(client, key=f'key{position}'))['prefDescId']}"
            answer = await patch(client, url, {"rank": 1}, **headers)
            assert answer.status_code == status, headers
            if status == 412:
                assert answer.json()["code"] == "revision_mismatch"
            assert (await client.get(url)).json()["rank"] == (1 if status == 200 else 0)

    async def test_a_date_is_of_whole_seconds_and_still_tells_revisions_apart(
        self, client: Client, clock: SettableClock
    ) -> None:
        """Within a second, too, whoever has seen an earlier one does not write over a later one."""
        clock.set(datetime(2026, 9, 1, 8, 0, 0, 250_000, tzinfo=UTC))
        url = f"{PATH}/{(await add(client))['prefDescId']}"
        dates = [(await client.get(url)).headers["last-modified"]]
        for rank in range(1, 4):
            clock.advance(milliseconds=200)
            answer = await patch(client, url, {"rank": rank}, **{"If-Unmodified-Since": dates[-1]})
            assert answer.status_code == 200
            dates.append(answer.headers["last-modified"])
            for earlier in dates[:-1]:
                answer = await patch(client, url, {"rank": 9}, **{"If-Unmodified-Since": earlier})
                assert answer.status_code == 412
        assert dates[0] == FIRST
        assert len(set(dates)) == 4
        clock.advance(minutes=1)
        answer = await patch(client, url, {"rank": 5}, **{"If-Unmodified-Since": dates[-1]})
        assert answer.headers["last-modified"] == "Tue, 01 Sep 2026 08:01:00 GMT"

    async def test_of_two_at_once_one_is_refused(self, client: Client, url: str) -> None:
        answers = await asyncio.gather(
            *(patch(client, url, {"rank": rank}, **{"If-Match": '"1"'}) for rank in range(1, 6))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]
        assert (await client.get(url)).headers["etag"] == '"2"'

    async def test_of_two_without_one_both_are_carried_out(self, client: Client, url: str) -> None:
        languages = ("de", "fr", "es", "it")
        await asyncio.gather(*(patch(client, url, {"name": {language: "x"}}) for language in languages))
        assert set((await client.get(url)).json()["name"]) == {"en", "nl", *languages}


class TestValues:
    """What is set already."""

    @pytest.fixture
    async def limited(self, client: Client, pool: Pool) -> str:
        """A description with two values: three, for two roles, and five, for the installation."""
        added = await add(client, valueType="number", minValue=0, maxValue=10, allowedValues=None)
        await pool.executemany(
            "INSERT INTO preference_values (description_id, level, owner, value) VALUES ($1, $2, $3, $4)",
            [
                (added["prefDescId"], "role", "student", "3"),
                (added["prefDescId"], "role", "staff", "3"),
                (added["prefDescId"], "installation", "default", "5"),
            ],
        )
        return f"{PATH}/{added['prefDescId']}"

    @pytest.mark.parametrize(
        ("changes", "refused"),
        [
            ({"minValue": 3, "maxValue": 5}, None),
            ({"minValue": 4}, 2),
            ({"maxValue": 4}, 1),
            ({"maxValue": 2}, 3),
            ({"allowedValues": [3, 5]}, None),
            ({"allowedValues": [5]}, 2),
            ({"valueType": "text"}, 3),
            ({"rank": 1, "maxLevel": "installation"}, None),
        ],
    )
    async def test_stays_allowed(
        self, client: Client, pool: Pool, limited: str, changes: dict[str, Any], refused: int | None
    ) -> None:
        answer = await patch(client, limited, changes)
        if refused is None:
            assert answer.status_code == 200, answer.text
        else:
            assert (answer.status_code, answer.json()["code"]) == (422, "values_not_allowed")
            assert f"not allow {refused} of the values" in answer.json()["detail"]
            assert fields(answer) == list(changes)
            assert (await client.get(limited)).headers["etag"] == '"1"'
        assert await pool.fetchval("SELECT count(*) FROM preference_values") == 3

    async def test_a_value_that_is_being_set_is_waited_for(
        self, client: Client, pool: Pool, limited: str
    ) -> None:
        async with pool.acquire() as connection:
            async with connection.transaction():
                description = await find_by_name(connection, "FACULTY", "colourscheme")
                change = asyncio.create_task(patch(client, limited, {"maxValue": 8}))
                async with asyncio.timeout(60):
                    while not await pool.fetchval(WAITING):
                        await asyncio.sleep(0.01)
                await connection.execute(
                    "INSERT INTO preference_values (description_id, level, owner, value)"
                    " VALUES ($1, 'role', 'guest', '9')",
                    description.pref_desc_id,
                )
            answer = await change
        assert (answer.status_code, answer.json()["code"]) == (422, "values_not_allowed")


class TestEffect:
    """What a change of a built-in preference means for the synchronizations."""

    @pytest.fixture
    async def url(self, client: Client) -> str:
        return f"{PATH}/{(await builtin(client, 'presentation.showAs'))['prefDescId']}"

    async def seen(self, pool: Pool) -> tuple[dict[str, Any], bool]:
        """What is in effect for the one synchronization, and whether its mailbox is to be visited."""
        preferences = json.loads(await pool.fetchval("SELECT preferences::text FROM synchronizations"))
        return preferences, await pool.fetchval("SELECT due_at IS NOT NULL FROM mailboxes")

    async def test_of_the_default_and_of_levels(
        self, client: Client, pool: Pool, synchronization: dict[str, Any], url: str
    ) -> None:
        await pool.execute(
            "INSERT INTO preference_values (description_id, level, owner, value)"
            " SELECT id, 'user', 'alice', '\"tentative\"' FROM preference_descriptions WHERE key = 'showAs'"
        )
        steps: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
            ({"rank": 99}, {}, False),
            ({"maxLevel": "user"}, {"presentation.showAs": "tentative"}, True),
            ({"maxLevel": "role"}, {}, True),
            ({"default": "free"}, {"presentation.showAs": "free"}, True),
            ({"rank": 98}, {"presentation.showAs": "free"}, False),
            (
                {"maxLevel": "synchronization", "minLevel": "synchronization"},
                {"presentation.showAs": "free"},
                False,
            ),
            ({"minLevel": "user"}, {"presentation.showAs": "tentative"}, True),
            ({"default": None}, {"presentation.showAs": "tentative"}, False),
        ]
        for changes, preferences, due in steps:
            await pool.execute("UPDATE mailboxes SET due_at = NULL")
            assert (await patch(client, url, changes)).status_code == 200
            assert await self.seen(pool) == (preferences, due), changes

    async def test_none_of_what_is_refused(
        self, client: Client, pool: Pool, synchronization: dict[str, Any], url: str
    ) -> None:
        await pool.execute("UPDATE mailboxes SET due_at = NULL")
        assert (await patch(client, url, {"default": "never"})).status_code == 422
        assert (await patch(client, url, {"default": "free"}, **{"If-Match": '"9"'})).status_code == 412
        assert await self.seen(pool) == ({}, False)
