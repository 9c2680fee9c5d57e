"""The product's commands in processes of their own, forked from one that has imported everything already.

To import it takes one or two seconds of CPU, which is most of what many a command costs: minutes in all tests
together. What a command does is the same in every other way: it has its own arguments, environment, working
directory and standard streams, gets signals and ends with an exit status. Those of tests/end_to_end are
started as by a shell.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
import warnings
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["Forked", "fork", "fork_server"]

IMPORTED = ("tests.imported", "tests.crashes.worker")


def fork_server() -> ForkServerContext:
    """What starts processes that have imported the product."""
    context = multiprocessing.get_context("forkserver")
    # The module that was started is imported by each process: pytest's takes its time.
    main = [name for name in ("pytest",) if name in sys.modules]
    context.set_forkserver_preload([*IMPORTED, *main])
    return context


class Forked:
    """A process, as ``asyncio.subprocess.Process`` is one."""

    def __init__(self, process: Any) -> None:
        self.pid: int = process.pid
        self.stdin: BinaryIO | None = None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None
        self._process = process
        self._ended = asyncio.Event()
        self._transports: list[asyncio.BaseTransport] = []
        asyncio.get_running_loop().add_reader(process.sentinel, self._end)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._ended.set()

    @property
    def returncode(self) -> int | None:
        code: int | None = self._process.exitcode
        return code

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def communicate(self, input: bytes = b"") -> tuple[bytes, bytes]:
        """For an input that a pipe holds: some thousand bytes."""
        if self.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.stdin.write(input)
                self.stdin.close()
        readers = [
            reader.read() if reader is not None else asyncio.sleep(0, b"")
            for reader in (self.stdout, self.stderr)
        ]
        out, err = await asyncio.gather(*readers)
        await self.wait()
        return out, err

    async def read(self, descriptor: int) -> asyncio.StreamReader:
        """What the process writes there."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
        )
        self._transports.append(transport)
        return reader


async def fork(
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str],
    stdin: int = DEVNULL,
    stdout: int | BinaryIO = DEVNULL,
    stderr: int | BinaryIO = DEVNULL,
) -> Forked:
    """Start ``rooster ARGUMENTS``, as ``asyncio.create_subprocess_exec`` would. Warnings are errors."""
    streams: list[_Descriptor] = []
    pipes: list[int | None] = []
    for number, stream in enumerate((stdin, stdout, stderr)):
        if stream == PIPE:
            theirs, ours = os.pipe() if number == 0 else reversed(os.pipe())
            streams.append(_Descriptor(theirs))
            pipes.append(ours)
        else:
            given = stream if isinstance(stream, int) else stream.fileno()
            streams.append(_Descriptor(os.open(os.devnull, os.O_RDWR) if given == DEVNULL else os.dup(given)))
            pipes.append(None)
    process = fork_server().Process(target=_main, args=(arguments, str(cwd), dict(env), streams))
    try:
        process.start()
    finally:
        for descriptor in streams:
            os.close(descriptor.number)
    made = Forked(process)
    into, out, err = pipes
    made.stdin = None if into is None else os.fdopen(into, "wb")
    made.stdout = None if out is None else await made.read(out)
    made.stderr = None if err is None else await made.read(err)
    return made


class _Descriptor:
    """An open file that goes to the new process with its arguments."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self.number),)


def _received(duplicate: Any) -> "_Descriptor":
    return _Descriptor(duplicate.detach())


def _main(arguments: Sequence[str], cwd: str, env: dict[str, str], streams: list[_Descriptor]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream.number, number)
        os.close(stream.number)
    # The forking process's own standard input was closed, and it may have written to the others.
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["rooster", *arguments]
    sys.warnoptions = ["error"]
    warnings.simplefilter("error")
    from app.commands import main

    main()
