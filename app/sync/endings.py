"""How a run ends, and when the next one is due: what each answer of a provider means for the mailbox."""

from datetime import datetime, timedelta
from random import Random
from typing import Literal

import msgspec

from providers.contract import Gone, Outcome, Refused, Throttled, Unknown

__all__ = [
    "FIRST_NO_ACCESS_RETRY",
    "Ending",
    "Stop",
    "asked_to_wait",
    "back_off",
    "ends_run",
    "stopped_by",
    "urgency",
]

FIRST_RETRY = timedelta(seconds=1)
LAST_RETRY = timedelta(minutes=15)
"""Retries wait twice as long each time, from the first of these to the last."""

FIRST_NO_ACCESS_RETRY = timedelta(seconds=10)
LAST_NO_ACCESS_RETRY = timedelta(hours=1)
"""The same where somebody has to give access first, or a mailbox has to come back."""

Stop = Refused | Throttled | Gone | Unknown
"""An outcome that ends a run before its work is done."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended, and when the next one is due. ``status`` None: leave it as it is."""

    status: Literal["OK", "PENDING", "THROTTLED", "ERROR", "PERMISSION_DENIED", "MAILBOX_NOT_FOUND"] | None
    due_at: datetime | None
    error: str | None = None
    attempts: int = 0


def stopped_by(outcome: Stop, attempts: int, now: datetime, random: Random) -> Ending:
    """The ending of a run that this outcome has cut short, after so many in a row that got nowhere.

    Where the whole account is refused, others have to wait too: that is for the caller to see to.
    """
    wait = back_off(attempts, random)
    no_access_wait = back_off(attempts - 1, random, FIRST_NO_ACCESS_RETRY, LAST_NO_ACCESS_RETRY)
    match outcome:
        case Throttled(until=until):
            return Ending(
                status="THROTTLED", due_at=max(until, now), error=asked_to_wait(until), attempts=attempts
            )
        case Refused(permanent=False, reason=reason):
            return Ending(status="ERROR", due_at=now + wait, error=reason, attempts=attempts)
        case Refused(reason=reason):
            return Ending(
                status="PERMISSION_DENIED", due_at=now + no_access_wait, error=reason, attempts=attempts
            )
        case Gone(reason=reason):
            return Ending(
                status="MAILBOX_NOT_FOUND", due_at=now + no_access_wait, error=reason, attempts=attempts
            )
        case Unknown(reason=reason):
            return Ending(status="ERROR", due_at=now + wait, error=reason, attempts=attempts)


def back_off(
    tries: int, random: Random, first: timedelta = FIRST_RETRY, last: timedelta = LAST_RETRY
) -> timedelta:
    """How long to wait: twice as long each time, within bounds, and never the same for two mailboxes."""
    wait = min(first * float(2 ** max(0, min(tries, 16))), last)
    return wait * random.uniform(0.75, 1.25)


def ends_run(outcome: Outcome) -> bool:
    """Whether nothing more is to be sent after it, to any calendar of the mailbox."""
    return isinstance(outcome, Stop) and not (
        (isinstance(outcome, Refused) and outcome.scope == "event")
        or (isinstance(outcome, Gone) and outcome.what in ("event", "calendar"))
    )


def urgency(stop: Stop) -> tuple[int, float]:
    """Which of several outcomes says most about why a run stopped: the smallest."""
    match stop:
        case Refused(scope="account"):
            return 0, 0
        case Refused():
            return 1, 0
        case Gone():
            return 2, 0
        case Unknown():
            return 3, 0
        case Throttled(until=until):
            return 4, -until.timestamp()


def asked_to_wait(until: datetime) -> str:
    """A throttled person's status, as a sentence."""
    return f"The provider asked to wait until {until:%Y-%m-%d %H:%M:%S} UTC; the work goes on then by itself."
