"""How errors are answered: in the shape of the v0 API under its path, by RFC 9457 everywhere else."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from app.errors import Problem, RoosterError
from app.provisioning.runs import ActiveRun
from app.sources.jobs import ActiveJobRun

__all__ = ["V0_PREFIX", "ProblemDetails", "V0Error", "exception_handlers"]

V0_PREFIX = "/api/v0"

log = structlog.get_logger(__name__)


class V0Error(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An error of the provisioning API. ``errorType`` never changes, ``errorMessage`` is for people."""

    error_type: str
    error_message: str
    status: str = "error"


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error by RFC 9457. ``code`` never changes, ``detail`` is for people."""

    title: str
    status: int
    code: str
    detail: str
    problems: tuple[Problem, ...] = ()
    """Everything that is wrong with the input, where it is more than one thing."""
    run: int | UUID | None = None
    """The run that is in the way."""


CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    500: "internal_error",
    503: "database_unavailable",
}

DETAILS = {
    404: "There is nothing at this address. /schema lists everything that there is.",
    405: "This address does not know that method; the header Allow names those that it knows.",
    413: "The request is larger than what is accepted.",
}
"""Where Litestar's own words say nothing more than the status does."""

CLIENT_GONE = "client disconnected prematurely"
"""What Litestar says, as an error of ours (500), when a body ends before it is complete."""

TITLES = {550: "No access to the mailbox"}

DATABASE_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.DeadlockDetectedError,
    asyncpg.TransactionTimeoutError,
    asyncpg.InterfaceError,
    ConnectionError,
)


def _answer(
    request: Request[Any, Any, Any],
    status: int,
    code: str,
    detail: str,
    *,
    problems: tuple[Problem, ...] = (),
    run: int | UUID | None = None,
    headers: dict[str, str] | None = None,
) -> Response[Any]:
    if f"{request.scope['path']}/".startswith(f"{V0_PREFIX}/"):
        return Response(V0Error(error_type=code, error_message=detail), status_code=status, headers=headers)
    try:
        title = TITLES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    return Response(
        ProblemDetails(title=title, status=status, code=code, detail=detail, problems=problems, run=run),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


def _rooster_error(request: Request[Any, Any, Any], error: RoosterError) -> Response[Any]:
    run = error.run if isinstance(error, ActiveRun | ActiveJobRun) else None
    return _answer(request, error.status, error.code, error.message, problems=error.problems, run=run)


def _validation_error(request: Request[Any, Any, Any], error: ValidationException) -> Response[Any]:
    """A parameter or a body that is not as documented, in Litestar's words about types and limits."""
    problems = tuple(
        Problem(field=str(problem.get("key", "")), detail=str(problem["message"]))
        for problem in error.extra or ()
        if isinstance(problem, dict) and "message" in problem
    )
    detail = "; ".join(f"{problem.field}: {problem.detail}" for problem in problems) or error.detail
    return _answer(request, error.status_code, "bad_request", detail, problems=problems)


def _nested_too_deeply(request: Request[Any, Any, Any], error: RecursionError) -> Response[Any]:
    """JSON that its decoder gave up on. Should it ever be a bug of ours, the log says where."""
    log.warning("nested_too_deeply", exc_info=error)
    return _answer(request, 400, CODES[400], "The body is nested too deeply.")


def _http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    status = error.status_code
    if error.detail == CLIENT_GONE:
        log.info("request_broke_off")
        return _answer(request, 400, CODES[400], "The request broke off.")
    if status >= 500:
        return _unexpected(request, error)
    detail = DETAILS.get(status) or error.detail or HTTPStatus(status).description
    return _answer(
        request, status, CODES.get(status, "bad_request"), detail, headers=dict(error.headers or {})
    )


def _database_gone(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    log.warning("database_unavailable", exc_info=error)
    return _answer(
        request,
        503,
        CODES[503],
        "The database does not answer. Nothing is known to have been changed; try again.",
        headers={"Retry-After": "5"},
    )


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A bug. Where it happened is logged."""
    log.error("request_failed", exc_info=error)
    return _answer(
        request, 500, CODES[500], "Something went wrong on our side; the log of the service says where."
    )


exception_handlers: ExceptionHandlersMap = {
    RoosterError: _rooster_error,
    ValidationException: _validation_error,
    HTTPException: _http_error,
    RecursionError: _nested_too_deeply,
    **dict.fromkeys(DATABASE_GONE, _database_gone),
    Exception: _unexpected,
}
