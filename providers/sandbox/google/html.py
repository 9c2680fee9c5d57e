"""Descriptions as Google's own clients show and write them.

A description "can contain HTML": https://developers.google.com/workspace/calendar/api/v3/reference/events.
"""

import re
from html import escape, unescape

__all__ = ["shown", "typed"]


def shown(description: str) -> str:
    """The text that a person sees."""
    text = re.sub(r"(?i)<br\b[^<>]*>", "\n", description)
    return unescape(re.sub(r"(?s)<!--.*?(?:-->|\Z)|<[a-zA-Z!?/][^<>]*>", "", text))


def typed(text: str) -> str:
    """The description after a person has typed this text into the event."""
    return escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>")
