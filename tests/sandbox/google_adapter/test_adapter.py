"""What only the Google adapter promises; what all adapters do is in tests/contract."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import aiohttp
import msgspec
import pytest

from providers.contract import (
    Create,
    Delete,
    Done,
    Gone,
    ProviderError,
    Refused,
    Throttled,
    Unknown,
    Update,
)
from providers.googlecalendar import connect
from providers.sandbox.google import dialect
from providers.sandbox.google.service import Answer, Call, Service
from providers.sandbox.server import Sandbox
from tests.sandbox.google import NOW, TYPE, connected, create, lecture, settings


@pytest.fixture
def calendar(stored):
    """The events in the sandbox as Google keeps them, by id."""
    return stored.events


class Wire(list[Call]):
    """The calls that arrive at the sandbox; ``before`` is done before each write."""

    before: Callable[[], None] | None = None


@pytest.fixture
def wire(monkeypatch) -> Wire:
    calls = Wire()
    answer = Service.call

    async def call(service: Service, call: Call) -> Answer:
        calls.append(call)
        if calls.before is not None and call.method != "GET":
            calls.before()
        return await answer(service, call)

    monkeypatch.setattr(Service, "call", call)
    return calls


@pytest.fixture
async def made(adapter, mailbox):
    """An event, created."""
    operation = create(lecture())
    (done,) = await adapter.apply(mailbox, [operation])
    assert done == Done(operation.marker.attempt.hex, '"0000000000000001"')
    return operation


def update(made: Create, *, known: bool = True, **fields: object) -> Update:
    return Update(
        id=made.marker.attempt.hex,
        version=None,
        event=msgspec.structs.replace(made.event, **fields),
        possible=(made.event,) if known else (),
        marker=made.marker,
    )


async def play(control, **fault: object) -> None:
    await control.fault(type=TYPE, times=1, **fault)


# Connections and tokens


async def test_own_ca_holds_whatever_the_environment_says(sandbox, monkeypatch, tmp_path):
    other = tmp_path / "other.pem"
    async with Sandbox() as stranger:
        other.write_text(stranger.ca_file.read_text())
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "HTTPLIB2_CA_CERTS"):
        monkeypatch.setenv(name, str(other))
    adapter = await connect(settings(sandbox), lambda: NOW)
    assert (await adapter.probe("alice@uni.example")).identity == "alice@uni.example"
    await adapter.close()
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "HTTPLIB2_CA_CERTS"):
        monkeypatch.setenv(name, str(sandbox.ca_file))
    adapter = await connect(settings(sandbox, ca_file=str(other)), lambda: NOW)
    with pytest.raises(ProviderError) as caught:
        await adapter.probe("alice@uni.example")
    await adapter.close()
    assert isinstance(caught.value.outcome, Unknown)
    assert "Certificate" in caught.value.outcome.reason
    assert sandbox.state.stats.requests[TYPE, "token"] == 1


async def test_one_token_serves_many_calls(sandbox, adapter, mailbox):
    for number in range(3):
        await adapter.apply(mailbox, [create(lecture(number))])
    assert sandbox.state.stats.requests[TYPE, "token"] == 1


@pytest.mark.parametrize("count", [1, 3])
async def test_token_that_google_no_longer_takes_is_replaced(sandbox, adapter, mailbox, calendar, count):
    sandbox.state.credentials = msgspec.structs.replace(sandbox.state.credentials, signing_key="n" * 43)
    outcomes = await adapter.apply(mailbox, [create(lecture(n)) for n in range(count)])
    assert [type(outcome) for outcome in outcomes] == [Done] * count
    assert len(calendar) == count
    assert sandbox.state.stats.requests[TYPE, "token"] == 2


async def test_token_that_is_never_taken_is_asked_for_twice_and_refused(
    sandbox, adapter, mailbox, monkeypatch
):
    monkeypatch.setattr("providers.sandbox.google.tokens.LIFETIME", timedelta(seconds=-1))
    sandbox.state.credentials = msgspec.structs.replace(sandbox.state.credentials, signing_key="n" * 43)
    monkeypatch.setattr("providers.sandbox.google.tokens.Tokens._timely", lambda *_: True)
    (outcome,) = await adapter.apply(mailbox, [create(lecture())])
    assert isinstance(outcome, Refused)
    assert (outcome.scope, outcome.permanent) == ("account", False)
    assert sandbox.state.stats.requests[TYPE, "token"] == 2


async def test_missing_delegation_is_refused_for_the_account(control, adapter):
    await play(control, fault="deny", operation="token")
    with pytest.raises(ProviderError) as caught:
        await adapter.probe("alice@uni.example")
    outcome = caught.value.outcome
    assert isinstance(outcome, Refused)
    assert (outcome.scope, outcome.code) == ("account", "unauthorized_client")


async def test_token_whose_answer_breaks_off_is_no_answer(control, adapter):
    await play(control, fault="truncated", operation="token")
    with pytest.raises(ProviderError) as caught:
        await adapter.probe("alice@uni.example")
    assert isinstance(caught.value.outcome, Unknown)
    await adapter.probe("alice@uni.example")


async def test_person_who_is_not_there_is_gone(adapter):
    with pytest.raises(ProviderError) as caught:
        await adapter.probe("nobody@elsewhere.example")
    assert caught.value.outcome == Gone(
        what="mailbox", code="invalid_grant", reason="Google Workspace has no such user."
    )


async def test_call_that_takes_too_long_is_unknown(sandbox, control, monkeypatch):
    monkeypatch.setattr("providers.googlecalendar.client.TIMEOUT", aiohttp.ClientTimeout(total=0.3))
    over = asyncio.Event()

    async def sleep(_: float) -> None:
        await over.wait()

    sandbox.state.sleep = sleep
    adapter = await connect(settings(sandbox), lambda: NOW)
    await play(control, fault="slow", operation="read")
    with pytest.raises(ProviderError) as caught:
        await adapter.probe("alice@uni.example")
    over.set()
    await adapter.close()
    assert isinstance(caught.value.outcome, Unknown)


@pytest.mark.parametrize("operation", ["create", "update", "delete"])
async def test_nothing_is_sent_again_when_a_connection_drops(
    sandbox, control, adapter, mailbox, made, operation
):
    """Neither aiohttp nor Google's libraries do, on a connection that was kept from earlier calls."""
    operations = {
        "create": create(lecture(1)),
        "update": update(made, title="Seminar"),
        "delete": Delete(id=made.marker.attempt.hex, version=None),
    }
    await play(control, fault="commit_then_drop", operation=operation)
    before = sandbox.state.stats.operations[TYPE, operation]
    (outcome,) = await adapter.apply(mailbox, [operations[operation]])
    assert isinstance(outcome, Unknown)
    assert sandbox.state.stats.operations[TYPE, operation] == before + 1


