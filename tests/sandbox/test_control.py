"""The control API: the same for all three providers."""

from typing import Any

import aiohttp
import pytest

from providers.sandbox.server import Sandbox

from .conftest import Control

TYPES = ("ews", "o365", "googlecalendar")
ALICE = "alice@uni.example"
DENTIST = {
    "title": "Dentist",
    "start": "2027-03-01T10:00:00Z",
    "end": "2027-03-01T10:30:00Z",
    "timeZone": "Europe/Berlin",
    "location": "Main Street 1",
    "description": "Bring the card",
    "categories": ["Private"],
    "showAs": "tentative",
    "reminderMinutes": 30,
    "privacy": "private",
}
SHAPE = {
    "id",
    "version",
    "title",
    "start",
    "end",
    "timeZone",
    "allDay",
    "location",
    "description",
    "categories",
    "showAs",
    "reminderMinutes",
    "privacy",
    "colour",
    "calendar",
    "marker",
}


@pytest.fixture(params=TYPES)
def type_(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_any_address_at_uni_example_exists_from_the_start(control: Control, type_: str) -> None:
    assert await control.events(type_, "Somebody.New+1@uni.example") == []


async def test_an_address_elsewhere_exists_once_it_is_made(control: Control, type_: str) -> None:
    path = control.mailbox(type_, "bob@other.example")
    assert (await control.call("GET", path + "/events"))[0] == 404
    assert (await control.call("POST", path))[0] == 201
    assert await control.events(type_, "bob@other.example") == []


async def test_making_a_mailbox_again_keeps_its_events(control: Control, type_: str) -> None:
    added = await control.add(type_, ALICE, **DENTIST)
    await control.ok("POST", control.mailbox(type_, ALICE), {"aliases": ["a.lice@uni.example"]})
    assert await control.events(type_, ALICE) == [added]


async def test_all_addresses_of_a_mailbox_show_the_same_events(control: Control, type_: str) -> None:
    added = await control.add(type_, ALICE, **DENTIST)
    await control.ok("POST", control.mailbox(type_, ALICE), {"aliases": ["a.lice@uni.example"]})
    assert await control.events(type_, "A.Lice@uni.example") == [added]
    await control.ok("POST", control.mailbox(type_, ALICE), {"aliases": []})
    assert await control.events(type_, "a.lice@uni.example") == []


async def test_an_alias_cannot_hide_a_mailbox_that_holds_events(control: Control, type_: str) -> None:
    await control.add(type_, "bob@uni.example", **DENTIST)
    status, answer = await control.call(
        "POST", control.mailbox(type_, ALICE), {"aliases": ["bob@uni.example"]}
    )
    assert (status, answer["error"]) == (409, "alias_taken")


async def test_a_deleted_mailbox_is_gone_until_it_is_made_again(control: Control, type_: str) -> None:
    await control.add(type_, ALICE, **DENTIST)
    path = control.mailbox(type_, ALICE)
    assert (await control.call("DELETE", path))[0] == 204
    assert (await control.call("DELETE", path))[0] == 404
    assert (await control.call("GET", path + "/events"))[0] == 404
    await control.ok("POST", path)
    assert await control.events(type_, ALICE) == []


async def test_an_event_of_the_person_comes_back_as_it_was_made(control: Control, type_: str) -> None:
    added = await control.add(type_, ALICE, **DENTIST)
    assert set(added) == SHAPE
    assert {name: added[name] for name in DENTIST} == DENTIST
    assert added["marker"] is None
    assert added["allDay"] is False
    assert (added["calendar"], added["colour"]) == (None, None)
    assert await control.events(type_, ALICE) == [added]


async def test_all_day_events_are_shown_by_their_dates(control: Control, type_: str) -> None:
    added = await control.add(
        type_,
        ALICE,
        title="Fair",
        start="2027-03-01",
        end="2027-03-03",
        allDay=True,
        timeZone="Europe/Berlin",
    )
    assert (added["allDay"], added["start"], added["end"]) == (True, "2027-03-01", "2027-03-03")


async def test_a_time_without_offset_is_read_in_its_zone(control: Control, type_: str) -> None:
    added = await control.add(
        type_, ALICE, start="2027-07-01T10:00:00", end="2027-07-01T11:00:00", timeZone="Europe/Berlin"
    )
    assert (added["start"], added["end"]) == ("2027-07-01T08:00:00Z", "2027-07-01T09:00:00Z")


async def test_a_change_touches_only_the_given_fields_and_the_version(control: Control, type_: str) -> None:
    added = await control.add(type_, ALICE, **DENTIST)
    path = control.mailbox(type_, ALICE, "events", added["id"])
    changed = await control.ok("PATCH", path, {"description": "Bring the card, be early"})
    assert changed["version"] != added["version"]
    assert changed == {**added, "description": "Bring the card, be early", "version": changed["version"]}
    assert await control.events(type_, ALICE) == [changed]


@pytest.mark.parametrize("type_", ["ews", "o365"])
async def test_a_change_of_nothing_moves_the_version_alone(control: Control, type_: str) -> None:
    """As Exchange's servers do on their own, seconds after a create."""
    added = await control.add(type_, ALICE, **DENTIST)
    changed = await control.ok("PATCH", control.mailbox(type_, ALICE, "events", added["id"]), {})
    assert changed["version"] != added["version"]
    assert {**changed, "version": added["version"]} == added


async def test_an_event_can_be_moved(control: Control, type_: str) -> None:
    added = await control.add(type_, ALICE, **DENTIST)
    times = {"start": "2027-03-02T10:00:00Z", "end": "2027-03-02T11:00:00Z"}
    changed = await control.ok("PATCH", control.mailbox(type_, ALICE, "events", added["id"]), times)
    assert changed == {**added, **times, "version": changed["version"]}


async def test_a_copy_is_another_event_with_the_same_content(control: Control, type_: str) -> None:
    added = await control.add(type_, ALICE, **DENTIST)
    copied = await control.add(type_, ALICE, copyOf=added["id"])
    assert copied["id"] != added["id"]
    assert copied == {**added, "id": copied["id"], "version": copied["version"]}
    assert await control.events(type_, ALICE) == [added, copied]


async def test_the_person_deletes_an_event(control: Control, type_: str) -> None:
    first = await control.add(type_, ALICE, **DENTIST)
    second = await control.add(type_, ALICE, **DENTIST)
    path = control.mailbox(type_, ALICE, "events", first["id"])
    assert (await control.call("DELETE", path))[0] == 204
    assert (await control.call("DELETE", path))[0] == 404
    assert await control.events(type_, ALICE) == [second]


@pytest.mark.parametrize(
    "body",
    [
        {"title": "No times"},
        {**DENTIST, "end": "2027-03-01T09:00:00Z"},
        {**DENTIST, "allDay": True},
        {**DENTIST, "start": "tomorrow"},
        {**DENTIST, "timeZone": "Europe/Atlantis"},
        {**DENTIST, "showAs": "away"},
        {**DENTIST, "categories": "Private"},
        {**DENTIST, "reminderMinutes": "soon"},
        {**DENTIST, "privacy": "secret"},
        {**DENTIST, "colour": "red"},
        {**DENTIST, "calendar": 7},
        {**DENTIST, "attendees": []},
    ],
)
async def test_an_event_that_cannot_be_is_refused(control: Control, type_: str, body: dict[str, Any]) -> None:
    status, answer = await control.call("POST", control.mailbox(type_, ALICE, "events"), body)
    assert status == 422
    assert answer["message"]
    assert await control.events(type_, ALICE) == []


DEFAULT = {"id": None, "name": None, "isDefault": True}


async def calendars(control: Control, type_: str) -> list[dict[str, Any]]:
    return list((await control.ok("GET", control.mailbox(type_, ALICE, "calendars")))["calendars"])


async def make_calendar(control: Control, type_: str, name: str) -> dict[str, Any]:
    return dict(await control.ok("POST", control.mailbox(type_, ALICE, "calendars"), {"name": name}))


async def test_a_mailbox_starts_with_its_default_calendar(control: Control, type_: str) -> None:
    assert await calendars(control, type_) == [DEFAULT | {"events": 0}]


async def test_the_person_makes_calendars(control: Control, type_: str) -> None:
    made = [await make_calendar(control, type_, name) for name in ("Sport", "Koor")]
    assert [{**calendar, "id": ""} for calendar in made] == [
        {"id": "", "name": name, "isDefault": False, "events": 0} for name in ("Sport", "Koor")
    ]
    assert len({calendar["id"] for calendar in made}) == 2
    assert await calendars(control, type_) == [DEFAULT | {"events": 0}, *made]


async def test_the_person_adds_an_event_to_a_calendar(control: Control, type_: str) -> None:
    sport = await make_calendar(control, type_, "Sport")
    added = await control.add(type_, ALICE, **DENTIST, calendar=sport["id"])
    assert {name: added[name] for name in DENTIST} == DENTIST
    assert added["calendar"] == sport["id"]
    assert await control.events(type_, ALICE) == [added]
    copied = await control.add(type_, ALICE, copyOf=added["id"])
    assert copied["calendar"] == sport["id"]
    assert await calendars(control, type_) == [DEFAULT | {"events": 0}, sport | {"events": 2}]


async def test_the_person_moves_an_event_to_a_calendar_and_back(control: Control, type_: str) -> None:
    sport = await make_calendar(control, type_, "Sport")
    added = await control.add(type_, ALICE, **DENTIST)
    for calendar in (sport["id"], None):
        (before,) = await control.events(type_, ALICE)
        path = control.mailbox(type_, ALICE, "events", before["id"])
        moved = await control.ok("PATCH", path, {"calendar": calendar})
        assert moved | {"id": added["id"], "version": added["version"]} == added | {"calendar": calendar}
        assert await control.events(type_, ALICE) == [moved]


async def test_an_event_can_be_moved_and_changed_at_once(control: Control, type_: str) -> None:
    sport = await make_calendar(control, type_, "Sport")
    added = await control.add(type_, ALICE, **DENTIST)
    path = control.mailbox(type_, ALICE, "events", added["id"])
    changed = await control.ok("PATCH", path, {"calendar": sport["id"], "title": "Tennis"})
    assert (changed["calendar"], changed["title"]) == (sport["id"], "Tennis")


async def test_an_event_cannot_be_put_into_a_calendar_that_is_not_there(control: Control, type_: str) -> None:
    added = await control.add(type_, ALICE, **DENTIST)
    for method, path, body in (
        ("POST", control.mailbox(type_, ALICE, "events"), {**DENTIST, "calendar": "none"}),
        ("PATCH", control.mailbox(type_, ALICE, "events", added["id"]), {"calendar": "none"}),
    ):
        status, answer = await control.call(method, path, body)
        assert (status, answer["error"]) == (404, "no_such_calendar")
    assert await control.events(type_, ALICE) == [added]


async def test_the_person_renames_a_calendar(control: Control, type_: str) -> None:
    sport = await make_calendar(control, type_, "Sport")
    await control.add(type_, ALICE, **DENTIST, calendar=sport["id"])
    path = control.mailbox(type_, ALICE, "calendars", sport["id"])
    renamed = await control.ok("PATCH", path, {"name": "Tennis"})
    assert renamed == sport | {"name": "Tennis", "events": 1}
    assert (await calendars(control, type_))[1:] == [renamed]


async def test_the_person_deletes_a_calendar_with_its_events(control: Control, type_: str) -> None:
    sport = await make_calendar(control, type_, "Sport")
    kept = await control.add(type_, ALICE, **DENTIST)
    await control.add(type_, ALICE, **DENTIST, calendar=sport["id"])
    path = control.mailbox(type_, ALICE, "calendars", sport["id"])
    assert (await control.call("DELETE", path))[0] == 204
    assert await calendars(control, type_) == [DEFAULT | {"events": 1}]
    assert await control.events(type_, ALICE) == [kept]


async def test_a_deleted_mailbox_has_no_calendars_when_it_is_made_again(control: Control, type_: str) -> None:
    await make_calendar(control, type_, "Sport")
    await control.ok("DELETE", control.mailbox(type_, ALICE))
    await control.ok("POST", control.mailbox(type_, ALICE))
    assert await calendars(control, type_) == [DEFAULT | {"events": 0}]


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/mailboxes/caldav/a@uni.example/events", None, (404, "unknown_type")),
        ("GET", "/mailboxes/o365/a@uni.example/notes", None, (404, "no_such_call")),
        ("POST", "/mailboxes/o365/a@uni.example", {"alias": []}, (422, "unknown_field")),
        ("POST", "/mailboxes/o365/a@uni.example", {"aliases": "b@uni.example"}, (422, "bad_aliases")),
        ("POST", "/mailboxes/o365/a@uni.example", {"access": "no"}, (422, "bad_access")),
        ("POST", "/mailboxes/o365/a@uni.example", [], (400, "bad_json")),
        ("POST", "/mailboxes/o365/a@uni.example/events", {"copyOf": "none"}, (404, "no_such_event")),
        ("PATCH", "/mailboxes/o365/a@uni.example/events/none", {}, (404, "no_such_event")),
        ("POST", "/mailboxes/o365/a@uni.example/calendars", {}, (422, "bad_name")),
        ("POST", "/mailboxes/o365/a@uni.example/calendars", {"name": " "}, (422, "bad_name")),
        ("POST", "/mailboxes/o365/a@uni.example/calendars", {"title": "Mine"}, (422, "unknown_field")),
        ("PATCH", "/mailboxes/o365/a@uni.example/calendars/none", {"name": "x"}, (404, "no_such_calendar")),
        ("DELETE", "/mailboxes/o365/a@uni.example/calendars/none", None, (404, "no_such_calendar")),
    ],
)
async def test_what_is_wrong_with_a_call_is_said_in_json(
    control: Control, method: str, path: str, body: Any, expected: tuple[int, str]
) -> None:
    status, answer = await control.call(method, path, body)
    assert (status, answer["error"]) == expected


