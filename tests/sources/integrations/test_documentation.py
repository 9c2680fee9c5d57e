"""What docs/sources.md shows: its jobs and accounts are accepted, and its integration reads."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.config import load_config
from app.sources.contract import Integration, ReadFailed, ResourceRequest
from app.sources.definition import parse_definition
from app.sources.integrations import INTEGRATIONS
from app.sources.settings import SourceSettings
from app.sources.validation import check_definition
from tests.sources.integrations.reading import Reading, account, errors, records
from tests.sources.web import Web
from tests.sources.web import json as answer

TEXT = Path(__file__).parents[3].joinpath("docs", "sources.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    """The examples of a kind."""
    found: list[str] = re.findall(rf"^```{kind}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    assert found
    return found


@pytest.mark.parametrize("text", blocks("json job"))
def test_its_jobs_are_accepted(text: str) -> None:
    check_definition(parse_definition(json.loads(text)), INTEGRATIONS)


@pytest.mark.parametrize("text", blocks("json account"))
def test_its_accounts_are_accepted(text: str) -> None:
    given = json.loads(text)
    connection = account(given["base_url"], given.get("settings"), **given["credentials"])
    assert list(INTEGRATIONS[given["integration_name"]].check_account(connection)) == []


def test_its_settings_are_all_that_there_are_with_their_defaults(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    local = re.sub(r'_file = ".*?/(\w+)(\.\w+)?"', r'_file = "\1"', text)
    for name in ("uni", "sources", "webhook"):
        tmp_path.joinpath(name).write_text("whsec_" + "A" * 40)
    tmp_path.joinpath("rooster.toml").write_text(local)
    shown = load_config({}, tmp_path).sources
    keys = {name.replace("key_file", "key") for name in tomllib.loads(text)["sources"]}
    assert keys == set(SourceSettings.__struct_fields__)
    assert shown.webhook is not None
    for name in keys - {"allowed_networks", "ca_file", "rates", "encryption_key", "webhook"}:
        assert getattr(shown, name) == getattr(SourceSettings(), name), name


@pytest.fixture
def example(run: Reading) -> Integration:
    names: dict[str, Any] = {}
    (text,) = blocks("python")
    exec(compile(text, "docs/sources.md", "exec"), names)
    made: Integration = names["Example"](run.client)
    return made


async def test_its_integration_reads(server: Web, run: Reading, example: Integration) -> None:
    entry = {"code": "a", "subject": "Algorithms", "begin": "2026-09-02T09:00", "end": "2026-09-02T10:45"}
    server.script = [
        answer({"complete": True, "entries": [entry | {"hall": "Aula"}, entry | {"begin": None}]})
    ]
    pages = await run.pages(example, account(server.url, token="t"), "timetable", "get", "ada")
    assert [(record.event.title, record.event.location) for record in records(pages)] == [
        ("Algorithms", "Aula")
    ]
    assert [(error.place, error.username) for error in errors(pages)] == [("record 2", "ada")]
    assert server.requests[0].headers["Authorization"] == "Bearer t"


async def test_and_never_takes_a_part_for_the_whole(server: Web, run: Reading, example: Integration) -> None:
    server.script = [answer({"complete": False, "entries": []})]
    with pytest.raises(ReadFailed):
        await run.pages(example, account(server.url, token="t"), "timetable", "get", "ada")


def test_its_integration_checks(example: Integration) -> None:
    assert list(example.check_account(account("http://x", token="t"))) == []
    assert [problem.field for problem in example.check_account(account("http://x"))] == ["credentials.token"]
    good = ResourceRequest(resource="timetable", method="get", id="{{args.users}}")
    assert list(example.check_resource(good, None)) == []
    bad = ResourceRequest(resource="rooms", method="list")
    assert [problem.field for problem in example.check_resource(bad, None)] == ["id", "resource"]
