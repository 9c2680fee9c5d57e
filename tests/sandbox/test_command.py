"""``rooster sandbox``, as a process."""

import json
import os
import signal
import ssl
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-c", "from app.commands import main; main()", "sandbox"]


@contextmanager
def running(*arguments: str, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The command and the line that it prints when it is ready."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment,
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def get(ready: dict[str, str], path: str) -> Any:
    context = ssl.create_default_context(cafile=ready["ca_file"])
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    with opener.open(ready["control"] + path) as response:
        return json.load(response)


def test_it_prints_one_line_and_runs_until_sigterm(tmp_path: Path) -> None:
    with running(cwd=tmp_path) as (process, ready):
        assert set(ready) == {"ca_file", "config", "control"}
        assert get(ready, "/mailboxes/o365/alice%40uni.example/events") == {"events": []}
        assert "providers" in tomllib.loads(Path(ready["config"]).read_text())
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "", "")
    assert not Path(ready["config"]).exists()


def test_with_a_state_file_the_next_one_prints_the_same_line(tmp_path: Path) -> None:
    lines = []
    for _ in range(2):
        with running("--state", "state", cwd=tmp_path) as (process, ready):
            lines.append(ready)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    assert lines[0] == lines[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--state", "missing/state"], "missing"),
        (["--schemas", "missing"], "missing"),
        (["--port", "100000"], "--port"),
    ],
)
def test_a_usual_mistake_is_one_clear_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert done.stdout == ""
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
