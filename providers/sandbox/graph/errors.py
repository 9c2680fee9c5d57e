"""Graph's error answers: learn.microsoft.com/graph/errors, and the Exchange codes behind them."""

from typing import Any

__all__ = [
    "GraphError",
    "access_denied",
    "bad_uri",
    "invalid_request",
    "item_not_found",
    "only",
    "over_concurrency",
    "request_body_read",
    "sync_state_not_found",
    "too_many_requests",
    "unavailable",
    "user_not_found",
]


class GraphError(Exception):
    """An answer other than success. Clients branch on ``code``, not on ``status``."""

    def __init__(self, status: int, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Retry-After, in whole seconds, where the answer says when to come back."""
        return {} if self.retry_after is None else {"Retry-After": str(round(self.retry_after))}

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return {"error": {"code": self.code, "message": self.message}}


def item_not_found() -> GraphError:
    """The event is not in the store."""
    return GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def sync_state_not_found() -> GraphError:
    """What a delta link goes on from is not known any more; with this code clients have seen it."""
    return GraphError(410, "SyncStateNotFound", "The sync state generation is not found.")


def user_not_found() -> GraphError:
    """There is nobody of that name."""
    return GraphError(404, "ResourceNotFound", "Resource could not be discovered.")


def access_denied() -> GraphError:
    """The application may not use this mailbox."""
    return GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


def over_concurrency(retry_after: float | None = None) -> GraphError:
    """More than four requests at once for one mailbox."""
    return GraphError(
        429, "ApplicationThrottled", "Application is over its MailboxConcurrency limit.", retry_after
    )


def too_many_requests(retry_after: float | None = None) -> GraphError:
    """Graph itself, not a service behind it, has had too many: learn.microsoft.com/graph/throttling."""
    return GraphError(429, "TooManyRequests", "Too many requests. Please retry later.", retry_after)


def unavailable(retry_after: float | None = None) -> GraphError:
    """The service is not there for the moment; nobody can tell from it whether anything was done."""
    return GraphError(503, "serviceNotAvailable", "The service is temporarily unavailable.", retry_after)


def invalid_request(message: str) -> GraphError:
    """Exchange understood the request and does not take it."""
    return GraphError(400, "ErrorInvalidRequest", message)


def request_body_read(message: str) -> GraphError:
    """The body does not fit the metadata."""
    return GraphError(400, "RequestBodyRead", message)


def bad_uri(message: str) -> GraphError:
    """The path or a query option does not fit the metadata."""
    return GraphError(400, "RequestBroker--ParseUri", message)


def only(method: str, *allowed: str) -> None:
    """Raises ``GraphError`` (405) for any other method than those that are allowed."""
    if method not in allowed:
        raise GraphError(
            405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."
        )
