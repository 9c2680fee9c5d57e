"""Any JSON API: declared places, pages of three kinds, and answers that are less than they should be."""

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from app.sources.contract import ListChanged, Page, ReadFailed, ResourceRequest
from app.sources.integrations.http_json import HttpJson
from providers.contract import Event
from tests.sources.integrations.reading import Reading, account, errors, records
from tests.sources.web import Web, json, serving

EVENT = {"uid": "key", "title": "name", "start": "from", "end": "to"}
LECTURES = {"path": "/people/{id}/lectures", "records": "data", "event": EVENT}
ALL = {"path": "/lectures", "records": "data", "event": EVENT, "username": "person.login"}
PEOPLE = {"path": "/people?kind=staff", "records": "data", "id": "login"}

Read = Callable[..., Any]


def lecture(key: Any = "a", **fields: Any) -> dict[str, Any]:
    times = {"from": "2026-09-02T09:00:00", "to": "2026-09-02T10:45:00"}
    return {"key": key, "name": "Algorithms", **times, **fields}


def data(*items: Any, **more: Any) -> web.Response:
    return json({"data": list(items), **more})


@pytest.fixture
def read(server: Web, run: Reading) -> Read:
    async def reading(
        resource: dict[str, Any],
        id: Any = "ada",
        method: str = "list",
        credentials: dict[str, str] | None = None,
        settings: dict[str, Any] | None = None,
        max_records: int = 100,
        **query: Any,
    ) -> list[Page]:
        declared = {"resources": {"it": resource}} | (settings or {})
        connection = account(f"{server.url}/api", declared, **credentials or {})
        return await run.pages(
            HttpJson(run.client, max_pages=20, max_records=max_records), connection, "it", method, id, **query
        )

    return reading


async def failed(read: Read, *arguments: Any, **options: Any) -> str:
    with pytest.raises(ReadFailed) as error:
        await read(*arguments, **options)
    return error.value.message


# Requests.


async def test_a_resource_is_asked_for_at_its_path_with_the_query_of_the_job(server: Web, read: Read) -> None:
    server.answer = lambda _: data()
    query = {"since": "2026-09-01T00:00:00+02:00", "room": ["A&B", 2], "all": True, "nothing": None}
    assert await read(LECTURES | {"path": "/people/{id}?x=1"}, "ada/ä", **query) == [
        Page(records=[], errors=[])
    ]
    (request,) = server.requests
    assert request.raw_path.startswith("/api/people/ada%2F%C3%A4?")
    assert list(request.query.items()) == [
        ("x", "1"),
        ("since", "2026-09-01T00:00:00+02:00"),
        ("room", "A&B"),
        ("room", "2"),
        ("all", "true"),
    ]


@pytest.mark.parametrize(
    ("credentials", "header", "expected"),
    [
        ({"token": "t"}, "Authorization", "Bearer t"),
        ({"user": "rooster", "password": "p"}, "Authorization", "Basic cm9vc3Rlcjpw"),
        ({"api_key": "k"}, "X-Api-Key", "k"),
    ],
)
async def test_credentials_go_along_with_every_page(
    server: Web, read: Read, credentials: dict[str, str], header: str, expected: str
) -> None:
    server.script = [data(lecture(), next="2"), data()]
    paged = LECTURES | {"pagination": {"by": "cursor", "parameter": "after"}}
    await read(paged, credentials=credentials)
    assert [request.headers.get(header) for request in server.requests] == [expected, expected]


async def test_the_header_of_an_api_key_can_be_named(server: Web, read: Read) -> None:
    server.answer = lambda _: data()
    await read(LECTURES, credentials={"api_key": "k"}, settings={"api_key_header": "Ocp-Key"})
    assert server.requests[0].headers["Ocp-Key"] == "k"


@pytest.mark.parametrize("id", [None, "", "..", ".", True, {"a": 1}])
async def test_an_id_that_cannot_be_in_the_path_is_not_asked_for(server: Web, read: Read, id: Any) -> None:
    await failed(read, PEOPLE | {"path": "/people/{id}/groups"}, id)
    assert server.requests == []


async def test_an_object_in_the_query_is_not_asked_for(server: Web, read: Read) -> None:
    assert "filter" in await failed(read, LECTURES, filter={"a": 1})
    assert server.requests == []


