"""The sandbox's Google Calendar, as Google's own client library meets it."""

from collections.abc import Iterator
from datetime import timedelta

import aiohttp
import jwt
import pytest
from google.auth.exceptions import RefreshError
from googleapiclient.errors import HttpError

from providers.sandbox.server import Sandbox
from tests.sandbox.conftest import Control
from tests.sandbox.google import CALENDAR_SCOPE, Google, event, key_file

PRIMARY = {"calendarId": "primary"}


@pytest.fixture
def google(sandbox: Sandbox) -> Iterator[Google]:
    opened = Google(sandbox)
    yield opened
    opened.close()


# Tokens


async def test_service_account_acts_for_the_person_it_names(google):
    calendar = await google.run(google.service.calendars().get(calendarId="primary"))
    entry = await google.run(google.service.calendarList().get(calendarId="primary"))
    assert calendar["id"] == "alice@uni.example"
    assert (entry["id"], entry["accessRole"], entry["primary"]) == ("alice@uni.example", "owner", True)


@pytest.mark.parametrize(
    ("claims", "error", "text"),
    [
        ({"iss": "someone@else.example"}, "invalid_grant", "account not found"),
        ({"sub": "nobody@elsewhere.example"}, "invalid_grant", "Invalid email or User ID"),
        ({"aud": "https://elsewhere.example/token"}, "invalid_grant", "audience"),
        ({"scope": "https://mail.google.com/"}, "invalid_scope", "Invalid OAuth scope"),
        ({"exp": 7200}, "invalid_grant", "short-lived token"),
        ({"iat": -7200, "exp": -3600}, "invalid_grant", "short-lived token"),
    ],
)
async def test_assertion_has_to_say_the_truth(sandbox, client, claims, error, text):
    status, answer = await ask_for_token(sandbox, client, claims)
    assert (status, answer["error"]) == (400, error)
    assert text in answer["error_description"]


async def test_assertion_has_to_be_signed_by_the_service_account(sandbox, client):
    other = sandbox.state.credentials.generate().private_key
    status, answer = await ask_for_token(sandbox, client, {}, private_key=other)
    assert (status, answer) == (
        400,
        {"error": "invalid_grant", "error_description": "Invalid JWT Signature."},
    )


async def test_assertion_for_the_key_files_own_token_uri_is_good_too(sandbox, client):
    status, answer = await ask_for_token(sandbox, client, {"aud": f"{sandbox.url}/token"})
    assert status == 200
    assert answer["token_type"] == "Bearer"


async def ask_for_token(sandbox, client, claims, private_key=None):
    """``iat`` and ``exp`` are given in seconds from now."""
    now = int(sandbox.state.now().timestamp())
    payload = {
        "iss": key_file(sandbox)["client_email"],
        "sub": "alice@uni.example",
        "aud": "https://oauth2.googleapis.com/token",
        "scope": CALENDAR_SCOPE,
    } | claims
    payload |= {"iat": now + claims.get("iat", 0), "exp": now + claims.get("exp", 3600)}
    assertion = jwt.encode(payload, private_key or key_file(sandbox)["private_key"], algorithm="RS256")
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    async with client.post(f"{sandbox.url}/token", data=form) as answer:
        return answer.status, await answer.json()


async def test_call_without_a_good_token_is_401(sandbox, client, google):
    for headers in ({}, {"Authorization": "Bearer made-up"}, {"Authorization": "Basic YTpi"}):
        async with client.get(
            f"{sandbox.url}/calendar/v3/calendars/primary/events", headers=headers
        ) as answer:
            assert answer.status == 401
            assert (await answer.json())["error"]["errors"][0]["reason"] == "authError"


async def test_token_expires_after_an_hour(sandbox, google):
    await google.page()
    real = sandbox.state.now
    sandbox.state.now = lambda: real() + timedelta(hours=1)
    assert await google.refused(google.events.list(**PRIMARY)) == (401, "authError")


async def test_scope_limits_what_a_token_is_good_for(sandbox):
    reader = Google(sandbox, scopes=("https://www.googleapis.com/auth/calendar.events.readonly",))
    assert (await reader.page())["items"] == []
    insert = reader.events.insert(**PRIMARY, body=event())
    assert await reader.refused(insert) == (403, "insufficientPermissions")
    reader.close()


