"""FindItem: what it returns, what it searches by, and in which pages."""

import pytest

from tests.sandbox.ews.soap import GUID, Exchange, lecture, named, prop, uri


def page(size: int | None, offset: int = 0, base: str = "Beginning") -> str:
    most = "" if size is None else f' MaxEntriesReturned="{size}"'
    return f'<m:IndexedPageItemView{most} Offset="{offset}" BasePoint="{base}"/>'


def equals(path: str, value: str, operator: str = "IsEqualTo") -> str:
    return (
        f'<t:{operator}>{path}<t:FieldURIOrConstant><t:Constant Value="{value}"/></t:FieldURIOrConstant>'
        f"</t:{operator}>"
    )


def contains(path: str, value: str, mode: str, comparison: str = "IgnoreCase") -> str:
    return (
        f'<t:Contains ContainmentMode="{mode}" ContainmentComparison="{comparison}">{path}'
        f'<t:Constant Value="{value}"/></t:Contains>'
    )


async def test_shapes(exchange: Exchange) -> None:
    await exchange.create(lecture(more='<t:Body BodyType="Text">text</t:Body>' + prop("A", "1")))
    only_ids = await exchange.find()
    assert len(only_ids.ids) == 1
    assert only_ids.texts("Subject") == []
    default = await exchange.find(shape="Default")
    assert default.texts("Start") == ["2026-09-01T07:00:00Z"]
    everything = await exchange.find(shape="AllProperties", paths=named("A") + uri("item:Body"))
    assert everything.texts("UID")
    assert everything.texts("Value") == ["1"]
    assert everything.texts("Body") == [], "FindItem returns no bodies"


async def test_strings_are_cut_at_255_characters(exchange: Exchange) -> None:
    made = await exchange.create(
        lecture(more=prop("A", "é" * 300), after=f"<t:Location>{'r' * 300}</t:Location>")
    )
    found = await exchange.find(shape="Default", paths=named("A"))
    assert found.texts("Value") == ["é" * 255]
    assert found.texts("Location") == ["r" * 255]
    whole = await exchange.get(made.ids[0][0], paths=named("A"))
    assert whole.texts("Value") == ["é" * 300]


A, B = named("A"), named("B")


@pytest.mark.parametrize(
    ("restriction", "subjects"),
    [
        (equals(A, "one"), ["s1", "s3"]),
        (equals(A, "ONE"), ["s1", "s3"]),
        (equals(named("a"), "one"), []),
        (equals(A.replace(GUID, GUID.upper()), "one"), ["s1", "s3"]),
        (equals(A, "one", "IsNotEqualTo"), ["s2"]),
        (f"<t:Exists>{B}</t:Exists>", ["s3"]),
        (f"<t:Not><t:Exists>{B}</t:Exists></t:Not>", ["s1", "s2", "s4"]),
        (f"<t:And>{equals(A, 'one')}<t:Exists>{B}</t:Exists></t:And>", ["s3"]),
        (f"<t:Or>{equals(A, 'two')}<t:Exists>{B}</t:Exists></t:Or>", ["s2", "s3"]),
        (contains(A, "O", "Prefixed"), ["s1", "s3"]),
        (contains(A, "O", "Prefixed", "Exact"), []),
        (contains(A, "w", "Substring"), ["s2"]),
        (contains(A, "one", "FullString"), ["s1", "s3"]),
        (equals(uri("item:Subject"), "S4"), ["s4"]),
        (equals(uri("item:Categories"), "Blue"), ["s4"]),
        (equals(uri("calendar:Start"), "2026-09-01T09:00:00+02:00"), ["s1", "s2", "s3"]),
        (equals(uri("calendar:Start"), "2026-09-01T07:00:00Z", "IsGreaterThan"), ["s4"]),
        (equals(uri("calendar:IsAllDayEvent"), "true"), ["s4"]),
        (
            equals(uri("item:ReminderMinutesBeforeStart"), "15", "IsLessThanOrEqualTo"),
            ["s1", "s2", "s3", "s4"],
        ),
    ],
)
async def test_restrictions(exchange: Exchange, restriction: str, subjects: list[str]) -> None:
    made = await exchange.create(
        lecture("s1", prop("A", "one")),
        lecture("s2", prop("A", "two")),
        lecture("s3", prop("A", "one") + prop("B", "")),
        "<t:Subject>s4</t:Subject><t:Categories><t:String>blue</t:String></t:Categories>"
        "<t:Start>2026-10-01T00:00:00Z</t:Start><t:End>2026-10-02T00:00:00Z</t:End>"
        "<t:IsAllDayEvent>true</t:IsAllDayEvent>",
    )
    assert made.codes == ["NoError"] * 4
    found = await exchange.find(shape="Default", restriction=restriction)
    assert found.texts("Subject") == subjects


async def test_numbers_are_compared_as_numbers(exchange: Exchange) -> None:
    path = f'<t:ExtendedFieldURI PropertySetId="{GUID}" PropertyName="N" PropertyType="Integer"/>'
    item = "<t:ExtendedProperty>{}<t:Value>{}</t:Value></t:ExtendedProperty>"
    made = await exchange.create(*(lecture(n, item.format(path, n)) for n in ("9", "10", "nine")))
    assert made.codes == ["NoError", "NoError", "ErrorInvalidExtendedPropertyValue"]
    found = await exchange.find(shape="Default", restriction=equals(path, "9", "IsGreaterThan"))
    assert found.texts("Subject") == ["10"]