async def test_a_resource_that_is_not_declared_has_failed(server: Web, run: Reading) -> None:
    connection = account(server.url, {"resources": {"lectures": LECTURES}})
    with pytest.raises(ReadFailed, match="lectures"):
        await run.pages(HttpJson(run.client, 20, 100), connection, "rooms", "list", None)


# Mapping.


async def mapped(server: Web, read: Read, record: dict[str, Any], **resource: Any) -> Event:
    """The event that a record becomes."""
    server.answer = lambda _: data(record)
    pages = await read(LECTURES | resource)
    assert errors(pages) == []
    (found,) = records(pages)
    assert found.event is not None
    return found.event


async def test_a_record_becomes_an_event_by_the_declared_places(server: Web, read: Read) -> None:
    record = lecture(
        17,
        name="Algorithms\n II ",
        rooms=[{"code": "1.23"}, {"code": "1.24"}],
        about={"text": "Bring a pencil."},
        kind="HC",
        zone="Europe/London",
        link="https://meet.example/1",
        state="tentative",
    )
    places = {
        **EVENT,
        "location": "join(', ', rooms[].code)",
        "description": "about.text",
        "categories": "kind",
        "time_zone": "zone",
        "url": "link",
        "status": "state",
        "show_as": "nothing.here",
    }
    event = await mapped(server, read, record, event=places)
    assert (event.uid, event.title) == ("17", "Algorithms II")
    assert event.local_start.isoformat() == "2026-09-02T09:00:00+01:00"
    assert event.local_end.isoformat() == "2026-09-02T10:45:00+01:00"
    assert (event.location, event.description) == ("1.23, 1.24", "Bring a pencil.")
    assert (event.categories, event.url) == (("HC",), "https://meet.example/1")
    assert (event.status, event.show_as) == ("tentative", "tentative")


@pytest.mark.parametrize(
    ("times", "start", "end"),
    [
        ("rfc3339", "2026-09-02T09:00:00", "2026-09-02T10:45:00"),
        ("rfc3339", "2026-09-02T07:00:00Z", "2026-09-02T08:45:00+00:00"),
        ("epoch_seconds", 1788332400, 1788338700),
        ("epoch_milliseconds", 1788332400000, 1788338700000),
    ],
)
async def test_times_are_read_as_declared_in_the_configured_zone(
    server: Web, read: Read, times: str, start: Any, end: Any
) -> None:
    event = await mapped(server, read, lecture(**{"from": start, "to": end}), times=times)
    assert event.local_start.isoformat() == "2026-09-02T09:00:00+02:00"
    assert event.local_end.isoformat() == "2026-09-02T10:45:00+02:00"


@pytest.mark.parametrize(
    ("times", "start", "end"),
    [
        ("rfc3339", "2026-09-02", "2026-09-03"),
        ("rfc3339", "2026-09-02T00:00:00", "2026-09-03T00:00:00"),
        ("rfc3339", "2026-09-01T22:00:00Z", "2026-09-02T22:00:00Z"),
        ("epoch_seconds", 1788300000, 1788386400),
    ],
)
async def test_an_all_day_event_has_dates_or_midnights(
    server: Web, read: Read, times: str, start: Any, end: Any
) -> None:
    record = lecture(**{"from": start, "to": end, "whole": True})
    event = await mapped(server, read, record, times=times, event=EVENT | {"all_day": "whole"})
    assert event.all_day
    assert [day.isoformat() for day in event.dates] == ["2026-09-02", "2026-09-03"]


async def test_the_accounts_zone_comes_before_the_configured_one(server: Web, read: Read) -> None:
    server.answer = lambda _: data(lecture())
    pages = await read(LECTURES, settings={"zone": "Europe/Lisbon"})
    assert records(pages)[0].event.local_start.isoformat() == "2026-09-02T09:00:00+01:00"


async def test_the_user_is_the_requests_id_or_where_the_record_says_so(server: Web, read: Read) -> None:
    server.answer = lambda _: data(lecture(person={"login": "bob"}))
    assert records(await read(LECTURES, "ada"))[0].username == "ada"
    assert records(await read(LECTURES, 4711))[0].username == "4711"
    assert records(await read(ALL, None))[0].username == "bob"


