"""Stopping a command: SIGTERM and Ctrl-C clean up, and the exit status says what it was."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

INTERACTIVE = """
import signal

# Whoever runs the tests in the background has SIGINT ignored, by them and by what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
"""

WAITING = """
import asyncio, click
from app.commands.running import run

async def wait():
    try:
        print("ready", flush=True)
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)

click.Command("wait", callback=lambda: run(wait()))()
"""

STOPPING = """
import asyncio, click
from app.commands.running import run, stop_on_signals

async def work():
    stop = stop_on_signals()
    print("ready", flush=True)
    await stop.wait()
    print("finishing", flush=True)
    await asyncio.Event().wait()

click.Command("work", callback=lambda: run(work()))()
"""


class Command:
    """A Python program and what it prints."""

    def __init__(self, program: str) -> None:
        command = [sys.executable, "-c", INTERACTIVE + program]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture
def waiting() -> Iterator[Command]:
    command = Command(WAITING)
    yield command
    command.process.kill()
    command.process.communicate()


@pytest.fixture
def stopping() -> Iterator[Command]:
    command = Command(STOPPING)
    yield command
    command.process.kill()
    command.process.communicate()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_cleans_up_and_ends(waiting: Command, number: signal.Signals, status: int) -> None:
    assert waiting.line() == "ready"
    waiting.process.send_signal(number)
    assert waiting.line() == "cleaned up"
    assert waiting.process.wait() == status


def test_what_finishes_its_work_is_cut_off_by_a_second_signal(stopping: Command) -> None:
    assert stopping.line() == "ready"
    stopping.process.send_signal(signal.SIGTERM)
    assert stopping.line() == "finishing"
    stopping.process.send_signal(signal.SIGTERM)
    assert stopping.process.wait() != 0
