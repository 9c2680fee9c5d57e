"""Google's answers as outcomes, one by one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from providers.contract import Done, Gone, Refused, Throttled, Unknown
from providers.googlecalendar import outcomes
from providers.googlecalendar.replies import Answer, NoAnswer, NoToken
from providers.googlecalendar.tokens import CALENDAR_SCOPES, SCOPES

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
SECRET = "Disciplinary hearing"


def error(status: int, reason: str, message: str = SECRET, **answer: Any) -> Answer:
    """An error in the shape that Google documents."""
    detail = {"domain": "global", "reason": reason, "message": message}
    return Answer(
        status=status,
        body={"error": {"errors": [detail], "code": status, "message": message}},
        **answer,
    )


def newer_error(status: int, name: str, reason: str, **metadata: str) -> Answer:
    """An error in the shape of google.rpc.Status, which Google's front ends use."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata}
    return Answer(
        status=status, body={"error": {"code": status, "message": "", "status": name, "details": [info]}}
    )


def failure(reply: Any) -> Any:
    return outcomes.failure(reply, "event", NOW)


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("reason", "scope", "wait"),
    [
        ("rateLimitExceeded", "mailbox", timedelta(minutes=1)),
        ("userRateLimitExceeded", "mailbox", timedelta(minutes=1)),
        ("quotaExceeded", "mailbox", timedelta(hours=1)),
        ("dailyLimitExceeded", "account", timedelta(hours=1)),
    ],
)
def test_throttling_comes_with_either_status(status, reason, scope, wait):
    assert failure(error(status, reason)) == Throttled(until=NOW + wait, scope=scope, code=reason)


def test_429_is_throttling_whatever_it_says():
    assert failure(Answer(status=429)) == Throttled(
        until=NOW + timedelta(minutes=1), scope="mailbox", code="429"
    )


@pytest.mark.parametrize(
    ("answer", "scope"),
    [
        (error(403, "rateLimitExceeded", "Quota exceeded: limit 'Queries per minute' of"), "account"),
        (error(403, "rateLimitExceeded", "limit 'Queries per minute per user' of"), "mailbox"),
        (error(403, "rateLimitExceeded", "Rate Limit Exceeded"), "mailbox"),
        (
            newer_error(
                429,
                "RESOURCE_EXHAUSTED",
                "RATE_LIMIT_EXCEEDED",
                quota_limit="defaultPerMinutePerProject",
            ),
            "account",
        ),
        (
            newer_error(
                429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED", quota_limit="defaultPerMinutePerUser"
            ),
            "mailbox",
        ),
    ],
)
def test_quota_of_the_project_is_for_all_mailboxes(answer, scope):
    assert failure(answer).scope == scope


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("7", NOW + timedelta(seconds=7)),
        ("Tue, 01 Sep 2026 08:05:00 GMT", NOW + timedelta(minutes=5)),
        ("soon", NOW + timedelta(minutes=1)),
        ("inf", NOW + timedelta(minutes=1)),
        ("9" * 40, NOW + timedelta(minutes=1)),
    ],
)
def test_a_moment_that_the_answer_names_is_taken(text, until):
    assert failure(error(403, "rateLimitExceeded", retry_after=text)).until == until


@pytest.mark.parametrize(
    ("answer", "scope", "permanent"),
    [
        (error(401, "authError"), "account", False),
        (error(403, "insufficientPermissions"), "account", True),
        (error(403, "accessNotConfigured"), "account", True),
        (newer_error(403, "PERMISSION_DENIED", "SERVICE_DISABLED"), "account", True),
        (error(403, "forbidden"), "mailbox", True),
        (error(403, "requiredAccessLevel"), "mailbox", True),
        (Answer(status=403), "mailbox", True),
        (error(403, "forbiddenForNonOrganizer"), "event", True),
        (error(400, "invalid"), "event", True),
        (error(400, "timeRangeEmpty"), "event", True),
        (Answer(status=413), "event", True),
        (error(409, "conflict"), "event", False),
        (error(412, "conditionNotMet"), "event", False),
    ],
)
def test_refusals(answer, scope, permanent):
    outcome = failure(answer)
    assert isinstance(outcome, Refused)
    assert (outcome.scope, outcome.permanent) == (scope, permanent)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 302])
def test_nobody_knows_what_a_server_error_did(status):
    assert isinstance(failure(error(status, "backendError")), Unknown)
    assert isinstance(failure(Answer(status=status)), Unknown)


def test_no_answer_is_unknown():
    assert isinstance(failure(NoAnswer(why="ServerDisconnectedError")), Unknown)


def test_what_is_not_there_is_gone():
    assert failure(error(404, "notFound")).what == "event"
    assert outcomes.failure(error(404, "notFound"), "calendar", NOW).what == "calendar"
    assert failure(error(410, "deleted")).what == "event"
    assert failure(error(403, "notACalendarUser")).what == "calendar"


@pytest.mark.parametrize(
    ("error", "description", "expected", "scope"),
    [
        ("invalid_grant", "Invalid email or User ID", Gone, "mailbox"),
        ("invalid_grant", "Invalid JWT Signature.", Refused, "account"),
        ("invalid_grant", "Invalid JWT: Token must be a short-lived token", Refused, "account"),
        ("invalid_grant", "Invalid grant: account not found", Refused, "account"),
        ("unauthorized_client", "Client is unauthorized to retrieve access tokens", Refused, "account"),
        ("invalid_scope", "Invalid OAuth scope", Refused, "account"),
        ("admin_policy_enforced", "", Refused, "mailbox"),
        ("something_new", "", Refused, "account"),
    ],
)
def test_refused_tokens(error, description, expected, scope):
    outcome = failure(NoToken(error=error, description=description))
    assert isinstance(outcome, expected)
    assert (outcome.what if isinstance(outcome, Gone) else outcome.scope) == scope
    assert outcome.code == error


