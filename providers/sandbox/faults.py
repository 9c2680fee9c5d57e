"""The faults that the control API takes, and what they have in common in all protocols."""

from typing import Any

from aiohttp import web

from providers.sandbox.state import Fault

__all__ = ["FAULTS", "cut_connection", "parse_fault", "send_half"]

FAULTS = {
    "throttle": "not carried out; the protocol's own answer to too many requests",
    "unavailable": "not carried out; 503",
    "commit_then_drop": "carried out, then the TCP connection is cut without an answer",
    "commit_then_503": "carried out, and answered as unavailable",
    "partial": "the first half of a batch is carried out; of a single request, half of the answer is sent",
    "truncated": "carried out; the answer ends in the middle, and yet comes as if it were whole",
    "moves_on": "carried out and answered; then the version of the event that was made or changed moves on, "
    "as if by itself (o365: of those that were read, too)",
    "slow": "carried out after ``delay`` seconds (default 5)",
    "deny": "not carried out; the protocol's answer to missing rights to a mailbox; with the operation "
    "``token``, to those of the whole application",
    "gone": "the event, or else the mailbox, is not there",
    "expired_state": "not carried out; what a client knows of earlier changes is not known any more",
}

_FIELDS = {
    "type": str,
    "fault": str,
    "operation": str,
    "mailbox": str,
    "nth": int,
    "rate": (int, float),
    "times": int,
    "retryAfter": (int, float),
}


def parse_fault(body: dict[str, Any], types: set[str]) -> Fault:
    """The fault that a request describes; unknown keys become its options.

    Raises ValueError with a sentence for the caller.
    """
    body = dict(body)
    if "retry_after" in body:
        body["retryAfter"] = body.pop("retry_after")
    for name, kind in _FIELDS.items():
        value = body.get(name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):  # type: ignore[arg-type]
            raise ValueError(f"{name} has the wrong type.")
    if body.get("type") not in types:
        raise ValueError(f"type has to be one of {', '.join(sorted(types))}.")
    if body.get("fault") not in FAULTS:
        raise ValueError(f"fault has to be one of {', '.join(FAULTS)}.")
    for name in ("nth", "times"):
        if body.get(name) is not None and body[name] < 1:
            raise ValueError(f"{name} has to be 1 or more.")
    if not 0 <= (body.get("rate") or 0) <= 1:
        raise ValueError("rate has to be between 0 and 1.")
    if (body.get("retryAfter") or 0) < 0:
        raise ValueError("retryAfter has to be 0 or more, in seconds.")
    delay = body.get("delay", 0)
    if not isinstance(delay, int | float) or isinstance(delay, bool) or delay < 0:
        raise ValueError("delay has to be 0 or more, in seconds.")
    retry_after = body.get("retryAfter")
    return Fault(
        type=body["type"],
        fault=body["fault"],
        operation=body.get("operation"),
        mailbox=body.get("mailbox"),
        nth=body.get("nth"),
        rate=body.get("rate"),
        times=body.get("times"),
        retry_after=None if retry_after is None else float(retry_after),
        options={name: value for name, value in body.items() if name not in _FIELDS},
    )


def cut_connection(request: web.Request) -> web.Response:
    """Cut the TCP connection at once. The response that is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def send_half(request: web.Request, status: int, body: bytes) -> web.StreamResponse:
    """Send the first half of the answer and cut the connection, so that it never becomes complete."""
    response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
