"""SyncFolderItems: what is asked, and what is made of answers that do not fit together."""

import pytest
from lxml import etree

from providers.contract import Changes, Gone, ProviderError, Refused, StartOver, Unknown
from providers.ews.adapter import EwsAdapter
from tests.unit.providers.ews_server import (
    ALICE,
    M,
    T,
    error,
    event,
    found,
    get_any,
    got,
    held,
    marker,
    response,
    scripted,
    success,
)


def changed(id: str, number: int, kind: str = "Create", made: str = "2026-09-01T08:00:00Z") -> str:
    """An item of ours that came or changed."""
    item = found(id, marker(number)).replace(
        f'ChangeKey="ck-{id}"/>', f'ChangeKey="ck-{id}"/><t:DateTimeCreated>{made}</t:DateTimeCreated>', 1
    )
    return f"<t:{kind}>{item}</t:{kind}>"


def strangers(id: str, kind: str = "Update") -> str:
    """An item without a marker."""
    return f"<t:{kind}>{found(id, None)}</t:{kind}>"


def deleted(id: str) -> str:
    return f'<t:Delete><t:ItemId Id="{id}"/></t:Delete>'


def synced(*changes: str, state: str = "c3RhdGU=", last: bool = True) -> bytes:
    return response(
        "SyncFolderItems",
        success(
            payload=f"<m:SyncState>{state}</m:SyncState><m:IncludesLastItemInRange>{str(last).lower()}"
            f"</m:IncludesLastItemInRange><m:Changes>{''.join(changes)}</m:Changes>"
        ),
    )


async def asked(
    adapter: EwsAdapter, since: str | None = None, instance: str = "uni.example"
) -> list[Changes]:
    return [page async for page in adapter.changes(ALICE, instance, since)]


async def state_after(*answers: bytes) -> str:
    """What the adapter gives out after these."""
    async with scripted(*answers) as (adapter, _):
        *_, page = await asked(adapter)
    assert page.state is not None
    return page.state


def told(pages: list[Changes]) -> list[str]:
    return [event.id for page in pages for event in page.events]


async def test_parts_go_on_from_each_other_and_contents_come_at_once() -> None:
    async with scripted(
        synced(changed("id-1", 1), state="QQ==", last=False), synced(changed("id-2", 2)), get_any
    ) as (adapter, endpoint):
        (page,) = await asked(adapter)

    assert told([page]) == ["id-1", "id-2"]
    assert endpoint.operations == ["SyncFolderItems", "SyncFolderItems", "GetItem"]
    first, second, _ = endpoint.requests
    assert first.find(f"{M}SyncState") is None
    assert second.findtext(f"{M}SyncState") == "QQ=="
    assert first.findtext(f"{M}MaxChangesReturned") == "512"


async def test_exchanges_state_is_shown_again_as_it_was() -> None:
    since = await state_after(synced(state="RXhhY3RseT0="))
    async with scripted(synced()) as (adapter, endpoint):
        await asked(adapter, since)

    assert endpoint.requests[0].findtext(f"{M}SyncState") == "RXhhY3RseT0="


async def test_events_come_in_the_order_in_which_they_were_made() -> None:
    answer = synced(
        changed("id-3", 1, made="2026-09-03T08:00:00Z"),
        changed("id-1", 1, made="2026-09-01T08:00:00Z"),
        changed("id-2", 1, made="2026-09-02T08:00:00Z"),
    )
    async with scripted(answer, get_any) as (adapter, _):
        assert told(await asked(adapter)) == ["id-1", "id-2", "id-3"]


async def test_an_item_that_is_mentioned_twice_is_as_it_was_mentioned_last() -> None:
    answer = synced(
        changed("id-1", 1), deleted("id-1"), deleted("id-2"), changed("id-2", 2), changed("id-2", 2, "Update")
    )
    async with scripted(answer, get_any) as (adapter, _):
        (page,) = await asked(adapter)

    assert (told([page]), page.removed) == (["id-2"], ("id-1",))


async def test_at_first_other_peoples_items_are_left_out() -> None:
    async with scripted(synced(strangers("id-9", "Create"), changed("id-1", 1)), get_any) as (adapter, _):
        (page,) = await asked(adapter)

    assert (told([page]), page.removed) == (["id-1"], ())


