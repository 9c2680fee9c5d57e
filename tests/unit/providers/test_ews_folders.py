"""Calendars on Exchange: which folders are some, how ours is made and known again, when it is removed."""

import msgspec
import pytest
from lxml import etree

from providers.contract import Calendar, Create, Gone, ProviderError, Refused, Throttled, Unknown
from tests.unit.providers.ews_server import (
    ALICE,
    M,
    T,
    error,
    event,
    fault,
    marker,
    response,
    scripted,
    success,
)

GUID = "7c6a1f52-4f0e-5d3b-9a2c-0b6d8e41a7f3"
OURS = msgspec.structs.replace(ALICE, calendar="ours")


def shown(
    id: str,
    name: str = "A calendar",
    *,
    mark: tuple[str, ...] = (),
    kind: str = "IPF.Appointment",
    rights: str = "<t:CreateContents>true</t:CreateContents><t:Read>true</t:Read>",
    total: int = 0,
    children: int = 0,
) -> str:
    """A folder; ``mark``: the instance that made it, and as what."""
    names = ("RoosterInstance", "RoosterCalendar")
    marks = "".join(
        f'<t:ExtendedProperty><t:ExtendedFieldURI PropertySetId="{GUID}" PropertyName="{key}" '
        f'PropertyType="String"/><t:Value>{value}</t:Value></t:ExtendedProperty>'
        for key, value in zip(names, mark, strict=False)
    )
    return (
        f'<t:CalendarFolder><t:FolderId Id="{id}" ChangeKey="k"/><t:FolderClass>{kind}</t:FolderClass>'
        f"<t:DisplayName>{name}</t:DisplayName><t:TotalCount>{total}</t:TotalCount>"
        f"<t:ChildFolderCount>{children}</t:ChildFolderCount>{marks}"
        f"<t:EffectiveRights>{rights}</t:EffectiveRights></t:CalendarFolder>"
    )


DEFAULT = shown("default", "Calendar")
MARK = ("uni.example", "Timetable")


def got(*folders: str) -> bytes:
    """The answer to GetFolder; a folder that is an error stays one."""
    return response(
        "GetFolder",
        *(
            one if "ResponseCode" in one else success(payload=f"<m:Folders>{one}</m:Folders>")
            for one in folders
        ),
    )


def below(*folders: str, last: bool = True) -> bytes:
    """The answer to FindFolder."""
    return response(
        "FindFolder",
        success(
            payload=f'<m:RootFolder IncludesLastItemInRange="{str(last).lower()}">'
            f"<t:Folders>{''.join(folders)}</t:Folders></m:RootFolder>"
        ),
    )


def parents(request: etree._Element) -> list[str]:
    return [one.get("Id", "") for one in request.iter(f"{T}DistinguishedFolderId")]


async def test_calendars_are_looked_for_below_the_default_one_and_beside_it() -> None:
    own, ours, beside = shown("a", "Sports"), shown("b", "Renamed", mark=MARK), shown("c", "Archive")
    async with scripted(got(DEFAULT), below(own, ours), below(DEFAULT, beside)) as (adapter, endpoint):
        assert list(await adapter.calendars(ALICE, "uni.example")) == [
            Calendar(id="default", name="Calendar", is_default=True, ours=False),
            Calendar(id="a", name="Sports", is_default=False, ours=False),
            Calendar(id="b", name="Timetable", is_default=False, ours=True),
            Calendar(id="c", name="Archive", is_default=False, ours=False),
        ]

    _, deep, beside_it = endpoint.requests
    assert (deep.get("Traversal"), parents(deep)) == ("Deep", ["calendar"])
    assert (beside_it.get("Traversal"), parents(beside_it)) == ("Shallow", ["msgfolderroot"])


async def test_a_delegate_is_not_shown_what_is_beside_the_calendar() -> None:
    async with scripted(got(DEFAULT), below(), access_type="delegate") as (adapter, _):
        assert [one.id for one in await adapter.calendars(ALICE, "uni.example")] == ["default"]


