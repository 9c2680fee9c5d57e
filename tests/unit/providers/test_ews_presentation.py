"""Reminder and privacy of ours in the requests to Exchange: what is written when, and what is left alone."""

from typing import Any, Literal

import pytest
from exchangelib.version import EXCHANGE_2013_SP1, Version
from lxml import etree

from providers.contract import Create, Event, Privacy, Update
from providers.ews.items import new_item
from tests.unit.providers.ews_server import (
    ALICE,
    T,
    event,
    got,
    held,
    marker,
    response,
    scripted,
    success,
)

VERSION = Version(build=EXCHANGE_2013_SP1, api_version="Exchange2013_SP1")
NAMES = ("Sensitivity", "ReminderIsSet", "ReminderMinutesBeforeStart")

Reminder = int | Literal["none"] | None


def presentation(element: etree._Element) -> dict[str, str | None]:
    """What is written of it in an item, or in a request that changes one."""
    names = {f"{T}{name}": name for name in NAMES}
    return {names[one.tag]: one.text for one in element.iter(*names)}


def updated(possible: tuple[Event, ...], wanted: Event, **fields: Any) -> Update:
    return Update(id="id-1", version="ck", event=wanted, possible=possible, marker=marker(), **fields)


@pytest.mark.parametrize(
    ("reminder", "privacy", "written"),
    [
        (None, None, {}),
        (30, None, {"ReminderIsSet": "1", "ReminderMinutesBeforeStart": "30"}),
        (0, None, {"ReminderIsSet": "1", "ReminderMinutesBeforeStart": "0"}),
        ("none", None, {"ReminderIsSet": "0"}),
        (None, "private", {"Sensitivity": "Private"}),
        (None, "normal", {"Sensitivity": "Normal"}),
    ],
)
def test_a_new_item_says_what_is_ours(
    reminder: Reminder, privacy: Privacy | None, written: dict[str, str]
) -> None:
    assert (
        presentation(new_item(event(reminder=reminder, privacy=privacy), marker()).to_xml(VERSION)) == written
    )


DEFAULT = {"ReminderIsSet": "1", "ReminderMinutesBeforeStart": "15"}


@pytest.mark.parametrize(
    ("before", "now", "written"),
    [
        ({"reminder": 30}, {"reminder": 60}, {"ReminderIsSet": "1", "ReminderMinutesBeforeStart": "60"}),
        ({"reminder": 30}, {"reminder": "none"}, {"ReminderIsSet": "0"}),
        ({"reminder": 30}, {}, DEFAULT),
        ({"reminder": "none"}, {}, DEFAULT),
        ({"privacy": "private"}, {"privacy": "normal"}, {"Sensitivity": "Normal"}),
        ({"privacy": "private"}, {}, {"Sensitivity": "Normal"}),
        ({}, {"privacy": "private"}, {"Sensitivity": "Private"}),
    ],
)
async def test_what_has_changed_is_written_without_reading(
    before: dict[str, Any], now: dict[str, Any], written: dict[str, str]
) -> None:
    async with scripted(response("UpdateItem", success("id-1", "v2"))) as (adapter, endpoint):
        await adapter.apply(ALICE, [updated((event(**before),), event(**now))])

    assert presentation(endpoint.requests[0]) == written
    uris = {uri.get("FieldURI") for uri in endpoint.requests[0].iter(f"{T}FieldURI")}
    assert uris == {f"item:{name}" for name in written}, "and nothing else"


@pytest.mark.parametrize("ours", [{"reminder": 30}, {"reminder": "none"}, {"privacy": "private"}])
async def test_what_is_the_same_is_not_written_again(ours: dict[str, Any]) -> None:
    async with scripted(response("UpdateItem", success("id-1", "v2"))) as (adapter, endpoint):
        update = updated((event(**ours),), event(title="Another", **ours))
        await adapter.apply(ALICE, [update])

    assert presentation(endpoint.requests[0]) == {}


@pytest.mark.parametrize(
    ("possible", "now", "written"),
    [
        ((), {}, {}),
        ((), {"reminder": 30}, {"ReminderIsSet": "1", "ReminderMinutesBeforeStart": "30"}),
        (({"reminder": 30}, {"reminder": 30}), {"reminder": 30}, {}),
        (({"reminder": 30}, {}), {}, DEFAULT),
    ],
    ids=["nothing known", "first", "the same", "perhaps ours"],
)
async def test_a_reminder_is_not_read(
    possible: tuple[dict[str, Any], ...], now: dict[str, Any], written: dict[str, str]
) -> None:
    before = tuple(event(title="Before", **one) for one in possible)
    async with scripted(
        got(held("id-1", event(title="Before"), marker())), response("UpdateItem", success("id-1", "v2"))
    ) as (adapter, endpoint):
        await adapter.apply(ALICE, [updated(before, event(**now), changed=True)])

    assert "Reminder" not in etree.tostring(endpoint.requests[0], encoding="unicode")
    assert presentation(endpoint.requests[1]) == written


@pytest.mark.parametrize(
    ("there", "before", "now", "written"),
    [
        ("Normal", None, "private", {"Sensitivity": "Private"}),
        ("Private", None, "private", {}),
        ("Confidential", None, "private", {}),
        ("Private", "private", None, {"Sensitivity": "Normal"}),
        ("Normal", "private", None, {}),
        ("Private", None, None, {}),
        ("Personal", "normal", "normal", {"Sensitivity": "Normal"}),
    ],
)
async def test_a_privacy_is_read_and_written_where_it_is_another(
    there: str, before: Privacy | None, now: Privacy | None, written: dict[str, str]
) -> None:
    item = held("id-1", event(title="Theirs"), marker()).replace(
        "<t:Body", f"<t:Sensitivity>{there}</t:Sensitivity><t:Body", 1
    )
    async with scripted(got(item), response("UpdateItem", success("id-1", "v2"))) as (adapter, endpoint):
        update = updated((event(privacy=before),), event(privacy=now), changed=True)
        await adapter.apply(ALICE, [update])

    assert presentation(endpoint.requests[1]) == written


async def test_without_anything_of_ours_no_request_is_made_for_colours() -> None:
    async with scripted(response("CreateItem", success("id-1", "v1"))) as (adapter, endpoint):
        await adapter.apply(ALICE, [Create(event=event(), marker=marker())])

    assert endpoint.operations == ["CreateItem"]