async def test_an_item_that_lost_its_marker_is_ours_no_more() -> None:
    since = await state_after(synced(changed("id-1", 1)), get_any)
    async with scripted(synced(strangers("id-1"))) as (adapter, _):
        (page,) = await asked(adapter, since)

    assert (page.events, page.removed) == ((), ("id-1",))


async def test_that_somebody_has_read_an_item_is_no_change() -> None:
    read = '<t:ReadFlagChange><t:ItemId Id="id-1"/><t:IsRead>true</t:IsRead></t:ReadFlagChange>'
    async with scripted(synced(read)) as (adapter, _):
        (page,) = await asked(adapter)

    assert (page.events, page.removed) == ((), ())


# ── What vanishes, and what does not fit ─────────────────────────────────────────────────────────────────


def half(request: etree._Element) -> bytes:
    """Only the first of two is found."""
    return got(held("id-1", event(1), marker(1)), error("ErrorItemNotFound"))


async def test_an_event_that_vanishes_before_it_is_read_is_removed_in_the_same_answer() -> None:
    async with scripted(
        synced(changed("id-1", 1), changed("id-2", 2), state="QQ=="),
        half,
        synced(deleted("id-2"), state="Qg=="),
    ) as (adapter, endpoint):
        pages = await asked(adapter)

    assert [page.removed for page in pages] == [(), ("id-2",)]
    assert told(pages) == ["id-1"]
    assert [page.state is None for page in pages] == [True, False]
    assert endpoint.requests[2].findtext(f"{M}SyncState") == "QQ=="


async def test_an_event_that_is_there_and_cannot_be_read_is_not_removed() -> None:
    async with scripted(synced(changed("id-1", 1), changed("id-2", 2)), half, synced()) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await asked(adapter)

    assert isinstance(caught.value.outcome, Unknown)


@pytest.mark.parametrize(
    "answer",
    [
        response("SyncFolderItems", success(payload="<m:SyncState>QQ==</m:SyncState>")),
        response(
            "SyncFolderItems", success(payload="<m:IncludesLastItemInRange>true</m:IncludesLastItemInRange>")
        ),
        synced("<t:Create><t:CalendarItem/></t:Create>"),
        synced(last=True).replace(b"true", b"false"),
    ],
    ids=["no end", "no state", "no id", "no progress"],
)
async def test_an_answer_that_says_too_little_is_none(answer: bytes) -> None:
    script = [answer, answer] if b"false" in answer else [answer]
    async with scripted(*script) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await asked(adapter)

    assert isinstance(caught.value.outcome, Unknown)


async def test_a_state_that_exchange_refuses_is_to_start_over() -> None:
    since = await state_after(synced())
    async with scripted(response("SyncFolderItems", error("ErrorInvalidSyncStateData"))) as (adapter, _):
        with pytest.raises(StartOver):
            await asked(adapter, since)


async def test_the_same_refusal_where_no_state_was_shown_is_a_failure() -> None:
    async with scripted(response("SyncFolderItems", error("ErrorInvalidSyncStateData"))) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await asked(adapter)

    assert isinstance(caught.value.outcome, Refused)


async def test_a_state_is_good_for_one_instance() -> None:
    since = await state_after(synced())
    async with scripted() as (adapter, _):
        with pytest.raises(StartOver):
            await asked(adapter, since, "other.example")


async def test_a_folder_that_is_gone_is_a_calendar_that_is_gone() -> None:
    async with scripted(response("SyncFolderItems", error("ErrorSyncFolderNotFound"))) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await asked(adapter)

    assert isinstance(caught.value.outcome, Gone)
    assert caught.value.outcome.what == "calendar"


async def test_what_is_asked_for_of_each_item_is_the_marker_and_when_it_was_made() -> None:
    async with scripted(synced()) as (adapter, endpoint):
        await asked(adapter)

    shape = endpoint.requests[0].find(f"{M}ItemShape")
    assert shape.findtext(f"{T}BaseShape") == "IdOnly"
    assert [uri.get("FieldURI") for uri in shape.iter(f"{T}FieldURI")] == ["item:DateTimeCreated"]
    assert len(list(shape.iter(f"{T}ExtendedFieldURI"))) == 4
