"""What Exchange's answers mean to the rest of Rooster. The only file that knows EWS error codes.

Sources: ResponseCode and "EWS throttling in Exchange" on learn.microsoft.com, [MS-OXWSCDATA] 2.2.5.24.
Reasons are written here; Exchange's own texts may quote what people wrote.
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from providers.contract import Clock, Done, Gone, Outcome, Refused, Throttled, Unknown
from providers.ews.session import HttpStatus, NoAnswer, NotSent, Untrusted
from providers.ews.soap import Answer, Fault, Malformed
from providers.ews.tokens import NoToken, TokenRefused

__all__ = [
    "FAILURES",
    "Failure",
    "calendar_outcome",
    "folder_gone",
    "folder_outcome",
    "is_conflict",
    "item_outcome",
    "no_right_to_write",
    "not_found",
    "not_sent",
    "read_outcome",
    "stops",
    "too_much_at_once",
    "write_outcome",
]

Failure = Fault | HttpStatus | Malformed | NoAnswer | NotSent | NoToken | TokenRefused | Untrusted
FAILURES = (Fault, HttpStatus, Malformed, NoAnswer, NotSent, NoToken, TokenRefused, Untrusted)
"""What a request can end in, other than answers to its items."""

DEFAULT_BACK_OFF = 30.0
"""Seconds to wait where Exchange asks for patience without saying how much."""

ACCOUNT_BUSY = {
    "ErrorServerBusy",
    "ErrorExceededConnectionCount",
    "ErrorTooManyObjectsOpened",
    "ErrorConnectionFailed",
    "ErrorConnectionFailedTransientError",
    "ErrorInsufficientResources",
    "ErrorADUnavailable",
}
MAILBOX_BUSY = {
    "ErrorMailboxMoveInProgress",
    "ErrorMailboxStoreUnavailable",
    "ErrorMailboxFailover",
    "ErrorBatchProcessingStopped",
}
UNCLEAR = {"ErrorInternalServerError", "ErrorInternalServerTransientError", "ErrorTimeoutExpired"}
STALE = {
    "ErrorIrresolvableConflict",
    "ErrorStaleObject",
    "ErrorInvalidChangeKey",
    "ErrorChangeKeyRequired",
    "ErrorChangeKeyRequiredForWriteOperations",
}
EVENT_GONE = {"ErrorItemNotFound"}
MAILBOX_GONE = {
    "ErrorNonExistentMailbox": "There is no mailbox with this address. Check the address.",
    "ErrorMissingEmailAddress": "The account with this address has no mailbox.",
    "ErrorInvalidSmtpAddress": "This is not the address of a mailbox.",
    "ErrorInvalidMailbox": "This is not the address of a mailbox.",
}
CALENDAR_GONE = {
    "ErrorFolderNotFound",
    "ErrorSavedItemFolderNotFound",
    "ErrorSyncFolderNotFound",
    "ErrorToFolderNotFound",
}
NO_ID = {"ErrorInvalidId", "ErrorInvalidIdEmpty", "ErrorInvalidIdMalformed", "ErrorInvalidFolderId"}
"""Of an id that is none: where a calendar is named, one of another mailbox or another server."""
NO_ACCESS = {
    "ErrorAccessDenied": "The service account may not do this in this mailbox. Grant it access.",
    "ErrorCreateItemAccessDenied": "The service account may not create events in this calendar. "
    "Make it an Editor.",
    "ErrorMailboxLogonFailed": "The service account could not open this mailbox.",
    "ErrorImpersonateUserDenied": "The service account may not impersonate this user. "
    "Give it the ApplicationImpersonation role with a scope that holds this mailbox.",
    "ErrorImpersonationDenied": "The service account may not impersonate this user. "
    "Give it the ApplicationImpersonation role with a scope that holds this mailbox.",
    "ErrorImpersonationFailed": "Impersonation of this user failed.",
}
ACCOUNT_REFUSED = {
    "ErrorAccountDisabled": "The service account is disabled.",
    "ErrorPasswordExpired": "The password of the service account has expired.",
    "ErrorPasswordChangeRequired": "The password of the service account must be changed.",
    "ErrorCallerIsInvalidADAccount": "The service account is not a valid account.",
    "ErrorOrganizationAccessBlocked": "Exchange does not let this organization use EWS.",
    "ErrorInvalidServerVersion": "This server is older than Exchange 2013 SP1, which Rooster needs.",
}
FULL = {"ErrorQuotaExceeded"}
FOR_GOOD = {
    "ErrorMessageSizeExceeded": "The event is larger than Exchange accepts.",
    "ErrorDataSizeLimitExceeded": "The event is larger than Exchange accepts.",
    "ErrorCannotDeleteObject": "Exchange does not let this event be deleted.",
    "ErrorItemSave": "Exchange could not save the event.",
    "ErrorItemSavePropertyError": "Exchange does not accept a value in the event.",
    "ErrorCalendarDurationIsTooLong": "The event is longer than Exchange accepts.",
    "ErrorCalendarEndDateIsEarlierThanStartDate": "The event ends before it starts.",
    "ErrorSchemaValidation": "Exchange does not accept the form of the request.",
    "ErrorInvalidRequest": "Exchange does not accept the request.",
}
FOR_GOOD_PREFIXES = ("ErrorInvalid", "ErrorCalendar", "ErrorProperty", "ErrorUnsupported", "ErrorMimeContent")

TOO_MUCH_AT_ONCE = {
    "ErrorSchemaValidation",
    "ErrorInvalidRequest",
    "ErrorMessageSizeExceeded",
    "ErrorDataSizeLimitExceeded",
}
TOO_MUCH_AT_ONCE_HTTP = {400, 413}


def item_outcome(answer: Answer, clock: Clock, *, id: str | None = None) -> Outcome:
    """The outcome of one item that was created, updated or deleted (then ``id`` is the event's).

    ErrorItemNotFound becomes Gone; whether a deletion was meant, the caller knows. Exchange also says
    it for want of permission, which only the calendar itself can tell apart.
    """
    if answer.ok:
        found = answer.item_id
        if found is not None:
            return Done(*found)
        if id is not None:
            return Done(id)
        return Unknown(code="NoItemId", reason="Exchange reported success without the id of the event.")
    return _outcome(answer.code, answer.back_off, clock)


def write_outcome(failure: Failure, clock: Clock) -> Outcome:
    """The outcome of every item in a request to write that ended in ``failure``; never Done.

    An HTTP 503 may come from a load balancer after the mailbox server has done it, so it says nothing.
    ErrorServerBusy is Exchange's own word, before it begins.
    """
    if isinstance(failure, HttpStatus) and failure.status == 503:
        return Unknown(code="HTTP 503", reason="Exchange was not available.")
    return _failure_outcome(failure, clock)


def read_outcome(failure: Failure, clock: Clock, *, delegate: bool) -> Refused | Throttled | Gone | Unknown:
    """Why the calendar could not be read. With delegate access, "not found" means "not for you"."""
    return _not_done(calendar_outcome(_failure_outcome(failure, clock), delegate=delegate))


def folder_outcome(failure: Failure, clock: Clock, *, delegate: bool) -> Refused | Throttled | Gone | Unknown:
    """Why a calendar could not be made or removed, below the default one."""
    outcome = calendar_outcome(write_outcome(failure, clock), delegate=delegate)
    if isinstance(outcome, Refused) and outcome.scope == "event":
        return Refused(
            code=outcome.code,
            reason="Exchange refuses to make or remove a calendar in this mailbox.",
            permanent=outcome.permanent,
            scope="mailbox",
        )
    return _not_done(outcome)


def _not_done(outcome: Outcome) -> Refused | Throttled | Gone | Unknown:
    assert not isinstance(outcome, Done)
    return outcome


def calendar_outcome(outcome: Outcome, *, delegate: bool) -> Outcome:
    """The outcome, where no event was named and "not found" can only be the calendar itself.

    ``delegate``: for the default calendar by delegate access, which shows nothing of what is not shared.
    """
    if isinstance(outcome, Refused) and outcome.code in NO_ID:
        outcome = Gone(what="calendar", code=outcome.code, reason=outcome.reason)
    if not isinstance(outcome, Gone) or outcome.what == "mailbox":
        return outcome
    if delegate:
        return Refused(
            code=outcome.code,
            reason="The service account does not see this calendar. Share it with the account as Editor.",
            scope="mailbox",
        )
    return Gone(what="calendar", code=outcome.code, reason="The mailbox has no calendar that can be reached.")


def _failure_outcome(failure: Failure, clock: Clock) -> Outcome:
    match failure:
        case Fault():
            return _outcome(failure.code, failure.back_off, clock)
        case HttpStatus():
            return _http_outcome(failure, clock)
        case NotSent():
            return Unknown(code="unreachable", reason="Exchange cannot be reached at service_endpoint.")
        case NoToken():
            return Unknown(code="no_token", reason="The authority for access tokens cannot be reached.")
        case TokenRefused():
            return Refused(
                code=failure.code,
                reason="Microsoft Entra gives no access token. Check tenant_id, username (the application's "
                "client id) and password (its client secret) in [providers.ews].",
                scope="account",
            )
        case Untrusted():
            return Refused(
                code="certificate",
                reason=f"The certificate of the Exchange server is not trusted ({failure}). "
                "Set ca_file in [providers.ews] to the file of its certificate authority.",
                permanent=False,
                scope="account",
            )
        case NoAnswer():
            return Unknown(code="no_answer", reason="Exchange did not answer, or the connection broke.")
        case Malformed():
            return Unknown(code="malformed", reason="Exchange's answer is incomplete or not to be read.")


def stops(outcome: Outcome) -> bool:
    """Whether nothing more should be sent to this mailbox for now: it would only make things worse."""
    match outcome:
        case Throttled() | Unknown():
            return True
        case Refused():
            return outcome.scope != "event"
        case Gone():
            return outcome.what != "event"
    return False


def not_sent(earlier: Outcome, clock: Clock) -> Outcome:
    """The outcome of what was not sent because of ``earlier``, which ``stops``."""
    if isinstance(earlier, Unknown):
        return Throttled(until=clock(), scope="mailbox", code="not_sent")
    return earlier


def no_right_to_write() -> Refused:
    """The calendar is there, but events must not be written to it, or not be read."""
    return Refused(
        code="EffectiveRights",
        reason="The service account sees the calendar, but may not read and write it. Make it an Editor.",
        scope="mailbox",
    )


def not_found(answer: Answer) -> bool:
    """Whether there is no such item, or none that may be read: Exchange says the same of both."""
    return answer.code in EVENT_GONE


def folder_gone(code: str) -> bool:
    """Whether there is no such folder, or none that may be seen: Exchange says the same of both."""
    return code in CALENDAR_GONE or code in EVENT_GONE or code in NO_ID


def is_conflict(outcome: Outcome) -> bool:
    """Whether the ChangeKey is what Exchange refused; nothing was changed."""
    return isinstance(outcome, Refused) and outcome.code in STALE


def too_much_at_once(failure: Failure) -> bool:
    """Whether the request was refused as a whole for what may be wrong with one item in it."""
    match failure:
        case Fault():
            return failure.code in TOO_MUCH_AT_ONCE
        case HttpStatus():
            return failure.status in TOO_MUCH_AT_ONCE_HTTP
    return False


def _outcome(code: str, back_off: float | None, clock: Clock) -> Outcome:
    if code in ACCOUNT_BUSY or code in MAILBOX_BUSY:
        return Throttled(
            until=clock() + timedelta(seconds=DEFAULT_BACK_OFF if back_off is None else back_off),
            scope="account" if code in ACCOUNT_BUSY else "mailbox",
            code=code,
        )
    if code in EVENT_GONE:
        return Gone(what="event", code=code, reason="The event is no longer in the calendar.")
    if code in CALENDAR_GONE:
        return Gone(what="calendar", code=code, reason="The mailbox has no calendar that can be reached.")
    if code in MAILBOX_GONE:
        return Gone(what="mailbox", code=code, reason=MAILBOX_GONE[code])
    if code in NO_ACCESS:
        return Refused(code=code, reason=NO_ACCESS[code], scope="mailbox")
    if code in ACCOUNT_REFUSED:
        return Refused(code=code, reason=ACCOUNT_REFUSED[code], scope="account")
    if code in FULL:
        return Refused(code=code, reason="The mailbox is full.", permanent=False, scope="mailbox")
    if code in UNCLEAR:
        return Unknown(code=code, reason="Exchange had an internal error.")
    if code == "ErrorInvalidSchemaVersionForMailboxVersion":
        return Refused(
            code=code, reason="The mailbox is on a server older than Exchange 2013.", scope="mailbox"
        )
    if code in STALE:
        return Refused(code=code, reason="Somebody is changing the event at this moment.", permanent=False)
    if code in FOR_GOOD or code.startswith(FOR_GOOD_PREFIXES):
        return Refused(code=code, reason=FOR_GOOD.get(code, "Exchange does not accept the event as it is."))
    return Refused(code=code, reason="Exchange refused the event.", permanent=False)


def _http_outcome(failure: HttpStatus, clock: Clock) -> Outcome:
    code = f"HTTP {failure.status}"
    match failure.status:
        case 401 | 440:
            return Refused(
                code=code,
                reason="Exchange does not accept the credentials. Check username, password and auth_type "
                "in [providers.ews], and whether the account is locked.",
                scope="account",
            )
        case 403:
            return Refused(
                code=code,
                reason="Exchange does not let this account use EWS.",
                permanent=False,
                scope="account",
            )
        case 503 if failure.retry_after is None:
            # A proxy before Exchange that is down says the same as one that is busy, and neither says when.
            return Unknown(code=code, reason="Exchange answers that it is unavailable.")
        case 429 | 503:
            return Throttled(until=_retry_after(failure.retry_after, clock()), scope="account", code=code)
        case 400 | 413:
            return Refused(code=code, reason="Exchange does not accept the size or form of the event.")
        case status if status < 500:
            return Refused(
                code=code,
                reason=f"There is no EWS at service_endpoint: it answers with status {status}.",
                permanent=False,
                scope="account",
            )
    return Unknown(code=code, reason="Exchange failed with an error of the web server.")


def _retry_after(value: str | None, now: datetime) -> datetime:
    """When Retry-After ends: seconds or a date (RFC 9110, section 10.2.3)."""
    if value is not None:
        if value.strip().isdecimal():
            return now + timedelta(seconds=int(value))
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            pass
        else:
            return max(now, moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return now + timedelta(seconds=DEFAULT_BACK_OFF)