async def test_records_without_an_event_are_parents_of_other_resources(server: Web, read: Read) -> None:
    server.answer = lambda _: data({"login": "ada", "feed": "x"}, {"feed": "y"}, {"login": 7})
    pages = await read(PEOPLE, None)
    assert [(r.id, r.event, r.username) for r in records(pages)] == [("ada", None, None), ("7", None, None)]
    assert records(pages)[0].data == {"login": "ada", "feed": "x"}
    assert [error.place for error in errors(pages)] == ["page 1, record 2"]


@pytest.mark.parametrize("value", [True, "yes", ["x"]])
async def test_records_can_be_left_out_by_what_they_say(server: Web, read: Read, value: Any) -> None:
    server.answer = lambda _: data(lecture("a", hidden=value), lecture("b", hidden=False), lecture("c"))
    pages = await read(LECTURES | {"skip": "hidden"})
    assert [record.id for record in records(pages)] == ["b", "c"]
    assert errors(pages) == []


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ("no object", "object"),
        (lecture(None), "uid"),
        (lecture(name={"nl": "Algoritmen"}), "title"),
        (lecture(**{"from": None}), "start"),
        (lecture(**{"from": "tomorrow"}), "start"),
        (lecture(to="2026-09-01T10:00:00"), "end"),
        (lecture(zone="Atlantis"), "timeZone"),
        (lecture(zone=5), "timeZone"),
        (lecture(name="x" * 256), "title"),
    ],
)
async def test_a_record_that_cannot_be_mapped_is_told_by_its_place_and_stops_no_other(
    server: Web, read: Read, record: Any, what: str
) -> None:
    server.answer = lambda _: data(lecture(), record)
    pages = await read(LECTURES | {"event": EVENT | {"time_zone": "zone"}})
    (error,) = errors(pages)
    assert error.place == "page 1, record 2"
    assert what in error.detail
    assert len(records(pages)) == 1


async def test_whose_a_record_is_that_cannot_be_mapped_is_told_where_it_can_be_read(
    server: Web, read: Read
) -> None:
    broken = lecture(None)
    server.answer = lambda _: data(broken | {"person": {"login": "bob"}}, broken, broken | {"person": "bob"})
    assert [error.username for error in errors(await read(ALL, None))] == ["bob", None, None]


async def test_get_reads_one_object(server: Web, read: Read) -> None:
    server.answer = lambda _: json({"data": lecture()})
    assert [record.id for record in records(await read(LECTURES, method="get"))] == ["a"]


GOES_ON = {"Link": "<?page=2>; rel=next"}


async def test_an_object_may_have_a_next_one(server: Web, read: Read) -> None:
    """It is the one that was asked for all the same."""
    server.answer = lambda _: json({"data": lecture()}, **GOES_ON)
    assert [record.id for record in records(await read(LECTURES, method="get"))] == ["a"]


@pytest.mark.parametrize(
    ("pagination", "answer"),
    [
        ({}, lambda: json({"data": [lecture()]}, **GOES_ON)),
        ({"by": "link"}, lambda: json({"data": [lecture()]}, **GOES_ON)),
        ({"by": "cursor"}, lambda: data(lecture(), next="?page=2")),
        ({"by": "page", "parameter": "p"}, lambda: data(lecture())),
        ({"total": "total"}, lambda: data(lecture(), total=2)),
    ],
)
async def test_get_takes_no_array_for_whole_that_may_go_on(
    server: Web, read: Read, pagination: dict[str, Any], answer: Callable[[], web.Response]
) -> None:
    server.answer = lambda _: answer()
    await failed(read, LECTURES | {"pagination": pagination}, method="get")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("pagination", "answer"),
    [
        ({}, lambda: data(lecture())),
        ({"by": "link"}, lambda: data(lecture())),
        ({"by": "cursor"}, lambda: data(lecture(), next=None)),
        ({"by": "page", "parameter": "p", "total": "total"}, lambda: data(lecture(), total=1)),
    ],
)
async def test_get_reads_an_array_that_ends(
    server: Web, read: Read, pagination: dict[str, Any], answer: Callable[[], web.Response]
) -> None:
    server.answer = lambda _: answer()
    pages = await read(LECTURES | {"pagination": pagination}, method="get")
    assert [record.id for record in records(pages)] == ["a"]


# Pages.


def paged(**pagination: Any) -> dict[str, Any]:
    return LECTURES | {"pagination": pagination}


async def keys(read: Read, resource: dict[str, Any]) -> list[str]:
    return [record.id for record in records(await read(resource))]


