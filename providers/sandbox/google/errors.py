"""Errors as the Calendar API answers them.

https://developers.google.com/workspace/calendar/api/guides/errors lists statuses, reasons and shapes.
"""

from typing import Any

from providers.sandbox.state import Fault

__all__ = ["ApiError", "from_fault", "invalid", "not_found"]


class ApiError(Exception):
    """An answer other than success. ``retry_after`` is in seconds; Google itself never sends one."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        location: str | None = None,
        location_type: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self._detail: dict[str, str] = {"domain": domain, "reason": reason, "message": message}
        if location is not None:
            self._detail |= {"locationType": location_type or "parameter", "location": location}

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object of the answer."""
        return {"error": {"errors": [self._detail], "code": self.status, "message": self.message}}


def invalid(message: str, location: str | None = None, location_type: str | None = None) -> ApiError:
    """400: a value that the API does not accept."""
    return ApiError(400, "invalid", message, location=location, location_type=location_type)


def not_found() -> ApiError:
    """404: no such calendar or event."""
    return ApiError(404, "notFound", "Not Found")


_THROTTLE_MESSAGES = {
    "userRateLimitExceeded": "User Rate Limit Exceeded",
    "rateLimitExceeded": "Rate Limit Exceeded",
    "quotaExceeded": "Calendar usage limits exceeded.",
}


def from_fault(fault: Fault) -> ApiError | None:
    """The error to answer instead of doing anything; None for a fault of another kind.

    Options: ``status`` and ``reason``, where Google has several for one thing.
    """
    status, reason = fault.options.get("status"), fault.options.get("reason")
    if fault.fault == "throttle":
        reason = reason or "userRateLimitExceeded"
        message = _THROTTLE_MESSAGES.get(reason, "Rate Limit Exceeded")
        return ApiError(status or 403, reason, message, domain="usageLimits", retry_after=fault.retry_after)
    if fault.fault == "unavailable":
        return ApiError(
            status or 503, reason or "backendError", "Backend Error", retry_after=fault.retry_after
        )
    if fault.fault == "deny":
        return ApiError(status or 403, reason or "forbidden", "Forbidden")
    if fault.fault == "gone":
        return ApiError(status or 404, reason or "notFound", "Not Found")
    return None
