"""What is known of an event in a synchronization, as the API shows it (CONTRACT §6)."""

from datetime import datetime

import msgspec

__all__ = ["EventHistory", "Refusal", "Removal", "Try", "Waiting"]


class Try(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Operations with the same answer, one after the other: ``times`` of them, from ``first_at`` to ``at``.

    ``operation``: ``create``, ``update``, ``delete`` or ``read``. ``outcome``: ``done``, ``gone`` (the event
    was not there any more), ``changed`` (a reading found that), ``refused``, ``throttled``, ``unknown`` (no
    answer came), ``lost`` (and it had not been carried out). ``run``: the unlinking.
    """

    operation: str
    outcome: str
    first_at: datetime
    at: datetime
    times: int
    code: str | None
    reason: str | None
    remote_id: str | None
    synchronization: int
    run: int | None


class Refusal(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The provider does not take the event; ``retry_at`` null: not tried again before the event changes."""

    code: str | None
    reason: str | None
    retry_at: datetime | None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What the event waits for. ``until``: when it is tried next, where that is known.

    ``code``: ``disabled``, ``held``, ``throttled``, ``provider_down``, ``no_access``, ``mailbox_not_found``,
    ``retry``, ``answer``, ``running`` or ``worker``.
    """

    code: str
    reason: str
    since: datetime | None = None
    until: datetime | None = None


class Removal(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The event was taken out. ``by``: ``unlinking`` (of ``run``), or ``timetable``: it was not wanted."""

    at: datetime
    by: str
    run: int | None
    remote_id: str | None


class EventHistory(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is known of an event in a synchronization, wanted or not. Times are in UTC.

    ``status``: ``present`` (in the mailbox as published), ``deleted_there`` and ``changed_there`` (by
    somebody else, as the mailbox was last read), ``waiting``, ``refused``, ``removing``, ``removed``,
    ``left_behind`` (by an unlinking), ``adopted`` (by a later synchronization), ``unlinked`` (before it was
    written), ``cancelled``, ``left_out`` (by a preference) or ``not_published``. ``state``, ``start`` and
    ``end`` are the ledger's: as last pushed.
    """

    synchronization: int
    username: str
    uid: str
    status: str
    explanation: list[str]
    wanted: bool
    left_out_by: str | None
    """The preference (``section.key``) that keeps an event of the timetable out of the mailbox."""
    left_out_level: str | None
    """The level at which that preference is set, or ``default``; null where it is set no longer."""
    left_out_owner: str | None
    """Whose value at that level it is; null for the default."""
    calendar: str | None
    """The calendar that it is in or is put into, by the name that it was made with; null: the default one."""
    wanted_since: datetime | None
    changed_at: datetime | None
    published_at: datetime | None
    """When a publication last changed the user's timetable."""
    state: str | None
    remote_id: str | None
    pushed_at: datetime | None
    start: datetime | None
    end: datetime | None
    refused: Refusal | None
    waiting: Waiting | None
    removed: Removal | None
    tries: list[Try]