@pytest.mark.parametrize(
    "folder",
    [
        shown("x", kind="IPF.Note"),
        shown("x", kind="IPF.Appointment.Birthday"),
        shown("x", rights="<t:CreateContents>false</t:CreateContents><t:Read>true</t:Read>"),
    ],
    ids=["of mail", "of birthdays", "to look at"],
)
async def test_what_events_cannot_be_put_into_is_no_calendar(folder: str) -> None:
    async with scripted(got(DEFAULT), below(folder), below()) as (adapter, _):
        assert [one.id for one in await adapter.calendars(ALICE, "uni.example")] == ["default"]


async def test_many_folders_come_in_pages() -> None:
    async with scripted(
        got(DEFAULT), below(shown("a"), shown("b"), last=False), below(shown("c")), below()
    ) as (adapter, endpoint):
        found = await adapter.calendars(ALICE, "uni.example")

    assert [one.id for one in found] == ["default", "a", "b", "c"]
    views = [request.find(f"{M}IndexedPageFolderView") for request in endpoint.requests[1:3]]
    assert [view.get("Offset") for view in views] == ["0", "2"]


async def test_ours_is_made_below_the_default_calendar_with_a_mark() -> None:
    async with scripted(
        response("CreateFolder", success(payload=f"<m:Folders>{shown('new')}</m:Folders>"))
    ) as (
        adapter,
        endpoint,
    ):
        made = await adapter.make_calendar(ALICE, "uni.example", "Timetable")

    assert made == Calendar(id="new", name="Timetable", is_default=False, ours=True)
    (request,) = endpoint.requests
    assert parents(request.find(f"{M}ParentFolderId")) == ["calendar"]
    folder = request.find(f"{M}Folders/{T}CalendarFolder")
    assert folder.findtext(f"{T}DisplayName") == "Timetable"
    assert {
        (uri.get("PropertySetId"), uri.get("PropertyName"), uri.getnext().text)
        for uri in folder.iter(f"{T}ExtendedFieldURI")
    } == {(GUID, "RoosterInstance", "uni.example"), (GUID, "RoosterCalendar", "Timetable")}


async def test_a_name_that_is_taken_gets_a_number() -> None:
    taken = response("CreateFolder", error("ErrorFolderExists"))
    well = response("CreateFolder", success(payload=f"<m:Folders>{shown('new')}</m:Folders>"))
    async with scripted(taken, taken, well) as (adapter, endpoint):
        made = await adapter.make_calendar(ALICE, "uni.example", "Timetable")

    assert made.name == "Timetable"
    names = [request.findtext(f".//{T}DisplayName") for request in endpoint.requests]
    assert names == ["Timetable", "Timetable 2", "Timetable 3"]


async def test_somewhere_there_is_an_end_to_numbers() -> None:
    async with scripted(*[response("CreateFolder", error("ErrorFolderExists"))] * 50) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await adapter.make_calendar(ALICE, "uni.example", "Timetable")

    assert isinstance(caught.value.outcome, Refused)
    assert caught.value.outcome.scope == "mailbox"


async def test_each_folder_that_is_tried_needs_a_permit() -> None:
    asked = 0

    def permit() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise LookupError("the lease is lost")

    async with scripted(response("CreateFolder", error("ErrorFolderExists"))) as (adapter, _):
        with pytest.raises(LookupError):
            await adapter.make_calendar(ALICE, "uni.example", "Timetable", permit)


async def test_ours_is_removed_when_it_is_empty() -> None:
    async with scripted(got(DEFAULT, shown("ours", mark=MARK)), response("DeleteFolder", success())) as (
        adapter,
        endpoint,
    ):
        assert await adapter.remove_calendar(OURS, "uni.example") is True

    assert endpoint.requests[1].get("DeleteType") == "SoftDelete"
    assert [one.get("Id") for one in endpoint.requests[1].iter(f"{T}FolderId")] == ["ours"]


