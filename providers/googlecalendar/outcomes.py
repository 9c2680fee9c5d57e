"""Google's answers as outcomes of the contract: the only module that knows Google's error codes.

Sources: https://developers.google.com/workspace/calendar/api/guides/errors,
https://developers.google.com/workspace/calendar/api/guides/quota and, for tokens,
https://developers.google.com/identity/protocols/oauth2/service-account#error-codes.
"""

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeGuard

from providers.additions import only_ours
from providers.contract import Done, Event, Gone, Outcome, ProviderError, Refused, Throttled, Unknown
from providers.googlecalendar.replies import Answer, NoAnswer, NoToken, Reply
from providers.googlecalendar.resources import EventResource, read
from providers.googlecalendar.tokens import CALENDAR_SCOPES, SCOPES

__all__ = [
    "calendar_failure",
    "calendar_forbidden",
    "deleted",
    "exists",
    "failure",
    "lacks_marker",
    "may_be_deleted",
    "missing",
    "moved_on",
    "not_found",
    "reason_of",
    "refuses_state",
    "written",
]

Failure = Refused | Throttled | Gone | Unknown
What = Literal["event", "calendar"]

MINUTE = timedelta(minutes=1)
"""Quotas are counted over a sliding minute, and Google does not say when to come back."""

HOUR = timedelta(hours=1)
"""The limits behind ``quotaExceeded`` (abuse) and ``dailyLimitExceeded`` last for hours at least."""

_THROTTLED: dict[str, tuple[Literal["mailbox", "account"], timedelta]] = {
    "userRateLimitExceeded": ("mailbox", MINUTE),
    "rateLimitExceeded": ("mailbox", MINUTE),
    "RATE_LIMIT_EXCEEDED": ("mailbox", MINUTE),
    "RESOURCE_EXHAUSTED": ("mailbox", MINUTE),
    "quotaExceeded": ("mailbox", HOUR),
    "calendarUsageLimitsExceeded": ("mailbox", HOUR),
    "dailyLimitExceeded": ("account", HOUR),
    "userRateLimitExceededUnreg": ("account", HOUR),
    "dailyLimitExceededUnreg": ("account", HOUR),
}

_SCOPES_MISSING = f"Domain-wide delegation in the Google Admin console lacks {' or '.join(SCOPES)}."

_CALENDAR_SCOPE_MISSING = (
    "Rooster may not make or remove calendars: in the Google Admin console, add the scope "
    f"{' and '.join(CALENDAR_SCOPES)} to the domain-wide delegation of the service account's client id."
)

_CALENDAR_FORBIDDEN = (
    "Google does not let Rooster make or remove this calendar: the person may not make calendars, or the "
    "calendar was made with a service account of another project."
)

_ACCOUNT_REFUSED = {
    "authError": "Google does not accept the service account's access token; check its key.",
    "insufficientPermissions": _SCOPES_MISSING,
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": _SCOPES_MISSING,
    "accessNotConfigured": "The Google Calendar API is not enabled in the service account's project.",
    "SERVICE_DISABLED": "The Google Calendar API is not enabled in the service account's project.",
    "forbiddenForServiceAccounts": "The service account lacks domain-wide delegation.",
    "domainPolicy": "The Google Workspace domain's policy forbids this application.",
}

_MAY_NOT_WRITE = (
    "Google does not allow writing to this calendar. Check that the account is active and has a calendar."
)

_MAILBOX_REFUSED = {
    "forbidden": _MAY_NOT_WRITE,
    "PERMISSION_DENIED": _MAY_NOT_WRITE,
    "requiredAccessLevel": "Rooster needs to be able to make changes to events in this calendar.",
}


def exists(reply: Reply) -> bool:
    """Whether an insert was refused because its id is taken, be it by a deleted event."""
    return isinstance(reply, Answer) and reply.status == 409 and reason_of(reply) in ("duplicate", "409")


def may_be_deleted(reply: Reply) -> bool:
    """Whether a write was refused in the way in which Google may refuse one to a deleted event."""
    return isinstance(reply, Answer) and reply.status == 403 and reason_of(reply) in _MAILBOX_REFUSED


