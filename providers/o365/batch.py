"""Graph's ``$batch``: up to twenty requests in one (https://learn.microsoft.com/graph/json-batching)."""

from collections.abc import Sequence
from typing import Any

import msgspec

from providers.o365.messages import PREFERENCES, Answer, NoAnswer, Request

__all__ = ["CONCURRENT", "MAX_BATCH", "fitting", "items", "unbatch"]

MAX_BATCH = 20

CONCURRENT = 4
"""So many requests at once Graph lets into a mailbox; it answers 429 to the others
(https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits)."""

MAX_BATCH_BYTES = 3_500_000
"""Graph takes requests of up to 4 MB; this leaves room for what surrounds the items."""


def fitting(requests: Sequence[Request], *, chained: bool = True) -> int:
    """How many of the requests, from the first, go into one ``$batch``. At least one."""
    most = MAX_BATCH if chained else CONCURRENT
    size = 0
    for count, request in enumerate(requests[:most]):
        size += len(msgspec.json.encode(request))
        if size > MAX_BATCH_BYTES and count:
            return count
    return min(len(requests), most)


def items(requests: Sequence[Request], *, chained: bool) -> list[dict[str, Any]]:
    """The items of a ``$batch``. They inherit nothing but the token: each has its own headers.

    ``chained``: each depends on the one before, so that they are carried out one after the other. Other
    patterns, such as several chains side by side, are not among those that Microsoft's SDKs let through.
    """
    made: list[dict[str, Any]] = []
    for number, request in enumerate(requests):
        item: dict[str, Any] = {"id": str(number), "method": request.method, "url": request.path}
        item["headers"] = PREFERENCES | request.headers
        if request.body is not None:
            item["headers"]["Content-Type"] = "application/json"
            item["body"] = request.body
        if chained and number:
            item["dependsOn"] = [str(number - 1)]
        made.append(item)
    return made


def unbatch(answer: Answer, count: int) -> list[Answer | None]:
    """The answers of a ``$batch`` by the ids of the items; Graph gives them in any order."""
    responses = answer.body.get("responses") if answer.body is not None else None
    if not isinstance(responses, list):
        raise NoAnswer("unreadable_batch")
    answers: list[Answer | None] = [None] * count
    for response in responses:
        try:
            number, status = int(response["id"]), int(response["status"])
            headers = {
                str(name).lower(): str(value) for name, value in (response.get("headers") or {}).items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NoAnswer("unreadable_batch") from error
        body = response.get("body")
        if 0 <= number < count:
            answers[number] = Answer(
                status=status, headers=headers, body=body if isinstance(body, dict) else None
            )
    return answers
