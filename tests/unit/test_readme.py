"""README.md keeps up with the program: its commands, keys and links exist, and none is missing."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from app.commands import rooster
from app.config import Config
from app.sources.definition import parse_definition
from app.sources.integrations import INTEGRATIONS
from app.sources.validation import check_definition
from tests.sources.integrations.reading import account

ROOT = Path(__file__).parents[2]
TEXT = ROOT.joinpath("README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")])
SECTIONS = ("sync", "runs")
"""Sections whose keys are all in README.md itself; those of sources are in docs/sources.md."""


def test_its_commands_are_all_that_there_are() -> None:
    named = set(re.findall(r"^\| `rooster (\w+)", TEXT, re.MULTILINE))
    assert named == set(rooster.list_commands(click.Context(rooster)))


def keys() -> Iterator[str]:
    """The keys of the configuration, sections by their names."""
    for field in msgspec.structs.fields(Config):
        yield field.encode_name
        if field.encode_name in SECTIONS:
            yield from (f"{field.encode_name}.{key}" for key in field.type.__struct_fields__)


@pytest.mark.parametrize("key", list(keys()))
def test_every_key_is_in_the_table(key: str) -> None:
    _, table = TEXT.split("## Configuration")
    section, _, name = key.partition(".")
    assert re.search(rf"^\| `{section}\b.*\b{name}\b" if name else rf"^\| `{section}\b", table, re.MULTILINE)


def test_its_defaults_are_those_of_the_program() -> None:
    shown = re.findall(r"`(?:sync\.|runs\.)?(\w+_seconds|bulk_\w+|keep_days)`[^(\n]*\((\d+)", TEXT)
    defaults = msgspec.to_builtins(Config().sync) | msgspec.to_builtins(Config().runs)
    names = {name for name, value in defaults.items() if isinstance(value, int)}
    assert {name: int(default) for name, default in shown} == {name: defaults[name] for name in names}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8")):
        file, _, heading = target.partition("#")
        found = page.parent / file.replace("\\", "") if file else page
        assert found.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [re.sub(r"[^\w-]", "", one.lower().replace(" ", "-")) for one in headings]


def test_its_source_and_job_are_accepted() -> None:
    (text,) = re.findall(r"-d '(\{\"integration_name\".*?\})'\n", TEXT, re.DOTALL)
    given = json.loads(text)
    connection = account(given["base_url"], given["settings"])
    assert list(INTEGRATIONS[given["integration_name"]].check_account(connection)) == []
    (job,) = re.findall(r"^ {4}\{\n.*?^ {4}\}\n", TEXT, re.DOTALL | re.MULTILINE)
    check_definition(parse_definition(json.loads(job)), INTEGRATIONS)
