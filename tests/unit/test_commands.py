"""The command line: what people and scripts get to see of it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from app import commands
from app.commands import COMMANDS, rooster
from app.errors import Invalid, Problem

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run a command on the test's database, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOSTER_DATABASE__URL", database)
    monkeypatch.setattr(commands, "configure_logging", lambda *_: None)
    return lambda *arguments: CliRunner().invoke(rooster, arguments)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], Result]:
    """Run a command that raises the exception."""
    monkeypatch.setattr(commands, "configure_logging", lambda *_: None)

    def run(error: Exception, *options: str) -> Result:
        def command() -> None:
            raise error

        monkeypatch.setattr(rooster, "get_command", lambda *_: click.Command("worker", callback=command))
        return CliRunner().invoke(rooster, [*options, "worker"])

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(invoke: Invoke, name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"Usage: rooster {name}")


def test_the_list_of_commands_is_quick_to_get() -> None:
    """None of the large libraries is imported for it."""
    code = """
import sys
from app.commands import rooster
rooster(["--help"], standalone_mode=False)
print(*{"asyncpg", "litestar", "exchangelib", "msal", "aiohttp"} & set(sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in COMMANDS)
    assert done.stderr.strip() == ""


def test_a_token_is_printed_once_and_alone(invoke: Invoke) -> None:
    created = invoke("token", "create", "frontend", "--role", "frontend")
    assert created.exit_code == 0
    (token,) = created.stdout.splitlines()
    assert created.stderr == ""
    listed = invoke("token", "list").stdout
    assert listed.startswith("frontend\tfrontend\t")
    assert token not in listed
    assert invoke("token", "revoke", "frontend").exit_code == 0
    assert invoke("token", "list").stdout == ""


def test_usual_mistakes_are_one_clear_line(invoke: Invoke) -> None:
    assert invoke("token", "create", "a", "--role", "admin").exit_code == 0
    taken = invoke("token", "create", "a", "--role", "admin")
    assert (taken.exit_code, taken.stdout) == (1, "")
    assert taken.stderr.startswith("Error: There is a token named a already.")
    assert taken.stderr.count("\n") == 1
    unknown = invoke("token", "revoke", "b")
    assert (unknown.exit_code, unknown.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "Error: No such command 'nonsense'. See: rooster --help"),
        (["--log-format", "xml", "worker"], "'xml' is not one of 'json', 'console'. See: rooster --help"),
        (["token", "create"], "Error: Missing argument 'NAME'. See: rooster token create --help"),
        (
            ["token", "create", "a"],
            "'--role'. Choose from: admin, frontend, reader. See: rooster token create",
        ),
        (["token", "create", "a", "--role", "king"], "'king' is not one of 'admin', 'frontend', 'reader'."),
        (["serve", "--port", "70000"], "70000 is not in the range 0<=x<=65535. See: rooster serve --help"),
        (["import", "missing.ics"], "File 'missing.ics' does not exist. See: rooster import --help"),
        (["sync"], "Error: Give one of --id, --user, --type or --all. See: rooster"),
    ],
)
def test_wrong_usage_is_one_line_that_says_where_help_is(
    invoke: Invoke, arguments: list[str], said: str
) -> None:
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("group", [[], ["token"]])
def test_a_group_without_a_command_shows_its_commands(invoke: Invoke, group: list[str]) -> None:
    result = invoke(*group)
    assert result.exit_code == 2
    assert "Commands:" in result.stderr


def test_migrate_says_what_it_did(invoke: Invoke) -> None:
    result = invoke("migrate")
    assert result.exit_code == 0
    assert result.stdout.startswith("nothing to do: the database is at version")


def test_a_worker_wants_an_instance(invoke: Invoke) -> None:
    result = invoke("worker")
    assert result.exit_code == 1
    assert "instance is missing" in result.stderr


def test_a_wrong_configuration_is_one_line_that_names_the_key(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "rooster.toml").write_text("instanse = 1")
    result = invoke("migrate")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: instanse is not a known key; did you mean instance?\n",
    )


def test_an_error_of_ours_is_its_sentence_and_its_first_problem(failing: Callable[..., Result]) -> None:
    problems = (Problem(event="a", field="start", detail="is after the end"), Problem(detail="x"))
    result = failing(Invalid("invalid_timetable", "The timetable is refused:", problems))
    assert result.exit_code == 1
    assert result.stderr == "Error: The timetable is refused: a start: is after the end (and 1 more)\n"


def test_a_bug_is_one_line_that_quotes_nothing(failing: Callable[..., Result]) -> None:
    result = failing(KeyError("hunter2"))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: unexpected KeyError.")
    assert "rooster --debug" in result.stderr
    assert "hunter2" not in result.stderr


def test_a_bug_shows_its_traceback_when_debugging(failing: Callable[..., Result]) -> None:
    assert isinstance(failing(KeyError("hunter2"), "--debug").exception, KeyError)


def test_the_embedded_database_is_found_by_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command here starts and stops it by itself, and sees what the one before has stored."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOSTER_DATA_DIR", "data")
    monkeypatch.setattr(commands, "configure_logging", lambda *_: None)
    assert CliRunner().invoke(rooster, ["token", "create", "a", "--role", "admin"]).exit_code == 0
    assert CliRunner().invoke(rooster, ["token", "list"]).stdout.startswith("a\tadmin")
    assert (tmp_path / "data" / "postgres").is_dir()
