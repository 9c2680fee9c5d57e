"""``rooster import``."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app import commands
from app.commands import rooster

LECTURE = {"uid": "a", "title": "x", "start": "2099-09-07T09:00:00", "end": "2099-09-07T10:00:00"}
ICS = (
    "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:w\nDTSTART:20990907T090000\nEND:VEVENT\n"
    "END:VCALENDAR\n"
)
Import = Callable[..., Result]


@pytest.fixture
def run_import(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Import:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOSTER_DATABASE__URL", database)
    monkeypatch.setattr(commands, "configure_logging", lambda *_: None)
    return lambda *arguments: CliRunner().invoke(rooster, ["import", *arguments])


def line(username: str, count: int) -> str:
    return (
        json.dumps({"username": username, "events": [LECTURE | {"uid": str(n)} for n in range(count)]}) + "\n"
    )


def test_files_of_all_kinds_create_users(run_import: Import, tmp_path: Path) -> None:
    (tmp_path / "alice.ics").write_text(ICS)
    (tmp_path / "campus.jsonl").write_text(line("bob", 2) + line("carol", 3))
    (tmp_path / "more.jsonl.gz").write_bytes(gzip.compress(line("dave", 4).encode()))
    result = run_import("alice.ics", "campus.jsonl", "more.jsonl.gz")
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "4 timetables with 10 events: 10 created, 0 updated, 0 deleted, 0 unchanged; 0 errors\n"
    )
    assert "10 unchanged" in run_import("alice.ics", "campus.jsonl", "more.jsonl.gz").stdout


def test_problems_are_told_one_a_line_and_the_rest_is_imported(run_import: Import, tmp_path: Path) -> None:
    (tmp_path / "alice.ics").write_text(
        ICS.replace("END:VEVENT", "DTEND:20990907T080000\nRRULE:FREQ=SECONDLY\nEND:VEVENT")
    )
    (tmp_path / "campus.jsonl").write_text(
        line("bob", 2) + "nonsense\n" + '{"username": "carol"}\n{"username": 3, "events": []}\n'
    )
    result = run_import("alice.ics", "campus.jsonl")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "alice.ics: w dtend: Before the start.",
        "alice.ics: w rrule: FREQ=SECONDLY is too dense for a timetable.",
        "campus.jsonl:2: Not JSON; it may have been cut off.",
        "campus.jsonl:3 (carol): events: Missing, or not a list of events.",
        "campus.jsonl:4: username: Missing, no string, too long, or with a control character in it.",
    ]
    assert result.stdout.startswith("1 timetables with 2 events")


def test_a_large_removal_needs_to_be_confirmed(run_import: Import, tmp_path: Path) -> None:
    file = tmp_path / "campus.jsonl"
    file.write_text(line("bob", 30))
    run_import("campus.jsonl")
    file.write_text(line("bob", 0))
    refused = run_import("campus.jsonl")
    assert (refused.exit_code, "--confirm" in refused.stderr) == (1, True)
    confirmed = run_import("campus.jsonl", "--confirm")
    assert (confirmed.exit_code, "30 deleted" in confirmed.stdout) == (0, True)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("notes.txt", b"", "ends in .ics, .jsonl or .jsonl.gz"),
        ("campus.jsonl.gz", b"not gzip", "Not gzip data"),
    ],
)
def test_usual_mistakes_are_one_clear_line(
    run_import: Import, tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    result = run_import(name)
    assert result.exit_code != 0
    assert message in result.stderr
    assert "Traceback" not in result.output
