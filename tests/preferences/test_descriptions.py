"""``/api/v1/preference-descriptions``: which preferences there are, and what their values may be."""

from typing import Any

import pytest

from app.database.types import Pool
from app.tokens import Role
from tests.api.conftest import Client
from tests.preferences.describing import NAMES, PATH, SCHEME, TEXTS, add, builtin, fields

BARE: dict[str, Any] = {"section": "a", "key": "b", "name": {"en": "B"}, "valueType": "number"}

KINDS: list[dict[str, Any]] = [
    {"valueType": "number", "minValue": -1.5, "maxValue": 10, "default": 2.25},
    {"valueType": "number", "allowedValues": [5, 10.5], "default": 10.5},
    {"valueType": "text", "minValue": 1, "maxValue": 3, "default": "abc"},
    {"valueType": "text", "allowedValues": ["a\nb", ""], "default": ""},
    {"valueType": "bool", "default": False},
    {"valueType": "list", "minValue": 1, "maxValue": 2, "default": ["a", "a"]},
    {"valueType": "list", "allowedValues": ["a", "b"], "default": []},
    {"minLevel": "type", "maxLevel": "role", "sysMaxLevel": "user"},
    {"minLevel": "user", "maxLevel": "user", "sysMaxLevel": "user"},
    {"accessFlags": {"admin": ["write", "read"], "frontend": ["read"], "reader": []}},
    {"subGroup": "Colours", "rank": -(2**31)},
    {"section": "x" * 64, "key": "a-b_C3"},
]


class TestReading:
    async def test_built_in_ones_come_with_the_installation(self, client: Client) -> None:
        reminder = await builtin(client, "presentation.reminderMinutes")
        assert reminder["valueType"] == "number"
        assert (reminder["minValue"], reminder["maxValue"], reminder["default"]) == (-1, 40320, None)
        assert reminder["maxLevel"] == reminder["sysMaxLevel"] == "synchronization"
        assert set(reminder["name"]) == {"en", "nl"}

    async def test_every_built_in_one_is_one_that_could_be_added(self, client: Client) -> None:
        for description in (await client.get(PATH)).json()["preferenceDescriptions"]:
            section = f"copy-of-{description['section']}"
            copied = {n: v for n, v in description.items() if n not in ("prefDescId", "isBuiltin")}
            answer = await client.post(PATH, json=copied | {"section": section})
            assert answer.status_code == 201, answer.text

    async def test_one(self, client: Client) -> None:
        added = await add(client)
        answer = await client.get(f"{PATH}/{added['prefDescId']}")
        assert answer.status_code == 200
        assert answer.json() == added
        assert answer.headers["etag"] == '"1"'
        assert answer.headers["last-modified"] == "Tue, 01 Sep 2026 08:00:00 GMT"
        assert "Accept-Language" in answer.headers["vary"]

    async def test_all_by_section_and_rank(self, client: Client) -> None:
        for section, key, rank in (("b", "x", 0), ("a", "z", 2), ("a", "y", 2), ("a", "x", 10)):
            await add(client, section=f"_{section}".strip("_"), key=key, rank=rank)
        found = (await client.get(PATH)).json()["preferenceDescriptions"]
        added = [(one["section"], one["key"]) for one in found if not one["isBuiltin"]]
        assert added == [("a", "y"), ("a", "z"), ("a", "x"), ("b", "x")]
        sections = [one["section"] for one in found]
        assert sections == sorted(sections)

    @pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
    async def test_an_unknown_one(self, client: Client, method: str) -> None:
        for id in ("0", "999", "-1", str(2**63), "x"):
            answer = await client.request(method, f"{PATH}/{id}", json={} if method == "PATCH" else None)
            assert answer.status_code == 404, id
            assert answer.headers["content-type"] == "application/problem+json"

    async def test_what_is_selected(self, client: Client) -> None:
        added = await add(client, accessFlags={"frontend": ["read"]})
        one = await client.get(f"{PATH}/{added['prefDescId']}?$select=key,accessFlags/frontend")
        assert one.json() == {"key": "colourScheme", "accessFlags": {"frontend": ["read"]}}
        every = (await client.get(f"{PATH}?$select=key,name", headers={"Accept-Language": "nl"})).json()
        assert {"key": "colourScheme", "name": "Kleurenschema"} in every["preferenceDescriptions"]
        patched = await client.patch(f"{PATH}/{added['prefDescId']}?$select=rank", json={"rank": 3})
        assert patched.json() == {"rank": 3}
        unknown = await client.patch(f"{PATH}/{added['prefDescId']}?$select=nothing", json={"rank": 4})
        assert unknown.status_code == 400
        assert (await client.get(f"{PATH}/{added['prefDescId']}?$select=rank")).json() == {"rank": 3}

    async def test_unchanged(self, client: Client) -> None:
        url = f"{PATH}/{(await add(client))['prefDescId']}"
        for header, status in (('"1"', 304), ("*", 304), ('W/"1"', 304), ('"2"', 200), ('"1-nl"', 200)):
            answer = await client.get(url, headers={"If-None-Match": header})
            assert answer.status_code == status, header
            assert answer.headers["etag"] == '"1"'


