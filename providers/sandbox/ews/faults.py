"""How the faults of the control API look in EWS.

``throttle`` has several shapes, named by the fault's option ``shape``: ``503`` (HTTP 503 without SOAP),
``fault`` (HTTP 500 with a SOAP fault ErrorServerBusy; the default), ``connections`` (the same with
ErrorExceededConnectionCount) and ``items`` (HTTP 200, this item and the ones after it are
ErrorServerBusy). With ``retry_after`` they carry Retry-After or
BackOffMilliseconds, without it they do not say.

``partial`` takes ``n``, the number of items that are done. Of a request with one item it sends half of the
answer; with the ``shape`` ``document`` a whole answer whose XML breaks off (``truncated`` is the same for any
number of items), with ``page`` a page that lacks its second half and still says that it is the last.

``expired_state`` meets a SyncFolderItems that shows a state, and no other request. ``deny`` takes ``code``,
any response code, and ``gone`` takes ``what``: event, calendar, mailbox. An event is really away afterwards,
as if the person had just deleted it; a calendar and a mailbox are away for this request only.
"""

import msgspec

from providers.sandbox.ews.soap import ResponseError, SoapFault
from providers.sandbox.state import Fault, State

__all__ = ["ITEM_OPERATIONS", "MAX_CONNECTIONS", "Plan", "busy_fault", "plan", "too_many_connections"]

ITEM_OPERATIONS = {
    "CreateItem": "create",
    "UpdateItem": "update",
    "DeleteItem": "delete",
    "GetItem": "read",
    "FindItem": "read",
    "GetFolder": "read",
    "FindFolder": "read",
    "CopyItem": "copy",
    "MoveItem": "move",
    "SyncFolderItems": "read",
    "SyncFolderHierarchy": "read",
    "CreateFolder": "make_calendar",
    "UpdateFolder": "change_calendar",
    "DeleteFolder": "remove_calendar",
    "GetUserConfiguration": "read",
    "CreateUserConfiguration": "change_categories",
    "UpdateUserConfiguration": "change_categories",
    "DeleteUserConfiguration": "change_categories",
}
"""What an operation does to each of its items, in the words that all protocols share."""

MAX_CONNECTIONS = 27
"""Exchange's default throttling policy (EwsMaxConcurrency): requests at a time.

Counted for an account, as Exchange does for delegates. It counts those of an account that impersonates
for the mailbox; the sandbox is stricter, so that one account never needs more in either mode.
"""

_BUSY = "The server cannot service this request right now. Try again later."
_OF_REQUESTS = ("unavailable", "commit_then_drop", "commit_then_503", "slow", "partial", "truncated")


class Plan(msgspec.Struct, kw_only=True):
    """What will go wrong with a request."""

    fault: Fault | None = None
    """To be played with the request as a whole."""
    refusals: dict[int, ResponseError] = {}
    limit: int | None = None
    """From this item on, all are busy."""
    busy: ResponseError | None = None
    moves_on: set[int] = set()
    """Items whose version moves on once they are made or changed."""
    vanishes: set[int] = set()
    """Items that the person deletes right before."""

    def check(self, index: int) -> None:
        """Raises ``ResponseError`` if this item of the request is not to be carried out."""
        if self.limit is not None and index >= self.limit and self.busy is not None:
            raise self.busy
        if index in self.refusals:
            raise self.refusals[index]


def plan(
    state: State,
    operation: str,
    mailbox: str | None,
    items: int,
    *,
    impersonating: bool,
    shows_state: bool = False,
) -> Plan:
    """Ask for the faults that meet this request and its items.

    A fault that names the protocol's operation (CreateItem) or none counts requests; one that names
    what is done to an item (create, update, delete, read) counts items. ``shows_state``: the request asks
    what has changed since a state. Raises ``SoapFault``.
    """
    verb = ITEM_OPERATIONS.get(operation)
    result = Plan()
    fault = state.faults.take("ews", operation, mailbox)
    if fault is not None and fault.fault == "expired_state":
        if shows_state:
            result.refusals[0] = _expired()
        return result
    if fault is not None:
        _play(result, fault, range(items), verb, items, impersonating)
        return result
    for index in range(items):
        if all(fault.operation != verb for fault in state.faults.active):
            break
        fault = state.faults.take("ews", verb or operation, mailbox)
        if fault is not None and fault.fault == "expired_state":
            result.refusals |= {index: _expired()} if shows_state else {}
        elif fault is not None:
            _play(result, fault, range(index, index + 1), verb, items, impersonating)
            if result.fault is not None or result.limit is not None:
                break
    return result


