"""What the commands have in common: the configuration, the event loop, and stopping."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from app.config import Config, load_config
from app.log import configure_logging

__all__ = ["configuration", "log_format_option", "run", "stop_on_signals", "together"]

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])


def configuration() -> Config:
    """The configuration by the environment and the working directory. Raises ConfigError."""
    return load_config(os.environ, Path.cwd())


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine. SIGTERM cancels it, as Ctrl-C does, and the exit status is 143 (130)."""
    terminated = False

    async def cancelled_by_sigterm() -> T:
        task = asyncio.current_task()
        assert task is not None

        def terminate() -> None:
            nonlocal terminated
            terminated = True
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
        return await main

    try:
        return asyncio.run(cancelled_by_sigterm())
    except asyncio.CancelledError:
        if terminated:
            raise click.exceptions.Exit(128 + signal.SIGTERM) from None
        raise
    except KeyboardInterrupt:
        raise click.exceptions.Exit(128 + signal.SIGINT) from None


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set, for what finishes its work by itself before it stops.

    A second signal cancels the task that called this.
    """
    stop = asyncio.Event()
    task = asyncio.current_task()
    assert task is not None

    def on_signal() -> None:
        if stop.is_set():
            task.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return stop


async def together(parts: list[Coroutine[Any, Any, None]], stop: asyncio.Event) -> None:
    """Run all parts until each has ended; as soon as one has, the others are asked to stop."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def log_format_option(command: Command) -> Command:
    """``--log-format`` for a command that runs for long; the same option stands before the command."""

    def configure(ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value is not None:
            configure_logging(value, ctx.find_root().params.get("log_level", "info"))

    return click.option(
        "--log-format",
        type=click.Choice(["json", "console"]),
        expose_value=False,
        callback=configure,
        help="Logs for programs (json, the default) or for people.",
    )(command)
