"""A user's master categories: learn.microsoft.com/graph/api/resources/outlookcategory."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import msgspec

from providers.sandbox.graph.errors import (
    GraphError,
    invalid_request,
    item_not_found,
    only,
    request_body_read,
)
from providers.sandbox.graph.messages import Answer, Call
from providers.sandbox.graph.paths import Target
from providers.sandbox.graph.schema import Schema
from providers.sandbox.state import SandboxMailbox

__all__ = ["Categories", "colour_of"]

COLOURS = {
    "preset0": "red",
    "preset1": "orange",
    "preset3": "yellow",
    "preset4": "green",
    "preset5": "teal",
    "preset7": "blue",
    "preset8": "purple",
    "preset9": "cranberry",
    "preset12": "grey",
}
"""As Outlook shows them, of those for which the control API has a name."""
PRESETS = ("none", *(f"preset{number}" for number in range(25)))
FIRST = {"Red category": "preset0", "Blue category": "preset7", "Green category": "preset4"}
"""Some of those that every mailbox comes with."""


class _Given(msgspec.Struct, forbid_unknown_fields=True):
    displayName: str | None = None  # noqa: N815 - Graph's name
    color: str | None = None


class Categories:
    """The master categories of the sandbox's mailboxes."""

    def __init__(self, schema: Schema, base_url: Callable[[], str]) -> None:
        self._schema = schema
        self._base_url = base_url

    def carry_out(self, call: Call, mailbox: SandboxMailbox, target: Target) -> Answer:
        """A request for the list, or for one in it. Raises ``GraphError``."""
        if target.kind == "categories":
            only(call.method, "GET", "POST")
            return self._listed(mailbox) if call.method == "GET" else self._made(call, mailbox)
        only(call.method, "GET", "PATCH", "DELETE")
        category = next((each for each in master_list(mailbox) if each["id"] == target.id), None)
        if category is None:
            raise item_not_found()
        if call.method == "DELETE":
            _kept(mailbox).remove(category)
            mailbox.next_serial()
            return Answer(status=204)
        if call.method == "PATCH":
            given = self._given(call)
            if given.displayName not in (None, category["displayName"]):
                # "After a category is created, the name cannot be changed."
                raise invalid_request("displayName cannot be changed.")
            category = next(each for each in _kept(mailbox) if each["id"] == target.id)
            category["color"] = _preset(given.color or category["color"])
            mailbox.next_serial()
        return self._one(mailbox, category)

    def _listed(self, mailbox: SandboxMailbox) -> Answer:
        shown = [self._schema.answered("outlookCategory", each) for each in master_list(mailbox)]
        return Answer(status=200, body={"@odata.context": self._context(mailbox), "value": shown})

    def _made(self, call: Call, mailbox: SandboxMailbox) -> Answer:
        given = self._given(call)
        if not given.displayName:
            raise invalid_request("A category needs a displayName.")
        names = {each["displayName"].casefold() for each in master_list(mailbox)}
        if given.displayName.casefold() in names:
            # "The displayName value must be unique in a user's master list." With which code it is refused
            # is not documented.
            raise GraphError(409, "ErrorDuplicateCategory", "There is a category of that name.")
        category = _category(mailbox, given.displayName, _preset(given.color or "none"))
        _kept(mailbox).append(category)
        mailbox.next_serial()
        return self._one(mailbox, category, status=201)

    def _given(self, call: Call) -> _Given:
        self._schema.asked("outlookCategory", call.body)
        try:
            return msgspec.convert(call.body, _Given)
        except msgspec.ValidationError as error:
            message = f"The request does not fit 'microsoft.graph.outlookCategory': {error}."
            raise request_body_read(message) from error

    def _one(self, mailbox: SandboxMailbox, category: dict[str, Any], status: int = 200) -> Answer:
        shown = self._schema.answered("outlookCategory", dict(category))
        return Answer(status=status, body={"@odata.context": f"{self._context(mailbox)}/$entity", **shown})

    def _context(self, mailbox: SandboxMailbox) -> str:
        user = quote(mailbox.address)
        return f"{self._base_url()}/v1.0/$metadata#users('{user}')/outlook/masterCategories"


def master_list(mailbox: SandboxMailbox) -> list[dict[str, Any]]:
    """The mailbox's categories. Not to be changed."""
    kept: list[dict[str, Any]] | None = mailbox.native.get("categories")
    return [_category(mailbox, *each) for each in FIRST.items()] if kept is None else kept


def colour_of(mailbox: SandboxMailbox, categories: list[str]) -> str | None:
    """The control API's colour of the first of the categories that has one."""
    presets = {each["displayName"].casefold(): each["color"] for each in master_list(mailbox)}
    colours = (COLOURS.get(presets.get(category.casefold(), "none")) for category in categories)
    return next((colour for colour in colours if colour is not None), None)


def _kept(mailbox: SandboxMailbox) -> list[dict[str, Any]]:
    """The mailbox's categories, to be changed. They are kept once one has been."""
    kept: list[dict[str, Any]] = mailbox.native.setdefault("categories", master_list(mailbox))
    return kept


def _category(mailbox: SandboxMailbox, name: str, preset: str) -> dict[str, Any]:
    return {
        "id": str(uuid5(NAMESPACE_URL, f"{mailbox.address}/{name}")),
        "displayName": name,
        "color": preset,
    }


def _preset(color: str) -> str:
    if color.casefold() not in PRESETS:
        raise request_body_read(f"Requested value '{color}' was not found.")
    return color.casefold()