READ_IN: list[tuple[str, Any, Any, str]] = [
    ("nl", "Kleurenschema", "Hoe het eruitziet.", '"1-nl.nl"'),
    ("nl-BE, en;q=0.5", "Kleurenschema", "Hoe het eruitziet.", '"1-nl.nl"'),
    ("fy, nl;q=0.8", "Kleurenschema", "Hoe't it der útsjocht.", '"1-nl.fy"'),
    ("fy", "Colour scheme", "Hoe't it der útsjocht.", '"1-en.fy"'),
    ("de", "Colour scheme", "How it looks.", '"1-en.en"'),
    ("de, *", "Colour scheme", "How it looks.", '"1-en.en"'),
    ("*", NAMES, TEXTS, '"1"'),
    ("", NAMES, TEXTS, '"1"'),
    ("!", NAMES, TEXTS, '"1"'),
]
"""Accept-Language, and the texts and the tag of the answer."""


class TestLanguages:
    async def test_the_best_one(self, client: Client) -> None:
        added = await add(client)
        for header, name, description, etag in READ_IN:
            answer = await client.get(f"{PATH}/{added['prefDescId']}", headers={"Accept-Language": header})
            assert answer.json() == added | {"name": name, "description": description}, header
            assert answer.headers["etag"] == etag

    async def test_of_all(self, client: Client) -> None:
        await add(client, description={})
        answer = await client.get(PATH, headers={"Accept-Language": "nl"})
        assert "Accept-Language" in answer.headers["vary"]
        found = answer.json()["preferenceDescriptions"]
        assert all(isinstance(one["name"], str) and one["name"] for one in found)
        assert ("Kleurenschema", "") in [(one["name"], one["description"]) for one in found]

    async def test_a_patch_works_on_all_of_them(self, client: Client) -> None:
        added = await add(client)
        answer = await client.patch(
            f"{PATH}/{added['prefDescId']}",
            json={"name": {"NL": "Kleuren", "de-AT": "Farben"}},
            headers={"Accept-Language": "nl"},
        )
        assert answer.json()["name"] == {"en": "Colour scheme", "nl": "Kleuren", "de-at": "Farben"}

    async def test_the_tag_of_every_representation_will_do_for_a_change(self, client: Client) -> None:
        added = await add(client)
        url = f"{PATH}/{added['prefDescId']}"
        tag = (await client.get(url, headers={"Accept-Language": "nl"})).headers["etag"]
        answer = await client.patch(url, json={"rank": 1}, headers={"If-Match": tag})
        assert answer.status_code == 200


