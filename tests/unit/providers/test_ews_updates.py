"""Updates by EWS: on which ChangeKey, what is read first, and how what the person added survives."""

from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from providers.contract import Done, Event, Refused, Throttled, Update
from providers.ews.session import NoAnswer
from tests.unit.providers.ews_server import (
    ALICE,
    M,
    T,
    error,
    event,
    get_any,
    got,
    held,
    marker,
    response,
    scripted,
    success,
    update,
)

OUR_TEXT = "Bring two books."


def rewrite(number: int, version: str | None = "ck", **others: Any) -> Update:
    """A change of the text, around which the person may have put notes."""
    return Update(
        id=f"id-{number}",
        version=version,
        event=event(number, description=OUR_TEXT),
        possible=others.get("possible", (event(number),)),
        marker=marker(number),
    )


def written(request: etree._Element) -> dict[str, list[tuple[str, str | None]]]:
    """The fields that an UpdateItem sets, marker aside: names and texts by the id of the item."""
    return {
        change.find(f"{T}ItemId").get("Id"): [
            (etree.QName(field).localname, field.text)
            for field in change.iterfind(f"{T}Updates/{T}SetItemField/{T}CalendarItem/*")
            if field.tag != f"{T}ExtendedProperty"
        ]
        for change in request.iter(f"{T}ItemChange")
    }


CONFLICT = error("ErrorIrresolvableConflict")
UNCHANGED = event(1)


async def test_an_item_that_has_moved_on_is_refused_by_exchange_itself():
    async with scripted(response("UpdateItem", success("id-1", "v2"), success("id-2", "v2"))) as (
        adapter,
        endpoint,
    ):
        outcomes = await adapter.apply(ALICE, [update(1), rewrite(2)])

    assert outcomes == [Done("id-1", "v2"), Done("id-2", "v2")]
    assert endpoint.requests[0].get("ConflictResolution") == "NeverOverwrite"
    assert {id.get("ChangeKey") for id in endpoint.requests[0].iter(f"{T}ItemId")} == {"ck"}


async def test_a_text_that_the_person_added_to_is_read_and_merged():
    noted = held("id-2", event(2), marker(2), version="theirs", body="Mine\nBring a book.\nToo")
    async with scripted(
        response("UpdateItem", success("id-1", "v2"), CONFLICT),
        got(noted),
        response("UpdateItem", success("id-2", "v3")),
    ) as (adapter, endpoint):
        outcomes = await adapter.apply(ALICE, [rewrite(1), rewrite(2)])

    # No version for what holds notes now: the next change of the text must not rely on it.
    assert outcomes == [Done("id-1", "v2"), Done("id-2", None)]
    again = endpoint.requests[2]
    assert written(again) == {"id-2": [("Body", f"Mine\n{OUR_TEXT}\nToo")]}
    assert again.get("ConflictResolution") == "NeverOverwrite"
    assert again.find(f".//{T}ItemId").get("ChangeKey") == "theirs"


async def test_a_change_key_that_moved_by_itself_is_trusted_again():
    async with scripted(
        response("UpdateItem", CONFLICT),
        got(held("id-1", event(1), marker(1), version="moved")),
        response("UpdateItem", success("id-1", "v3")),
    ) as (adapter, endpoint):
        assert await adapter.apply(ALICE, [rewrite(1)]) == [Done("id-1", "v3")]

    assert written(endpoint.requests[2]) == {"id-1": [("Body", OUR_TEXT)]}


async def test_a_text_of_unknown_version_is_read_first():
    async with scripted(get_any, response("UpdateItem", success("id-1", "v2"))) as (adapter, endpoint):
        assert await adapter.apply(ALICE, [rewrite(1, version=None)]) == [Done("id-1", "v2")]

    assert endpoint.requests[1].find(f".//{T}ItemId").get("ChangeKey") == "ck-id-1"
    assert endpoint.requests[0].findtext(f"{M}ItemShape/{T}BodyType") == "Text"


async def test_other_fields_are_written_whatever_the_person_did_meanwhile():
    async with scripted(response("UpdateItem", CONFLICT), response("UpdateItem", success("id-1", "v3"))) as (
        adapter,
        endpoint,
    ):
        assert await adapter.apply(ALICE, [update(1)]) == [Done("id-1", None)]

    assert endpoint.requests[1].get("ConflictResolution") == "AlwaysOverwrite"
    assert written(endpoint.requests[1]) == {"id-1": [("Subject", "Changed")]}


async def test_other_fields_of_unknown_version_are_written_at_once():
    async with scripted(response("UpdateItem", success("id-1", "v2"))) as (adapter, endpoint):
        assert await adapter.apply(ALICE, [update(1, version=None)]) == [Done("id-1", None)]

    assert endpoint.requests[0].get("ConflictResolution") == "AlwaysOverwrite"


