"""What the rows of the ledger say, and what is noted in them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from asyncpg import Record

from app.history import Answer
from providers.contract import (
    Create,
    Delete,
    Done,
    Event,
    Marker,
    Move,
    Operation,
    Refused,
    RemoteEvent,
    Update,
)
from providers.marker import event_identity

__all__ = [
    "Answers",
    "Entry",
    "Lost",
    "Moving",
    "Place",
    "Sent",
    "Settlement",
    "entry_of",
    "lost_of",
    "send_order",
    "sent_of",
]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The calendar of the mailbox that an event is in, or is put into."""

    id: int | None
    """Ours, of the calendar's row; None: the default calendar."""
    calendar: str | None
    """The provider's; None: the default one, or one of ours that is not there any more."""

    @property
    def is_there(self) -> bool:
        """Whether there is such a calendar, as far as is known."""
        return self.id is None or self.calendar is not None


class Moving(msgspec.Struct, frozen=True, kw_only=True):
    """Where an event was to be moved to, and the attempt that its marker names there."""

    attempt: UUID
    place: Place


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row whose operation was sent and never answered."""

    id: int
    state: Literal["creating", "updating", "deleting", "present"]
    """Present only with a move, of an event that nothing is to be done to any more."""
    place: Place
    attempt: UUID
    remote_id: str | None
    before: Event | None
    """What the mailbox held of ours before, as far as is known."""
    sent: Event | None
    """What was sent; None for a delete or a move."""
    moving: Moving | None = None
    """Of a move; then nothing else was sent."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that is noted in the ledger as sent, and may now be sent."""

    id: int
    operation: Operation
    place: Place
    """The calendar that the event is in, or is put into by a create."""
    tries: int
    moving: Moving | None = None
    """Of a move."""
    again: bool = False
    """Of a move: it was sent before, and nobody knows whether it was carried out."""

    @property
    def target(self) -> Place:
        """The calendar that is written to."""
        return self.place if self.moving is None else self.moving.place


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """A create believed lost, that is to be looked for again."""

    attempt: UUID
    place: Place
    remote_id: str | None
    """The event, if it was found before."""


class Settlement(msgspec.Struct, kw_only=True):
    """The truth about operations that were sent and never answered, by ledger id."""

    carried_out: dict[int, RemoteEvent] = {}
    """Creates and updates that had been carried out."""
    updated: dict[int, RemoteEvent] = {}
    """Updates that may or may not have been carried out: the event is there."""
    lost: list[int] = []
    """Creates that cannot be seen, but might arrive late: sent again with a new attempt."""
    resend: list[int] = []
    """To be sent again as they are."""
    vanished: list[int] = []
    """Updates of events that are not there any more."""
    deleted: list[int] = []
    """Deletes that had been carried out."""
    moved: dict[int, str] = {}
    """Moves that had been carried out, with the event's id there; an original may have been left behind."""
    move_again: list[int] = []
    """Moves that had not been carried out, of the event itself: sent again before anything else."""
    move_lost: list[int] = []
    """Moves whose copy cannot be seen, but might arrive late."""


class Answers(msgspec.Struct, kw_only=True):
    """What the provider answered to operations, by ledger id. What is not named stays unknown."""

    written: dict[int, Done] = {}
    moved: dict[int, str] = {}
    """The ids that the events have where they are now."""
    deleted: list[int] = []
    vanished: list[int] = []
    unsent: list[int] = []
    refused: dict[int, tuple[Refused, datetime | None]] = {}
    """With the time of the next try; None: not before the content changes."""
    history: dict[int, Answer] = {}
    """All of them, and those that stay unknown, as the history keeps them."""


def _event(content: str | None) -> Event | None:
    return None if content is None else msgspec.json.decode(content, type=Event)


def _place(row: Record) -> Place:
    return Place(id=row["calendar_id"], calendar=row["calendar"])


def _moving(row: Record) -> Moving | None:
    if row["move_attempt"] is None:
        return None
    place = Place(id=row["move_to"], calendar=row["move_calendar"])
    return Moving(attempt=UUID(int=row["move_attempt"].int), place=place)


def _operation(row: Record, instance: str) -> Operation:
    moving = _moving(row)
    if moving is not None:
        marker = Marker(
            instance=instance,
            synchronization=row["synchronization_id"],
            event=event_identity(row["uid"]),
            attempt=moving.attempt,
        )
        zone = msgspec.json.decode(row["content"], type=Event).time_zone
        return Move(id=row["remote_id"], calendar=moving.place.calendar, marker=marker, time_zone=zone)
    if row["state"] == "deleting":
        return Delete(id=row["remote_id"], version=row["remote_version"])
    event = msgspec.json.decode(row["sent_content"], type=Event)
    marker = Marker(
        instance=instance,
        synchronization=row["synchronization_id"],
        event=event_identity(event.uid),
        attempt=UUID(int=row["attempt"].int),
    )
    if row["state"] == "creating":
        return Create(event=event, marker=marker)
    possible = [content for content in (row["content"], *row["possible"]) if content is not None]
    return Update(
        id=row["remote_id"],
        version=row["remote_version"],
        event=event,
        possible=tuple(msgspec.json.decode(content, type=Event) for content in possible),
        marker=marker,
        changed=row["drift"] == "changed",
    )


_ORDER = {Delete: 0, Move: 1, Update: 1, Create: 2}


def send_order(sent: Sent) -> tuple[int, str, int]:
    """Deletions first, then moves and updates, then creations, the soonest first."""
    operation = sent.operation
    start = "" if isinstance(operation, Delete | Move) else operation.event.start.isoformat()
    return _ORDER[type(operation)], start, sent.id


def entry_of(row: Record) -> Entry:
    """The row of ``ledger.unknown``."""
    return Entry(
        id=row["id"],
        state=row["state"],
        place=_place(row),
        attempt=UUID(int=row["attempt"].int),
        remote_id=row["remote_id"],
        before=_event(row["content"]),
        sent=_event(row["sent_content"]),
        moving=_moving(row),
    )


def sent_of(row: Record, instance: str) -> Sent:
    """The row of ``ledger.send``, with the operation that it stands for."""
    return Sent(
        id=row["id"],
        operation=_operation(row, instance),
        place=_place(row),
        tries=row["tries"],
        moving=_moving(row),
        again=row["again"],
    )


def lost_of(row: Record) -> Lost:
    """The row of ``ledger.lost``."""
    return Lost(attempt=UUID(int=row["attempt"].int), place=_place(row), remote_id=row["remote_id"])