def not_found(reply: Reply) -> bool:
    """Whether Google found no such event, or no such calendar: it says the same of both."""
    return isinstance(reply, Answer) and reply.status == 404


def moved_on(reply: Reply) -> bool:
    """Whether a write was refused because the event no longer has the version that it was meant for."""
    return isinstance(reply, Answer) and reply.status == 412


def missing(reply: Reply) -> TypeGuard[Answer]:
    """Whether an event is not there: never was, or is deleted.

    Only Google's own word counts: a proxy's 404 or 410 has no JSON.
    """
    if not isinstance(reply, Answer):
        return False
    if reply.status in (404, 410):
        return "error" in reply.body
    return reply.ok and reply.body.get("status") == "cancelled"


def refuses_state(reply: Reply) -> bool:
    """Whether a read was refused for its synchronization token: too old, or none that Google knows.

    Nothing else in such a read is ever different, so that a 400 is about the token too.
    """
    return isinstance(reply, Answer) and reply.status in (400, 410) and "error" in reply.body


def lacks_marker(reply: Reply) -> bool:
    """Whether an event is there, but without a complete marker."""
    if not isinstance(reply, Answer) or not reply.ok or missing(reply):
        return False
    try:
        return read(reply, EventResource).marker is None
    except ProviderError:
        return False


def written(reply: Reply, what: What, now: datetime, event: Event | None = None) -> Outcome:
    """The outcome of an insert, patch, update or get; ``what`` is not there if Google says 404.

    If ``event`` is what the answer should hold, the version is given only where text and categories hold
    nothing of the person's: the next change of these relies on it, or reads them first.
    """
    if not isinstance(reply, Answer) or not reply.ok:
        return failure(reply, what, now)
    if missing(reply):
        return Gone(what="event", code="cancelled", reason="The event was deleted in the calendar.")
    try:
        seen = read(reply, EventResource)
        alone = event is None or only_ours(seen.content, event)
    except ProviderError as error:
        return error.outcome
    return Done(seen.id, seen.etag if alone else None)


def deleted(reply: Reply, id: str, now: datetime) -> Outcome:
    """The outcome of a delete; an event that is not there is as good as deleted."""
    if missing(reply) or (isinstance(reply, Answer) and reply.ok):
        return Done(id)
    return failure(reply, "event", now)


def failure(reply: Reply, what: What, now: datetime) -> Failure:
    """The outcome of a call that did not succeed. ``now`` is aware, in UTC."""
    if isinstance(reply, NoToken):
        return _token_refused(reply)
    if isinstance(reply, NoAnswer):
        return Unknown(code="no_answer", reason=f"No usable answer from Google ({reply.why}).")
    reason, status = reason_of(reply), reply.status
    if status == 429 or (status == 403 and reason in _THROTTLED):
        return _throttled(reply, reason, now)
    if status == 401 or reason in _ACCOUNT_REFUSED:
        text = _ACCOUNT_REFUSED.get(reason, _ACCOUNT_REFUSED["authError"])
        return Refused(code=reason, reason=text, permanent=status != 401, scope="account")
    if status == 403:
        return _forbidden(reason)
    if status in (404, 410):
        advice = "" if what == "event" else " Check the address, and that the account has Google Calendar."
        return Gone(what=what, code=reason, reason=f"Google says that the {what} is not there.{advice}")
    if status in (408, 409, 412):
        return Refused(
            code=reason, reason="Another change got in the way; the next run tries again.", permanent=False
        )
    if 400 <= status < 500:
        return Refused(code=reason, reason=f"Google does not accept the request (status {status}, {reason}).")
    return Unknown(code=reason, reason=f"Google answered with status {status}.")


def calendar_failure(reply: Reply, now: datetime) -> Failure:
    """The outcome of making or removing a calendar that did not succeed.

    That needs a scope of its own. Where it is missing, only the mailboxes that are to have a calendar
    of ours stand still, and not the account.
    """
    outcome = failure(reply, "calendar", now)
    no_scope = isinstance(reply, NoToken) and reply.error in ("unauthorized_client", "invalid_scope")
    if no_scope or outcome.code in ("insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"):
        return Refused(code=outcome.code, reason=_CALENDAR_SCOPE_MISSING, scope="mailbox")
    if isinstance(reply, Answer) and isinstance(outcome, Refused) and outcome.scope == "mailbox":
        return calendar_forbidden(reply)
    return outcome