async def test_other_peoples_calendars_are_not_found(google):
    assert await google.refused(google.events.list(calendarId="bob@uni.example")) == (404, "notFound")
    assert (await google.run(google.events.list(calendarId="Alice@uni.example")))["items"] == []


# Events


async def test_insert_completes_the_event(google):
    made = await google.insert(id="abc12", description="Room 3")
    assert made | {"created": "", "updated": "", "htmlLink": ""} == {
        "kind": "calendar#event",
        "etag": '"0000000000000001"',
        "id": "abc12",
        "status": "confirmed",
        "htmlLink": "",
        "created": "",
        "updated": "",
        "summary": "Lecture",
        "description": "Room 3",
        "creator": {"email": "alice@uni.example", "self": True},
        "organizer": {"email": "alice@uni.example", "self": True},
        "start": {"dateTime": "2026-12-01T10:00:00+01:00", "timeZone": "Europe/Amsterdam"},
        "end": {"dateTime": "2026-12-01T11:00:00+01:00", "timeZone": "Europe/Amsterdam"},
        "iCalUID": "abc12@google.com",
        "sequence": 0,
        "reminders": {"useDefault": True},
        "eventType": "default",
    }
    assert await google.get("abc12") == made


async def test_server_chooses_an_id_if_the_client_does_not(google):
    assert len({(await google.insert())["id"] for _ in range(3)}) == 3


@pytest.mark.parametrize("id", ["abcd", "a" * 1025, "abcdw", "ABCDE", "abc-1", "abcde\n"])
async def test_id_has_to_be_base32hex_of_5_to_1024_characters(google, id):
    assert await google.refused(google.events.insert(**PRIMARY, body=event(id=id))) == (400, "invalid")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"end": None}, "required"),
        ({"start": {}}, "required"),
        ({"start": {"dateTime": "2026-12-01T10:00:00"}}, "required"),
        ({"start": {"dateTime": "2026-12-01T10:00:00", "timeZone": "Amsterdam"}}, "invalid"),
        ({"start": {"dateTime": "2026-12-01T10:00:00Z", "date": "2026-12-01"}}, "invalid"),
        ({"start": {"date": "2026-12-01"}}, "invalid"),
        ({"start": {"date": "2026-12-01"}, "end": {"date": "2026-12-01"}}, "timeRangeEmpty"),
        ({"start": {"dateTime": "2026-12-01T10:01:00Z"}}, "timeRangeEmpty"),
        ({"start": {"date": "1 December"}, "end": {"date": "2026-12-02"}}, "invalid"),
        ({"summary": 5}, "invalid"),
        ({"reminders": []}, "invalid"),
        ({"guestsCanModify": "yes"}, "invalid"),
        ({"sequence": "1"}, "invalid"),
        ({"status": "maybe"}, "invalid"),
        ({"transparency": "free"}, "invalid"),
        ({"colorId": "12"}, "invalid"),
        ({"source": {"url": "ftp://files.example", "title": "Files"}}, "invalid"),
        ({"attendees": [{"displayName": "Bob"}]}, "invalid"),
        ({"reminders": {"overrides": [{"method": "sms", "minutes": 5}]}}, "invalid"),
        ({"reminders": {"overrides": [{"method": "popup", "minutes": 40321}]}}, "invalid"),
        ({"reminders": {"overrides": [{"method": "popup", "minutes": 1}] * 6}}, "invalid"),
        (
            {"reminders": {"useDefault": True, "overrides": [{"method": "popup", "minutes": 5}]}},
            "cannotUseDefaultRemindersAndSpecifyOverride",
        ),
        ({"extendedProperties": {"private": {f"p{n}": "" for n in range(301)}}}, "invalid"),
        ({"extendedProperties": {"private": {f"p{n}": "x" * 1000 for n in range(33)}}}, "invalid"),
    ],
)
async def test_event_that_google_does_not_accept(google, fields, reason):
    assert await google.refused(google.events.insert(**PRIMARY, body=event(**fields))) == (400, reason)
    assert (await google.page())["items"] == []


