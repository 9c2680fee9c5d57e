"""Reading an HTTP answer."""

import json

from providers.googlecalendar.replies import Answer, NoAnswer, Reply

__all__ = ["read_json"]


def read_json(status: int, content: bytes, retry_after: str | None) -> Reply:
    """The answer, its body decoded.

    An error may come without JSON, from a proxy say; a success whose JSON is cut is no answer.
    """
    try:
        body = json.loads(content) if content.strip() else {}
    except ValueError:
        if 200 <= status < 300:
            return NoAnswer(why="an answer that is not JSON")
        body = {}
    return Answer(status=status, body=body if isinstance(body, dict) else {}, retry_after=retry_after)