async def test_permit_is_asked_for_anew_where_a_new_token_is_needed(sandbox, adapter, mailbox, calendar):
    sandbox.state.credentials = msgspec.structs.replace(sandbox.state.credentials, signing_key="n" * 43)
    asked = []

    def permit() -> None:
        asked.append(sandbox.state.stats.requests[TYPE, "token"])
        if len(asked) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await adapter.apply(mailbox, [create(lecture())], permit)
    # The second time, the new token is there already.
    assert asked == [1, 2]
    assert calendar == {}


async def test_permit_is_asked_for_once_there_is_a_connection(sandbox, control, monkeypatch, calendar):
    """However long that takes: here the other request has the only one, until it is let go."""
    monkeypatch.setattr("providers.googlecalendar.client.CONNECTIONS", 1)
    arrived, over = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        arrived.set()
        await over.wait()

    sandbox.state.sleep = sleep
    asked: list[str] = []
    async with connected(sandbox) as adapter:
        first, second = [await adapter.probe(f"{name}@uni.example") for name in ("alice", "bob")]
        await play(control, fault="slow", operation="create")
        slow = asyncio.create_task(adapter.apply(first, [create(lecture())], lambda: asked.append("first")))
        await arrived.wait()
        waiting = asyncio.create_task(
            adapter.apply(second, [create(lecture())], lambda: asked.append("second"))
        )
        for _ in range(50):
            await asyncio.sleep(0)
        assert asked == ["first"]
        over.set()
        for task in (slow, waiting):
            assert [type(outcome) for outcome in await task] == [Done]
    assert asked == ["first", "second"]