async def test_pages_are_numbered_up_to_an_empty_one(server: Web, read: Read) -> None:
    server.script = [data(lecture("a"), lecture("b")), data(lecture("c")), data(lecture("d")), data()]
    assert await keys(read, paged(by="page", parameter="p", size_parameter="n", size=2)) == list("abcd")
    assert [dict(request.query) for request in server.requests] == [
        {"p": str(number), "n": "2"} for number in (1, 2, 3, 4)
    ]


async def test_pages_can_be_numbered_by_their_first_record(server: Web, read: Read) -> None:
    server.script = [data(lecture("a")), data(lecture("b")), data()]
    await read(paged(by="page", parameter="offset", first=0, step=50))
    assert [request.query["offset"] for request in server.requests] == ["0", "50", "100"]


async def test_a_known_total_saves_the_empty_page(server: Web, read: Read) -> None:
    server.script = [data(lecture("a"), total=2), data(lecture("b"), total=2)]
    assert await keys(read, paged(by="page", parameter="p", total="total")) == ["a", "b"]
    assert len(server.requests) == 2


async def test_pages_are_followed_by_a_cursor(server: Web, read: Read) -> None:
    server.script = [data(lecture("a"), next="x+y"), data(lecture("b"), next=7), data(next=None)]
    assert await keys(read, paged(by="cursor", parameter="after")) == ["a", "b"]
    assert [request.query.get("after") for request in server.requests] == [None, "x+y", "7"]


async def test_a_cursor_can_be_the_address_of_the_next_page(server: Web, read: Read) -> None:
    server.script = [
        json({"data": [lecture("a")], "links": {"next": "/api/more?c=1"}}),
        json({"data": [lecture("b")], "links": {}}),
    ]
    assert await keys(read, paged(by="cursor", next="links.next")) == ["a", "b"]
    assert server.paths == ["/api/people/ada/lectures", "/api/more?c=1"]


async def test_pages_are_followed_by_the_link_header(server: Web, read: Read) -> None:
    server.script = [json({"data": [lecture("a")]}, Link="<?page=2>; rel=next"), data(lecture("b"))]
    assert await keys(read, paged(by="link")) == ["a", "b"]
    assert server.paths == ["/api/people/ada/lectures", "/api/people/ada/lectures?page=2"]


async def test_a_place_in_an_answer_is_told_with_its_page(server: Web, read: Read) -> None:
    server.script = [json({"data": [lecture("a")]}, Link="<?page=2>; rel=next"), data("?")]
    assert [error.place for error in errors(await read(paged(by="link")))] == ["page 2, record 1"]


def sized(next: str = "paging.next", **more: Any) -> dict[str, Any]:
    """Two records a page; the place of the cursor is said to be there."""
    return paged(by="cursor", parameter="after", next=next, size_parameter="n", size=2, **more)


@pytest.mark.parametrize("next", ["paging.nxt", "pages.next", "next.paging", "paging.links[0].href"])
async def test_a_full_first_page_without_the_place_of_a_cursor_is_no_whole_list(
    server: Web, read: Read, next: str
) -> None:
    """It looks as the first of many does where the place is misspelt."""
    server.answer = lambda _: data(lecture("a"), lecture("b"), paging={"next": "x"})
    assert "pagination.next" in await failed(read, sized(next))


@pytest.mark.parametrize(("asked", "full"), [(1, True), (2, True), (3, False)])
async def test_a_page_is_full_that_has_what_the_job_asks_for(
    server: Web, read: Read, asked: int, full: bool
) -> None:
    server.answer = lambda _: data(lecture("a"), lecture("b"))
    if full:
        await failed(read, sized(), n=asked)
    else:
        await read(sized(), n=asked)


@pytest.mark.parametrize(
    ("resource", "answers"),
    [
        (sized(), [data(lecture("a"), lecture("b"), paging={"next": None})]),
        (sized(), [data(lecture("a"))]),
        (sized(), [data(lecture("a"), lecture("b"), paging={"next": "x"}), data(lecture("c"), lecture("d"))]),
        (sized(total="total"), [data(lecture("a"), lecture("b"), total=2)]),
    ],
    ids=["null", "not full", "seen before", "total"],
)
async def test_a_cursor_may_be_missing_where_a_list_ends(
    server: Web, read: Read, resource: dict[str, Any], answers: list[web.Response]
) -> None:
    server.script = list(answers)
    assert records(await read(resource))
    assert len(server.requests) == len(answers)


