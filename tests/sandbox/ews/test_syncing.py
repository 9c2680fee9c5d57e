"""SyncFolderItems: what came, changed and went since a state ([MS-OXWSSYNC])."""

import base64

import pytest
from lxml import etree

from tests.sandbox.ews.soap import ALICE, Answer, Exchange, T, lecture, named, prop, set_field, uri

OTHER = '<t:DistinguishedFolderId Id="inbox"/>'


def told(answer: Answer) -> list[tuple[str, str]]:
    """The changes: what happened, and the id."""
    return [
        (etree.QName(change).localname, change.find(f".//{{{T}}}ItemId").get("Id"))
        for change in answer.find(".//m:Changes")
    ]


def is_last(answer: Answer) -> bool:
    return bool(answer.find(".//m:IncludesLastItemInRange").text == "true")


async def make(exchange: Exchange, *names: str) -> list[str]:
    return [id for id, _ in (await exchange.create(*(lecture(name) for name in names))).ids]


async def test_without_a_state_everything_is_new(exchange: Exchange) -> None:
    ids = await make(exchange, "a", "b")
    answer = await exchange.sync()
    assert told(answer) == [("Create", id) for id in ids]
    assert is_last(answer)


async def test_since_a_state_only_what_has_changed_is_told(exchange: Exchange) -> None:
    a, b, c = await make(exchange, "a", "b", "c")
    before = await exchange.sync()
    ((_, key),) = (await exchange.get(b)).ids
    await exchange.update((b, key), set_field(uri("item:Subject"), "<t:Subject>B</t:Subject>"))
    await exchange.delete(c)
    (d,) = await make(exchange, "d")
    after = await exchange.sync(before.state)
    assert told(after) == [("Update", b), ("Delete", c), ("Create", d)]
    assert told(await exchange.sync(after.state)) == []
    assert a not in after.text


async def test_a_state_can_be_shown_twice(exchange: Exchange) -> None:
    """An answer that was lost is asked for again."""
    before = await exchange.sync()
    (a,) = await make(exchange, "a")
    for _ in range(2):
        assert told(await exchange.sync(before.state)) == [("Create", a)]


async def test_what_came_and_went_in_between_is_not_told(exchange: Exchange) -> None:
    before = await exchange.sync()
    (a,) = await make(exchange, "a")
    await exchange.delete(a)
    assert told(await exchange.sync(before.state)) == []


async def test_a_long_answer_comes_in_parts(exchange: Exchange) -> None:
    ids = await make(exchange, *"abcde")
    parts, state = [], ""
    while not parts or not is_last(parts[-1]):
        parts.append(await exchange.sync(state, most=2))
        state = parts[-1].state
    assert [told(part) for part in parts] == [
        [("Create", ids[0]), ("Create", ids[1])],
        [("Create", ids[2]), ("Create", ids[3])],
        [("Create", ids[4])],
    ]


async def test_what_changes_between_the_parts_is_told_in_the_end(exchange: Exchange) -> None:
    a, b, c = await make(exchange, "a", "b", "c")
    first = await exchange.sync(most=1)
    await exchange.delete(a)
    await exchange.delete(b)
    (d,) = await make(exchange, "d")
    second = await exchange.sync(first.state, most=9)
    third = await exchange.sync(second.state)
    assert told(first) == [("Create", a)]
    assert told(second) == [("Create", c)]
    assert set(told(third)) == {("Delete", a), ("Delete", b), ("Create", d)}


async def test_properties_come_along_as_with_find_item(exchange: Exchange) -> None:
    await exchange.create(lecture(more=f'<t:Body BodyType="Text">Text</t:Body>{prop("RoosterEvent", "e1")}'))
    answer = await exchange.sync(paths=uri("item:Subject") + uri("item:Body") + named("RoosterEvent"))
    assert answer.texts("Subject") == ["Lecture"]
    assert answer.texts("Value") == ["e1"]
    assert answer.texts("Body") == []


async def test_items_can_be_left_out(exchange: Exchange) -> None:
    a, b = await make(exchange, "a", "b")
    answer = await exchange.sync(ignore=f'<m:Ignore><t:ItemId Id="{a}"/></m:Ignore>')
    assert told(answer) == [("Create", b)]


@pytest.mark.parametrize("state", ["nonsense", base64.b64encode(b"[1]").decode()])
async def test_a_state_that_is_none(exchange: Exchange, state: str) -> None:
    assert (await exchange.sync(state)).codes == ["ErrorInvalidSyncStateData"]


async def test_a_state_is_that_of_one_folder(exchange: Exchange) -> None:
    there = await exchange.sync(folder=OTHER)
    assert (await exchange.sync(there.state)).codes == ["ErrorInvalidSyncStateData"]


@pytest.mark.parametrize("most", [0, 513])
async def test_a_part_has_1_to_512_changes(exchange: Exchange, most: int) -> None:
    assert (await exchange.sync(most=most)).fault == "ErrorSchemaValidation"


async def test_a_move_is_a_deletion_here(exchange: Exchange) -> None:
    (a,) = await make(exchange, "a")
    before = await exchange.sync()
    await exchange.call(
        f"<m:MoveItem><m:ToFolderId>{OTHER}</m:ToFolderId>"
        f'<m:ItemIds><t:ItemId Id="{a}"/></m:ItemIds></m:MoveItem>'
    )
    assert told(await exchange.sync(before.state)) == [("Delete", a)]
    assert len(told(await exchange.sync(folder=OTHER))) == 1


async def test_what_is_known_of_the_past_survives_a_restart(exchange: Exchange) -> None:
    """It is kept with the mailbox."""
    (a,) = await make(exchange, "a")
    before = await exchange.sync()
    await exchange.delete(a)
    mailbox = exchange.state.mailbox("ews", ALICE)
    assert mailbox is not None
    assert [one["id"] for one in mailbox.native["removed"]] == [a]
    assert told(await exchange.sync(before.state)) == [("Delete", a)]
