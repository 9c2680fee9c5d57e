"""What the machine of ``tests.sync.machine`` needs of a calendar provider, in memory or in the sandbox."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from providers.adapter import Adapter
from providers.contract import Event

__all__ = ["ADDRESSES", "Held", "Provider"]

ADDRESSES = ("one@uni.example", "two@uni.example")


@dataclass
class Held:
    """An event as it is in a mailbox."""

    ours: bool
    """It carries our marker, and may be a person's copy all the same."""
    noted: bool
    """It holds what the person wrote into it."""
    state: Any
    """The same as long as nobody touches it."""
    shows: Callable[[Event], bool]
    """Whether a person sees this event of a timetable, apart from their own notes."""


class Provider(Protocol):
    """A calendar provider whose mailboxes (``ADDRESSES``) are empty at first. People act without delay."""

    adapter: Adapter

    def held(self, address: str) -> dict[str, Held]:
        """What is in the calendar, by id."""
        ...

    def add(self, address: str) -> str:
        """The person adds an event of their own; gives its id."""
        ...

    def copy(self, address: str, id: str) -> str:
        """The person copies an event."""
        ...

    def write_notes(self, address: str, id: str) -> None:
        """The person writes something into an event."""
        ...

    def rename(self, address: str, id: str) -> None:
        """The person gives an event another title."""
        ...

    def remove(self, address: str, id: str) -> None:
        """The person deletes an event."""
        ...

    def lose_answers(self, operation: str, committed: bool, times: int) -> None:
        """The next operations of this kind are carried out or not, and nobody hears of it."""
        ...

    def delay_creates(self, times: int) -> None:
        """The next creates are not heard of any more, and arrive later."""
        ...

    def throttle(self, operation: str, until: datetime) -> None:
        """The next operation of this kind is answered by a request to wait."""
        ...

    def kill(self, call: str, committed: bool) -> None:
        """The worker that makes the next call of this kind ends there, before it or after it."""
        ...

    async def recover(self) -> None:
        """Nothing fails any more, and what was delayed arrives."""
        ...

    def check(self) -> None:
        """Assert that nobody was sent mail, and that no request broke the protocol."""
        ...