def calendar_forbidden(reply: Answer) -> Refused:
    """Google does not allow making or removing the calendar, in whatever way it said so."""
    return Refused(code=reason_of(reply), reason=_CALENDAR_FORBIDDEN, scope="mailbox")


def reason_of(answer: Answer) -> str:
    """Google's own code: the reason in ``errors`` or ``details``, or else the status."""
    error = answer.body.get("error")
    if not isinstance(error, dict):
        return str(answer.status)
    for name in ("errors", "details"):
        for item in _dicts(error.get(name)):
            if isinstance(item.get("reason"), str):
                return str(item["reason"])
    return str(error.get("status") or answer.status)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _throttled(answer: Answer, reason: str, now: datetime) -> Throttled:
    scope, wait = _THROTTLED.get(reason, ("mailbox", MINUTE))
    if scope == "mailbox" and _is_project_quota(answer):
        scope = "account"
    return Throttled(until=_retry_after(answer, now) or now + wait, scope=scope, code=reason)


def _is_project_quota(answer: Answer) -> bool:
    """Whether the quota that ran out is the project's: it is the same reason for both of them.

    The message names "Queries per minute" or "Queries per minute per user", the newer details
    ``defaultPerMinutePerProject`` or ``defaultPerMinutePerUser``.
    """
    error = answer.body.get("error")
    if not isinstance(error, dict):
        return False
    for item in _dicts(error.get("details")):
        if isinstance(item.get("metadata"), dict) and "quota_limit" in item["metadata"]:
            return str(item["metadata"]["quota_limit"]).endswith("PerProject")
    message = str(error.get("message", ""))
    return "per minute" in message and "per user" not in message


def _retry_after(answer: Answer, now: datetime) -> datetime | None:
    """Google documents no Retry-After; a proxy in between may send one (RFC 9110 §10.2.3)."""
    text = answer.retry_after
    if text is None:
        return None
    if text.isdecimal() and len(text) < 7:
        return now + timedelta(seconds=int(text))
    try:
        return parsedate_to_datetime(text).astimezone(now.tzinfo)
    except ValueError:
        return None


def _forbidden(reason: str) -> Refused | Gone:
    if reason == "notACalendarUser":
        return Gone(what="calendar", code=reason, reason="The person has no Google Calendar.")
    if reason in _MAILBOX_REFUSED or reason == "403":
        text = _MAILBOX_REFUSED.get(reason, _MAILBOX_REFUSED["forbidden"])
        return Refused(code=reason, reason=text, scope="mailbox")
    return Refused(code=reason, reason=f"Google does not allow this change ({reason}).")


_NO_SUCH_USER = ("invalid email or user id", "account has been deleted", "not a valid email")


def _token_refused(reply: NoToken) -> Refused | Gone:
    description = reply.description.casefold()
    if reply.error == "invalid_grant" and any(text in description for text in _NO_SUCH_USER):
        return Gone(what="mailbox", code=reply.error, reason="Google Workspace has no such user.")
    if reply.error == "admin_policy_enforced":
        return Refused(
            code=reply.error,
            reason="The Google Workspace administrator does not allow this application.",
            scope="mailbox",
        )
    texts = {
        "unauthorized_client": "In the Google Admin console, domain-wide delegation for the service "
        f"account's client id is missing, or one of the scopes {' and '.join(SCOPES)}.",
        "invalid_scope": "Google does not know the scopes that Rooster asks for.",
    }
    clock = "short-lived token" in description
    text = "Google does not accept the service account's key file; make a new key."
    if clock:
        text = "This machine's clock is off: Google does not accept the time in the request for a token."
    return Refused(
        code=reply.error, reason=texts.get(reply.error, text), permanent=not clock, scope="account"
    )
