"""The batch envelope."""

from typing import Any

import pytest
from googleapiclient.http import HttpRequest

from providers.googlecalendar import batch
from providers.googlecalendar.replies import Answer, NoAnswer

URI = "https://www.googleapis.com/calendar/v3/calendars/primary/events?alt=json"


def request(method: str = "GET", body: str | None = None, **headers: str) -> Any:
    return HttpRequest(None, None, URI, method=method, body=body, headers=headers)


def answer(*parts: str) -> bytes:
    return "".join(f"--b\r\n{part}\r\n" for part in parts).encode() + b"--b--\r\n"


def part(id: int, text: str) -> str:
    return f"Content-Type: application/http\r\nContent-ID: <response-{id}>\r\n\r\n{text}"


def decode(content: bytes, count: int) -> Any:
    return batch.decode("multipart/mixed; boundary=b", content, count)


def test_each_call_is_a_part_with_its_method_path_and_body():
    insert = request("POST", '{"summary": "x"}', **{"content-type": "application/json"})
    patch = request("PATCH", "{}", **{"If-Match": '"1"', "user-agent": "left out"})
    content_type, body = batch.encode([request(), insert, patch])
    boundary = content_type.removeprefix("multipart/mixed; boundary=")
    assert body.decode().split(f"--{boundary}") == [
        "",
        "\r\nContent-Type: application/http\r\nContent-ID: <0>\r\n\r\n"
        "GET /calendar/v3/calendars/primary/events?alt=json HTTP/1.1\r\n\r\n\r\n",
        "\r\nContent-Type: application/http\r\nContent-ID: <1>\r\n\r\n"
        "POST /calendar/v3/calendars/primary/events?alt=json HTTP/1.1\r\n"
        'Content-Length: 16\r\ncontent-type: application/json\r\n\r\n{"summary": "x"}\r\n',
        "\r\nContent-Type: application/http\r\nContent-ID: <2>\r\n\r\n"
        "PATCH /calendar/v3/calendars/primary/events?alt=json HTTP/1.1\r\n"
        'Content-Length: 2\r\nIf-Match: "1"\r\n\r\n{}\r\n',
        "--\r\n",
    ]


def test_answers_come_in_any_order():
    content = answer(
        part(1, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
        part(0, 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"id": "schön"}'),
        part(2, 'HTTP/1.1 403 Forbidden\r\nRetry-After: 7\r\n\r\n{"error": {"code": 403}}'),
    )
    assert decode(content, 3) == [
        Answer(status=200, body={"id": "schön"}),
        Answer(status=204),
        Answer(status=403, body={"error": {"code": 403}}, retry_after="7"),
    ]


def test_call_whose_answer_is_missing_has_none():
    replies = decode(answer(part(1, "HTTP/1.1 204 No Content\r\n\r\n")), 3)
    assert [type(reply) for reply in replies] == [NoAnswer, Answer, NoAnswer]


@pytest.mark.parametrize(
    "cut", ['HTTP/1.1 200 OK\r\n\r\n{"id": "abc', "HTTP/1.1 2", "HTTP/1.1", "", "garbage\r\n\r\n{}"]
)
def test_cut_answer_claims_nothing(cut):
    content = answer(part(0, "HTTP/1.1 204 No Content\r\n\r\n")).removesuffix(b"--b--\r\n")
    replies = decode(content + f"--b\r\n{part(1, cut)}".encode(), 2)
    assert replies[0] == Answer(status=204)
    assert isinstance(replies[1], NoAnswer) or not 200 <= replies[1].status < 500


@pytest.mark.parametrize("content", [b"", b"<html>Sorry</html>", b"--other\r\n\r\n--other--\r\n"])
def test_answer_that_is_no_batch_claims_nothing(content):
    assert [type(reply) for reply in decode(content, 2)] == [NoAnswer, NoAnswer]


def test_parts_that_name_no_call_are_left_alone():
    text = "HTTP/1.1 200 OK\r\n\r\n{}"
    content = answer(part(5, text), f"Content-Type: application/http\r\n\r\n{text}")
    assert [type(reply) for reply in decode(content, 2)] == [NoAnswer, NoAnswer]
