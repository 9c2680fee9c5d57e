"""``rooster demo``: what a newcomer sees first, and the main job on real students' timetables."""

import asyncio
import gzip
import re
import sys
from itertools import product
from pathlib import Path

import pytest

from app.demo.campus import MODES, TYPES, read_campus, sample_campus
from app.errors import Invalid
from tests.end_to_end.installation import COMMAND

SHARED = Path(__file__).parents[3] / "shared"


async def demo(folder: Path, *arguments: str) -> tuple[int, str]:
    """The command in an empty folder, as a newcomer runs it: exit status and output."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "demo",
        *arguments,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


def rows(out: str) -> dict[str, list[int]]:
    """The closing table: numbers by group, those after unlinking by mode."""
    found = {}
    for line in out.splitlines():
        if match := re.fullmatch(r"\s+(\w+)((?:\s+[\d,]+){7})\s*", line):
            found[match[1]] = [int(number.replace(",", "")) for number in match[2].split()]
    return found


@pytest.mark.timeout(300)
async def test_the_demo_shows_that_every_mailbox_is_as_it_should_be(tmp_path: Path) -> None:
    status, out = await demo(tmp_path, "--people", "12")
    assert status == 0, out
    table = rows(out)
    assert set(table) == {
        "ews",
        "o365",
        "googlecalendar",
        "UNLINK_ONLY",
        "DELETE_FUTURE_EVENTS",
        "DELETE_ALL_EVENTS",
        "CLEANUP",
    }
    for people, _, *faults in table.values():
        assert people > 0
        assert faults == [0, 0, 0, 0, 0]
    assert table["UNLINK_ONLY"][1] > table["DELETE_FUTURE_EVENTS"][1] > 0
    assert table["DELETE_ALL_EVENTS"][1] == table["CLEANUP"][1] == 0
    # It leaves nothing behind.
    assert [path for path in tmp_path.iterdir() if path.name != ".cache"] == []


@pytest.mark.timeout(900)
async def test_200_real_students_over_three_providers(tmp_path: Path) -> None:
    tool, data = SHARED / "tools" / "itc2019.py", SHARED / "data" / "mary-fal18.xml.gz"
    if not (tool.exists() and data.exists()):
        pytest.skip(f"NOT TESTED: the real timetables are not there ({data})")
    campus = tmp_path / "mary.jsonl"
    with campus.open("wb") as file:
        made = await asyncio.create_subprocess_exec(
            sys.executable, str(tool), str(data), "--students", "200", stdout=file
        )
        assert await made.wait() == 0
    status, out = await demo(tmp_path, "--campus", str(campus), "--edition-changes", "0.05")
    assert status == 0, out
    table = rows(out)
    assert sum(table[type][0] for type in ("ews", "o365", "googlecalendar")) == 200
    assert sum(table[type][1] for type in ("ews", "o365", "googlecalendar")) > 20_000
    assert all(faults == [0, 0, 0, 0, 0] for _, _, *faults in table.values())


def test_a_handful_of_people_are_unlinked_in_all_four_ways() -> None:
    assert {person.mode for person in sample_campus(4)} == set(MODES)
    assert {(person.type, person.mode) for person in sample_campus(12)} == set(product(TYPES, MODES))


@pytest.mark.parametrize(
    "data",
    [b"not gzip", gzip.compress(b"{}")[:15], gzip.compress(b"{}")[:10] + b"\xff" * 9],
    ids=["no gzip", "cut off", "broken"],
)
def test_a_compressed_campus_that_cannot_be_read_is_said_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "campus.jsonl.gz").write_bytes(data)
    with pytest.raises(Invalid, match=r"campus\.jsonl\.gz cannot be read"):
        read_campus(tmp_path / "campus.jsonl.gz", None)


@pytest.mark.parametrize(
    "text", ["", "not json\n", '{"username": 7}\n', '{"username": "a", "events": [{}]}\n']
)
async def test_a_campus_that_is_none_is_one_clear_line(tmp_path: Path, text: str) -> None:
    campus = tmp_path / "campus.jsonl"
    campus.write_text(text)
    status, out = await demo(tmp_path, "--campus", str(campus))
    assert status == 1
    assert "Traceback" not in out
    assert len([line for line in out.splitlines() if line.startswith("Error:")]) == 1
