"""``/api/v1/preferences``: what is set where; and what of that is in effect for a user."""

from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from app.database.types import Pool
from app.tokens import Role
from tests.api.conftest import Client, to_form

SHOW_AS = "presentation/showAs"
INSTALLATION = f"/api/v1/preferences/installation/default/{SHOW_AS}"
ALICE = f"/api/v1/preferences/user/alice/{SHOW_AS}"


def path(level: str, owner: str, preference: str = SHOW_AS) -> str:
    return f"/api/v1/preferences/{level}/{quote(owner, safe='')}/{preference}"


async def put(client: Client, level: str, owner: str, preference: str, value: Any) -> None:
    answer = await client.put(path(level, owner, preference), json={"value": value})
    assert answer.status_code in (200, 201), answer.text


@pytest.fixture
async def o365_synchronization(client: Client, alice: str) -> dict[str, Any]:
    """Alice's synchronization of her Microsoft 365 mailbox."""
    answer = await client.put("/api/v0/synchronizations", data=to_form(alice, "o365", "alice@uni.example"))
    found: dict[str, Any] = answer.json()["synchronization"]
    return found


@pytest.fixture
def frontend(tokens: dict[Role, str]) -> dict[str, str]:
    """The headers of the frontend while Alice uses it."""
    return {"apiToken": tokens["frontend"], "requestedAuth": "alice"}


async def preferences_of(pool: Pool, synchronization: int) -> Any:
    """What the synchronization is kept with."""
    found = await pool.fetchval(
        "SELECT preferences::text FROM synchronizations WHERE id = $1", synchronization
    )
    return msgspec.json.decode(found)


