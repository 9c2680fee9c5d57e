"""What docs/preferences.md shows: it is all that there is, and the API takes its examples."""

import re
import shlex
from pathlib import Path
from typing import Any, get_args

import pytest

from app.preferences.document import LEVELS
from app.preferences.templates import FIELDS, FILTERS, check_template
from providers.contract import Colour
from providers.googlecalendar.tokens import CALENDAR_SCOPES
from tests.api.conftest import Client
from tests.preferences.describing import PATH

DOCS = Path(__file__).parents[2]
TEXT = DOCS.joinpath("docs", "preferences.md").read_text(encoding="utf-8")
CODE = re.findall(r"^(?: {4}.*\n)+", TEXT, re.MULTILINE)


def commands(method: str) -> list[list[str]]:
    """The words of the calls with this method."""
    found = [shlex.split(re.sub(r"\\\n", "", block)) for block in CODE if block.strip().startswith("curl")]
    return [words for words in found if f"-X {method}" in " ".join(words)]


def names(sentence: str) -> set[str]:
    """What a sentence of the text names as code."""
    found = re.search(sentence, TEXT, re.DOTALL)
    assert found
    return set(re.findall(r"`(\w+)`", found[1]))


async def test_its_preferences_are_all_that_the_push_obeys(client: Client) -> None:
    described = (await client.get(PATH)).json()["preferenceDescriptions"]
    built_in = {
        f"{one['section']}.{one['key']}": "write" not in one["accessFlags"]["frontend"] for one in described
    }
    rows = re.findall(r"^\| `(\w+\.\w+)`( \*)? \|", TEXT, re.MULTILINE)
    assert {name: bool(administrators) for name, administrators in rows} == built_in


async def test_its_values_are_those_that_are_allowed(client: Client) -> None:
    described = (await client.get(PATH)).json()["preferenceDescriptions"]
    for one in described:
        (row,) = re.findall(rf"^\| `{one['section']}\.{one['key']}`.*$", TEXT, re.MULTILINE)
        if one["valueType"] == "number":
            assert f"| {one['minValue']} to {one['maxValue']} |" in row
        for value in one["allowedValues"] or ():
            assert f"`{value}`" in row


def test_its_levels_are_all_that_there_are_in_their_order() -> None:
    table, _ = TEXT.split("## Setting one")
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == LEVELS


def test_its_fields_filters_and_colours_are_all_that_there_are() -> None:
    assert names(r"The fields are (.*?)\.\s") == set(FIELDS)
    assert names(r"and the filters\s(.*?)\.\s") == set(FILTERS)
    (colours,) = re.findall(r"`CATEGORY=COLOUR` \| (.*) \|", TEXT)
    assert set(re.split(", | or ", colours)) == set(get_args(Colour))


@pytest.mark.parametrize("text", [block.strip() for block in CODE if block.strip().startswith("{{")])
def test_its_templates_are_templates(text: str) -> None:
    assert check_template(text) is None


@pytest.mark.parametrize("words", commands("PUT"), ids=lambda words: words[-3])
async def test_its_values_can_be_set(client: Client, words: list[str]) -> None:
    url, _, body = words[-3:]
    answer = await client.put(
        url.removeprefix("localhost:8080"), content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 201, answer.text


async def test_its_change_of_a_description_is_one(client: Client) -> None:
    (words,) = commands("PATCH")
    headers = dict(words[place + 1].split(": ") for place, word in enumerate(words) if word == "-H")
    url, _, body = words[-3:]
    answer = await client.patch(
        url.removeprefix("localhost:8080"),
        content=body,
        headers={name: value for name, value in headers.items() if name != "apiToken"},
    )
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    assert (changed["key"], changed["maxLevel"]) == ("colourByCategory", "role")


@pytest.mark.parametrize("file", ["README.md", "docs/preferences.md"])
def test_the_scope_for_calendars_of_their_own_is_named(file: str) -> None:
    assert all(f"`{scope}`" in DOCS.joinpath(file).read_text(encoding="utf-8") for scope in CALENDAR_SCOPES)
