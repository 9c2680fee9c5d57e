"""The sandbox's calendars, as Google's own client library meets them."""

from collections.abc import Iterator
from typing import Any

import pytest

from providers.sandbox.server import Sandbox
from tests.sandbox.conftest import Control
from tests.sandbox.google import Google, event

ALICE = ("googlecalendar", "alice@uni.example")
APP_CREATED = "https://www.googleapis.com/auth/calendar.app.created"


@pytest.fixture
def google(sandbox: Sandbox) -> Iterator[Google]:
    opened = Google(sandbox)
    yield opened
    opened.close()


@pytest.fixture
def calendars(google):
    return google.service.calendars()


async def make(google: Google, **fields: Any) -> Any:
    return await google.run(google.service.calendars().insert(body={"summary": "Timetable"} | fields))


async def entries(google: Google, **query: Any) -> list[Any]:
    return list((await google.run(google.service.calendarList().list(**query)))["items"])


async def test_calendar_that_was_made_is_in_the_list(google, calendars):
    made = await make(google, description="For lectures", timeZone="Europe/Berlin")
    assert made == {
        "kind": "calendar#calendar",
        "etag": made["etag"],
        "id": made["id"],
        "summary": "Timetable",
        "description": "For lectures",
        "timeZone": "Europe/Berlin",
        "dataOwner": "alice@uni.example",
    }
    assert await google.run(calendars.get(calendarId=made["id"])) == made
    primary, entry = await entries(google)
    assert (primary["id"], primary["primary"]) == ("alice@uni.example", True)
    assert entry == made | {
        "kind": "calendar#calendarListEntry",
        "accessRole": "owner",
        "selected": True,
        "defaultReminders": [],
    }
    assert await google.run(google.service.calendarList().get(calendarId=made["id"])) == entry


async def test_two_calendars_may_have_one_name(google):
    first, second = await make(google), await make(google)
    assert first["id"] != second["id"]
    assert [entry["id"] for entry in (await entries(google))[1:]] == [first["id"], second["id"]]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "required"),
        ({"summary": " "}, "required"),
        ({"summary": 5}, "invalid"),
        ({"summary": "x", "timeZone": "Mars"}, "invalid"),
    ],
)
async def test_calendar_that_google_does_not_make(google, calendars, body, reason):
    assert await google.refused(calendars.insert(body=body)) == (400, reason)
    assert len(await entries(google)) == 1


async def test_list_comes_in_pages(google):
    made = [(await make(google))["id"] for _ in range(4)]
    request, ids = google.service.calendarList().list(maxResults=2), []
    while request is not None:
        page = await google.run(request)
        assert len(page["items"]) <= 2
        ids += [entry["id"] for entry in page["items"]]
        request = google.service.calendarList().list_next(request, page)
    assert ids == ["alice@uni.example", *made]
    bad = google.service.calendarList().list(pageToken="none")
    assert await google.refused(bad) == (400, "invalid")


async def test_patch_changes_a_calendar(google, calendars):
    made = await make(google, description="For lectures")
    body = {"summary": "Rooster", "description": None}
    changed = await google.run(calendars.patch(calendarId=made["id"], body=body))
    assert changed["summary"] == "Rooster"
    assert "description" not in changed
    assert changed["etag"] != made["etag"]


async def test_update_replaces_a_calendar(google, calendars):
    made = await make(google, description="For lectures", timeZone="Europe/Berlin")
    changed = await google.run(calendars.update(calendarId=made["id"], body={"summary": "Rooster"}))
    assert (changed["summary"], changed["timeZone"]) == ("Rooster", "UTC")
    assert "description" not in changed
    request = calendars.update(calendarId=made["id"], body={"description": "x"})
    assert await google.refused(request) == (400, "required")


async def test_unknown_calendars_are_not_found(google, calendars):
    for request in (
        calendars.get(calendarId="none"),
        calendars.delete(calendarId="none"),
        google.service.calendarList().get(calendarId="none"),
        google.events.list(calendarId="none"),
        google.events.insert(calendarId="none", body=event()),
    ):
        assert await google.refused(request) == (404, "notFound")


async def test_deleted_calendar_takes_its_events_along(google, calendars):
    made = await make(google)
    await google.run(google.events.insert(calendarId=made["id"], body=event()))
    await google.insert(id="mine1")
    await google.run(calendars.delete(calendarId=made["id"]))
    assert await google.refused(google.events.list(calendarId=made["id"])) == (404, "notFound")
    assert len(await entries(google)) == 1
    assert [item["id"] for item in (await google.page())["items"]] == ["mine1"]


async def test_primary_calendar_cannot_be_deleted(google, calendars):
    for id in ("primary", "alice@uni.example"):
        assert await google.refused(calendars.delete(calendarId=id)) == (403, "forbidden")


async def test_calendars_keep_their_events_apart(google):
    """An id is unique within its calendar."""
    made = await make(google)
    there = await google.run(
        google.events.insert(calendarId=made["id"], body=event(id="same1", summary="There"))
    )
    await google.insert(id="same1", summary="Here")
    assert there["organizer"] == {"email": made["id"], "displayName": "Timetable", "self": True}
    assert "calendar" not in there
    patch = google.events.patch(calendarId=made["id"], eventId="same1", body={"location": "Aula"})
    assert (await google.run(patch))["summary"] == "There"
    page = await google.run(google.events.list(calendarId=made["id"]))
    assert (page["summary"], [item["summary"] for item in page["items"]]) == ("Timetable", ["There"])
    assert "location" not in await google.get("same1")
    await google.run(google.events.delete(calendarId=made["id"], eventId="same1"))
    assert [item["summary"] for item in (await google.page())["items"]] == ["Here"]


