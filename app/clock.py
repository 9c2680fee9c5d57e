"""The clock, injected wherever time matters so that tests need not wait."""

from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "system_clock"]

Clock = Callable[[], datetime]
"""Gives the present moment: aware, in UTC."""


def system_clock() -> datetime:
    """The machine's present moment, aware, in UTC."""
    return datetime.now(UTC)
