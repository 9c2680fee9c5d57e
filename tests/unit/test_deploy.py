"""deploy/ keeps up with the program: its options, keys, metrics and tables exist."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from app.commands import rooster
from app.config import load_config
from app.database.types import Pool

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def parses(arguments: list[str]) -> bool:
    """Whether the command line knows the command and its options. Nothing is run."""
    name, *rest = arguments
    command = rooster.get_command(rooster.make_context("rooster", [name]), name)
    return command is not None and command.make_context(name, rest) is not None


def command_lines() -> list[list[str]]:
    services = documents("compose.yaml")[0]["services"].values()
    compose = [service["command"] for service in services if "command" in service]
    pods = [d["spec"]["template"]["spec"] for d in documents("kubernetes.yaml") if "template" in d["spec"]]
    kubernetes = [container["args"] for pod in pods for container in pod["containers"]]
    starts = re.findall(
        r"^ExecStart=/opt/rooster/bin/rooster (.*)$", "\n".join(map(Path.read_text, UNITS)), re.MULTILINE
    )
    image = re.findall(r"^CMD (\[.*\])$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    return [*compose, *kubernetes, *map(shlex.split, starts), *map(json.loads, image)]


@pytest.mark.parametrize("arguments", command_lines(), ids=" ".join)
def test_every_command_line_is_understood(arguments: list[str]) -> None:
    assert parses(arguments)


def test_all_that_run_rooster_are_among_them() -> None:
    assert len(UNITS) == 3
    assert len(command_lines()) == 3 + 3 + 3 + 1


@pytest.mark.parametrize(
    "file",
    [p for p in sorted(DEPLOY.rglob("*")) if p.is_file() and p.suffix != ".json"],
    ids=lambda p: p.name,
)
def test_every_variable_is_a_key(file: Path, tmp_path: Path) -> None:
    (tmp_path / "value").write_text("postgresql://database/rooster")
    names = set(re.findall(r"\b(ROOSTER_[A-Z0-9_]+)[=:,]", file.read_text())) - {"ROOSTER_CONFIG"}
    load_config({name: str(tmp_path / "value") for name in names}, tmp_path)


async def exported(pool: Pool) -> set[str]:
    """The names of all time series that /metrics has, samples of histograms included."""
    from app.api import asgi, health
    from app.sync import metrics
    from tests.clock import SettableClock

    assert asgi, metrics  # their counters are in the registry now
    await pool.execute("INSERT INTO mailboxes (type, address) VALUES ('ews', 'a')")
    await pool.execute(
        "INSERT INTO synchronizations (username, type, mailbox_id, address)"
        " SELECT 'a', 'ews', id, 'a' FROM mailboxes"
    )
    response = await health.metrics.fn(pool, SettableClock())
    families = {family.name for family in text_string_to_metric_families(response.content)}
    families |= {family.name for family in REGISTRY.collect()}
    suffixes = ("", "_total", "_bucket", "_count", "_sum")
    return {f"{family}{suffix}" for family in families for suffix in suffixes}


@pytest.mark.parametrize("file", ["monitoring/alerts.yaml", "monitoring/dashboard.json"])
async def test_every_metric_exists(pool: Pool, file: str) -> None:
    used = set(re.findall(r"\brooster_[a-z_]+\b(?=[{\[])", (DEPLOY / file).read_text()))
    assert len(used) > 3
    assert used <= await exported(pool)


def test_every_alert_says_what_to_do() -> None:
    rules = [rule for group in documents("monitoring/alerts.yaml")[0]["groups"] for rule in group["rules"]]
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "action"}
    questions = (DEPLOY / "useful.sql").read_text()
    named = re.findall(r'useful\.sql, "([^"]+)"', " ".join(rule["annotations"]["action"] for rule in rules))
    assert named
    assert all(f"-- {question}" in questions for question in named)


def test_the_dashboard_has_a_description_for_every_panel() -> None:
    panels = json.loads((DEPLOY / "monitoring" / "dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["description"] for panel in panels)


STATEMENTS = [part.strip() for part in (DEPLOY / "useful.sql").read_text().split(";") if part.strip()]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: s.splitlines()[-1][:40])
async def test_every_question_to_the_database_has_an_answer(pool: Pool, statement: str) -> None:
    async with pool.acquire() as connection, connection.transaction(readonly=True):
        await connection.fetch(statement)