async def test_long_property_names_are_dropped_and_long_values_cut_off(sandbox, google):
    private = {"k" * 44: "kept", "k" * 45: "dropped", "long": "x" * 1025}
    made = await google.insert(extendedProperties={"private": private})
    assert made["extendedProperties"]["private"] == {"k" * 44: "kept", "long": "x" * 1024}
    assert len(sandbox.state.violations) == 2


async def test_unknown_fields_are_ignored_and_noted(sandbox, google):
    made = await google.insert(title="Lecture", source={"url": "https://a.example", "colour": "red"})
    assert "title" not in made
    assert sandbox.state.violations == [
        "events.insert: unknown field title",
        "events.insert: unknown field source.colour",
    ]


async def test_unknown_parameters_and_calls_are_refused(sandbox, client, google):
    await google.page()
    token = google.http.credentials.token
    for path, status in (
        ("calendars/primary/events?colour=red", 400),
        ("calendars/primary/events?maxResults=many", 400),
        ("calendars/primary/events?singleEvents=1", 400),
        ("calendars/primary/events?orderBy=title", 400),
        ("calendars/primary/events?timeMin=2026-12-01", 400),
        ("calendars/primary/events?pageToken=a&pageToken=b", 400),
        ("calendars/primary/lectures", 404),
        ("colors", 501),
    ):
        async with client.get(
            f"{sandbox.url}/calendar/v3/{path}", headers={"Authorization": f"Bearer {token}"}
        ) as answer:
            assert (path, answer.status) == (path, status)


async def test_id_is_taken_for_good(google):
    insert = google.events.insert(**PRIMARY, body=event(id="taken"))
    await google.run(insert)
    assert await google.refused(insert) == (409, "duplicate")
    await google.delete("taken")
    assert await google.refused(insert) == (409, "duplicate")


async def test_deleted_event_lives_on_as_cancelled(google):
    made = await google.insert(id="event")
    await google.delete("event")
    assert await google.get("event") == made | {
        "status": "cancelled",
        "etag": '"0000000000000002"',
        "updated": (await google.get("event"))["updated"],
    }
    assert (await google.page())["items"] == []
    assert [item["status"] for item in (await google.page(showDeleted=True))["items"]] == ["cancelled"]
    assert await google.refused(google.events.delete(**PRIMARY, eventId="event")) == (410, "deleted")


async def test_update_with_status_confirmed_brings_a_deleted_event_back(google):
    await google.insert(id="event")
    await google.delete("event")
    body = event(summary="Seminar", status="confirmed")
    await google.run(google.events.update(**PRIMARY, eventId="event", body=body))
    assert [item["summary"] for item in (await google.page())["items"]] == ["Seminar"]


async def test_patch_of_other_fields_leaves_a_deleted_event_deleted(google):
    await google.insert(id="event")
    await google.delete("event")
    assert (await google.patch("event", summary="Seminar"))["status"] == "cancelled"
    assert (await google.patch("event", status="confirmed"))["status"] == "confirmed"


async def test_event_that_never_was_is_not_found(google):
    for request in (
        google.events.get(**PRIMARY, eventId="never"),
        google.events.delete(**PRIMARY, eventId="never"),
        google.events.patch(**PRIMARY, eventId="never", body={}),
        google.events.update(**PRIMARY, eventId="never", body=event()),
    ):
        assert await google.refused(request) == (404, "notFound")


async def test_patch_changes_what_it_names_and_nothing_else(google):
    overrides = [{"method": "popup", "minutes": 30}]
    made = await google.insert(
        id="event",
        colorId="5",
        location="Aula",
        reminders={"useDefault": False, "overrides": overrides},
        extendedProperties={"private": {"mine": "1", "yours": "2"}, "shared": {"ours": "3"}},
    )
    patched = await google.patch(
        "event", location=None, summary="Seminar", extendedProperties={"private": {"mine": "4", "new": "5"}}
    )
    del made["location"]
    assert patched == made | {
        "summary": "Seminar",
        "etag": patched["etag"],
        "updated": patched["updated"],
        "extendedProperties": {
            "private": {"mine": "4", "yours": "2", "new": "5"},
            "shared": {"ours": "3"},
        },
    }