# What is less than it should be has failed, and is never an end.

CURSOR = paged(by="cursor", parameter="after")
NUMBERED = paged(by="page", parameter="p")
LINKED = paged(by="link")
TOTAL = paged(by="page", parameter="p", total="total")


@pytest.mark.parametrize(
    ("resource", "answers"),
    [
        (LECTURES, [json({"error": "database is down"})]),
        (LECTURES, [json({"data": None})]),
        (LECTURES, [json({"data": {}})]),
        (LECTURES, [json([])]),
        (LECTURES | {"records": "@"}, [json({"message": "Forbidden"})]),
        (LECTURES | {"error": "errors"}, [data(errors=["partial result"])]),
        (LECTURES, [web.Response(text='{"data": [{"key": "a", "na')]),
        (LECTURES, [web.Response(text="")]),
        (LECTURES, [web.Response(text=f'{{"data": {"[" * 10_000}{"]" * 10_000}}}')]),
        (CURSOR, [data(lecture("a"), next="x"), json({"error": "cursor expired"})]),
        (CURSOR, [data(lecture("a"), next="x"), data(lecture("b"), next="x")]),
        (CURSOR, [data(lecture("a"), next="x"), data(lecture("a"), next="y")]),
        (CURSOR, [data(lecture("a"), next={"x": 1})]),
        (CURSOR, [json({"data": [lecture("a")], "paging": {"next": "x"}}, Link="<?after=x>; rel=next")]),
        (NUMBERED, [data(lecture("a")), json({"data": []}, Link="<?p=3>; rel=next")]),
        (TOTAL, [json({"data": [lecture("a")], "total": 1}, Link="<?p=2>; rel=next")]),
        (CURSOR, [data(lecture("a"), next=True)]),
        (NUMBERED, [data(lecture("a")), data(lecture("a"))]),
        (NUMBERED, [data(lecture("a")), json({}, 404)]),
        (LECTURES, [json({"data": [lecture("a")]}, Link="<?page=2>; rel=next")]),
        (LINKED, [json({"data": []}, Link="</api/people/ada/lectures>; rel=next")]),
        (LINKED, [json({"data": []}, Link="<ftp://127.0.0.1/>; rel=next")]),
        (TOTAL, [data(lecture("a"), total=3), data(total=3)]),
        (TOTAL, [data(lecture("a"), lecture("b"), total=1)]),
        (TOTAL, [data(lecture("a"))]),
        (TOTAL, [data(lecture("a"), total=True)]),
        (paged(by="none", total="total"), [data(lecture("a"), total=2)]),
    ],
    ids=lambda value: (
        None if isinstance(value, dict) else " | ".join(a.text[:80] or "nothing" for a in value)
    ),
)
async def test_a_read_that_is_less_than_it_should_be_has_failed(
    server: Web, read: Read, resource: dict[str, Any], answers: list[web.Response]
) -> None:
    server.script = list(answers)
    await failed(read, resource, credentials={"token": "SECRET"})
    assert len(server.requests) == len(answers)


@pytest.mark.parametrize("by", ["page", "cursor", "link"])
@pytest.mark.parametrize("second", [1, 3])
async def test_a_list_that_changes_between_two_pages_is_told_apart_from_one_that_is_cut_off(
    server: Web, read: Read, by: str, second: int
) -> None:
    """A record that moved to an earlier page meanwhile is on none of those that are read."""
    resource = paged(by=by, total="total", **({} if by == "link" else {"parameter": "p"}))
    server.script = [
        json(
            {"data": [lecture("a")], "total": 2, "next": 2},
            **({"Link": "<?p=2>; rel=next"} if by == "link" else {}),
        ),
        data(lecture("b"), total=second),
    ]
    with pytest.raises(ListChanged, match=f"2 records, and then {second}"):
        await read(resource)


@pytest.mark.parametrize("pages", [[4], [2, 2]])
async def test_a_request_that_gives_more_records_than_anybody_can_want_has_failed(
    server: Web, read: Read, pages: list[int]
) -> None:
    """Whatever they are: nothing of them is looked at."""
    for number, size in enumerate(pages):
        server.script.append(data(*({"n": f"{number}.{each}"} for each in range(size)), next=number + 1))
    assert "max_records" in await failed(read, CURSOR, max_records=3)
    assert len(server.requests) == len(pages)


