"""Bodies as plain text and as HTML: Exchange gives both of either ([MS-OXWSCDATA] BodyTypeResponseType)."""

import re

from lxml import etree, html

from providers.sandbox.ews.soap import escape
from providers.sandbox.state import Native

__all__ = ["as_html", "as_text"]

_HIDDEN = frozenset({"head", "script", "style"})
_LINES = frozenset({"div", "table", "tr", "ul", "ol", "li", "hr", "blockquote", "body"})
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6"})


def as_text(body: Native) -> str:
    """The body as plain text, with lines and paragraphs where people see them."""
    text: str = body["text"]
    if body["type"] == "Text" or not text.strip():
        return text
    return _add("", html.document_fromstring(text)).strip()


def as_html(body: Native) -> str:
    """The body as a page of HTML."""
    if body["type"] == "HTML":
        return str(body["text"])
    lines = escape(body["text"]).replace("\n", "<br>\n")
    return f'<html>\n<body>\n<div class="PlainText">{lines}</div>\n</body>\n</html>\n'


def _add(text: str, element: etree._Element) -> str:
    """The text, followed by that of the element."""
    tag = element.tag
    if not isinstance(tag, str) or tag in _HIDDEN:
        return text
    if tag == "br":
        return text.rstrip(" ") + "\n"
    text = _run(_edge(text, tag), element.text)
    for child in element:
        text = _run(_add(text, child), child.tail)
    return _edge(text, tag)


def _edge(text: str, tag: str) -> str:
    """Begins another line or paragraph where the tag asks for one and there is none yet."""
    wanted = 2 if tag in _PARAGRAPHS else 1 if tag in _LINES else 0
    if not text or not wanted:
        return text
    text = text.rstrip(" ")
    return text + "\n" * (wanted - (len(text) - len(text.rstrip("\n"))))


def _run(text: str, more: str | None) -> str:
    run = re.sub(r"[ \t\r\n]+", " ", more or "")
    return text + (run.lstrip(" ") if not text or text[-1] in " \n" else run)