class TestSetting:
    async def test_sets_replaces_and_takes_away(
        self, client: Client, pool: Pool, synchronization: dict[str, Any]
    ) -> None:
        id = synchronization["id"]
        set_to = {"level": "user", "owner": "alice", "section": "presentation", "key": "showAs"}
        assert (await client.get(ALICE)).status_code == 404
        for value, status in (("free", 201), ("tentative", 200), ("tentative", 200)):
            answer = await client.put(ALICE, json={"value": value})
            assert (answer.status_code, answer.json()) == (status, set_to | {"value": value})
            assert (await client.get(ALICE)).json() == set_to | {"value": value}
            assert await preferences_of(pool, id) == {"presentation.showAs": value}
        assert (await client.delete(ALICE)).status_code == 204
        assert await preferences_of(pool, id) == {}
        for answer in (await client.get(ALICE), await client.delete(ALICE)):
            assert (answer.status_code, answer.json()["code"]) == (404, "value_not_set")

    async def test_makes_the_mailbox_due(
        self, client: Client, pool: Pool, synchronization: dict[str, Any]
    ) -> None:
        async def is_due() -> bool:
            found = await pool.fetchval("SELECT due_at FROM mailboxes")
            await pool.execute("UPDATE mailboxes SET due_at = NULL")
            return found is not None

        await is_due()
        for request in (
            client.put(INSTALLATION, json={"value": "free"}),
            client.put(ALICE, json={"value": "tentative"}),
            client.delete(ALICE),
        ):
            assert (await request).is_success
            assert await is_due()
        assert (await client.put(ALICE, json={"value": "free"})).status_code == 201
        assert not await is_due()

    @pytest.mark.parametrize(
        ("level", "owner", "reaches_alice"),
        [
            ("installation", "default", True),
            ("type", "ews", True),
            ("type", "googlecalendar", False),
            ("role", "ROLE_STUDENT", True),
            ("role", "Ämter/1 +%", False),
            ("user", "alice", True),
            ("synchronization", "{id}", True),
        ],
    )
    async def test_at_every_level(
        self,
        client: Client,
        pool: Pool,
        synchronization: dict[str, Any],
        level: str,
        owner: str,
        reaches_alice: bool,
    ) -> None:
        """Set, in effect, and taken away again."""
        id = synchronization["id"]
        at = path(level, owner.format(id=id))
        await client.put("/api/v0/users/alice", json={"roles": ["ROLE_STUDENT"]})
        assert (await client.put(at, json={"value": "free"})).status_code == 201
        found = (await client.get(at)).json()
        assert (found["level"], found["owner"], found["value"]) == (level, owner.format(id=id), "free")
        assert (await client.get(f"{at}?$select=value")).json() == {"value": "free"}
        in_effect = {"presentation.showAs": "free"} if reaches_alice else {}
        assert await preferences_of(pool, id) == in_effect
        assert (await client.delete(at)).status_code == 204
        assert await preferences_of(pool, id) == {}
        assert (await client.get(at)).status_code == 404

    async def test_a_username_of_any_characters(self, client: Client) -> None:
        username = "DOMAIN\\Zoë a/b+c@d"
        await client.put(f"/api/v0/users/{quote(username, safe='')}")
        await put(client, "user", username, SHOW_AS, "free")
        assert (await client.get(path("user", username))).json()["owner"] == username

    async def test_section_and_key_in_upper_and_lower_case(self, client: Client, alice: str) -> None:
        await put(client, "user", "alice", "PRESENTATION/showas", "free")
        found = (await client.get(path("user", "alice", "Presentation/SHOWAS"))).json()
        assert (found["section"], found["key"]) == ("presentation", "showAs")
        assert (await client.delete(path("user", "alice", "presentation/ShowAs"))).status_code == 204

    @pytest.mark.parametrize(
        ("level", "owner", "preference", "code"),
        [
            ("campus", "default", SHOW_AS, "level_not_found"),
            ("installation", "other", SHOW_AS, "owner_not_found"),
            ("type", "caldav", SHOW_AS, "owner_not_found"),
            ("role", "\x00", SHOW_AS, "owner_not_found"),
            ("user", "bob", SHOW_AS, "user_not_found"),
            ("user", "\x00", SHOW_AS, "user_not_found"),
            ("synchronization", "999", SHOW_AS, "synchronization_not_found"),
            ("synchronization", "0001", SHOW_AS, "synchronization_not_found"),
            ("synchronization", "9" * 5000, SHOW_AS, "synchronization_not_found"),
            ("synchronization", "one", SHOW_AS, "synchronization_not_found"),
            ("user", "alice", "presentation/colour", "preference_not_found"),
            ("user", "alice", "presentation/%00", "preference_not_found"),
        ],
    )
    async def test_what_there_is_not(
        self,
        client: Client,
        synchronization: dict[str, Any],
        level: str,
        owner: str,
        preference: str,
        code: str,
    ) -> None:
        assert synchronization["id"] == 1
        at = path(level, owner, preference)
        answer = await client.put(at, json={"value": "free"})
        assert (answer.status_code, answer.json()["code"]) == (404, code)
        reading = await client.get(at)
        assert reading.status_code == 404
        assert reading.json()["code"] == ("value_not_set" if code == "preference_not_found" else code)

    @pytest.mark.parametrize("body", [b"", b"{", b"{}", b"[]", b'{"value": 1, "level": "user"}'])
    async def test_a_body_without_a_value(self, client: Client, alice: str, body: bytes) -> None:
        answer = await client.put(ALICE, content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")

    async def test_a_level_that_the_description_does_not_allow(self, client: Client, alice: str) -> None:
        resync = "sync/resyncMinutes"
        await put(client, "type", "ews", resync, 60)
        answer = await client.put(path("user", "alice", resync), json={"value": 60})
        assert (answer.status_code, answer.json()["code"]) == (409, "level_not_allowed")
        assert "type (maxLevel)" in answer.json()["detail"]

    async def test_a_level_farther_than_the_description_allows(self, client: Client, pool: Pool) -> None:
        await pool.execute("UPDATE preference_descriptions SET min_level = 'role' WHERE key = 'showAs'")
        answer = await client.put(INSTALLATION, json={"value": "free"})
        assert (answer.status_code, answer.json()["code"]) == (409, "level_not_allowed")

    async def test_what_is_set_at_a_level_that_is_not_allowed_any_more_can_be_taken_away(
        self, client: Client, pool: Pool, alice: str
    ) -> None:
        await put(client, "user", "alice", SHOW_AS, "free")
        await pool.execute("UPDATE preference_descriptions SET max_level = 'role' WHERE key = 'showAs'")
        assert (await client.delete(ALICE)).status_code == 204

    async def test_null_is_a_value(self, client: Client, pool: Pool, synchronization: dict[str, Any]) -> None:
        await put(client, "installation", "default", SHOW_AS, "free")
        answer = await client.put(ALICE, json={"value": None})
        assert (answer.status_code, answer.json()["value"]) == (201, None)
        assert await preferences_of(pool, synchronization["id"]) == {}

    async def test_a_whole_number_however_it_is_written(self, client: Client, alice: str) -> None:
        answer = await client.put(
            path("user", "alice", "presentation/reminderMinutes"),
            content=b'{"value": 1.5e1}',
            headers={"Content-Type": "application/json"},
        )
        assert answer.text.count('"value":15}') == 1


ALLOWED: list[tuple[str, Any]] = [
    ("presentation/showAs", "busy"),
    ("presentation/showAsByCategory", ["Lecture=free", "A=B=tentative"]),
    ("presentation/reminderMinutes", -1),
    ("presentation/reminderMinutes", 40320),
    ("presentation/privacy", "private"),
    ("presentation/titleTemplate", "{{ title }} {% if location %}({{ location }}){% endif %}"),
    ("presentation/descriptionTemplate", ""),
    ("presentation/colourByCategory", ["Lecture=teal"]),
    ("presentation/categoryNames", ["Lecture=Hoorcollege", "Exam="]),
    ("selection/includeCategories", []),
    ("selection/excludeCategories", ["Lecture"]),
    ("selection/includeTitles", ["(?i)^lecture", "[0-9]+$"]),
    ("selection/excludeTitles", ["Reserve"]),
    ("selection/daysBack", 0),
    ("selection/daysAhead", 3650),
    ("calendar/name", "Rooster"),
    ("sync/people", "respect"),
    ("sync/resyncMinutes", 5),
]

REFUSED: list[tuple[str, Any, str]] = [
    ("presentation/showAs", "away", "Expected one of busy, free, tentative"),
    ("presentation/showAs", 1, "Expected a text"),
    ("presentation/showAs", {"a": 1}, "Expected a text"),
    ("presentation/showAsByCategory", ["Lecture=away"], "Item 1"),
    ("presentation/showAsByCategory", ["Lecture=free", "LECTURE=busy"], "Item 2"),
    ("presentation/reminderMinutes", -2, "Less than -1"),
    ("presentation/reminderMinutes", 40321, "More than 40320"),
    ("presentation/reminderMinutes", 1.5, "whole number"),
    ("presentation/reminderMinutes", True, "Expected a number"),
    ("presentation/privacy", "secret", "Expected one of normal, private"),
    ("presentation/titleTemplate", "", "Less than 1 character"),
    ("presentation/titleTemplate", "\n{{ titel }}", "Line 2: There is no field 'titel'"),
    ("presentation/titleTemplate", "{% for i in range(10**9) %}{% endfor %}", "Line 1: There are no loops"),
    ("presentation/titleTemplate", "{{ 'a' * 10**9 }}", "Line 1"),
    ("presentation/descriptionTemplate", "{{ title", "Line 1: unexpected end of template"),
    ("presentation/descriptionTemplate", "a" * 10_001, "10000 characters"),
    ("presentation/colourByCategory", ["Lecture=mauve"], "Item 1"),
    ("presentation/colourByCategory", ["=red"], "Item 1"),
    ("presentation/categoryNames", ["Lecture"], "Item 1"),
    ("presentation/categoryNames", ["Lecture=a\nb"], "Item 1"),
    ("presentation/categoryNames", ["Lecture=" + "a" * 256], "255 characters"),
    ("selection/includeCategories", "Lecture", "Expected a list"),
    ("selection/includeCategories", [" "], "Item 1"),
    ("selection/excludeCategories", [None], "Item 1"),
    ("selection/includeTitles", ["ok", "("], "Pattern 2 is not one of RE2: missing ): ("),
    ("selection/excludeTitles", ["(?<=a)b"], "Pattern 1 is not one of RE2"),
    ("selection/excludeTitles", [f"{n}" for n in range(101)], "More than 100 items"),
    ("selection/daysBack", -1, "Less than 0"),
    ("selection/daysAhead", 3651, "More than 3650"),
    ("selection/daysAhead", 0.5, "whole number"),
    ("calendar/name", "", "Less than 1 character"),
    ("calendar/name", "  ", "blank"),
    ("calendar/name", "a\nb", "line"),
    ("calendar/name", "a" * 101, "More than 100 characters"),
    ("sync/people", "punish", "Expected one of restore, respect, report"),
    ("sync/resyncMinutes", 4, "Less than 5"),
]


class TestValues:
    async def test_every_built_in_preference_is_here(self, pool: Pool) -> None:
        rows = await pool.fetch("SELECT section || '/' || key AS name FROM preference_descriptions")
        names = {row["name"] for row in rows}
        assert names == {name for name, _ in ALLOWED} == {name for name, _, _ in REFUSED}

    async def test_allowed(self, client: Client) -> None:
        for preference, value in ALLOWED:
            at = path("type", "ews", preference)
            answer = await client.put(at, json={"value": value})
            assert answer.is_success, f"{preference}: {answer.text}"
            assert (await client.get(at)).json()["value"] == value

    async def test_refused_with_the_reason(self, client: Client, pool: Pool) -> None:
        for preference, value, reason in REFUSED:
            answer = await client.put(path("type", "ews", preference), json={"value": value})
            assert answer.status_code == 422, f"{preference}: {value!r}"
            assert answer.json()["code"] == "invalid_value"
            [problem] = answer.json()["problems"]
            assert problem["field"] == "value"
            assert reason in problem["detail"], f"{preference}: {problem['detail']}"
        assert await pool.fetchval("SELECT count(*) FROM preference_values") == 0


class TestListing:
    async def test_what_is_set_for_an_owner(self, client: Client, alice: str) -> None:
        await put(client, "user", alice, "sync/people", "report")
        await put(client, "user", alice, SHOW_AS, "free")
        await put(client, "installation", "default", SHOW_AS, "busy")
        found = (await client.get("/api/v1/preferences/user/alice?$select=key,value")).json()
        assert found == {
            "preferences": [{"key": "showAs", "value": "free"}, {"key": "people", "value": "report"}]
        }

    @pytest.mark.parametrize("owner", ["user/bob", "synchronization/9", "campus/default"])
    async def test_of_nobody(self, client: Client, owner: str) -> None:
        assert (await client.get(f"/api/v1/preferences/{owner}")).status_code == 404


class TestEffective:
    async def test_of_every_preference_the_value_and_where_it_comes_from(
        self, client: Client, pool: Pool, alice: str
    ) -> None:
        await client.put("/api/v0/users/alice", json={"roles": ["ROLE_TUTOR"]})
        await pool.execute(
            "UPDATE preference_descriptions SET default_value = '\"restore\"' WHERE key = 'people'"
        )
        await put(client, "installation", "default", "selection/daysBack", 7)
        await put(client, "role", "ROLE_TUTOR", SHOW_AS, "free")
        await put(client, "user", "alice", "presentation/privacy", "private")
        answer = await client.get("/api/v1/users/alice/preferences")
        found = {f"{one['section']}.{one['key']}": one for one in answer.json()["preferences"]}
        assert len(found) == len({name for name, _ in ALLOWED})
        assert all(one["synchronizations"] == [] for one in found.values())
        assert {name: (one["value"], one["level"], one["owner"]) for name, one in found.items()} == {
            **{name.replace("/", "."): (None, "default", None) for name, _ in ALLOWED},
            "sync.people": ("restore", "default", None),
            "selection.daysBack": (7, "installation", "default"),
            "presentation.showAs": ("free", "role", "ROLE_TUTOR"),
            "presentation.privacy": ("private", "user", "alice"),
        }

    async def test_names_the_synchronizations_that_differ(
        self, client: Client, synchronization: dict[str, Any], o365_synchronization: dict[str, Any]
    ) -> None:
        ews, o365 = str(synchronization["id"]), str(o365_synchronization["id"])
        await put(client, "installation", "default", SHOW_AS, "busy")
        await put(client, "type", "ews", SHOW_AS, "free")
        await put(client, "synchronization", o365, "sync/people", "report")
        select = "$select=key,value,level,synchronizations"
        answer = await client.get(f"/api/v1/users/alice/preferences?{select}")
        found = {one.pop("key"): one for one in answer.json()["preferences"]}
        of_ews = {"synchronization": int(ews), "type": "ews"}
        of_o365 = {"synchronization": int(o365), "type": "o365"}
        assert found["showAs"] == {
            "value": "busy",
            "level": "installation",
            "synchronizations": [of_ews | {"value": "free", "level": "type", "owner": "ews"}],
        }
        assert found["people"] == {
            "value": None,
            "level": "default",
            "synchronizations": [of_o365 | {"value": "report", "level": "synchronization", "owner": o365}],
        }

    async def test_the_same_value_from_somewhere_else_is_named_too(
        self, client: Client, synchronization: dict[str, Any]
    ) -> None:
        await put(client, "installation", "default", SHOW_AS, "free")
        await put(client, "type", "ews", SHOW_AS, "free")
        answer = await client.get("/api/v1/users/alice/preferences")
        [found] = [one for one in answer.json()["preferences"] if one["key"] == "showAs"]
        assert (found["value"], found["level"]) == ("free", "installation")
        [differs] = found["synchronizations"]
        assert (differs["value"], differs["level"], differs["owner"]) == ("free", "type", "ews")

    async def test_of_an_unknown_user(self, client: Client) -> None:
        answer = await client.get("/api/v1/users/bob/preferences")
        assert (answer.status_code, answer.json()["code"]) == (404, "user_not_found")


class TestAccess:
    @pytest.mark.parametrize("owner", ["user/alice", "synchronization/1"])
    async def test_a_frontend_sets_preferences_of_its_user(
        self, client: Client, synchronization: dict[str, Any], frontend: dict[str, str], owner: str
    ) -> None:
        assert synchronization["id"] == 1
        at = f"/api/v1/preferences/{owner}"
        assert (
            await client.put(f"{at}/{SHOW_AS}", json={"value": "free"}, headers=frontend)
        ).status_code == 201
        assert (await client.get(f"{at}/{SHOW_AS}", headers=frontend)).json()["value"] == "free"
        assert len((await client.get(at, headers=frontend)).json()["preferences"]) == 1
        assert (await client.delete(f"{at}/{SHOW_AS}", headers=frontend)).status_code == 204

    @pytest.mark.parametrize(
        "owner", ["installation/default", "type/ews", "role/ROLE_STUDENT", "user/bob", "synchronization/1"]
    )
    async def test_a_frontend_has_nothing_to_do_with_others(
        self, client: Client, frontend: dict[str, str], owner: str
    ) -> None:
        await client.put("/api/v0/users/bob")
        await client.put("/api/v0/synchronizations", data=to_form("bob", "ews", "bob@uni.example"))
        at = f"/api/v1/preferences/{owner}/{SHOW_AS}"
        for answer in (
            await client.put(at, json={"value": "free"}, headers=frontend),
            await client.get(at, headers=frontend),
            await client.delete(at, headers=frontend),
            await client.get(at.removesuffix(f"/{SHOW_AS}"), headers=frontend),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")

    async def test_a_frontend_sets_only_what_the_description_lets_it(
        self, client: Client, alice: str, frontend: dict[str, str]
    ) -> None:
        at = path("user", alice, "selection/excludeTitles")
        answer = await client.put(at, json={"value": ["a"]}, headers=frontend)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        await put(client, "user", alice, "selection/excludeTitles", ["a"])
        assert (await client.get(at, headers=frontend)).json()["value"] == ["a"]
        assert (await client.delete(at, headers=frontend)).status_code == 403

    async def test_nobody_sees_what_the_description_does_not_let_them(
        self, client: Client, pool: Pool, alice: str, tokens: dict[Role, str]
    ) -> None:
        await put(client, "user", alice, SHOW_AS, "free")
        await pool.execute(
            "UPDATE preference_descriptions SET access_flags = access_flags || '{\"reader\": []}'"
            " WHERE key = 'showAs'"
        )
        reader = {"apiToken": tokens["reader"]}
        assert (await client.get(ALICE, headers=reader)).status_code == 404
        of_alice = await client.get("/api/v1/preferences/user/alice", headers=reader)
        assert of_alice.json()["preferences"] == []
        in_effect = (await client.get("/api/v1/users/alice/preferences", headers=reader)).json()
        assert "showAs" not in {one["key"] for one in in_effect["preferences"]}
        assert (await client.get(ALICE)).json()["value"] == "free"

    async def test_a_reader_sets_nothing(self, client: Client, alice: str, tokens: dict[Role, str]) -> None:
        answer = await client.put(ALICE, json={"value": "free"}, headers={"apiToken": tokens["reader"]})
        assert answer.status_code == 403
