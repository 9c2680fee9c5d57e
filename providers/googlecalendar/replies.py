"""What comes back from Google for one call, before anyone judges it."""

from typing import Any

import msgspec

__all__ = ["Answer", "NoAnswer", "NoToken", "Reply"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Google answered. ``body`` is the JSON object of the answer, or empty."""

    status: int
    body: dict[str, Any] = {}
    retry_after: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the call succeeded."""
        return 200 <= self.status < 300


class NoAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """No answer, or none that can be read. ``why`` names the kind of failure, without any content."""

    why: str


class NoToken(msgspec.Struct, frozen=True, kw_only=True):
    """The token endpoint refused to let us act for the person, so that nothing was sent.

    ``error`` and ``description`` are its own words (RFC 6749 §5.2).
    """

    error: str
    description: str


Reply = Answer | NoAnswer | NoToken