async def test_as_many_records_as_are_allowed_are_read(server: Web, read: Read) -> None:
    server.script = [data(lecture("a"), lecture("b"), next=1), data(lecture("c"), next=None)]
    assert len(records(await read(CURSOR, max_records=3))) == 3


@pytest.mark.parametrize("resource", [LINKED, paged(by="cursor")])
async def test_a_page_of_another_server_is_not_asked_for(
    server: Web, read: Read, resource: dict[str, Any]
) -> None:
    async with serving() as other:
        other.answer = lambda _: data()
        server.script = [json({"data": [], "next": other.url}, Link=f"<{other.url}>; rel=next")]
        assert "another server" in await failed(read, resource, credentials={"token": "SECRET"})
    assert other.requests == []


async def test_pages_that_do_not_end_are_given_up(server: Web, read: Read) -> None:
    server.answer = lambda _: data(lecture(len(server.requests)), next=len(server.requests))
    assert "max_pages" in await failed(read, CURSOR)
    assert len(server.requests) == 20


# Checks.


@pytest.mark.parametrize(
    ("resource", "what"),
    [
        (LECTURES | {"path": "lectures"}, "slash"),
        (LECTURES | {"records": "data["}, "JMESPath"),
        (LECTURES | {"event": EVENT | {"location": "join("}}, "JMESPath"),
        (LECTURES | {"event": {"uid": "key"}}, "title"),
        (LECTURES | {"event": EVENT | {"colour": "c"}}, "colour"),
        (LECTURES | {"times": "unix"}, "unix"),
        (paged(by="page"), "parameter"),
        (paged(by="scroll"), "scroll"),
        (paged(by="page", parameter="p", size=5), "size_parameter"),
        (paged(by="cursor", total="t["), "JMESPath"),
        (LECTURES | {"skip": "!" * 990 + "hidden"}, "JMESPath"),
        (LECTURES | {"records": "data[::0]"}, "no place"),
        (LECTURES | {"event": EVENT | {"title": "&name"}}, "no place"),
        (LECTURES | {"event": EVENT | {"location": "{a: rooms[0], b: [&name]}.a"}}, "no place"),
        (LECTURES | {"records": "[@, @][] | " * 40 + "@"}, "more than 1000"),
        (LECTURES | {"event": EVENT | {"title": " | ".join(["join(@, [@, @])"] * 40)}}, "more than 1000"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(
    run: Reading, resource: dict[str, Any], what: str
) -> None:
    integration = HttpJson(run.client, 1, 100)
    (problem,) = integration.check_account(account("http://x", {"resources": {"it": resource}}))
    assert problem.field is not None
    assert problem.field.startswith("settings")
    assert what in problem.detail


async def test_a_place_may_be_what_a_function_finds(server: Web, read: Read) -> None:
    server.answer = lambda _: data(lecture(rooms=[{"code": "B"}, {"code": "A"}]))
    (record,) = records(
        await read(LECTURES | {"event": EVENT | {"location": "sort_by(rooms, &code)[0].code"}})
    )
    assert record.event is not None
    assert record.event.location == "A"


def test_an_account_is_checked_without_asking_the_source(run: Reading) -> None:
    integration = HttpJson(run.client, 1, 100)
    assert (
        list(integration.check_account(account("http://x", {"resources": {"it": PEOPLE}}, token="t"))) == []
    )
    wrong = integration.check_account(account("http://x", {}, api_token="t"))
    assert {problem.field for problem in wrong} == {"settings", "credentials.api_token"}


@pytest.mark.parametrize(
    ("resource", "id", "users"),
    [
        (LECTURES, "ada", ("ada",)),
        (LECTURES, 4711, ("4711",)),
        (LECTURES, None, None),
        (ALL, "ada", None),
        (PEOPLE, "ada", None),
    ],
)
def test_it_reads_the_whole_timetable_of_the_user_whom_the_id_names(
    run: Reading, resource: dict[str, Any], id: Any, users: Any
) -> None:
    request = ResourceRequest(resource="it", method="list", id=id)
    connection = account("http://x", {"resources": {"it": resource}})
    assert HttpJson(run.client, 1, 100).users(request, connection) == users