async def test_logs_hold_no_text_of_an_event_and_no_token(adapter, mailbox, caplog):
    caplog.set_level(logging.DEBUG)
    event = lecture(title="Disciplinary", location="Disciplinary", description="Disciplinary")
    made = create(event)
    await adapter.apply(mailbox, [made, create(event)])
    await adapter.apply(mailbox, [update(made, title="Disciplinary too"), create(lecture(end=NOW))])
    assert "Disciplinary" not in caplog.text
    assert "ya29." not in caplog.text


# Creating


async def test_create_that_was_done_already_is_done_again(sandbox, adapter, mailbox, made, calendar):
    before = msgspec.json.encode(calendar)
    assert await adapter.apply(mailbox, [made]) == [Done(made.marker.attempt.hex, '"0000000000000001"')]
    assert msgspec.json.encode(calendar) == before


@pytest.mark.parametrize("others", [0, 2])
async def test_create_brings_a_deleted_event_of_its_attempt_back_with_its_content(
    adapter, mailbox, made, calendar, others
):
    id = made.marker.attempt.hex
    await adapter.apply(mailbox, [Delete(id=id, version=None)])
    again = msgspec.structs.replace(made, event=lecture(location="Aula"))
    outcomes = await adapter.apply(mailbox, [*(create(lecture(n + 1)) for n in range(others)), again])
    assert [type(outcome) for outcome in outcomes] == [Done] * (others + 1)
    assert outcomes[-1].id == id
    assert (calendar[id]["status"], calendar[id]["location"]) == ("confirmed", "Aula")


@pytest.mark.parametrize(("status", "reason"), [(403, "forbidden"), (404, "notFound"), (410, "deleted")])
async def test_create_whose_deleted_event_cannot_come_back_needs_another_attempt(
    control, adapter, mailbox, made, calendar, status, reason
):
    id = made.marker.attempt.hex
    await adapter.apply(mailbox, [Delete(id=id, version=None)])
    await play(control, fault="deny", operation="update", status=status, reason=reason)
    (outcome,) = await adapter.apply(mailbox, [made])
    assert isinstance(outcome, Gone)
    assert outcome.what == "event"
    assert calendar[id]["status"] == "cancelled"


async def test_create_gives_a_lost_marker_back_and_keeps_what_is_the_persons(
    adapter, mailbox, made, calendar
):
    event = calendar[made.marker.attempt.hex]
    del event["extendedProperties"]
    event["colorId"] = "5"
    (outcome,) = await adapter.apply(mailbox, [made])
    assert isinstance(outcome, Done)
    assert event["extendedProperties"]["private"]["RoosterAttempt"] == made.marker.attempt.hex
    assert event["colorId"] == "5"


# Updating