class TestAdding:
    async def test_a_bare_one(self, client: Client) -> None:
        answer = await client.post(PATH, json=BARE)
        assert answer.status_code == 201, answer.text
        found = answer.json()
        assert found == BARE | {
            "prefDescId": found["prefDescId"],
            "description": {},
            "minValue": None,
            "maxValue": None,
            "allowedValues": None,
            "minLevel": "installation",
            "maxLevel": "synchronization",
            "sysMaxLevel": "synchronization",
            "accessFlags": {"admin": ["read", "write"], "frontend": ["read", "write"], "reader": ["read"]},
            "subGroup": None,
            "rank": 0,
            "default": None,
            "isBuiltin": False,
        }
        assert answer.headers["location"] == f"{PATH}/{found['prefDescId']}"
        assert answer.headers["etag"] == '"1"'
        assert answer.headers["last-modified"] == "Tue, 01 Sep 2026 08:00:00 GMT"
        assert (await client.get(answer.headers["location"])).json() == found

    async def test_is_given_out_as_it_was_given(self, client: Client) -> None:
        for position, changes in enumerate(KINDS):
            answer = await client.post(PATH, json=BARE | {"key": f"b{position}"} | changes)
            assert answer.status_code == 201, answer.text
            assert {name: answer.json()[name] for name in changes} == changes
            assert (await client.get(answer.headers["location"])).json() == answer.json()

    async def test_numbers_are_given_out_as_they_were_given(self, client: Client) -> None:
        answer = await client.post(PATH, json=BARE | {"minValue": 0, "maxValue": 2.5, "default": 1})
        assert '"minValue":0,"maxValue":2.5' in answer.text
        assert '"default":1,' in answer.text

    async def test_what_no_description_may_be(self, client: Client, pool: Pool) -> None:
        answer = await client.post(PATH, json={"section": "a", "name": {}, "valueType": 1, "colour": 1})
        assert answer.status_code == 422
        assert answer.json()["code"] == "invalid_description"
        assert fields(answer) == ["valueType", "colour", "key"]
        assert await pool.fetchval("SELECT count(*) FROM preference_descriptions WHERE NOT is_builtin") == 0

    async def test_other_bodies(self, client: Client) -> None:
        for body, media_type, status in (
            (b"[]", "application/json", 422),
            (b"{", "application/json", 400),
            (b'{"rank": 1, "rank": 1}', "application/json", 400),
            (b'{"default": ' + b"[" * 900 + b"]" * 900 + b"}", "application/json", 422),
            (b'{"x": "%s"}' % (b"x" * 300_000), "application/json", 413),
            (b"{}", "application/merge-patch+json", 415),
            (b"{}", "", 415),
        ):
            answer = await client.post(PATH, content=body, headers={"Content-Type": media_type})
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/problem+json"

    async def test_section_and_key_are_unique_in_upper_and_lower_case(self, client: Client) -> None:
        await add(client)
        answer = await client.post(PATH, json=SCHEME | {"section": "FACULTY", "key": "colourscheme"})
        assert answer.status_code == 409
        assert answer.json()["code"] == "preference_exists"
        await add(client, section="department")
        answer = await client.post(PATH, json=BARE | {"section": "Presentation", "key": "showas"})
        assert answer.status_code == 409


class TestDeleting:
    async def test_takes_the_values_along(self, client: Client, pool: Pool) -> None:
        added, other = await add(client), await add(client, key="other")
        await pool.execute(
            "INSERT INTO preference_values (description_id, level, owner, value)"
            " SELECT id, 'role', 'student', '\"calm\"' FROM preference_descriptions WHERE NOT is_builtin"
        )
        url = f"{PATH}/{added['prefDescId']}"
        assert (await client.delete(url)).status_code == 204
        assert (await client.get(url)).status_code == 404
        assert (await client.delete(url)).status_code == 404
        left = await pool.fetch("SELECT description_id FROM preference_values")
        assert [row["description_id"] for row in left] == [other["prefDescId"]]

    async def test_a_built_in_one_stays(self, client: Client) -> None:
        url = f"{PATH}/{(await builtin(client, 'presentation.showAs'))['prefDescId']}"
        answer = await client.delete(url)
        assert (answer.status_code, answer.json()["code"]) == (409, "builtin_preference")
        assert (await client.get(url)).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [{"If-Match": '"2"'}, {"If-Unmodified-Since": "Tue, 01 Sep 2026 07:59:59 GMT"}],
        ids=lambda headers: next(iter(headers)),
    )
    async def test_only_what_was_seen(self, client: Client, headers: dict[str, str]) -> None:
        url = f"{PATH}/{(await add(client))['prefDescId']}"
        assert (await client.delete(url, headers=headers)).status_code == 412
        assert (await client.get(url)).status_code == 200


@pytest.mark.parametrize("role", ["frontend", "reader"])
async def test_everybody_reads_and_admins_write(client: Client, tokens: dict[Role, str], role: Role) -> None:
    url = f"{PATH}/{(await add(client))['prefDescId']}"
    client.headers["apiToken"] = tokens[role]
    assert (await client.get(PATH)).status_code == 200
    assert (await client.get(url)).status_code == 200
    for method, path, body in (("POST", PATH, BARE), ("PATCH", url, {"rank": 1}), ("DELETE", url, None)):
        assert (await client.request(method, path, json=body)).status_code == 403
    assert (await client.get(url)).headers["etag"] == '"1"'
