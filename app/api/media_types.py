"""Of which media type a body is (RFC 9110 section 8.3)."""

from collections.abc import Mapping
from typing import Any

from litestar import Request
from litestar.exceptions import HTTPException

__all__ = ["media_type"]


def media_type(
    request: Request[Any, Any, Any], *expected: str, headers: Mapping[str, str] | None = None
) -> str:
    """The body's media type, if it is one of those that are understood.

    Otherwise the answer is 415, with these headers.
    """
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found not in expected:
        raise HTTPException(
            status_code=415,
            detail=f"Content-Type: expected {' or '.join(expected)}.",
            headers=dict(headers or {}),
        )
    return found