async def test_update_leaves_what_is_not_roosters(adapter, mailbox, made, calendar):
    event = calendar[made.marker.attempt.hex]
    event["extendedProperties"]["private"]["someone"] = "else"
    event |= {
        "colorId": "5",
        "reminders": {"useDefault": False, "overrides": [{"method": "email", "minutes": 60}]},
        "attachments": [{"fileUrl": "https://drive.example/1", "title": "Notes"}],
        "attendees": [{"email": "alice@uni.example", "self": True}],
        "visibility": "private",
    }
    before = msgspec.json.decode(msgspec.json.encode(event))
    for operation in (update(made, title="Seminar"), update(made, known=False, title="Seminar 2")):
        (outcome,) = await adapter.apply(mailbox, [operation])
        assert isinstance(outcome, Done)
    changing = ("summary", "etag", "updated")
    assert {k: v for k, v in event.items() if k not in changing} == {
        k: v for k, v in before.items() if k not in changing
    }
    assert event["summary"] == "Seminar 2"


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"title": "Seminar"}, {"summary"}),
        ({"location": "Aula"}, {"location"}),
        ({"show_as": "free"}, {"transparency"}),
        ({"description": "Bring a pen"}, {"description"}),
        ({"show_as": "tentative"}, {"status"}),
    ],
)
async def test_update_is_one_patch_of_what_changed(adapter, mailbox, made, wire, fields, sent):
    """Conditional where it could destroy something, and unconditional elsewhere."""
    version = '"0000000000000001"'
    operation = msgspec.structs.replace(update(made, **fields), version=version)
    wire.clear()
    (outcome,) = await adapter.apply(mailbox, [operation])
    assert outcome == Done(operation.id, '"0000000000000002"')
    (call,) = wire
    assert call.method == "PATCH"
    assert msgspec.json.decode(call.body).keys() == sent | {"extendedProperties"}
    assert call.headers.get("if-match") == (version if sent & {"description", "status"} else None)


async def test_update_whose_event_moves_on_all_the_time_is_for_the_next_run(
    adapter, mailbox, made, wire, calendar
):
    """What was read is no longer so when it is to be written: one more conflict is enough."""
    event = calendar[made.marker.attempt.hex]
    wire.before = lambda: event.update(etag=f'{event["etag"][:-1]}1"')
    operation = msgspec.structs.replace(update(made, description="New"), version='"0000000000000001"')
    wire.clear()
    (outcome,) = await adapter.apply(mailbox, [operation])
    assert isinstance(outcome, Refused)
    assert (outcome.scope, outcome.permanent, outcome.code) == ("event", False, "conditionNotMet")
    assert [call.method for call in wire] == ["PATCH", "GET", "PATCH"]
    assert "description" not in event


async def test_version_is_not_given_for_an_event_that_holds_notes(adapter, mailbox, made, calendar):
    """So that the next change of the text reads them first."""
    event = calendar[made.marker.attempt.hex]
    event["description"] = "Ask Bob"
    (outcome,) = await adapter.apply(mailbox, [update(made, title="Seminar")])
    assert outcome == Done(made.marker.attempt.hex, None)
    (outcome,) = await adapter.apply(mailbox, [made])
    assert outcome == Done(made.marker.attempt.hex, None)


async def test_notes_that_google_has_made_html_of_keep_their_form(adapter, mailbox, made, calendar):
    event = calendar[made.marker.attempt.hex]
    first = update(made, description="Bring a pen", url="https://uni.example/?a=1&b=2")
    await adapter.apply(mailbox, [first])
    link = '<a href="https://uni.example/?a=1&amp;b=2">https://uni.example/?a=1&amp;b=2</a>'
    event |= {"description": f"<b>Ask Bob</b><br>Bring a pen<br><br>{link}<br><i>and Eve</i>", "etag": '"9"'}
    second = msgspec.structs.replace(
        first, version='"2"', possible=(first.event,), event=lecture(description="1 < 2")
    )
    (outcome,) = await adapter.apply(mailbox, [second])
    assert isinstance(outcome, Done)
    assert event["description"] == "<b>Ask Bob</b><br>1 &lt; 2<br><i>and Eve</i>"


async def test_update_of_an_event_that_cannot_be_read_is_unknown_and_writes_nothing(
    control, adapter, mailbox, made, calendar
):
    before = msgspec.json.encode(calendar)
    await play(control, fault="unavailable", operation="read")
    (outcome,) = await adapter.apply(mailbox, [update(made, known=False, title="Seminar")])
    assert isinstance(outcome, Unknown)
    assert msgspec.json.encode(calendar) == before


