"""Calendars as Microsoft Graph lists and makes them."""

from typing import Any

import pytest

from providers.contract import Calendar, ProviderError, Refused, Unknown
from providers.marker import PROPERTY_SET
from tests.unit.providers.test_o365_adapter import ALICE, ROOT, ScriptedGraph, adapter, answer

UNI = "uni.example"
TAKEN = answer(409, "ErrorFolderExists")


def item(id: str, **fields: Any) -> dict[str, Any]:
    """A calendar as Graph answers it: with ``mark``, one of ours."""
    mark = fields.pop("mark", {})
    return {
        "id": id,
        "name": id.title(),
        "isDefaultCalendar": False,
        "canEdit": True,
        "owner": {"name": "Alice", "address": "Alice@uni.example"},
        "singleValueExtendedProperties": [
            {"id": f"String {{{PROPERTY_SET}}} Name {name}", "value": value} for name, value in mark.items()
        ],
        **fields,
    }


def ours(name: str = "Timetable", instance: str = UNI) -> dict[str, str]:
    return {"RoosterInstance": instance, "RoosterCalendar": name}


DEFAULT = item("default", isDefaultCalendar=True)


async def listed(*items: dict[str, Any]) -> list[Calendar]:
    return list(await adapter(ScriptedGraph(answer(200, value=[*items]))).calendars(ALICE, UNI))


async def test_the_default_calendar_comes_first_and_the_others_as_graph_has_them() -> None:
    found = await listed(item("b"), DEFAULT, item("a", mark=ours()))
    assert found == [
        Calendar(id="default", name="Default", is_default=True, ours=False),
        Calendar(id="b", name="B", is_default=False, ours=False),
        Calendar(id="a", name="Timetable", is_default=False, ours=True),
    ]


@pytest.mark.parametrize(
    "other",
    [
        item("shared", owner={"name": "Bob", "address": "bob@uni.example"}),
        item("holidays", canEdit=False),
        item("nobody's", owner=None),
    ],
    ids=lambda other: other["id"],
)
async def test_calendars_of_others_and_those_that_cannot_be_written_to_are_left_out(
    other: dict[str, Any],
) -> None:
    assert [each.id for each in await listed(other, DEFAULT)] == ["default"]


@pytest.mark.parametrize(
    "mark",
    [
        ours(instance="UNI.example"),
        {"RoosterInstance": UNI},
        {"RoosterCalendar": "Timetable"},
    ],
)
async def test_a_calendar_without_the_whole_mark_is_not_ours(mark: dict[str, str]) -> None:
    _, found = await listed(DEFAULT, item("a", mark=mark))
    assert (found.ours, found.name) == (False, "A")


async def test_the_mark_on_the_default_calendar_means_nothing() -> None:
    (found,) = await listed(item("default", isDefaultCalendar=True, mark=ours()))
    assert (found.ours, found.is_default) == (False, True)


async def test_every_page_of_calendars_is_read() -> None:
    graph = ScriptedGraph(
        answer(200, **{"value": [DEFAULT], "@odata.nextLink": f"{ROOT}/next"}), answer(200, value=[item("a")])
    )
    assert len(await adapter(graph).calendars(ALICE, UNI)) == 2
    assert graph.sent[1][1] == "/next"


@pytest.mark.parametrize("broken", [[{"id": "a"}], [None], "none"])
async def test_a_list_that_cannot_be_read_is_no_list_of_none(broken: Any) -> None:
    with pytest.raises(ProviderError) as error:
        await adapter(ScriptedGraph(answer(200, value=broken))).calendars(ALICE, UNI)
    assert isinstance(error.value.outcome, Unknown)


async def test_a_name_that_is_taken_gets_the_first_number_that_is_free() -> None:
    graph = ScriptedGraph(TAKEN, TAKEN, answer(201, id="new"))
    made = await adapter(graph).make_calendar(ALICE, UNI, "Timetable")
    assert made == Calendar(id="new", name="Timetable", is_default=False, ours=True)
    bodies = [body or {} for _, _, body in graph.sent]
    assert [body["name"] for body in bodies] == ["Timetable", "Timetable 2", "Timetable 3"]
    prefix = f"String {{{PROPERTY_SET}}} Name "
    assert bodies[2]["singleValueExtendedProperties"] == [
        {"id": f"{prefix}RoosterInstance", "value": UNI},
        {"id": f"{prefix}RoosterCalendar", "value": "Timetable"},
    ]


async def test_names_are_not_tried_for_ever() -> None:
    with pytest.raises(ProviderError) as error:
        await adapter(ScriptedGraph(*[TAKEN] * 50)).make_calendar(ALICE, UNI, "Timetable")
    assert isinstance(error.value.outcome, Refused)


async def test_a_calendar_whose_id_is_not_told_may_be_there() -> None:
    with pytest.raises(ProviderError) as error:
        await adapter(ScriptedGraph(answer(201))).make_calendar(ALICE, UNI, "Timetable")
    assert isinstance(error.value.outcome, Unknown)