async def test_patch_from_hours_to_all_day_has_to_take_the_hours_away(google):
    await google.insert(id="event")
    patch = google.events.patch(
        **PRIMARY, eventId="event", body={"start": {"date": "2026-12-01"}, "end": {"date": "2026-12-02"}}
    )
    assert await google.refused(patch) == (400, "invalid")
    times = {
        name: {"date": day, "dateTime": None, "timeZone": None}
        for name, day in (("start", "2026-12-01"), ("end", "2026-12-02"))
    }
    patched = await google.patch("event", **times)
    assert (patched["start"], patched["end"]) == ({"date": "2026-12-01"}, {"date": "2026-12-02"})


async def test_patch_without_a_change_makes_no_new_version(google):
    made = await google.insert(id="event")
    assert await google.patch("event", summary="Lecture") == made


async def test_update_replaces_all_but_attachments(google):
    attachments = [{"fileUrl": "https://drive.example/1", "title": "Notes"}]
    insert = google.events.insert(
        **PRIMARY,
        body=event(id="event", location="Aula", attachments=attachments),
        supportsAttachments=True,
    )
    await google.run(insert)
    updated = await google.run(google.events.update(**PRIMARY, eventId="event", body=event()))
    assert "location" not in updated
    assert updated["attachments"] == attachments


async def test_if_match_holds_back_a_write_to_another_version(google):
    made = await google.insert(id="event")
    await google.patch("event", summary="Seminar")
    for request in (
        google.events.patch(**PRIMARY, eventId="event", body={"summary": "x"}),
        google.events.delete(**PRIMARY, eventId="event"),
    ):
        request.headers["If-Match"] = made["etag"]
        assert await google.refused(request) == (412, "conditionNotMet")
    assert (await google.get("event"))["summary"] == "Seminar"


async def test_import_takes_a_known_icaluid_for_a_duplicate(google):
    body = event(iCalUID="lecture-1@uni.example")
    made = await google.run(google.events.import_(**PRIMARY, body=body))
    assert made["iCalUID"] == "lecture-1@uni.example"
    await google.delete(made["id"])
    assert await google.refused(google.events.import_(**PRIMARY, body=body)) == (409, "duplicate")
    assert await google.refused(google.events.import_(**PRIMARY, body=event())) == (400, "required")


async def test_guests_get_mail_only_if_the_client_says_so(sandbox, google):
    guests = {"attendees": [{"email": "bob@uni.example"}, {"email": "eve@uni.example"}]}

    async def mails(request):
        before = sandbox.state.stats.operations["googlecalendar", "mail"]
        await google.run(request)
        return sandbox.state.stats.operations["googlecalendar", "mail"] - before

    body = event(id="event", **guests)
    assert await mails(google.events.insert(**PRIMARY, body=body)) == 0
    assert await mails(google.events.insert(**PRIMARY, body=event(**guests), sendUpdates="all")) == 2
    assert await mails(google.events.delete(**PRIMARY, eventId="event", sendUpdates="none")) == 0


async def test_fields_select_a_part_of_the_answer(google):
    await google.insert(id="event", extendedProperties={"private": {"a": "1"}, "shared": {"b": "2"}})
    answer = await google.page(fields="nextPageToken,items(id,extendedProperties/private)")
    assert answer == {"items": [{"id": "event", "extendedProperties": {"private": {"a": "1"}}}]}
    request = google.events.list(**PRIMARY, fields="items(id")
    assert await google.refused(request) == (400, "invalidParameter")


# Listing


async def test_private_properties_find_events_that_have_all_of_them(google):
    for id, private in (
        ("event1", {"a": "1"}),
        ("event2", {"a": "1", "b": "x=y"}),
        ("event3", {"a": "10", "b": "x=y"}),
    ):
        await google.insert(id=id, extendedProperties={"private": private})

    async def found(*constraints):
        answer = await google.page(privateExtendedProperty=list(constraints))
        return [item["id"] for item in answer["items"]]

    assert await found("a=1") == ["event1", "event2"]
    assert await found("a=1", "b=x=y") == ["event2"]
    assert await found("a=1", "a=10") == []
    assert await found("b=x") == []
    for bad in ("a", "=1"):
        request = google.events.list(**PRIMARY, privateExtendedProperty=bad)
        assert await google.refused(request) == (400, "invalid")


