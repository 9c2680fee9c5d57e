"""The batch endpoint's envelope: calls as parts of a ``multipart/mixed`` body.

https://developers.google.com/workspace/calendar/api/guides/batch
"""

from email.message import Message
from email.parser import BytesParser
from http import HTTPStatus
from secrets import token_urlsafe

import msgspec

from providers.sandbox.google.errors import ApiError

__all__ = ["LARGEST_BATCH", "Part", "read_batch", "write_batch"]

LARGEST_BATCH = 1000


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One call in a batch. ``headers`` are by lower-case name."""

    content_id: str | None
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def read_batch(content_type: str, body: bytes) -> list[Part]:
    """The calls in a batch. Raises ``ApiError`` 400 if it is none, or has too many."""
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    if message.get_content_type() != "multipart/mixed" or not message.is_multipart():
        raise ApiError(400, "badRequest", "Failed to parse batch request, error: 0 items.")
    parts = [part for part in message.get_payload() if isinstance(part, Message)]
    if len(parts) > LARGEST_BATCH:
        raise ApiError(400, "badRequest", f"The batch request has more than {LARGEST_BATCH} calls.")
    return [_read_part(part["Content-ID"], _content(part)) for part in parts]


def _read_part(content_id: str | None, payload: bytes) -> Part:
    head, _, rest = payload.lstrip().partition(b"\n")
    request_line = head.decode("latin-1").split()
    if len(request_line) < 2:
        raise ApiError(400, "badRequest", "Failed to parse a part of the batch request.")
    message = BytesParser().parsebytes(rest)
    return Part(
        content_id=None if content_id is None else content_id.strip(),
        method=request_line[0],
        target=request_line[1],
        headers={name.casefold(): value for name, value in message.items()},
        body=_content(message).strip(),
    )


def _content(message: Message) -> bytes:
    content = message.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def write_batch(answers: list[tuple[str | None, int, dict[str, str], bytes]]) -> tuple[str, bytes]:
    """Content type and body of the answer, from each part's Content-ID, status, headers and body."""
    boundary = f"batch_{token_urlsafe(24)}"
    chunks: list[bytes] = []
    for content_id, status, headers, body in answers:
        lines = [f"--{boundary}", "Content-Type: application/http"]
        if content_id is not None:
            lines.append(f"Content-ID: <response-{content_id.removeprefix('<').removesuffix('>')}>")
        lines += ["", f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        chunks.append("\r\n".join(lines).encode() + body + b"\r\n")
    chunks.append(f"--{boundary}--\r\n".encode())
    return f"multipart/mixed; boundary={boundary}", b"".join(chunks)
