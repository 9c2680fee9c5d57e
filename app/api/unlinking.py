"""What all requests that unlink have in common: the mode, and waiting for the events to be out."""

import re
from typing import Annotated, Any, TypeAlias

from litestar import Request, Response
from litestar.datastructures import ResponseHeader
from litestar.params import HeaderParameter, QueryParameter

from app.errors import BadRequest
from app.provisioning.watching import RunWatcher

__all__ = ["UNLINK_HEADERS", "Prefer", "UnlinkMode", "only_parameter", "unlinked"]

LONGEST_WAIT = 300
"""Seconds; a longer wait is cut to this, and Preference-Applied says so."""

UnlinkMode: TypeAlias = Annotated[
    str | None,
    QueryParameter(name="unlinkMode", description="What happens to the events in the mailbox."),
]
Prefer: TypeAlias = Annotated[
    str | None,
    HeaderParameter(
        name="Prefer",
        description="`wait=SECONDS` (RFC 7240): hold the answer until the events are out, at most so long"
        f" and at most {LONGEST_WAIT} seconds.",
    ),
]
UNLINK_HEADERS = (
    ResponseHeader(
        name="Operation-Location",
        description="The run that takes the events out.",
        value="/api/v1/runs/1",
        documentation_only=True,
    ),
    ResponseHeader(
        name="Preference-Applied",
        description="The wait that was granted, if one was asked for.",
        value="wait=10",
        documentation_only=True,
    ),
)

_WAIT = re.compile(r'wait\s*=\s*"?(\d{1,9})"?', re.IGNORECASE | re.ASCII)


def only_parameter(request: Request[Any, Any, Any], name: str) -> None:
    """Raises BadRequest if a query parameter is given more than once: which one counts is no guess."""
    if len(request.query_params.getall(name, [])) > 1:
        raise BadRequest("repeated_parameter", f"{name}: given more than once.")


def _wait_seconds(prefer: str | None) -> int | None:
    """The wait that is asked for. What is not understood is ignored (RFC 7240 section 2)."""
    for preference in (prefer or "").split(","):
        match = _WAIT.fullmatch(preference.partition(";")[0].strip())
        if match:
            return min(int(match[1]), LONGEST_WAIT)
    return None


async def unlinked(run: int, prefer: str | None, watcher: RunWatcher) -> Response[None]:
    """204 with the address of the run, once it has ended if the caller prefers to wait for that."""
    headers = {"Operation-Location": f"/api/v1/runs/{run}"}
    seconds = _wait_seconds(prefer)
    if seconds is not None:
        await watcher.wait(run, seconds)
        headers["Preference-Applied"] = f"wait={seconds}"
    return Response(None, status_code=204, headers=headers)
