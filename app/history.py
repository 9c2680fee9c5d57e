"""The history: what came of each operation on an event, for whoever asks why it is there or is not.

Written in the transaction in which the ledger takes note of the same answer, so that the two never
differ. It holds no titles and no texts of people.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from app.database.queries import query
from app.database.types import Connection
from providers.contract import Done, Gone, Outcome, Refused, Throttled, Unknown

__all__ = [
    "FOUND",
    "GONE_BEFORE",
    "LOST",
    "MOVED",
    "MOVE_LOST",
    "NOT_DONE",
    "STILL_UNKNOWN",
    "VANISHED",
    "Answer",
    "answer_of",
    "note",
]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an operation. ``code`` is the provider's or ours, ``reason`` a sentence."""

    outcome: Literal["done", "gone", "refused", "throttled", "unknown", "lost"]
    code: str | None = None
    remote_id: str | None = None
    """The id that a create has given to the event."""
    reason: str | None = None


FOUND = Answer(
    outcome="done",
    code="found_done",
    reason="No answer came; a look into the mailbox showed that it had been carried out.",
)
GONE_BEFORE = Answer(outcome="done", code="gone_before", reason="Somebody else had deleted the event before.")
NOT_DONE = Answer(
    outcome="lost",
    code="not_done",
    reason="No answer came, and it had not been carried out: it is sent again.",
)
VANISHED = Answer(
    outcome="gone", code="vanished", reason="The event was not in the mailbox any more: it is created anew."
)
STILL_UNKNOWN = Answer(
    outcome="unknown", code="unknown", reason="No answer came. The event is there, and is written again."
)
LOST = Answer(
    outcome="lost",
    code="lost",
    reason="No answer came, and the event cannot be seen in the mailbox: it is created by a new attempt.",
)

MOVED = Answer(outcome="done", code="moved", reason="It is in another calendar now, with all that is in it.")
MOVE_LOST = Answer(
    outcome="lost",
    code="not_moved",
    reason="No answer came, and the event cannot be seen in the other calendar: it is moved once more.",
)


def answer_of(outcome: Outcome, *, created: bool = False) -> Answer:
    """An adapter's outcome as the history keeps it; ``created``: of the creation of an event."""
    match outcome:
        case Done(id=id):
            return Answer(outcome="done", remote_id=id if created else None)
        case Refused(code=code, reason=reason):
            return Answer(outcome="refused", code=code, reason=reason)
        case Gone(code=code, reason=reason):
            return Answer(outcome="gone", code=code, reason=reason)
        case Unknown(code=code, reason=reason):
            return Answer(outcome="unknown", code=code, reason=reason)
        case Throttled(until=until, scope=scope):
            return Answer(
                outcome="throttled",
                code=f"throttled_{scope}",
                reason=f"The provider asked to wait until {until:%Y-%m-%d %H:%M:%S} UTC.",
            )


async def note(connection: Connection, answers: Mapping[int, Answer], now: datetime) -> None:
    """Note answers to operations, by ledger id, as part of the caller's transaction.

    To be called before the ledger itself is changed: what is deleted has no row afterwards.
    """
    if answers:
        await connection.execute(
            query("history.note"),
            list(answers),
            [answer.outcome for answer in answers.values()],
            [answer.code for answer in answers.values()],
            [answer.remote_id for answer in answers.values()],
            [answer.reason for answer in answers.values()],
            now,
        )