def _play(
    result: Plan, fault: Fault, indexes: range, verb: str | None, items: int, impersonating: bool
) -> None:
    if fault.fault == "throttle" and fault.options.get("shape") == "items":
        result.limit, result.busy = indexes.start, _busy_item(fault)
    elif fault.fault == "partial" and items > 1:
        done = fault.options.get("n")
        result.limit, result.busy = (items // 2 if done is None else int(done)), _busy_item(fault)
    elif fault.fault == "moves_on":
        result.moves_on |= set(indexes)
    elif fault.fault == "throttle" or fault.fault in _OF_REQUESTS:
        result.fault = fault
    elif fault.fault == "gone" and _what(fault, verb) == "event":
        result.vanishes |= set(indexes)
    else:
        whole = len(indexes) == items and indexes.start == 0 and fault.operation != verb
        error = _refusal(fault, verb)
        if whole and impersonating and error.code in ("ErrorAccessDenied", "ErrorNonExistentMailbox"):
            raise SoapFault(*_IMPERSONATION[error.code])
        result.refusals |= dict.fromkeys(indexes, error)


_IMPERSONATION = {
    "ErrorAccessDenied": (
        "ErrorImpersonateUserDenied",
        "The account does not have permission to impersonate the requested user.",
    ),
    "ErrorNonExistentMailbox": (
        "ErrorNonExistentMailbox",
        "The SMTP address has no mailbox associated with it.",
    ),
}


def _refusal(fault: Fault, verb: str | None) -> ResponseError:
    if fault.fault == "deny":
        code = str(fault.options.get("code", "ErrorAccessDenied"))
        return ResponseError(code, "Access is denied. Check credentials and try again.")
    if _what(fault, verb) == "calendar":
        return ResponseError("ErrorFolderNotFound", "The specified folder could not be found in the store.")
    return ResponseError("ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it.")


def _what(fault: Fault, verb: str | None) -> str:
    return str(fault.options.get("what", "event" if verb in ("update", "delete") else "mailbox"))


def _expired() -> ResponseError:
    return ResponseError("ErrorInvalidSyncStateData", "Synchronization state data is corrupt or not valid.")


def _back_off(fault: Fault | None) -> dict[str, str]:
    if fault is None or fault.retry_after is None:
        return {}
    return {"BackOffMilliseconds": str(round(fault.retry_after * 1000))}


def _busy_item(fault: Fault) -> ResponseError:
    xml = "".join(f'<t:Value Name="{name}">{value}</t:Value>' for name, value in _back_off(fault).items())
    return ResponseError("ErrorServerBusy", _BUSY, xml=xml)


def too_many_connections() -> SoapFault:
    """The SOAP fault of the throttling policy's part EwsMaxConcurrency; it suggests no time to wait."""
    return SoapFault(
        "ErrorExceededConnectionCount",
        "You have exceeded the available concurrent connections for your account."
        " Try again once your other requests have completed.",
        values={
            "Policy": "MaxConcurrency",
            "MaxConcurrencyLimit": str(MAX_CONNECTIONS),
            "ErrorMessage": "This operation exceeds the throttling budget for policy part 'MaxConcurrency',"
            f" policy value '{MAX_CONNECTIONS}', Budget type: 'Ews'. Suggested backoff time 0 ms.",
        },
    )


def busy_fault(fault: Fault | None = None) -> SoapFault:
    """The SOAP fault of a server that wants to be left alone, with BackOffMilliseconds if known."""
    return SoapFault("ErrorServerBusy", _BUSY, values=_back_off(fault))