@pytest.mark.parametrize("deleted", ["event0", "event1"])
async def test_pages_hold_every_event_once_though_one_is_deleted_meanwhile(google, deleted):
    for number in range(5):
        await google.insert(id=f"event{number}")
    request, ids = google.events.list(**PRIMARY, maxResults=2), []
    while request is not None:
        page = await google.run(request)
        ids += [item["id"] for item in page["items"]]
        if len(ids) == 2:
            await google.delete(deleted)
        request = google.events.list_next(request, page)
    assert ids == [f"event{number}" for number in range(5)]


async def test_page_has_250_events_unless_told_otherwise(google):
    await google.page()
    await google.batch(*(google.events.insert(**PRIMARY, body=event()) for _ in range(251)))
    assert len((await google.page())["items"]) == 250
    assert len((await google.page(maxResults=9999))["items"]) == 251


async def test_order_by_start_is_for_single_events(google):
    await google.insert(id="later", start={"date": "2026-12-05"}, end={"date": "2026-12-06"})
    await google.insert(id="sooner")
    ordered = await google.page(orderBy="startTime", singleEvents=True)
    assert [item["id"] for item in ordered["items"]] == ["sooner", "later"]
    assert await google.refused(google.events.list(**PRIMARY, orderBy="startTime")) == (400, "badRequest")


async def test_time_bounds_take_events_that_reach_into_them(google):
    await google.insert(id="event")

    async def found(**bounds):
        return len((await google.page(**bounds))["items"])

    assert await found(timeMin="2026-12-01T09:59:00Z", timeMax="2026-12-02T00:00:00Z") == 1
    assert await found(timeMin="2026-12-01T10:00:00Z") == 0
    assert await found(timeMax="2026-12-01T09:00:00Z") == 0
    bounds = {"timeMin": "2026-12-02T00:00:00Z", "timeMax": "2026-12-01T00:00:00Z"}
    assert await google.refused(google.events.list(**PRIMARY, **bounds)) == (400, "timeRangeEmpty")


async def test_sync_token_gives_what_has_changed_since_deletions_included(google):
    await google.insert(id="event1")
    await google.insert(id="event2")
    token = (await google.page())["nextSyncToken"]
    await google.delete("event1")
    await google.insert(id="event3")
    changes = await google.page(syncToken=token)
    assert [(item["id"], item["status"]) for item in changes["items"]] == [
        ("event1", "cancelled"),
        ("event3", "confirmed"),
    ]
    assert (await google.page(syncToken=changes["nextSyncToken"]))["items"] == []


async def test_sync_token_tells_of_what_changed_while_the_pages_were_read(google):
    for number in range(3):
        await google.insert(id=f"event{number}")
    first = await google.page(maxResults=2)
    await google.delete("event0")
    last = await google.page(maxResults=2, pageToken=first["nextPageToken"])
    changes = await google.page(syncToken=last["nextSyncToken"])
    assert [(item["id"], item["status"]) for item in changes["items"]] == [("event0", "cancelled")]


async def test_sync_token_that_is_no_good_asks_for_a_full_synchronization(google):
    request = google.events.list(**PRIMARY, syncToken="c2VyaWFsIDk5")
    assert await google.refused(request) == (410, "fullSyncRequired")


async def test_sync_token_does_not_go_with_a_search(google):
    token = (await google.page())["nextSyncToken"]
    request = google.events.list(**PRIMARY, syncToken=token, privateExtendedProperty="a=1")
    assert await google.refused(request) == (400, "invalid")


# Batches


async def test_each_call_of_a_batch_has_its_own_answer(google):
    await google.insert(id="event1", summary="Schön")
    got, made, missing, deleted = await google.batch(
        google.events.get(**PRIMARY, eventId="event1"),
        google.events.insert(**PRIMARY, body=event(id="event2", summary="日本")),
        google.events.get(**PRIMARY, eventId="never"),
        google.events.delete(**PRIMARY, eventId="event1"),
    )
    assert (got["summary"], made["summary"], deleted) == ("Schön", "日本", "")
    assert isinstance(missing, HttpError)
    assert missing.status_code == 404