async def test_a_call_that_there_is_not_is_answered_with_those_that_there_are(control: Control) -> None:
    _, answer = await control.call("GET", "")
    assert "GET /control/mailboxes/{type}/{address}/events, " in answer["message"]


async def test_a_body_that_is_no_json_is_refused(client: aiohttp.ClientSession, sandbox: Sandbox) -> None:
    async with client.post(f"{sandbox.control}/faults", data=b"{") as response:
        assert (response.status, (await response.json())["error"]) == (400, "bad_json")


async def test_faults_are_listed_until_they_are_cleared(control: Control) -> None:
    first = await control.fault(type="*", fault="throttle", retryAfter=3)
    second = await control.fault(type="ews", operation="create", fault="slow", delay=2, rate=0.5, times=4)
    listed = (await control.ok("GET", "/faults"))["faults"]
    assert [fault["id"] for fault in listed] == [first, second]
    assert listed[0]["retryAfter"] == 3
    assert listed[1] | {"delay": 2, "rate": 0.5, "times": 4, "operation": "create"} == listed[1]
    assert (await control.call("DELETE", "/faults"))[0] == 204
    assert (await control.ok("GET", "/faults"))["faults"] == []


@pytest.mark.parametrize(
    "fault",
    [
        {"type": "o365"},
        {"fault": "throttle"},
        {"type": "o365", "fault": "explode"},
        {"type": "caldav", "fault": "throttle"},
        {"type": "o365", "fault": "throttle", "nth": 0},
        {"type": "o365", "fault": "throttle", "nth": True},
        {"type": "o365", "fault": "throttle", "times": 0},
        {"type": "o365", "fault": "throttle", "rate": 1.5},
        {"type": "o365", "fault": "throttle", "retry_after": -1},
        {"type": "o365", "fault": "throttle", "operation": 7},
        {"type": "o365", "fault": "slow", "delay": "long"},
    ],
)
async def test_a_fault_that_cannot_be_played_is_refused(control: Control, fault: dict[str, Any]) -> None:
    status, answer = await control.call("POST", "/faults", fault)
    assert (status, answer["error"]) == (422, "bad_fault")
    assert (await control.ok("GET", "/faults"))["faults"] == []


async def test_stats_can_be_reset(control: Control, sandbox: Sandbox) -> None:
    sandbox.state.stats.request("ews", "CreateItem", 120)
    sandbox.state.stats.request("ews", "CreateItem", 80)
    sandbox.state.stats.operation("ews", "create", 7)
    assert await control.stats() == {
        "requests": {"ews": {"CreateItem": 2}},
        "operations": {"ews": {"create": 7}},
        "bytes": {"ews": {"CreateItem": 200}},
    }
    assert (await control.call("DELETE", "/stats"))[0] == 204
    assert await control.stats() == {"requests": {}, "operations": {}, "bytes": {}}


async def test_violations_of_the_vendors_schemas_are_listed(control: Control, sandbox: Sandbox) -> None:
    sandbox.state.violations.append("ews request CreateItem: line 3")
    assert await control.ok("GET", "/violations") == {"violations": ["ews request CreateItem: line 3"]}
    await control.ok("DELETE", "/violations")
    assert await control.ok("GET", "/violations") == {"violations": []}
