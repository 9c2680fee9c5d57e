"""What Graph's and Entra's answers mean."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from providers.contract import (
    Create,
    Delete,
    Done,
    Event,
    Gone,
    Marker,
    Operation,
    Refused,
    Throttled,
    Unknown,
    Update,
)
from providers.o365 import outcomes
from providers.o365.messages import Answer

NOW = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
EVENT = Event(uid="u", title="Secret title", start=NOW, end=NOW + timedelta(hours=1), time_zone="UTC")
MARKER = Marker(instance="uni.example", synchronization=1, event="u", attempt=UUID(int=1))
CREATE = Create(event=EVENT, marker=MARKER)
UPDATE = Update(id="AAMk=", version="1", event=EVENT, possible=(), marker=MARKER)
DELETE = Delete(id="AAMk=", version="1")
WRITES = [CREATE, UPDATE, DELETE]


def answer(status: int, code: str | None = None, **headers: str) -> Answer:
    body: dict[str, Any] | None = None
    if code is not None:
        body = {"error": {"code": code, "message": "The subject 'Secret title' is wrong."}}
    return Answer(status=status, headers={n.replace("_", "-"): v for n, v in headers.items()}, body=body)


def ids(operation: Operation) -> str:
    return type(operation).__name__


def test_done_names_the_event_and_its_version() -> None:
    made = Answer(status=201, headers={}, body={"id": "AAMk=", "changeKey": "CK"})
    changed = Answer(status=200, headers={}, body={"id": "AAMk=", "changeKey": "CK2"})
    assert outcomes.of_write(CREATE, made, NOW) == Done("AAMk=", "CK")
    assert outcomes.of_write(UPDATE, changed, NOW) == Done("AAMk=", "CK2")
    assert outcomes.of_write(DELETE, answer(204), NOW) == Done("AAMk=")


def test_an_event_that_is_read_by_its_id_may_be_gone() -> None:
    gone = outcomes.of_event_read(answer(404, "ErrorItemNotFound"), NOW)
    assert isinstance(gone, Gone)
    assert gone.what == "event"
    no_mailbox = outcomes.of_event_read(answer(404, "ErrorInvalidUser"), NOW)
    assert isinstance(no_mailbox, Gone)
    assert no_mailbox.what == "mailbox"
    assert outcomes.of_event_read(Answer(status=200, headers={}, body={"id": "AAMk="}), NOW) is None


def test_an_event_that_somebody_else_has_written_since_has_moved_on() -> None:
    assert outcomes.has_moved_on(answer(412, "ErrorIrresolvableConflict"))
    assert not outcomes.has_moved_on(answer(409, "ErrorIrresolvableConflict"))


def test_a_create_that_is_answered_without_an_id_is_unknown() -> None:
    assert isinstance(outcomes.of_write(CREATE, answer(201), NOW), Unknown)


def test_one_status_several_meanings() -> None:
    """404 is told apart by its code."""
    gone = answer(404, "ErrorItemNotFound")
    assert outcomes.of_write(DELETE, gone, NOW) == Done("AAMk=")
    assert outcomes.of_write(UPDATE, gone, NOW) == Gone(
        what="event", code="ErrorItemNotFound", reason="The event is no longer in the mailbox."
    )
    created = outcomes.of_write(CREATE, gone, NOW)
    assert isinstance(created, Gone)
    assert created.what == "calendar"


@pytest.mark.parametrize("operation", WRITES, ids=ids)
@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (404, "ResourceNotFound", "Check the address"),
        (404, "Request_ResourceNotFound", "Check the address"),
        (404, "ErrorInvalidUser", "Check the address"),
        (404, "MailboxNotEnabledForRESTAPI", "licence"),
        (404, "MailboxNotFound", "licence"),
    ],
)
def test_a_missing_mailbox_is_gone_and_never_a_deleted_event(
    operation: Operation, status: int, code: str, hint: str
) -> None:
    outcome = outcomes.of_write(operation, answer(status, code), NOW)
    assert isinstance(outcome, Gone)
    assert (outcome.what, outcome.code) == ("mailbox", code)
    assert hint in outcome.reason


@pytest.mark.parametrize("operation", WRITES, ids=ids)
def test_a_404_without_a_code_of_graphs_says_nothing_about_the_event(operation: Operation) -> None:
    """A proxy or a wrong graph_url answers so, too."""
    outcome = outcomes.of_write(operation, answer(404), NOW)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.permanent) == ("http_404", False)


@pytest.mark.parametrize("code", ["ErrorAccessDenied", "Authorization_RequestDenied"])
def test_no_access_is_refused_for_the_whole_mailbox(code: str) -> None:
    outcome = outcomes.of_write(CREATE, answer(403, code), NOW)
    assert isinstance(outcome, Refused)
    assert (outcome.scope, outcome.permanent) == ("mailbox", True)
    assert "Calendars.ReadWrite" in outcome.reason


def test_a_token_that_is_not_accepted_is_refused_for_the_account() -> None:
    outcome = outcomes.of_write(CREATE, answer(401, "InvalidAuthenticationToken"), NOW)
    assert isinstance(outcome, Refused)
    assert outcome.scope == "account"


def test_a_bad_event_is_refused_for_good_without_its_text() -> None:
    outcome = outcomes.of_write(CREATE, answer(400, "ErrorPropertyValidationFailure"), NOW)
    assert isinstance(outcome, Refused)
    assert (outcome.scope, outcome.permanent) == ("event", True)
    assert "Secret" not in outcome.reason


def test_a_code_that_is_no_name_is_not_passed_on() -> None:
    outcome = outcomes.of_write(CREATE, answer(400, "subject 'Secret title'"), NOW)
    assert isinstance(outcome, Refused)
    assert "Secret" not in outcome.reason + outcome.code


@pytest.mark.parametrize(
    ("status", "code"),
    [(507, "ErrorQuotaExceeded"), (500, "ErrorQuotaExceeded"), (409, "ConcurrentItemSave"), (412, "x")],
)
def test_what_may_succeed_later_is_not_refused_for_good(status: int, code: str) -> None:
    outcome = outcomes.of_write(UPDATE, answer(status, code), NOW)
    assert isinstance(outcome, Refused)
    assert (outcome.scope, outcome.permanent) == ("event", False)


@pytest.mark.parametrize("operation", WRITES, ids=ids)
@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_failed_server_may_have_done_it_whatever_it_says(operation: Operation, status: int) -> None:
    """Field reports: a 503 on create, and the event was created."""
    assert isinstance(outcomes.of_write(operation, answer(status, retry_after="5"), NOW), Unknown)


@pytest.mark.parametrize(
    ("header", "until"),
    [
        ({"retry_after": "7"}, NOW + timedelta(seconds=7)),
        ({"retry_after": "0.5"}, NOW + timedelta(seconds=0.5)),
        ({"retry_after": "Sat, 21 Nov 2026 23:02:00 GMT"}, NOW + timedelta(minutes=2)),
        ({"retry_after": "Sat, 21 Nov 2026 22:00:00 GMT"}, NOW),
        ({"retry_after": "soon"}, NOW + outcomes.DEFAULT_WAIT),
        ({"retry_after": "nan"}, NOW + outcomes.DEFAULT_WAIT),
        ({}, NOW + outcomes.DEFAULT_WAIT),
    ],
)
def test_throttled_until_the_moment_that_graph_names(header: dict[str, str], until: datetime) -> None:
    outcome = outcomes.of_write(CREATE, answer(429, "ApplicationThrottled", **header), NOW)
    assert outcome == Throttled(until=until, scope="mailbox", code="ApplicationThrottled")


def test_the_gateway_throttles_the_whole_application() -> None:
    outcome = outcomes.of_write(CREATE, answer(429, "TooManyRequests", retry_after="3"), NOW)
    assert isinstance(outcome, Throttled)
    assert outcome.scope == "account"


def test_a_read_that_was_answered_has_not_failed() -> None:
    assert outcomes.of_read(Answer(status=200, headers={}, body={"value": []}), NOW) is None


def test_a_read_that_is_to_be_repeated_later_is_throttled() -> None:
    outcome = outcomes.of_read(answer(503, retry_after="5"), NOW)
    assert outcome == Throttled(until=NOW + timedelta(seconds=5), scope="mailbox", code="http_503")


@pytest.mark.parametrize(
    "failed", [answer(503), answer(500), answer(200)], ids=["503", "500", "200 not JSON"]
)
def test_a_read_that_failed_is_unknown_and_not_an_empty_page(failed: Answer) -> None:
    assert isinstance(outcomes.of_read(failed, NOW), Unknown)


@pytest.mark.parametrize("status", [400, 409])
def test_a_repeated_create_is_told_by_its_code(status: int) -> None:
    assert outcomes.is_repeated_create(answer(status, "ErrorDuplicateTransactionId"))
    assert not outcomes.is_repeated_create(answer(status, "ErrorInvalidRequest"))


def test_what_an_outcome_means_for_operations_that_were_not_sent() -> None:
    throttled = Throttled(until=NOW + timedelta(seconds=9), scope="mailbox")
    denied = Refused(code="ErrorAccessDenied", reason="", scope="mailbox")
    assert outcomes.of_unsent(throttled, NOW) == throttled
    assert outcomes.of_unsent(denied, NOW) == denied
    assert outcomes.of_unsent(Unknown(code="timeout", reason=""), NOW) == Throttled(
        until=NOW, scope="mailbox", code="not_sent"
    )
    assert outcomes.of_unsent(Done("AAMk="), NOW) is None
    assert outcomes.of_unsent(Refused(code="x", reason=""), NOW) is None
    assert outcomes.of_unsent(Gone(what="event", code="x", reason=""), NOW) is None


@pytest.mark.parametrize(
    ("error", "number", "hint"),
    [
        ("invalid_client", 7000215, "client secret"),
        ("invalid_client", 7000222, "expired"),
        ("unauthorized_client", 700016, "client_id"),
        ("invalid_request", 90002, "tenant"),
        ("invalid_client", 999999, "credentials"),
    ],
)
def test_refused_credentials_say_what_to_do_and_not_what_was_sent(error: str, number: int, hint: str) -> None:
    description = f"AADSTS{number}: Invalid client secret 'hunter2' for app 1234. Trace ID: 1"
    outcome = outcomes.of_token_error(
        {"error": error, "error_description": description, "error_codes": [number]}
    )
    assert isinstance(outcome, Refused)
    assert (outcome.scope, outcome.code) == ("account", f"AADSTS{number}")
    assert hint in outcome.reason
    assert "hunter2" not in repr(outcome)
    assert outcomes.of_token_error({"error": error, "error_description": description}) == outcome


def test_an_authority_with_a_passing_fault_is_unknown() -> None:
    assert isinstance(outcomes.of_token_error({"error": "temporarily_unavailable"}), Unknown)
    assert isinstance(outcomes.of_token_error({"error": "invalid_client", "error_codes": [90033]}), Unknown)
