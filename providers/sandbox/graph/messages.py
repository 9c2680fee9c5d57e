"""Requests and answers, and what a request prefers."""

import re
from typing import Any
from urllib.parse import unquote

import msgspec

from providers.sandbox.graph.errors import GraphError
from providers.sandbox.graph.paths import resource_of

__all__ = ["TYPE", "Answer", "Call", "ConnectionCut", "applied", "preferences"]

TYPE = "o365"
OPERATIONS = {"GET": "read", "POST": "create", "PATCH": "update", "DELETE": "delete"}


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request. ``url`` is relative to the version and starts with a slash; header names are lower-case."""

    method: str
    url: str
    headers: dict[str, str] = {}
    body: Any = None
    application: str = ""

    @property
    def path(self) -> str:
        """The URL without its query."""
        return self.url.partition("?")[0]

    @property
    def operation(self) -> str:
        """``create``, ``read``, ``update`` or ``delete``, of an event unless it says of what else.

        To read calendars, and what has changed in one, is ``read`` too.
        """
        verb, resource = OPERATIONS.get(self.method, self.method), resource_of(self.path)
        return (
            verb
            if resource == "event" or (resource == "calendar" and verb == "read")
            else f"{verb}_{resource}"
        )

    @property
    def address(self) -> str | None:
        """The mailbox that the request is for, as it names it."""
        match = re.match(r"/users/([^/?]+)", self.url)
        return None if match is None else unquote(match[1])


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer; ``body`` is JSON, or None for none."""

    status: int
    body: Any = None
    headers: dict[str, str] = {}
    cut: bool = False
    """Only the first half of it reaches the client, and then the connection is cut."""
    truncated: bool = False
    """Only the first half of it reaches the client, which cannot tell; a batch leaves the item out."""

    @classmethod
    def of(cls, error: GraphError) -> "Answer":
        """The answer that the error is."""
        return cls(status=error.status, body=error.body(), headers=error.headers)


class ConnectionCut(Exception):
    """The fault wants the connection cut; what was carried out stays."""


def preferences(call: Call) -> dict[str, str]:
    """The preferences of RFC 7240 with their values, names in lower case."""
    found = {}
    for part in re.findall(r'(?:[^,"]|"[^"]*")+', call.headers.get("prefer", "")):
        name, _, value = part.strip().partition("=")
        found[name.strip().casefold()] = value.strip().strip('"')
    return found


def applied(call: Call) -> dict[str, str]:
    """Preference-Applied, as Graph answers it for the preferences that it knows."""
    known = ("idtype", "outlook.timezone", "outlook.body-content-type", "odata.maxpagesize")
    names = {"idtype": "IdType"}
    parts = [
        f'{names.get(name, name)}="{value}"' for name, value in preferences(call).items() if name in known
    ]
    return {"Preference-Applied": ", ".join(parts)} if parts else {}