async def test_an_exchange_that_wants_a_change_key_even_so_gets_one():
    async with scripted(
        response("UpdateItem", error("ErrorChangeKeyRequired")),
        get_any,
        response("UpdateItem", success("id-1", "v2")),
    ) as (adapter, endpoint):
        assert await adapter.apply(ALICE, [update(1, version=None)]) == [Done("id-1", "v2")]

    assert endpoint.requests[2].find(f".//{T}ItemId").get("ChangeKey") == "ck-id-1"


@pytest.mark.parametrize("operation", [update, rewrite])
async def test_a_conflict_that_stays_is_refused_for_now(operation: Callable[[int], Update]):
    reading = [get_any] if operation is rewrite else []
    async with scripted(response("UpdateItem", CONFLICT), *reading, response("UpdateItem", CONFLICT)) as (
        adapter,
        _,
    ):
        (outcome,) = await adapter.apply(ALICE, [operation(1)])

    assert isinstance(outcome, Refused)
    assert not outcome.permanent
    assert outcome.code == "ErrorIrresolvableConflict"


@pytest.mark.parametrize("possible", [(), (UNCHANGED, event(1, description=OUR_TEXT))])
async def test_what_is_not_known_for_sure_is_read_and_only_the_difference_is_written(
    possible: tuple[Event, ...],
):
    there = held("id-1", event(1, title="Theirs", description=OUR_TEXT), marker(1), version="v1")
    async with scripted(got(there), response("UpdateItem", success("id-1", "v2"))) as (adapter, endpoint):
        assert await adapter.apply(ALICE, [rewrite(1, possible=possible)]) == [Done("id-1", "v2")]

    assert written(endpoint.requests[1]) == {"id-1": [("Subject", "Lecture 1")]}


async def test_what_is_there_already_is_read_and_not_written():
    there = held("id-1", event(1, description=OUR_TEXT), marker(1), version="v1")
    async with scripted(got(there)) as (adapter, _):
        assert await adapter.apply(ALICE, [rewrite(1, possible=())]) == [Done("id-1", "v1")]


async def test_what_is_there_already_among_notes_has_no_version_to_rely_on():
    there = held("id-1", event(1), marker(1), version="v1", body=f"{OUR_TEXT}\nMine")
    async with scripted(got(there)) as (adapter, _):
        assert await adapter.apply(ALICE, [rewrite(1, possible=())]) == [Done("id-1", None)]


async def test_a_marker_of_another_synchronization_is_written_even_alone():
    there = held("id-1", event(1, description=OUR_TEXT), marker(1, synchronization=3))
    async with scripted(got(there), response("UpdateItem", success("id-1", "v2"))) as (adapter, endpoint):
        assert await adapter.apply(ALICE, [rewrite(1, possible=())]) == [Done("id-1", "v2")]

    assert len(endpoint.requests[1].findall(f".//{T}ExtendedProperty")) == 4


async def test_no_update_ever_touches_a_reminder():
    nothing_right = event(9, title="x", location="x", show_as="free", time_zone="UTC", categories=())
    there = held("id-1", nothing_right, None, zone="UTC", free_busy="Free")
    async with scripted(got(there), response("UpdateItem", success("id-1", "v2"))) as (adapter, endpoint):
        await adapter.apply(ALICE, [rewrite(1, possible=())])

    names = {name for name, _ in written(endpoint.requests[1])["id-1"]}
    assert names == {
        "Subject", "Body", "Categories", "Start", "End", "IsAllDayEvent", "LegacyFreeBusyStatus", "Location",
        "StartTimeZone", "EndTimeZone",
    }  # fmt: skip


async def test_only_what_must_be_read_is_read_and_all_in_one_request():
    async with scripted(
        get_any,
        response("UpdateItem", *(success(f"id-{n}", "v2") for n in (1, 2, 4))),
        response("UpdateItem", success("id-3", "v2")),
    ) as (adapter, endpoint):
        outcomes = await adapter.apply(
            ALICE,
            [rewrite(1), rewrite(2, version=None), update(3, version=None), rewrite(4, possible=())],
        )

    assert outcomes == [Done("id-1", "v2"), Done("id-2", "v2"), Done("id-3", None), Done("id-4", None)]
    assert [id.get("Id") for id in endpoint.requests[0].iter(f"{T}ItemId")] == ["id-2", "id-4"]


async def test_an_update_that_was_never_sent_is_not_unknown():
    async with scripted(NoAnswer("dropped")) as (adapter, endpoint):
        outcomes = await adapter.apply(ALICE, [rewrite(1, version=None)])

    assert endpoint.operations == ["GetItem"]
    assert isinstance(outcomes[0], Throttled)


async def test_an_item_that_cannot_be_made_out_is_not_written():
    async with scripted(response("GetItem", success("id-1", "v1"))) as (adapter, _):
        (outcome,) = await adapter.apply(ALICE, [rewrite(1, version=None)])

    assert isinstance(outcome, Throttled)