async def test_batch_names_its_answers_after_the_calls(sandbox, client, google):
    await google.page()
    body = (
        "--b\r\nContent-Type: application/http\r\nContent-ID: <item-7>\r\n\r\n"
        "GET /calendar/v3/calendars/primary/events/never HTTP/1.1\r\n\r\n\r\n--b--\r\n"
    )
    headers = {
        "Authorization": f"Bearer {google.http.credentials.token}",
        "Content-Type": "multipart/mixed; boundary=b",
    }
    async with client.post(f"{sandbox.url}/batch/calendar/v3", data=body, headers=headers) as answer:
        text = await answer.text()
    assert "Content-ID: <response-item-7>\r\n" in text
    assert "\r\nHTTP/1.1 404 Not Found\r\n" in text


async def test_batch_of_more_than_1000_calls_is_refused(sandbox, client):
    part = "--b\r\nContent-Type: application/http\r\n\r\nGET /calendar/v3/colors HTTP/1.1\r\n\r\n\r\n"
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    for body in (part * 1001 + "--b--\r\n", "no parts"):
        async with client.post(f"{sandbox.url}/batch", data=body, headers=headers) as answer:
            assert answer.status == 400


# Quotas and faults


async def test_a_person_has_600_calls_a_minute(sandbox, google):
    await google.page()
    real = sandbox.state.now
    get = google.events.get(**PRIMARY, eventId="never")
    answers = await google.batch(*[get] * 600)
    reasons = [answer.error_details[0]["reason"] for answer in answers]
    assert reasons == ["notFound"] * 599 + ["userRateLimitExceeded"]
    other = Google(sandbox, "bob@uni.example")
    assert (await other.page())["items"] == []
    other.close()
    sandbox.state.now = lambda: real() + timedelta(minutes=1)
    assert (await google.page())["items"] == []


async def test_a_patch_counts_for_three_calls(sandbox, google):
    await google.insert(id="event")
    patch = google.events.patch(**PRIMARY, eventId="event", body={"summary": "x"})
    answers = await google.batch(*[patch] * 200)
    assert [isinstance(answer, HttpError) for answer in answers] == [False] * 199 + [True]


async def test_a_project_has_10000_calls_a_minute(sandbox, google, monkeypatch):
    monkeypatch.setattr("providers.sandbox.google.quota.Quotas.per_project", 3)
    for _ in range(3):
        await google.page()
    assert await google.refused(google.events.list(**PRIMARY)) == (403, "rateLimitExceeded")


async def test_quotas_can_be_switched_off(sandbox, google, monkeypatch):
    monkeypatch.setattr("providers.sandbox.google.quota.Quotas.per_project", 0)
    sandbox.state.quotas = False
    assert (await google.page())["items"] == []


async def play(control: Control, **fault: object) -> None:
    await control.fault(type="googlecalendar", times=1, **fault)


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("reason", ["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"])
async def test_fault_throttle_has_all_of_googles_shapes(control, google, status, reason):
    await google.page()
    await play(control, fault="throttle", operation="create", status=status, reason=reason)
    insert = google.events.insert(**PRIMARY, body=event())
    assert await google.refused(insert) == (status, reason)
    assert (await google.page())["items"] == []


async def test_fault_strikes_one_call_of_a_batch(control, google):
    await google.page()
    await play(control, fault="throttle", operation="create", nth=2)
    answers = await google.batch(*(google.events.insert(**PRIMARY, body=event()) for _ in range(3)))
    assert [isinstance(answer, HttpError) for answer in answers] == [False, True, False]


async def test_fault_strikes_a_whole_batch(control, google):
    await google.page()
    await play(control, fault="throttle", operation="$batch", status=429)
    inserts = [google.events.insert(**PRIMARY, body=event()) for _ in range(3)]
    with pytest.raises(HttpError) as caught:
        await google.batch(*inserts)
    assert caught.value.status_code == 429
    assert (await google.page())["items"] == []


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("unavailable", (503, "backendError")),
        ("deny", (403, "forbidden")),
        ("gone", (404, "notFound")),
    ],
)
async def test_faults_that_do_nothing(control, google, fault, expected):
    await google.page()
    await play(control, fault=fault, operation="create")
    assert await google.refused(google.events.insert(**PRIMARY, body=event())) == expected
    assert (await google.page())["items"] == []


