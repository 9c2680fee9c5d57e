"""MyTimetable: how it is asked, and what becomes of its elements."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from app.sources.contract import Page, ReadFailed, ResourceRequest
from app.sources.integrations.mytimetable import MyTimetable
from providers.contract import Event
from tests.sources.integrations.reading import Reading, account, errors, records
from tests.sources.web import Web, json

LECTURE: dict[str, Any] = {
    "id": "2026 CS101 hc 1",
    "startDate": 1788246000000,  # 2026-09-01 07:00 UTC
    "endDate": 1788252300000,  # 08:45 UTC
    "allDay": False,
    "moduleCode": "CS101",
    "activityDescription": "Algorithms",
    "staffMembers": ["A. Turing", {"name": "E. Dijkstra"}],
    "locations": [{"name": "Room 1.23", "url": "https://uni.example/rooms/1"}, {"name": "Online"}],
    "studentSets": ["BSc 1", {"name": "BSc 2"}],
    "activityTypeName": "HC",
    "activityTypeDescription": "Lecture",
    "activityTypeColor": "#ff0000",
    "notes": "Bring a pencil.\n",
    "notes2": None,
    "notes3": "Two lines,\r\nreally.",
    "conferenceUrl": "https://meet.example/1",
    "department": None,
    "tags": None,
    "filtered": False,
    "somethingNew": {"added": "later"},
}


Read = Callable[..., Any]


@pytest.fixture
def read(server: Web, run: Reading) -> Read:
    async def reading(id: Any = "ada", settings: dict[str, Any] | None = None, **query: Any) -> list[Page]:
        integration = MyTimetable(run.client, max_pages=20, max_records=100)
        connection = account(server.url, settings, api_token="SECRET")
        return await run.pages(integration, connection, "timetable", "list", id, **query)

    return reading


async def mapped(server: Web, read: Read, **changes: Any) -> Event:
    """The event that the lecture becomes with these changes."""
    server.answer = lambda _: json([LECTURE | changes])
    pages = await read()
    assert errors(pages) == []
    (record,) = records(pages)
    assert record.event is not None
    return record.event


async def test_it_is_asked_on_behalf_of_the_user(server: Web, read: Read) -> None:
    server.answer = lambda _: json([])
    assert await read("ada", startDate="2026-09-01", endDate=1788246000000) == [Page(records=[], errors=[])]
    (request,) = server.requests
    assert request.path_qs == "/api/v0.5/timetable?startDate=2026-09-01&endDate=1788246000000"
    assert request.headers["apiToken"] == "SECRET"
    assert request.headers["requestedAuth"] == "ada"


async def test_the_push_window_is_asked_for_where_the_job_names_no_other(server: Web, read: Read) -> None:
    server.answer = lambda _: json([])
    await read()
    start, end = (int(server.requests[0].query[name]) / 1000 for name in ("startDate", "endDate"))
    assert datetime.fromtimestamp(start, UTC) == datetime(2026, 8, 2, 8, tzinfo=UTC)
    assert datetime.fromtimestamp(end, UTC) == datetime(2027, 10, 6, 8, tzinfo=UTC)


async def test_an_element_becomes_an_event(server: Web, read: Read) -> None:
    server.answer = lambda _: json([LECTURE])
    (record,) = records(await read())
    assert (record.id, record.place, record.username) == ("2026 CS101 hc 1", "page 1, record 1", "ada")
    assert record.data == LECTURE
    assert record.event == Event(
        uid="2026 CS101 hc 1",
        title="Algorithms",
        start=datetime(2026, 9, 1, 7, 0, tzinfo=UTC),
        end=datetime(2026, 9, 1, 8, 45, tzinfo=UTC),
        time_zone="Europe/Amsterdam",
        location="Room 1.23, Online",
        description=(
            "CS101 · Lecture\nA. Turing, E. Dijkstra\nBSc 1, BSc 2\n\nBring a pencil.\n\nTwo lines,\nreally."
        ),
        categories=("HC",),
        url="https://meet.example/1",
    )


async def test_only_id_moments_and_a_name_are_needed(server: Web, read: Read) -> None:
    bare = {"id": 17, "startDate": 1788246000000, "endDate": 1788252300000, "moduleCode": "CS101"}
    server.answer = lambda _: json([dict.fromkeys(LECTURE) | bare])
    (record,) = records(await read())
    event = record.event
    assert (event.uid, event.title, event.location, event.categories) == ("17", "CS101", "", ())
    assert (event.description, event.url) == ("", "")


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"activityDescription": "Algorithms\n and  more "}, "Algorithms and more"),
        ({"activityDescription": None}, "CS101"),
        ({"activityDescription": "", "moduleCode": None}, "Lecture"),
    ],
)
async def test_the_title_is_the_first_name_that_there_is(
    server: Web, read: Read, changes: dict[str, Any], title: str
) -> None:
    assert (await mapped(server, read, **changes)).title == title


async def test_what_is_no_web_address_is_told_and_not_linked(server: Web, read: Read) -> None:
    event = await mapped(server, read, conferenceUrl="Dial 020 1234567")
    assert event.url == ""
    assert event.description.endswith("\n\nDial 020 1234567")


async def test_what_the_person_has_filtered_out_is_left_out(server: Web, read: Read) -> None:
    server.answer = lambda _: json([LECTURE | {"id": "a", "filtered": True}, LECTURE])
    pages = await read()
    assert [record.id for record in records(pages)] == [LECTURE["id"]]
    assert errors(pages) == []


AMSTERDAM_DAY = {"allDay": True, "startDate": 1788213600000, "endDate": 1788300000000}
"""2026-08-31 22:00 to 2026-09-01 22:00 UTC."""
SHORT_DAY = {"allDay": True, "startDate": 1774738800000, "endDate": 1774821600000}
"""2026-03-28 23:00 to 2026-03-29 22:00 UTC: the day of 23 hours."""
SINCE_EVER, FOR_EVER = -62135596800000, 253402297200000
"""The first moment that there is, and the last day of the year 9999 in Amsterdam."""


@pytest.mark.parametrize(
    ("changes", "first", "after"),
    [
        (AMSTERDAM_DAY, "2026-09-01", "2026-09-02"),
        (AMSTERDAM_DAY | {"endDate": AMSTERDAM_DAY["endDate"] + 86_400_000}, "2026-09-01", "2026-09-03"),
        (AMSTERDAM_DAY | {"endDate": AMSTERDAM_DAY["endDate"] - 1_000}, "2026-09-01", "2026-09-02"),
        (SHORT_DAY, "2026-03-29", "2026-03-30"),
    ],
    ids=["a day", "two days", "until the last second", "summer time begins"],
)
async def test_an_all_day_element_has_the_days_of_the_configured_zone(
    server: Web, read: Read, changes: dict[str, Any], first: str, after: str
) -> None:
    event = await mapped(server, read, **changes)
    assert event.all_day
    assert [day.isoformat() for day in event.dates] == [first, after]


async def test_the_accounts_zone_comes_before_the_configured_one(server: Web, read: Read) -> None:
    server.answer = lambda _: json([LECTURE | AMSTERDAM_DAY])
    pages = await read(settings={"zone": "Europe/Lisbon"})
    assert records(pages) == []
    assert "midnight in Europe/Lisbon" in errors(pages)[0].detail


@pytest.mark.parametrize(
    ("element", "what"),
    [
        ("no object", "object"),
        (LECTURE | {"id": None}, "uid"),
        (LECTURE | {"startDate": None}, "startDate"),
        (LECTURE | {"startDate": "2026-09-01"}, "startDate"),
        (LECTURE | {"startDate": 1e300}, "startDate"),
        (LECTURE | {"endDate": True}, "endDate"),
        (LECTURE | {"endDate": 0}, "end"),
        (LECTURE | AMSTERDAM_DAY | {"endDate": FOR_EVER}, "allDay"),
        (LECTURE | AMSTERDAM_DAY | {"startDate": SINCE_EVER}, "allDay"),
        (
            LECTURE | {"activityDescription": None, "moduleCode": "", "activityTypeDescription": 3},
            "moduleCode",
        ),
        (LECTURE | {"activityDescription": "x" * 300}, "title"),
        (LECTURE | {"activityDescription": "bell \a"}, "title"),
    ],
)
async def test_an_element_that_cannot_be_mapped_is_told_by_its_place_and_stops_no_other(
    server: Web, read: Read, element: Any, what: str
) -> None:
    server.answer = lambda _: json([element, LECTURE])
    pages = await read()
    (error,) = errors(pages)
    assert (error.place, error.username) == ("page 1, record 1", "ada")
    assert what in error.detail
    assert "Algorithms" not in error.detail
    assert len(records(pages)) == 1


async def test_pages_are_followed_by_the_link_header(server: Web, read: Read) -> None:
    server.script = [
        json([LECTURE | {"id": "a"}], Link='</api/v0.5/timetable?page=2>; rel="next"'),
        json([LECTURE | {"id": "b"}, "?"]),
    ]
    pages = await read()
    assert [(record.id, record.place) for record in records(pages)] == [
        ("a", "page 1, record 1"),
        ("b", "page 2, record 1"),
    ]
    assert errors(pages)[0].place == "page 2, record 2"
    assert server.requests[1].headers["requestedAuth"] == "ada"


@pytest.mark.parametrize(
    "answer",
    [
        json({"errorType": "internal", "errorMessage": "sorry", "status": "error"}),
        json(None),
        web.Response(text='[{"id": "a", "startDate": 17'),
        web.Response(text=""),
        web.Response(text="<html>Maintenance</html>"),
        json([{}] * 101),
        json([], status=401),
        json([], status=404),
        json([], status=204),
        json([], status=304),
    ],
    ids=lambda answer: f"{answer.status} {answer.text[:12]}",
)
async def test_an_answer_that_is_no_list_of_elements_has_failed_and_is_not_empty(
    server: Web, read: Read, answer: web.Response
) -> None:
    server.script = [answer]
    with pytest.raises(ReadFailed) as failed:
        await read()
    assert "SECRET" not in failed.value.message
    assert len(server.requests) == 1


@pytest.mark.parametrize("id", [None, "", True, 5.0, "a\nb"])
async def test_an_id_that_is_no_username_is_not_asked_for(
    server: Web, run: Reading, read: Read, id: Any
) -> None:
    with pytest.raises(ReadFailed):
        await read(id)
    assert server.requests == []
    request = ResourceRequest(resource="timetable", method="list", id=id)
    assert MyTimetable(run.client, 1, 100).users(request, account(server.url)) is None


def test_it_reads_the_whole_timetable_of_the_user_whom_it_names(run: Reading) -> None:
    request = ResourceRequest(resource="timetable", method="list", id="ada")
    assert MyTimetable(run.client, 1, 100).users(request, account("http://x")) == ("ada",)


def test_an_account_is_checked_without_asking_the_source(run: Reading) -> None:
    integration = MyTimetable(run.client, 1, 100)
    assert list(integration.check_account(account("http://x", {"zone": "Europe/Paris"}, api_token="t"))) == []
    wrong = integration.check_account(account("http://x", {"zone": "Paris"}, password="p"))
    assert {problem.field for problem in wrong} == {
        "settings",
        "credentials.api_token",
        "credentials.password",
    }
    unknown = integration.check_account(account("http://x", {"colour": "red"}, api_token="t"))
    assert "colour" in unknown[0].detail
