"""The named steps of a worker's work, and the end of the process at one of them."""

import asyncio
import os
import signal
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

__all__ = ["Passed", "Sentence", "Steps", "read_log"]

T = TypeVar("T")


class Sentence(msgspec.Struct, frozen=True, kw_only=True):
    """Where a worker is to end: at a step that is not among ``spared``, after ``skip`` others of them."""

    end: Literal["live", "kill", "stop"] = "live"
    """``live``: nowhere. ``stop``: SIGSTOP, once, for whoever sends SIGCONT."""
    spared: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    """If given, no other step will do."""
    skip: int = 0
    delay: float = 0.0
    """Seconds that a request is under way at the most when the worker ends."""


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker has told: the steps that it passed, and the one at which it ended, if it did."""

    steps: list[str]
    ended_at: str | None


class Steps:
    """Tells of each step in a file, before it ends the process there: what was told survives a SIGKILL."""

    def __init__(self, log: Path, sentence: Sentence) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._sentence = sentence
        self._skip = sentence.skip
        self._over = sentence.end == "live"

    def passed(self, step: str) -> None:
        """The worker has come to this step. If it is the one, it ends here."""
        if self._is_last(step):
            self._end(step)

    async def around(
        self, names: Sequence[str], work: Coroutine[Any, Any, T], *, delay: float | None = None
    ) -> T:
        """Do the work as the steps ``NAME: before``, ``NAME: under way`` and ``NAME: after``, of each name.

        Under way: begun, and as much of it done as the sentence's delay (or ``delay``) allows.
        """
        try:
            for name in names:
                self.passed(f"{name}: before")
            last = next((step for name in names if self._is_last(step := f"{name}: under way")), None)
        except BaseException:
            work.close()
            raise
        task = asyncio.ensure_future(work)
        if last is not None:
            await asyncio.wait([task], timeout=self._sentence.delay if delay is None else delay)
            self._end(last)
        result = await task
        for name in names:
            self.passed(f"{name}: after")
        return result

    def _is_last(self, step: str) -> bool:
        os.write(self._log, f"{step}\n".encode())
        sentence = self._sentence
        if self._over or step in sentence.spared or (sentence.only is not None and step not in sentence.only):
            return False
        self._skip -= 1
        return self._skip < 0

    def _end(self, step: str) -> None:
        self._over = True
        os.write(self._log, f"!{step}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL if self._sentence.end == "kill" else signal.SIGSTOP)


def read_log(log: Path) -> Passed:
    """What a worker has told so far."""
    lines = log.read_text().splitlines() if log.exists() else []
    ended = [line.removeprefix("!") for line in lines if line.startswith("!")]
    return Passed(
        steps=[line for line in lines if not line.startswith("!")], ended_at=ended[-1] if ended else None
    )
