"""What goes to Graph and what comes back."""

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["IMMUTABLE_IDS", "Answer", "NoAnswer", "Request"]

IMMUTABLE_IDS = {"Prefer": 'IdType="ImmutableId"'}
"""Ids that stay the same when the person moves an event to another calendar of theirs
(https://learn.microsoft.com/graph/outlook-immutable-id)."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request by its path below the Graph version, percent-encoded: ``/users/…``."""

    method: str
    path: str
    body: dict[str, Any] | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What Graph said: ``body`` is None where it is not a JSON object. Header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any] | None


class NoAnswer(Exception):
    """No answer, or one that cannot be read: nobody knows what Graph has done."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
