"""The errors that Rooster's own rules raise: a sentence for people, a stable code for programs."""

from typing import ClassVar

__all__ = [
    "BadRequest",
    "Conflict",
    "Forbidden",
    "Invalid",
    "NoAccess",
    "NotFound",
    "PreconditionFailed",
    "Problem",
    "RoosterError",
    "TooLarge",
]

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing wrong with an input: where, and what to do about it. Holds no text of the input."""

    detail: str
    event: str | None = None
    """The event's uid, or its position (``#3``) where it has none."""
    field: str | None = None


class RoosterError(Exception):
    """Base of all errors that are answers and not bugs. ``code`` is snake_case and never changes."""

    status: ClassVar[int] = 500
    """The HTTP status that the API answers with."""

    def __init__(self, code: str, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.problems = problems


class BadRequest(RoosterError):
    """The request cannot be understood: a parameter is missing, malformed, or of no known value."""

    status = 400


class Invalid(RoosterError):
    """The input is understood and not acceptable; ``problems`` lists all that is wrong with it."""

    status = 422


class NotFound(RoosterError):
    """What was named does not exist."""

    status = 404


class Forbidden(RoosterError):
    """The caller's role does not reach that far."""

    status = 403


class Conflict(RoosterError):
    """Not possible in the present state; the message says what would make it possible."""

    status = 409


class PreconditionFailed(RoosterError):
    """What the caller changes is not what it has last seen (RFC 9110 section 13.1.1)."""

    status = 412


class TooLarge(RoosterError):
    """Over a configured limit of size."""

    status = 413


class NoAccess(RoosterError):
    """No access to the mailbox, or no such mailbox: the provisioning API's own status."""

    status = 550
