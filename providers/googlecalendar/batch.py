"""Several calls in one request: the ``multipart/mixed`` envelope of Google's batch endpoint.

https://developers.google.com/workspace/calendar/api/guides/batch

The client library's ``BatchHttpRequest`` does not do for us: it refreshes tokens over a connection that
knows neither our CA nor our timeouts, sends items again by itself, and loses the answers to all items if
one is missing. The calls themselves are the library's.
"""

from collections.abc import Sequence
from email.message import Message
from email.parser import BytesParser
from urllib.parse import urlsplit

from googleapiclient.http import HttpRequest

from providers.googlecalendar.replies import NoAnswer, Reply
from providers.googlecalendar.wire import read_json

__all__ = ["decode", "encode"]

BOUNDARY = "rooster-batch-4c1f8f0e5b7d"
"""Cannot occur in a part: what is in there is JSON on one line, or a header."""


def encode(requests: Sequence[HttpRequest]) -> tuple[str, bytes]:
    """Content type and body of a batch; each call is named after its place."""
    parts = [_part(index, request) for index, request in enumerate(requests)]
    return f"multipart/mixed; boundary={BOUNDARY}", b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def _part(index: int, request: HttpRequest) -> bytes:
    address = urlsplit(request.uri)
    body = (request.body or "").encode()
    headers = {"Content-Length": str(len(body))} if request.body else {}
    for name in ("content-type", "If-Match"):
        if name in request.headers:
            headers[name] = request.headers[name]
    lines = [
        f"--{BOUNDARY}",
        "Content-Type: application/http",
        f"Content-ID: <{index}>",
        "",
        f"{request.method} {address.path}?{address.query} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body + b"\r\n"


def decode(content_type: str, content: bytes, count: int) -> list[Reply]:
    """The replies in the order of the calls. A call whose answer is missing or cut has none."""
    head = b"Content-Type: " + content_type.encode() + b"\r\n\r\n"
    message = BytesParser().parsebytes(head + content)
    replies: list[Reply] = [NoAnswer(why="no answer to this call in the batch")] * count
    if not message.is_multipart():
        return replies
    for part in message.get_payload():
        assert isinstance(part, Message)
        index = str(part["Content-ID"]).strip().removeprefix("<response-").removesuffix(">")
        payload = part.get_payload(decode=True)
        if index.isdecimal() and int(index) < count and isinstance(payload, bytes):
            replies[int(index)] = _reply(payload)
    return replies


def _reply(payload: bytes) -> Reply:
    status_line, _, rest = payload.lstrip().partition(b"\n")
    words = status_line.split()
    if len(words) < 2 or not words[1].isdigit():
        return NoAnswer(why="an answer without a status in the batch")
    message = BytesParser().parsebytes(rest)
    content = message.get_payload(decode=True)
    return read_json(int(words[1]), content if isinstance(content, bytes) else b"", message["Retry-After"])
