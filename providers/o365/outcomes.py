"""What Graph's and Entra's answers mean. Nothing else knows their error codes.

Graph's errors are told apart by ``error.code``: one status stands for several things
(https://learn.microsoft.com/graph/errors). No message of theirs is passed on: they may quote what we sent.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from providers.contract import (
    Create,
    Delete,
    Done,
    Gone,
    Move,
    Operation,
    Outcome,
    Refused,
    Throttled,
    Unknown,
    utc,
)
from providers.o365.messages import Answer, NoAnswer

__all__ = [
    "calendar_read_only",
    "has_moved_on",
    "is_name_taken",
    "is_repeated_create",
    "is_state_forgotten",
    "no_answer",
    "no_authority",
    "no_token",
    "not_executed",
    "of_calendar_write",
    "of_event_read",
    "of_read",
    "of_token_error",
    "of_unsent",
    "of_write",
    "untrusted",
]

DEFAULT_WAIT = timedelta(seconds=10)
"""Where an answer says to wait and not for how long."""

Failure = Refused | Throttled | Gone | Unknown

_NO_MAILBOX = (
    "There is no mailbox with this address in Microsoft 365. Check the address, and that the account exists."
)
_NOT_IN_CLOUD = (
    "The account has no mailbox in Exchange Online: give it a licence that includes one, "
    "or use the type ews if its mailbox is on-premises."
)
_NO_ACCESS = (
    "The application may not use this mailbox. Grant it the application permission Calendars.ReadWrite with "
    "admin consent, and check the application access policies of Exchange Online."
)
_NO_CALENDAR = "The calendar is not in the mailbox."
_FULL = "The mailbox is full: its owner has to make room."

_GONE: dict[str, str] = {
    "resourcenotfound": _NO_MAILBOX,
    "request_resourcenotfound": _NO_MAILBOX,
    "errorinvaliduser": _NO_MAILBOX,
    "errornonexistentmailbox": _NO_MAILBOX,
    "mailboxnotenabledforrestapi": _NOT_IN_CLOUD,
    "mailboxnotsupportedforrestapi": _NOT_IN_CLOUD,
    "mailboxnotfound": _NOT_IN_CLOUD,
}
_ITEM_NOT_FOUND = frozenset({"erroritemnotfound"})
_FOLDER_NOT_FOUND = frozenset({"errorfoldernotfound", "errorcalendarfoldernotfound"})
_DENIED = frozenset(
    {"erroraccessdenied", "authorization_requestdenied", "accessdenied", "forbidden", "authorizationdenied"}
)
_FULL_CODES = frozenset({"errorquotaexceeded", "insufficientstorage"})
_MAILBOX_THROTTLED = frozenset({"applicationthrottled", "mailboxconcurrency"})
_ACCOUNT_THROTTLED = frozenset({"toomanyrequests"})
_REPEATED_CREATE = "errorduplicatetransactionid"
_NAME_TAKEN = "errorfolderexists"
_STATE_FORGOTTEN = frozenset(
    {
        "syncstatenotfound",
        "syncstateinvalid",
        "resyncrequired",
        "fullsyncrequired",
        "errorinvalidsyncstatedata",
    }
)
_CONFLICT = frozenset({409, 412, 423})

_TOKEN_REASONS: dict[int, str] = {
    7000215: "The client secret is not valid: give the secret's value, not its id.",
    7000222: "The client secret has expired: make a new one in the Entra application.",
    700027: "The certificate is not one of the Entra application's: upload it there.",
    700016: "The application is not known in this tenant: check client_id and tenant_id.",
    90002: "The tenant is not known: check tenant_id and authority.",
    900023: "The tenant is not valid: check tenant_id.",
    500011: "Microsoft Graph is not known in this tenant: graph_url and authority have to be of one cloud.",
    7000112: "The application is disabled in Entra: enable it there.",
}
_TOKEN_TRANSIENT = frozenset({90033, 90024, 50058})


def of_write(operation: Operation, answer: Answer, now: datetime) -> Outcome:
    """The outcome of a Create, an Update, a Delete, or the copy of a Move. ``now`` is aware, in UTC."""
    code = _code(answer)
    match operation:
        case _ if 200 <= answer.status < 300:
            return _done(operation, answer)
        case Delete(id=id) if code.casefold() in _ITEM_NOT_FOUND:
            return Done(id)
        case Create() | Move() if code.casefold() in _ITEM_NOT_FOUND:
            return Gone(what="calendar", code=code, reason=_NO_CALENDAR)
        case _:
            return _failure(answer, now, lambda: _unclear(code))


def of_calendar_write(answer: Answer, now: datetime) -> Failure | None:
    """Why a calendar was not made or removed, or None if it was."""
    code = _code(answer)
    if 200 <= answer.status < 300:
        return None
    if code.casefold() in _ITEM_NOT_FOUND:
        return Gone(what="calendar", code=code, reason=_NO_CALENDAR)
    return _failure(answer, now, lambda: _unclear(code))


def of_read(answer: Answer, now: datetime) -> Failure | None:
    """Why a read was not answered, or None if it was. Nothing is unclear about a read: it can wait."""
    if answer.status == 200 and answer.body is not None:
        return None
    code = _code(answer)
    if code.casefold() in _ITEM_NOT_FOUND:
        return Gone(what="calendar", code=code, reason=_NO_CALENDAR)
    wait = _retry_after(answer, now)
    if answer.status in (503, 504) and wait is not None:
        return Throttled(until=wait, scope="mailbox", code=code)
    return _failure(answer, now, lambda: _unclear(code))


def of_event_read(answer: Answer, now: datetime) -> Failure | None:
    """As ``of_read``, of one event that was read by its id."""
    if _code(answer).casefold() in _ITEM_NOT_FOUND:
        return _failure(answer, now, lambda: _unclear(_code(answer)))
    return of_read(answer, now)


def of_unsent(earlier: Outcome, now: datetime) -> Outcome | None:
    """What to say of operations that were not carried out because of an earlier one's outcome.

    None: that outcome was about one event; send them.
    """
    match earlier:
        case Throttled():
            return earlier
        case Unknown():
            return Throttled(until=now, scope="mailbox", code="not_sent")
        case Refused(scope="mailbox" | "account"):
            return earlier
        case Gone(what="calendar" | "mailbox"):
            return earlier
        case _:
            return None


def not_executed(answer: Answer) -> bool:
    """Whether Graph left this item of a batch out because the one before it failed."""
    return answer.status == 424


def has_moved_on(answer: Answer) -> bool:
    """Whether Graph did not write as somebody else has written since (RFC 9110 section 15.5.13).

    Field reports have it of writes without If-Match too, where Exchange itself was writing.
    """
    return answer.status == 412


def is_repeated_create(answer: Answer) -> bool:
    """Whether Graph has seen this ``transactionId`` before.

    Field reports have it with 400 and with 409; it can also answer 201 with the first event.
    """
    return _code(answer).casefold() == _REPEATED_CREATE


def is_name_taken(answer: Answer) -> bool:
    """Whether there is a folder of that name already, beside which the new one would be."""
    return _code(answer).casefold() == _NAME_TAKEN


def is_state_forgotten(answer: Answer) -> bool:
    """Whether Graph does not know any more what has changed since a link was made.

    Clients have seen it with several codes; documented is the status
    (https://learn.microsoft.com/graph/delta-query-overview#synchronization-reset).
    """
    return answer.status == 410 or _code(answer).casefold() in _STATE_FORGOTTEN


def no_answer(error: NoAnswer) -> Unknown:
    """No answer, or none that can be read."""
    return Unknown(
        code=error.code, reason="Microsoft Graph gave no complete answer. Rooster looks again later."
    )


def calendar_read_only() -> Refused:
    """The calendar is there, and the application may not write to it."""
    return Refused(code="calendar_read_only", reason=_NO_ACCESS, scope="mailbox")


def untrusted() -> Refused:
    """The certificate of Graph or of the authority does not hold; nothing was sent."""
    return Refused(
        code="certificate",
        reason="The server's certificate is not trusted. Set ca_file in [providers.o365] for a private CA.",
        permanent=False,
        scope="account",
    )


def of_token_error(answer: dict[str, Any]) -> Refused | Unknown:
    """Why the authority gave no token: RFC 6749 section 5.2, and Entra's AADSTS numbers.

    https://learn.microsoft.com/entra/identity-platform/reference-error-codes
    """
    numbers = [number for number in answer.get("error_codes") or [] if isinstance(number, int)]
    if not numbers:
        numbers = [int(number) for number in re.findall(r"AADSTS(\d+)", str(answer.get("error_description")))]
    number = next((each for each in numbers if each in _TOKEN_REASONS), numbers[0] if numbers else None)
    code = f"AADSTS{number}" if number else _safe(str(answer.get("error") or "no_token"))
    if answer.get("error") in ("temporarily_unavailable", "server_error") or number in _TOKEN_TRANSIENT:
        return no_token(code)
    reason = _TOKEN_REASONS.get(
        number or 0,
        "The authority refused our credentials. Check tenant_id, client_id and the secret or certificate.",
    )
    return Refused(code=code, reason=reason, scope="account")


def no_authority() -> Refused:
    """The authority does not know the tenant, or the certificate cannot be used."""
    return Refused(
        code="invalid_authority_or_certificate",
        reason="Check authority, tenant_id, and that certificate_file holds a key and its certificate (PEM).",
        scope="account",
    )


def no_token(code: str) -> Unknown:
    """The authority could not be reached, or failed."""
    return Unknown(
        code=_safe(code), reason="The authority gave no token. Check that it can be reached from here."
    )


def _done(operation: Operation, answer: Answer) -> Outcome:
    body = answer.body or {}
    version = body.get("changeKey")
    if isinstance(operation, Create | Move):
        id = body.get("id")
        if not isinstance(id, str):
            return _unclear("answer_without_id")
        return Done(id, version)
    if isinstance(operation, Delete):
        return Done(operation.id)
    return Done(operation.id, version)


def _failure(answer: Answer, now: datetime, unclear: Callable[[], Unknown]) -> Failure:
    """What an error means, whatever was asked for."""
    code = _code(answer)
    key = code.casefold()
    if key in _GONE:
        return Gone(what="mailbox", code=code, reason=_GONE[key])
    if key in _FOLDER_NOT_FOUND:
        return Gone(what="calendar", code=code, reason=_NO_CALENDAR)
    if key in _ITEM_NOT_FOUND:
        return Gone(what="event", code=code, reason="The event is no longer in the mailbox.")
    if key in _DENIED:
        return Refused(code=code, reason=_NO_ACCESS, scope="mailbox")
    if key in _FULL_CODES or answer.status == 507:
        # Deletes still work, so it is not said of the whole mailbox.
        return Refused(code=code, reason=_FULL, permanent=False)
    if answer.status == 429 or key in _MAILBOX_THROTTLED:
        # Exchange Online counts by application and mailbox; the gateway before it by application.
        scope = "account" if key in _ACCOUNT_THROTTLED else "mailbox"
        until = _retry_after(answer, now) or now + DEFAULT_WAIT
        return Throttled(until=until, scope=scope, code=code)  # type: ignore[arg-type]
    if answer.status == 401:
        return Refused(
            code=code,
            reason="Microsoft Graph accepts no token of ours: graph_url and authority must be of one cloud.",
            permanent=False,
            scope="account",
        )
    if answer.status in _CONFLICT:
        reason = "Something else was changing the event at the same moment."
        return Refused(code=code, reason=reason, permanent=False)
    if 400 <= answer.status < 500 and answer.status != 408:
        # Without a code of Graph's it may be a proxy that speaks, which says nothing about the event.
        permanent = _graph_code(answer) is not None
        return Refused(
            code=code,
            reason=f"Microsoft Graph refused the request: {code}, HTTP {answer.status}.",
            permanent=permanent,
        )
    # 5xx, 503 with Retry-After among them: field reports say that the event was often created all the same.
    return unclear()


def _unclear(code: str) -> Unknown:
    return Unknown(code=code, reason=f"Microsoft Graph failed: {code}. Rooster looks again later.")


def _graph_code(answer: Answer) -> str | None:
    error = answer.body.get("error") if answer.body is not None else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and code else None


def _code(answer: Answer) -> str:
    """Graph's code, or ``http_404`` where it gives none."""
    code = _graph_code(answer)
    return f"http_{answer.status}" if code is None else _safe(code)


def _safe(code: str) -> str:
    """A code is a name: anything else could hold what we sent."""
    return code if re.fullmatch(r"[\w.\-]{1,80}", code, re.ASCII) else "unreadable_code"


def _retry_after(answer: Answer, now: datetime) -> datetime | None:
    """The moment that Retry-After names: seconds or an HTTP date (RFC 9110 section 10.2.3)."""
    value = answer.headers.get("retry-after", "").strip()
    try:
        return max(now, now + timedelta(seconds=float(value)))
    except (ValueError, OverflowError):
        pass
    try:
        return max(now, utc(parsedate_to_datetime(value)))
    except ValueError:
        return None
