"""Watching runs: waiting for them to end, and hearing of each step, over one listening connection."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import asyncpg

from app.database.queries import query
from app.database.types import Pool

__all__ = ["RunWatcher"]

CHANNEL = "rooster_run"


class RunWatcher:
    """Watches runs by one connection that listens for all of them.

    The connection is taken from the pool at the first wait, and anew whenever it was lost.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: dict[int, set[asyncio.Event]] = {}
        self._opening = asyncio.Lock()
        self._connection: Any = None
        self._closed = False

    async def wait(self, run: int, seconds: float) -> bool:
        """Wait until the run has ended, at most so long. Returns whether it has.

        Ends early when the watcher is closed: nothing holds up the end of the process.
        """
        heard = asyncio.Event()
        self._waiting.setdefault(run, set()).add(heard)
        try:
            async with asyncio.timeout(seconds):
                while not self._closed:
                    await self._listen()
                    # Looked at only now: what ends before we listen is not missed, nor what ends after.
                    if not await self._pool.fetchval(query("runs.is_active"), run):
                        return True
                    await heard.wait()
                    heard.clear()
        except TimeoutError:
            pass
        finally:
            self._forget(run, heard)
        return not await self._pool.fetchval(query("runs.is_active"), run)

    async def steps(self, run: int, heartbeat: float, pause: float = 0.0) -> AsyncGenerator[bool, None]:
        """The steps of a run: True at once, and whenever something about it has changed since.

        False when nothing has for ``heartbeat`` seconds. What changes within ``pause`` seconds is one step.
        Ends when the watcher is closed; it does not look whether the run has ended.
        """
        heard = asyncio.Event()
        heard.set()
        self._waiting.setdefault(run, set()).add(heard)
        try:
            while not self._closed:
                await self._listen()
                with suppress(TimeoutError):
                    await asyncio.wait_for(heard.wait(), heartbeat)
                yield heard.is_set()
                if heard.is_set():
                    heard.clear()
                    await asyncio.sleep(pause)
        finally:
            self._forget(run, heard)

    async def close(self) -> None:
        """Let go of everybody who waits, and of the connection."""
        self._closed = True
        self._wake_all()
        async with self._opening:
            connection, self._connection = self._connection, None
            if connection is not None and not connection.is_closed():
                connection.remove_termination_listener(self._lost)
                with suppress(asyncpg.InterfaceError):
                    await connection.remove_listener(CHANNEL, self._heard)
                await self._pool.release(connection)

    def _forget(self, run: int, heard: asyncio.Event) -> None:
        self._waiting[run].discard(heard)
        if not self._waiting[run]:
            del self._waiting[run]

    async def _listen(self) -> None:
        async with self._opening:
            if self._connection is None and not self._closed:
                connection = await self._pool.acquire()
                connection.add_termination_listener(self._lost)
                self._connection = connection
                try:
                    await connection.add_listener(CHANNEL, self._heard)
                except asyncpg.ConnectionDoesNotExistError:
                    pass  # lost at once: whoever waits is told so, as at any other time, and looks again
                except BaseException:
                    self._connection = None
                    connection.remove_termination_listener(self._lost)
                    await self._pool.release(connection)
                    raise

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if str(payload).isdigit():
            for event in self._waiting.get(int(str(payload)), ()):
                event.set()

    def _lost(self, connection: object) -> None:
        """The connection broke: whoever waits looks again, over a new one."""
        if connection is self._connection:
            self._connection = None
        self._wake_all()

    def _wake_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()
