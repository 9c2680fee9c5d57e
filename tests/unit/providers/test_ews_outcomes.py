"""What Exchange's answers mean, in each of the forms in which they come."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from providers.contract import Done, Gone, Outcome, Refused, Throttled, Unknown
from providers.ews import outcomes
from providers.ews.outcomes import Failure, item_outcome, read_outcome, write_outcome
from providers.ews.session import HttpStatus, NoAnswer, NotSent, Untrusted
from providers.ews.soap import Fault, Malformed, read
from tests.clock import SettableClock
from tests.unit.providers.ews_server import envelope, error, fault, response, success

SCHEMA = Path(__file__).parents[4] / "shared/reference/schemas/ews/SchemaValidation/MS-OXWSCDATA-messages.xsd"


def outcome_of(message: str, clock: SettableClock, id: str | None = None) -> Outcome:
    (answer,) = read(response("UpdateItem", message), "UpdateItem", 1)
    return item_outcome(answer, clock, id=id)


def test_success_gives_the_id_and_the_version(clock: SettableClock):
    assert outcome_of(success("id-1", "ck-1"), clock) == Done("id-1", "ck-1")


def test_a_deletion_needs_no_id_in_the_answer(clock: SettableClock):
    assert outcome_of(success(), clock, id="id-1") == Done("id-1")


def test_a_create_without_an_id_in_the_answer_is_unknown(clock: SettableClock):
    assert isinstance(outcome_of(success(), clock), Unknown)


@pytest.mark.parametrize(
    "code", ["ErrorServerBusy", "ErrorExceededConnectionCount", "ErrorTooManyObjectsOpened"]
)
def test_a_busy_item_waits_as_long_as_exchange_says(clock: SettableClock, code: str):
    assert outcome_of(error(code, back_off=1500), clock) == Throttled(
        until=clock() + timedelta(seconds=1.5), scope="account", code=code
    )


def test_a_busy_item_without_a_time_waits_a_while(clock: SettableClock):
    assert outcome_of(error("ErrorServerBusy"), clock) == Throttled(
        until=clock() + timedelta(seconds=30), scope="account", code="ErrorServerBusy"
    )


@pytest.mark.parametrize("code", ["ErrorMailboxMoveInProgress", "ErrorMailboxStoreUnavailable"])
def test_a_mailbox_under_way_holds_up_no_other_mailbox(clock: SettableClock, code: str):
    outcome = outcome_of(error(code), clock)

    assert isinstance(outcome, Throttled)
    assert outcome.scope == "mailbox"


@pytest.mark.parametrize(
    "code",
    [
        "ErrorInvalidPropertySet",
        "ErrorCalendarDurationIsTooLong",
        "ErrorPropertyUpdate",
        "ErrorMessageSizeExceeded",
        "ErrorSchemaValidation",
    ],
)
def test_an_event_that_exchange_will_never_take_is_refused_for_good(clock: SettableClock, code: str):
    outcome = outcome_of(error(code), clock)

    assert isinstance(outcome, Refused)
    assert (outcome.scope, outcome.permanent, outcome.code) == ("event", True, code)


def test_a_code_that_nobody_has_heard_of_is_refused_for_now(clock: SettableClock):
    outcome = outcome_of(error("ErrorOfTheFuture"), clock)

    assert isinstance(outcome, Refused)
    assert (outcome.scope, outcome.permanent) == ("event", False)


def test_a_full_mailbox_may_be_emptied(clock: SettableClock):
    outcome = outcome_of(error("ErrorQuotaExceeded"), clock)

    assert isinstance(outcome, Refused)
    assert (outcome.scope, outcome.permanent) == ("mailbox", False)


def test_an_internal_error_says_nothing_of_what_was_done(clock: SettableClock):
    assert isinstance(outcome_of(error("ErrorInternalServerError"), clock), Unknown)


def test_an_internal_error_with_a_reason_inside_means_that_reason(clock: SettableClock):
    message = error("ErrorInternalServerError").replace(
        "<m:DescriptiveLinkKey>",
        '<m:MessageXml><t:Value Name="InnerErrorResponseCode">ErrorQuotaExceeded</t:Value></m:MessageXml>'
        "<m:DescriptiveLinkKey>",
    )

    assert getattr(outcome_of(message, clock), "code", None) == "ErrorQuotaExceeded"


def test_an_item_with_a_warning_was_done_if_there_is_an_item(clock: SettableClock):
    message = success("id-1", "ck-1").replace("Success", "Warning").replace("NoError", "ErrorSomeWarning")

    assert outcome_of(message, clock) == Done("id-1", "ck-1")


def test_what_came_after_the_processing_stopped_is_not_done(clock: SettableClock):
    message = error("ErrorBatchProcessingStopped", response_class="Warning")

    assert isinstance(outcome_of(message, clock), Throttled)


def failure_of(content: bytes) -> Failure:
    with pytest.raises((Fault, Malformed)) as caught:
        read(content, "CreateItem", 1)
    return caught.value


@pytest.mark.parametrize(("back_off", "seconds"), [(4000, 4), (None, 30)])
def test_a_busy_server_waits_as_long_as_the_fault_says(
    clock: SettableClock, back_off: int | None, seconds: int
):
    assert write_outcome(failure_of(fault("ErrorServerBusy", back_off)), clock) == Throttled(
        until=clock() + timedelta(seconds=seconds), scope="account", code="ErrorServerBusy"
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html>", "not XML"),
        (response("CreateItem", success("id-1"))[:-20], "cut off"),
        (response("CreateItem", success("id-1"), success("id-2")), "more answers than items"),
        (response("DeleteItem", success("id-1")), "another operation's answer"),
        (envelope(""), "nothing in it"),
        (response("CreateItem", "<m:OPERATIONResponseMessage/>"), "no response code"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_answer_that_cannot_be_read_leaves_everything_unknown(
    clock: SettableClock, content: bytes, why: str
):
    assert isinstance(write_outcome(failure_of(content), clock), Unknown)


def test_an_answer_with_a_document_type_is_not_read():
    # SOAP 1.1, section 3, forbids it; entities could name files of this machine.
    content = response("CreateItem", success("id-1")).replace(
        b"<s:Envelope", b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><s:Envelope', 1
    )
    with pytest.raises(Malformed):
        read(content, "CreateItem", 1)


def test_a_503_on_writing_may_come_after_the_deed(clock: SettableClock):
    assert isinstance(write_outcome(HttpStatus(503, "1"), clock), Unknown)


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        ("120", timedelta(seconds=120)),
        ("Tue, 01 Sep 2026 08:05:00 GMT", timedelta(minutes=5)),
        ("Tue, 01 Sep 2026 07:00:00 GMT", timedelta(0)),
        ("soon", timedelta(seconds=30)),
    ],
)
def test_a_503_on_reading_waits(clock: SettableClock, retry_after: str | None, wait: timedelta):
    assert clock() == datetime(2026, 9, 1, 8, tzinfo=UTC)

    assert read_outcome(HttpStatus(503, retry_after), clock, delegate=False) == Throttled(
        until=clock() + wait, scope="account", code="HTTP 503"
    )


def test_a_503_that_does_not_say_how_long_is_no_request_to_wait(clock: SettableClock):
    assert isinstance(read_outcome(HttpStatus(503), clock, delegate=False), Unknown)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_an_error_of_the_web_server_says_nothing_of_what_was_done(clock: SettableClock, status: int):
    assert isinstance(write_outcome(HttpStatus(status), clock), Unknown)


@pytest.mark.parametrize("status", [401, 302, 403, 404])
def test_a_server_that_does_not_let_us_in_refuses_the_account(clock: SettableClock, status: int):
    outcome = write_outcome(HttpStatus(status), clock)

    assert isinstance(outcome, Refused)
    assert outcome.scope == "account"
    assert outcome.permanent is (status == 401)


def test_a_certificate_that_is_not_trusted_refuses_the_account(clock: SettableClock):
    outcome = write_outcome(Untrusted("self-signed certificate"), clock)

    assert isinstance(outcome, Refused)
    assert outcome.scope == "account"
    assert "ca_file" in outcome.reason


@pytest.mark.parametrize("failure", [NotSent("x"), NoAnswer("x")])
def test_no_answer_is_unknown(clock: SettableClock, failure: Failure):
    assert isinstance(write_outcome(failure, clock), Unknown)
    assert isinstance(read_outcome(failure, clock, delegate=True), Unknown)


@pytest.mark.parametrize(
    ("code", "impersonation", "delegate"),
    [
        ("ErrorNonExistentMailbox", "Gone mailbox", "Gone mailbox"),
        ("ErrorFolderNotFound", "Gone calendar", "Refused mailbox"),
        ("ErrorItemNotFound", "Gone calendar", "Refused mailbox"),
        ("ErrorAccessDenied", "Refused mailbox", "Refused mailbox"),
        ("ErrorImpersonateUserDenied", "Refused mailbox", "Refused mailbox"),
        ("ErrorPasswordExpired", "Refused account", "Refused account"),
    ],
)
def test_why_a_calendar_cannot_be_read(clock: SettableClock, code: str, impersonation: str, delegate: str):
    def said(delegate: bool) -> str:
        match read_outcome(failure_of(fault(code)), clock, delegate=delegate):
            case Gone(what=what):
                return f"Gone {what}"
            case Refused(scope=scope):
                return f"Refused {scope}"
        return "something else"

    assert (said(False), said(True)) == (impersonation, delegate)


@pytest.mark.skipif(not SCHEMA.exists(), reason=f"Microsoft's schemas are not at {SCHEMA}")
def test_every_code_that_is_told_apart_is_one_of_exchanges():
    known = {element.get("value") for element in etree.parse(SCHEMA).iter("{*}enumeration")}
    told_apart = set().union(
        *(
            value
            for name, value in vars(outcomes).items()
            if name.isupper() and isinstance(value, set | dict) and name != "TOO_MUCH_AT_ONCE_HTTP"
        )
    )

    assert "ErrorServerBusy" in told_apart
    assert told_apart - known == {"ErrorConnectionFailedTransientError"}  # of older servers


def test_a_fault_without_details_is_known_by_its_fault_code(clock: SettableClock):
    content = envelope("<s:Fault><faultcode>a:ErrorImpersonateUserDenied</faultcode></s:Fault>")

    assert getattr(read_outcome(failure_of(content), clock, delegate=False), "scope", None) == "mailbox"


def test_no_reason_repeats_what_exchange_says(clock: SettableClock):
    content = fault("ErrorAccessDenied").replace(b"Text.", b"Lecture about Marie Curie")

    assert "Curie" not in getattr(read_outcome(failure_of(content), clock, delegate=False), "reason", "Curie")