async def test_fault_gone_takes_the_event_away(control, google):
    await google.insert(id="event")
    await play(control, fault="gone", operation="update")
    assert (await google.patch("event", summary="x"))["status"] == "cancelled"
    assert (await google.page())["items"] == []


async def test_fault_commit_then_503_does_the_work_all_the_same(control, google):
    await google.page()
    await play(control, fault="commit_then_503", operation="create")
    insert = google.events.insert(**PRIMARY, body=event(id="event"))
    assert await google.refused(insert) == (503, "backendError")
    assert [item["id"] for item in (await google.page())["items"]] == ["event"]


@pytest.mark.parametrize("fault", ["commit_then_drop", "partial"])
async def test_faults_that_cut_the_connection_after_the_work(sandbox, client, control, google, fault):
    await google.page()
    await play(control, fault=fault, operation="create")
    headers = {"Authorization": f"Bearer {google.http.credentials.token}"}
    url = f"{sandbox.url}/calendar/v3/calendars/primary/events"
    with pytest.raises(aiohttp.ClientError):
        async with client.post(url, json=event(id="event"), headers=headers) as answer:
            await answer.read()
    assert [item["id"] for item in (await google.page())["items"]] == ["event"]


async def test_fault_partial_carries_out_the_first_half_of_a_batch(control, google):
    await google.page()
    await play(control, fault="partial", operation="$batch")
    inserts = [google.events.insert(**PRIMARY, body=event(id=f"event{n}")) for n in range(4)]
    with pytest.raises(KeyError):
        await google.batch(*inserts)
    assert [item["id"] for item in (await google.page())["items"]] == ["event0", "event1"]


@pytest.mark.parametrize(("operation", "method"), [("create", "POST"), ("read", "GET")])
async def test_fault_truncated_looks_whole(sandbox, client, control, google, operation, method):
    await google.insert(id="first")
    await play(control, fault="truncated", operation=operation)
    headers = {"Authorization": f"Bearer {google.http.credentials.token}"}
    url = f"{sandbox.url}/calendar/v3/calendars/primary/events"
    body = event(id="event") if method == "POST" else None
    async with client.request(method, url, json=body, headers=headers) as answer:
        assert answer.status == 200
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            await answer.json()
    assert len((await google.page())["items"]) == (2 if method == "POST" else 1)


async def test_fault_truncated_of_one_call_in_a_batch_leaves_the_others_whole(control, google):
    await google.page()
    await play(control, fault="truncated", operation="create", nth=2)
    inserts = [google.events.insert(**PRIMARY, body=event(id=f"event{n}")) for n in range(3)]
    answers = await google.batch(*inserts)
    # The client library gives as text what it cannot read.
    assert [type(answer) for answer in answers] == [dict, str, dict]
    assert len((await google.page())["items"]) == 3


async def test_fault_truncated_of_a_batch_leaves_answers_out(control, google):
    await google.page()
    await play(control, fault="truncated", operation="$batch")
    inserts = [google.events.insert(**PRIMARY, body=event(id=f"event{n}")) for n in range(4)]
    with pytest.raises(KeyError):
        await google.batch(*inserts)
    assert len((await google.page())["items"]) == 4


@pytest.mark.parametrize("operation", ["create", "update"])
async def test_fault_moves_on_gives_the_event_another_etag_by_itself(control, google, operation):
    made = await google.insert(id="first")
    await play(control, fault="moves_on", operation=operation)
    if operation == "create":
        made = await google.insert(id="second")
    else:
        made = await google.run(google.events.patch(**PRIMARY, eventId="first", body={"summary": "x"}))
    held = await google.get(made["id"])
    assert held["etag"] != made["etag"]
    assert held | {"etag": made["etag"]} == made


async def test_fault_slow_waits_and_then_does_the_work(sandbox, control, google):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    sandbox.state.sleep = sleep
    await google.page()
    await play(control, fault="slow", operation="create", delay=7)
    await google.insert(id="event")
    assert slept == [7]


async def test_fault_deny_for_tokens_is_missing_delegation(control, google):
    await play(control, fault="deny", operation="token")
    with pytest.raises(RefreshError) as caught:
        await google.page()
    assert caught.value.args[1]["error"] == "unauthorized_client"