@pytest.mark.parametrize("name", ["item:Body", "calendar:UID", "calendar:RequiredAttendees"])
async def test_some_properties_cannot_be_searched_by(exchange: Exchange, name: str) -> None:
    found = await exchange.find(restriction=f"<t:Exists>{uri(name)}</t:Exists>")
    assert found.codes == ["ErrorUnsupportedPathForQuery"]
    order = f'<t:FieldOrder Order="Ascending">{uri(name)}</t:FieldOrder>'
    assert (await exchange.find(order=order)).codes == ["ErrorUnsupportedPathForSortGroup"]


async def test_a_page_of_a_restricted_search_has_at_most_250_items(exchange: Exchange) -> None:
    for first in range(0, 300, 100):
        await exchange.create(*(lecture(f"{n:03}", prop("A", "x")) for n in range(first, first + 100)))
    one = await exchange.find(shape="Default", restriction=equals(A, "x"), page=page(1000))
    root = one.find(".//m:RootFolder")
    assert one.texts("Subject") == [f"{n:03}" for n in range(250)]
    assert (root.get("TotalItemsInView"), root.get("IncludesLastItemInRange")) == ("300", "false")
    assert root.get("IndexedPagingOffset") == "250"
    two = await exchange.find(shape="Default", restriction=equals(A, "x"), page=page(1000, 250))
    assert two.texts("Subject") == [f"{n:03}" for n in range(250, 300)]
    assert two.find(".//m:RootFolder").get("IncludesLastItemInRange") == "true"
    assert len((await exchange.find(page=page(None))).ids) == 300


async def test_pages_from_the_end(exchange: Exchange) -> None:
    await exchange.create(*(lecture(str(n)) for n in range(5)))
    found = await exchange.find(shape="Default", page=page(2, 1, "End"))
    assert found.texts("Subject") == ["2", "3"]
    assert found.find(".//m:RootFolder").get("IncludesLastItemInRange") == "false"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [(page(0), "ErrorInvalidPagingMaxRows"), (page(1, -1), "ErrorInvalidIndexedPagingParameters")],
)
async def test_impossible_pages(exchange: Exchange, wrong: str, code: str) -> None:
    assert (await exchange.find(page=wrong)).codes == [code]


async def test_order(exchange: Exchange) -> None:
    await exchange.create(lecture("b", prop("A", "1")), lecture("C"), lecture("a", prop("A", "2")))
    descending = f'<t:FieldOrder Order="Descending">{uri("item:Subject")}</t:FieldOrder>'
    assert (await exchange.find(shape="Default", order=descending)).texts("Subject") == ["C", "b", "a"]
    by_property = (
        f'<t:FieldOrder Order="Ascending">{A}</t:FieldOrder>'
        f'<t:FieldOrder Order="Ascending">{uri("item:Subject")}</t:FieldOrder>'
    )
    assert (await exchange.find(shape="Default", order=by_property)).texts("Subject") == ["C", "b", "a"]


async def test_a_calendar_view_holds_what_overlaps_its_span_by_start(exchange: Exchange) -> None:
    def event(name: str, start: str, end: str) -> str:
        return f"<t:Subject>{name}</t:Subject><t:Start>{start}</t:Start><t:End>{end}</t:End>"

    await exchange.create(
        event("after", "2026-09-02T00:00:00Z", "2026-09-02T01:00:00Z"),
        event("late", "2026-09-01T23:00:00Z", "2026-09-02T01:00:00Z"),
        event("early", "2026-08-31T23:00:00Z", "2026-09-01T01:00:00Z"),
        event("before", "2026-08-31T23:00:00Z", "2026-09-01T00:00:00Z"),
    )
    span = 'StartDate="2026-09-01T00:00:00Z" EndDate="2026-09-02T00:00:00Z"'
    found = await exchange.find(shape="Default", page=f"<m:CalendarView {span}/>")
    assert found.texts("Subject") == ["early", "late"]
    first = await exchange.find(shape="Default", page=f'<m:CalendarView MaxEntriesReturned="1" {span}/>')
    assert first.texts("Subject") == ["early"]
    assert first.find(".//m:RootFolder").get("IncludesLastItemInRange") == "false"


@pytest.mark.parametrize(
    ("start", "end", "restriction", "code"),
    [
        ("2026-09-02", "2026-09-01", "", "ErrorCalendarEndDateIsEarlierThanStartDate"),
        ("2026-09-02", "2029-09-01", "", "ErrorCalendarViewRangeTooBig"),
        ("2026-09-01", "2026-09-02", f"<t:Exists>{A}</t:Exists>", "ErrorInvalidOperation"),
    ],
)
async def test_impossible_calendar_views(
    exchange: Exchange, start: str, end: str, restriction: str, code: str
) -> None:
    view = f'<m:CalendarView StartDate="{start}T00:00:00Z" EndDate="{end}T00:00:00Z"/>'
    assert (await exchange.find(page=view, restriction=restriction)).codes == [code]