def test_missing_delegation_names_the_scopes_to_delegate():
    refused = failure(NoToken(error="unauthorized_client", description=""))
    assert all(scope in refused.reason for scope in SCOPES)


def test_clock_that_is_off_is_said_to_be():
    refused = failure(
        NoToken(error="invalid_grant", description="Invalid JWT: Token must be a short-lived token")
    )
    assert "clock" in refused.reason
    assert not refused.permanent


def test_written_event_is_done_with_its_id_and_version():
    answer = Answer(status=200, body={"id": "abc12", "etag": '"1"', "status": "confirmed"})
    assert outcomes.written(answer, "event", NOW) == Done("abc12", '"1"')


def test_patch_of_a_deleted_event_is_not_done_though_google_says_200():
    answer = Answer(status=200, body={"id": "abc12", "etag": '"1"', "status": "cancelled"})
    assert outcomes.written(answer, "event", NOW) == Gone(
        what="event", code="cancelled", reason="The event was deleted in the calendar."
    )


@pytest.mark.parametrize("body", [{}, {"id": 5}, {"id": "a", "status": []}])
def test_success_that_cannot_be_read_is_unknown(body):
    assert isinstance(outcomes.written(Answer(status=200, body=body), "event", NOW), Unknown)


def test_delete_is_done_if_the_event_is_not_there():
    for answer in (Answer(status=204), error(410, "deleted"), error(404, "notFound")):
        assert outcomes.deleted(answer, "abc12", NOW) == Done("abc12")
    assert isinstance(outcomes.deleted(error(503, "backendError"), "abc12", NOW), Unknown)


def test_only_googles_own_word_for_an_event_that_is_not_there_counts():
    for status in (404, 410):
        assert not outcomes.missing(Answer(status=status))
        assert isinstance(outcomes.deleted(Answer(status=status), "abc12", NOW), Gone)


def test_taken_id_is_told_from_other_conflicts():
    assert outcomes.exists(error(409, "duplicate"))
    assert outcomes.exists(Answer(status=409))
    assert not outcomes.exists(error(409, "conflict"))
    assert not outcomes.exists(error(403, "forbidden"))


@pytest.mark.parametrize("body", [{"error": "text"}, {"error": {"errors": "x"}}, {"error": {"errors": [1]}}])
def test_errors_in_strange_shapes_are_outcomes_too(body):
    assert isinstance(failure(Answer(status=400, body=body)), Refused)
    assert isinstance(failure(Answer(status=429, body=body)), Throttled)


def test_nothing_of_googles_message_is_repeated():
    for status in (400, 401, 403, 404, 409, 410, 412, 429, 500):
        assert SECRET not in repr(failure(error(status, "some")))


@pytest.mark.parametrize(
    "reply",
    [
        NoToken(error="unauthorized_client", description="Client is unauthorized to retrieve access tokens"),
        NoToken(error="invalid_scope", description="Invalid OAuth scope"),
        error(403, "insufficientPermissions"),
        newer_error(403, "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
    ],
)
def test_a_missing_scope_for_calendars_stops_that_mailbox_alone_and_is_named(reply):
    refused = outcomes.calendar_failure(reply, NOW)
    assert isinstance(refused, Refused)
    assert refused.scope == "mailbox"
    assert all(scope in refused.reason for scope in CALENDAR_SCOPES)


@pytest.mark.parametrize(
    "reply",
    [
        NoToken(error="invalid_grant", description="Invalid JWT Signature."),
        NoToken(error="invalid_grant", description="Invalid email or User ID"),
        NoToken(error="admin_policy_enforced", description=""),
        NoAnswer(why="TimeoutError"),
        error(403, "quotaExceeded"),
        error(503, "backendError"),
    ],
)
def test_every_other_failure_of_a_calendar_is_what_it_always_is(reply):
    assert outcomes.calendar_failure(reply, NOW) == outcomes.failure(reply, "calendar", NOW)


def test_a_calendar_that_google_does_not_let_us_make_has_a_reason_of_its_own():
    refused = outcomes.calendar_failure(error(403, "forbidden"), NOW)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.scope) == ("forbidden", "mailbox")
    assert "calendar" in refused.reason
    assert refused.reason != failure(error(403, "forbidden")).reason


@pytest.mark.parametrize(
    ("reply", "refused"),
    [
        (error(410, "fullSyncRequired"), True),
        (error(410, "updatedMinTooLongAgo"), True),
        (error(400, "invalid"), True),
        (Answer(status=410), False),
        (error(404, "notFound"), False),
        (error(403, "rateLimitExceeded"), False),
        (error(503, "backendError"), False),
        (NoAnswer(why="TimeoutError"), False),
        (Answer(status=200), False),
    ],
)
def test_a_state_is_refused_by_googles_own_word_alone(reply, refused):
    """A proxy's 410 has no JSON; to start over for it would read whole calendars for nothing."""
    assert outcomes.refuses_state(reply) is refused