async def test_mailbox_without_access_is_forbidden(sandbox, google):
    await google.page()
    sandbox.state.mailbox("googlecalendar", "alice@uni.example").access = False
    assert await google.refused(google.events.list(**PRIMARY)) == (403, "forbidden")


# The control API


async def test_person_adds_changes_copies_and_deletes_events(control, google):
    made = await google.insert(
        id="event",
        transparency="transparent",
        extendedProperties={
            "private": {
                "RoosterInstance": "uni.example",
                "RoosterSynchronization": "1",
                "RoosterEvent": "lecture",
                "RoosterAttempt": "0" * 32,
                "RoosterCategories": '["Exam"]',
            }
        },
    )
    mailbox = ("googlecalendar", "alice@uni.example")
    (shown,) = await control.events(*mailbox)
    assert shown == {
        "id": "event",
        "version": made["etag"],
        "title": "Lecture",
        "start": "2026-12-01T09:00:00Z",
        "end": "2026-12-01T10:00:00Z",
        "timeZone": "Europe/Amsterdam",
        "allDay": False,
        "location": "",
        "description": "",
        "categories": ["Exam"],
        "showAs": "free",
        "reminderMinutes": 10,
        "privacy": "normal",
        "colour": None,
        "calendar": None,
        "marker": {
            "instance": "uni.example",
            "synchronization": 1,
            "event": "lecture",
            "attempt": "0" * 32,
        },
    }
    copy = await control.add(*mailbox, copyOf="event")
    assert copy["id"] != "event"
    assert copy | {"id": "event", "version": made["etag"]} == shown
    path = control.mailbox(*mailbox, "events", "event")
    changed = await control.ok("PATCH", path, {"reminderMinutes": 30, "showAs": "tentative"})
    assert changed == shown | {"reminderMinutes": 30, "showAs": "tentative", "version": changed["version"]}
    new = {"title": "Dentist", "start": "2026-12-03", "end": "2026-12-04", "allDay": True}
    added = await control.add(*mailbox, **new)
    assert {name: added[name] for name in new} == new
    await control.ok("DELETE", path)
    assert [item["summary"] for item in (await google.page())["items"]] == ["Lecture", "Dentist"]
    assert (await google.get("event"))["status"] == "cancelled"


@pytest.mark.parametrize(
    "change",
    [
        {"start": "2026-12-02T08:00:00Z", "end": "2026-12-02T09:00:00Z"},
        {"start": "2026-12-02", "end": "2026-12-03", "allDay": True},
        {"timeZone": "America/New_York"},
        {"categories": ["Exam", "Resit"]},
        {"title": "Seminar", "location": "Aula", "description": "Bring a pen"},
        {"showAs": "free"},
        {"reminderMinutes": 45},
        {"reminderMinutes": None},
        {"privacy": "private"},
    ],
)
async def test_person_changes_any_field(control, google, change):
    await google.insert(id="event")
    mailbox = ("googlecalendar", "alice@uni.example")
    (before,) = await control.events(*mailbox)
    changed = await control.ok("PATCH", control.mailbox(*mailbox, "events", "event"), change)
    assert changed == before | change | {"version": changed["version"], "timeZone": changed["timeZone"]}
    assert change.get("timeZone", changed["timeZone"]) == changed["timeZone"]


@pytest.mark.parametrize(
    ("description", "text"),
    [
        ("plain & simple\n1 < 2", "plain & simple\n1 < 2"),
        ("<b>Bring</b> a pen<br>&amp; paper", "Bring a pen\n& paper"),
        ("&lt;b&gt;", "<b>"),
    ],
)
async def test_person_sees_descriptions_as_html(control, google, description, text):
    """The reference of the field: "Can contain HTML"."""
    await google.insert(id="event", description=description)
    (shown,) = await control.events("googlecalendar", "alice@uni.example")
    assert shown["description"] == text


async def test_person_types_descriptions_that_become_html(control, google):
    await google.insert(id="event")
    path = control.mailbox("googlecalendar", "alice@uni.example", "events", "event")
    changed = await control.ok("PATCH", path, {"description": "R&D:\n\n1 < 2"})
    assert changed["description"] == "R&D:\n\n1 < 2"
    assert (await google.get("event"))["description"] == "R&amp;D:<br><br>1 &lt; 2"
