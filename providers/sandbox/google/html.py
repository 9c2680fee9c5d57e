"""Descriptions as Google's own clients show and write them.

A description "can contain HTML": https://developers.google.com/workspace/calendar/api/v3/reference/events.
"""

from html import escape
from html.parser import HTMLParser

__all__ = ["shown", "typed"]


def shown(description: str) -> str:
    """The text that a person sees."""
    page = _Page()
    page.feed(description)
    page.close()
    return page.text


def typed(text: str) -> str:
    """The description after a person has typed this text into the event."""
    return escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>")


class _Page(HTMLParser):
    """Keeps the text alone; references to characters are resolved on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.text += "\n"