@pytest.mark.parametrize(
    "folder",
    [
        shown("ours"),
        shown("ours", mark=("UNI.example", "Timetable")),
        shown("ours", mark=("uni.example",)),
        shown("ours", mark=MARK, total=1),
        shown("ours", mark=MARK, children=1),
        shown("ours", mark=MARK).replace("<t:TotalCount>0</t:TotalCount>", ""),
    ],
    ids=["theirs", "another instance's", "half a mark", "an event", "a calendar in it", "who knows"],
)
async def test_everything_else_stays(folder: str) -> None:
    async with scripted(got(DEFAULT, folder)) as (adapter, _):
        assert await adapter.remove_calendar(OURS, "uni.example") is False


async def test_the_default_calendar_is_never_removed() -> None:
    async with scripted() as (adapter, _):
        assert await adapter.remove_calendar(ALICE, "uni.example") is False


@pytest.mark.parametrize("code", ["ErrorFolderNotFound", "ErrorItemNotFound", "ErrorInvalidIdMalformed"])
async def test_what_is_not_there_is_gone(code: str) -> None:
    async with scripted(got(DEFAULT, error(code))) as (adapter, _):
        assert await adapter.remove_calendar(OURS, "uni.example") is True


async def test_not_found_means_nothing_where_the_mailbox_is_not_seen() -> None:
    """Exchange says so of what may not be seen, too."""
    closed = got(error("ErrorFolderNotFound"), error("ErrorFolderNotFound"))
    async with scripted(closed, access_type="delegate") as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await adapter.remove_calendar(OURS, "uni.example")

    assert isinstance(caught.value.outcome, Refused)
    assert caught.value.outcome.scope == "mailbox"


async def test_a_folder_that_went_meanwhile_is_gone_too() -> None:
    async with scripted(
        got(DEFAULT, shown("ours", mark=MARK)), response("DeleteFolder", error("ErrorFolderNotFound"))
    ) as (adapter, _):
        assert await adapter.remove_calendar(OURS, "uni.example") is True


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (fault("ErrorServerBusy"), Throttled),
        (response("CreateFolder", error("ErrorAccessDenied")), Refused),
        (response("CreateFolder", error("ErrorFolderSave")), Refused),
        (response("CreateFolder", success(payload="<m:Folders/>")), Unknown),
    ],
)
async def test_a_calendar_of_which_nobody_knows_is_not_made(answer: bytes, kind: type) -> None:
    async with scripted(answer) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await adapter.make_calendar(ALICE, "uni.example", "Timetable")

    assert isinstance(caught.value.outcome, kind)
    if isinstance(caught.value.outcome, Refused):
        assert caught.value.outcome.scope == "mailbox"


async def test_events_go_into_the_folder_that_is_meant() -> None:
    async with scripted(response("CreateItem", success("id-1", "v1"))) as (adapter, endpoint):
        await adapter.apply(OURS, [Create(event=event(), marker=marker())])

    target = endpoint.requests[0].find(f"{M}SavedItemFolderId")
    assert [(etree.QName(one).localname, one.get("Id")) for one in target] == [("FolderId", "ours")]


@pytest.mark.parametrize("access_type", ["impersonation", "delegate"])
@pytest.mark.parametrize("code", ["ErrorFolderNotFound", "ErrorInvalidIdMalformed"])
async def test_a_folder_of_ours_that_is_not_there_is_gone_and_not_hidden(access_type: str, code: str) -> None:
    answer = response("CreateItem", error(code))
    async with scripted(answer, access_type=access_type) as (adapter, _):
        (outcome,) = await adapter.apply(OURS, [Create(event=event(), marker=marker())])

    assert isinstance(outcome, Gone)
    assert outcome.what == "calendar"


@pytest.mark.parametrize("access_type", ["impersonation", "delegate"])
async def test_a_delegate_asks_nothing_about_deleted_items(access_type: str) -> None:
    """Which it does not see."""
    empty = success(
        payload='<m:RootFolder IndexedPagingOffset="0" TotalItemsInView="0" IncludesLastItemInRange="true">'
        "<t:Items/></m:RootFolder>"
    )
    script = [response("FindItem", empty)]
    if access_type == "impersonation":
        script.insert(0, got(shown("ours", mark=MARK), shown("bin")))
    async with scripted(*script, access_type=access_type) as (adapter, _):
        assert [one async for one in adapter.list(OURS, "uni.example")] == []