async def test_update_of_an_adopted_event_writes_its_new_synchronization(adapter, mailbox, made, calendar):
    marker = msgspec.structs.replace(made.marker, synchronization=8)
    operation = msgspec.structs.replace(update(made, title="Seminar"), marker=marker)
    await adapter.apply(mailbox, [operation])
    private = calendar[made.marker.attempt.hex]["extendedProperties"]["private"]
    assert private["RoosterSynchronization"] == "8"


@pytest.mark.parametrize(
    ("known", "fields"),
    [(True, {"title": "Seminar"}), (True, {"show_as": "tentative"}), (False, {"title": "Seminar"})],
)
async def test_update_never_brings_a_deleted_event_back(adapter, mailbox, made, calendar, known, fields):
    id = made.marker.attempt.hex
    await adapter.apply(mailbox, [Delete(id=id, version=None)])
    (outcome,) = await adapter.apply(mailbox, [update(made, known=known, **fields)])
    assert isinstance(outcome, Gone)
    assert outcome.what == "event"
    assert calendar[id]["status"] == "cancelled"


async def test_update_of_the_status_loses_against_a_deletion_at_the_same_time(
    sandbox, control, adapter, mailbox, made, calendar
):
    event = calendar[made.marker.attempt.hex]

    async def sleep(_: float) -> None:
        dialect().remove(sandbox.state.mailbox(TYPE, mailbox.address), event)

    sandbox.state.sleep = sleep
    await play(control, fault="slow", operation="update")
    (outcome,) = await adapter.apply(mailbox, [update(made, show_as="tentative")])
    assert isinstance(outcome, Refused)
    assert not outcome.permanent
    assert event["status"] == "cancelled"


async def test_forbidden_update_of_a_deleted_event_is_gone(control, adapter, mailbox, made):
    """Google may answer 403 instead of 404 for a deleted event."""
    await adapter.apply(mailbox, [Delete(id=made.marker.attempt.hex, version=None)])
    await play(control, fault="deny", operation="update")
    (outcome,) = await adapter.apply(mailbox, [update(made, title="Seminar")])
    assert isinstance(outcome, Gone)


# Throttling


async def test_throttled_item_waits_a_minute_and_the_others_are_done(control, adapter, mailbox, calendar):
    await play(control, fault="throttle", operation="create", nth=2, status=429, reason="rateLimitExceeded")
    outcomes = await adapter.apply(mailbox, [create(lecture(n)) for n in range(3)])
    throttled = Throttled(until=NOW + timedelta(minutes=1), scope="mailbox", code="rateLimitExceeded")
    assert [type(outcome) for outcome in outcomes] == [Done, Throttled, Done]
    assert outcomes[1] == throttled
    assert len(calendar) == 2


async def test_throttled_batch_is_throttled_throughout(control, adapter, mailbox, calendar):
    await play(control, fault="throttle", operation="$batch", reason="quotaExceeded")
    outcomes = await adapter.apply(mailbox, [create(lecture(n)) for n in range(3)])
    assert outcomes == [Throttled(until=NOW + timedelta(hours=1), scope="mailbox", code="quotaExceeded")] * 3
    assert calendar == {}


@pytest.mark.parametrize("status", [404, 409, 410, 412])
async def test_answer_to_a_whole_batch_says_nothing_about_an_event(
    control, adapter, mailbox, made, calendar, status
):
    deletes = [Delete(id=made.marker.attempt.hex, version=None), Delete(id="another1", version=None)]
    await play(control, fault="deny", operation="$batch", status=status)
    outcomes = await adapter.apply(mailbox, deletes)
    assert [type(outcome) for outcome in outcomes] == [Unknown, Unknown]
    await play(control, fault="deny", operation="$batch", status=status)
    with pytest.raises(ProviderError):
        await adapter.find(mailbox, "uni.example", [uuid4(), uuid4()])


async def test_quota_of_the_project_stops_the_account(sandbox, adapter, mailbox, monkeypatch):
    monkeypatch.setattr("providers.sandbox.google.quota.Quotas.per_project", 0)
    (outcome,) = await adapter.apply(mailbox, [create(lecture())])
    assert isinstance(outcome, Throttled)
    assert outcome.scope == "account"
    assert adapter.account(mailbox.address) == "rooster-sandbox"