async def test_moved_event_keeps_its_id_and_leaves_a_cancelled_one_behind(google):
    made = await make(google)
    await google.insert(id="event1")
    token = (await google.page())["nextSyncToken"]
    move = google.events.move(calendarId="primary", eventId="event1", destination=made["id"])
    assert (await google.run(move))["organizer"]["email"] == made["id"]
    (left,) = (await google.page(syncToken=token))["items"]
    assert (left["id"], left["status"]) == ("event1", "cancelled")
    page = await google.run(google.events.list(calendarId=made["id"]))
    assert [item["id"] for item in page["items"]] == ["event1"]
    assert await google.refused(move) == (410, "deleted")


async def test_sync_token_tells_of_its_own_calendar_alone(google):
    made = await make(google)
    token = (await google.run(google.events.list(calendarId=made["id"])))["nextSyncToken"]
    await google.insert(id="mine1")
    await google.run(google.events.insert(calendarId=made["id"], body=event(id="there1")))
    changes = await google.run(google.events.list(calendarId=made["id"], syncToken=token))
    assert [item["id"] for item in changes["items"]] == ["there1"]
    elsewhere = google.events.list(calendarId="primary", syncToken=token)
    assert await google.refused(elsewhere) == (410, "fullSyncRequired")


async def test_fault_expired_state_asks_for_a_full_synchronization(control, google):
    token = (await google.page())["nextSyncToken"]
    await control.fault(type="googlecalendar", fault="expired_state")
    assert await google.refused(google.events.list(calendarId="primary", syncToken=token)) == (
        410,
        "fullSyncRequired",
    )
    assert (await google.page())["items"] == []


@pytest.mark.parametrize(("operation", "verb"), [("make_calendar", "insert"), ("remove_calendar", "delete")])
async def test_faults_meet_calendars_too(control, google, calendars, operation, verb):
    made = await make(google)
    await control.fault(type="googlecalendar", fault="commit_then_503", operation=operation)
    request = {"insert": {"body": {"summary": "Another"}}, "delete": {"calendarId": made["id"]}}[verb]
    assert await google.refused(getattr(calendars, verb)(**request)) == (503, "backendError")
    assert len(await entries(google)) == {"insert": 3, "delete": 1}[verb]


async def test_scope_of_the_applications_own_calendars_reaches_no_others(sandbox, control, google):
    """The scope's description: make secondary calendars, and see and change the events on them."""
    narrow = Google(sandbox, scopes=(APP_CREATED,))
    made = await make(narrow)
    theirs = await control.ok("POST", control.mailbox(*ALICE, "calendars"), {"name": "Mine"})
    for id in (theirs["id"], "primary"):
        assert await narrow.refused(narrow.service.calendars().delete(calendarId=id)) == (403, "forbidden")
        assert await narrow.refused(narrow.events.list(calendarId=id)) == (403, "forbidden")
    await narrow.run(narrow.events.insert(calendarId=made["id"], body=event()))
    await narrow.run(narrow.service.calendars().delete(calendarId=made["id"]))
    assert [entry["summary"] for entry in await entries(google)] == ["alice@uni.example", "Mine"]
    narrow.close()


async def test_scopes_of_events_make_no_calendars(sandbox):
    reader = Google(sandbox, scopes=("https://www.googleapis.com/auth/calendar.events",))
    request = reader.service.calendars().insert(body={"summary": "Timetable"})
    assert await reader.refused(request) == (403, "insufficientPermissions")
    reader.close()


@pytest.mark.parametrize(
    ("id", "colour"), [("11", "red"), ("10", "green"), ("8", "grey"), ("1", None), (None, None)]
)
async def test_person_sees_the_colour_of_an_event(control: Control, google, id, colour):
    await google.insert(id="event1", colorId=id)
    (shown,) = await control.events(*ALICE)
    assert shown["colour"] == colour


@pytest.mark.parametrize(
    ("reminders", "minutes"),
    [
        ({"useDefault": True}, 10),
        ({"useDefault": False}, None),
        ({"useDefault": False, "overrides": []}, None),
        ({"useDefault": False, "overrides": [{"method": "popup", "minutes": 45}]}, 45),
    ],
)
async def test_person_is_reminded(control: Control, google, reminders, minutes):
    made = await google.insert(id="event1", reminders=reminders)
    assert made["reminders"] == {name: value for name, value in reminders.items() if value != []}
    (shown,) = await control.events(*ALICE)
    assert shown["reminderMinutes"] == minutes


async def test_secondary_calendars_have_no_reminders_of_their_own(control: Control, google):
    made = await make(google)
    await google.run(google.events.insert(calendarId=made["id"], body=event()))
    (shown,) = await control.events(*ALICE)
    assert (shown["calendar"], shown["reminderMinutes"]) == (made["id"], None)
