"""What goes to Graph and what comes back."""

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["PREFERENCES", "Answer", "NoAnswer", "Request", "preferring"]

PREFERENCES = {"Prefer": 'IdType="ImmutableId", outlook.timezone="UTC", outlook.body-content-type="text"'}
"""How answers are to be: with ids that stay the same when the person moves an event to another calendar
of theirs (https://learn.microsoft.com/graph/outlook-immutable-id), times in UTC, bodies as plain text
(https://learn.microsoft.com/graph/api/event-get)."""


def preferring(page: int) -> dict[str, str]:
    """The preferences, with so many items a page (OData 4.01 protocol, section 8.2.8.8: maxpagesize)."""
    return {"Prefer": f"{PREFERENCES['Prefer']}, odata.maxpagesize={page}"}


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request by its path below the Graph version, percent-encoded: ``/users/…``.

    With ``version`` (a changeKey) Graph carries it out only if that is still the event's, and answers
    412 if it is not. ``page`` is how many items a page should have, where no query option can say so.
    ``formatted``: the text of events is to come as it is, with its format.
    """

    method: str
    path: str
    body: dict[str, Any] | None = None
    version: str | None = None
    page: int | None = None
    formatted: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """The headers of its own. An event's ETag is made of its changeKey."""
        headers = {} if self.page is None else preferring(self.page)
        if self.formatted:
            headers = {"Prefer": PREFERENCES["Prefer"].replace('"text"', '"html"')}
        return headers if self.version is None else headers | {"If-Match": f'W/"{self.version}"'}


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