def test_declared_quotas_are_below_the_documented_ones():
    from providers.googlecalendar.adapter import GoogleAdapter
    from providers.sandbox.google.quota import Quotas

    limits = {quota.scope: quota.operations * 60 / quota.seconds for quota in GoogleAdapter.quotas}
    assert limits["mailbox"] < Quotas.per_user
    assert limits["account"] < Quotas.per_project


async def test_too_many_operations_are_the_callers_mistake(adapter, mailbox, calendar):
    with pytest.raises(ValueError, match="51"):
        await adapter.apply(mailbox, [create(lecture(n)) for n in range(51)])
    assert calendar == {}


# Finding


async def test_find_sees_an_event_that_the_search_does_not_know_yet(adapter, mailbox, made, monkeypatch):
    monkeypatch.setattr("providers.sandbox.google.listing.list_events", lambda *_: {"items": []})
    found = await adapter.find(mailbox, "uni.example", [made.marker.attempt, uuid4()])
    assert [event.marker for event in found] == [made.marker]


async def test_find_does_not_see_a_deleted_event(adapter, mailbox, made):
    await adapter.apply(mailbox, [Delete(id=made.marker.attempt.hex, version=None)])
    assert await adapter.find(mailbox, "uni.example", [made.marker.attempt]) == []


async def test_find_of_many_attempts_takes_two_requests(sandbox, adapter, mailbox):
    creates = [create(lecture(n)) for n in range(30)]
    await adapter.apply(mailbox, creates)
    sandbox.state.stats.reset()
    attempts = [operation.marker.attempt for operation in creates]
    found = await adapter.find(mailbox, "uni.example", [*attempts, uuid4(), uuid4()])
    assert {event.marker.attempt for event in found} == set(attempts)
    assert sum(sandbox.state.stats.requests.values()) == 2


async def test_list_reads_all_pages_and_no_other_instances(adapter, mailbox, monkeypatch):
    monkeypatch.setattr("providers.googlecalendar.adapter.LARGEST_PAGE", 2)
    creates = [create(lecture(n)) for n in range(5)]
    marker = msgspec.structs.replace(creates[0].marker, instance="uni.example.org", attempt=uuid4())
    await adapter.apply(mailbox, [*creates, msgspec.structs.replace(creates[0], marker=marker)])
    listed = [event.marker async for event in adapter.list(mailbox, "uni.example")]
    assert listed == [operation.marker for operation in creates]


async def test_search_that_ignores_its_constraint_does_no_harm(sandbox, adapter, mailbox, made, calendar):
    """Google's translated guides say that several constraints are joined by "or"; ours is checked again."""
    event = calendar[made.marker.attempt.hex]
    event["extendedProperties"]["private"]["RoosterInstance"] = "UNI.example"
    assert [event async for event in adapter.list(mailbox, "uni.example")] == []
    assert await adapter.find(mailbox, "uni.example", [made.marker.attempt]) == []


async def test_answer_of_another_shape_is_unknown(adapter, mailbox, monkeypatch):
    monkeypatch.setattr("providers.sandbox.google.listing.list_events", lambda *_: {"items": [{"id": 5}]})
    with pytest.raises(ProviderError) as caught:
        await adapter.find(mailbox, "uni.example", [uuid4()])
    assert isinstance(caught.value.outcome, Unknown)


@pytest.mark.parametrize("role", ["reader", "freeBusyReader", "writerWithoutPrivateAccess"])
async def test_probe_wants_to_write(adapter, role, monkeypatch):
    entry = {"id": "alice@uni.example", "accessRole": role}
    monkeypatch.setattr(Service, "_calendar_metadata", lambda *_: Answer(status=200, body=entry))
    with pytest.raises(ProviderError) as caught:
        await adapter.probe("alice@uni.example")
    outcome = caught.value.outcome
    assert isinstance(outcome, Refused)
    assert outcome.scope == "mailbox"
