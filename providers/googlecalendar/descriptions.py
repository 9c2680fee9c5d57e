"""The text of an event in Google's form, and what the person has added to it.

A description "can contain HTML" (https://developers.google.com/workspace/calendar/api/v3/reference/events):
Google's own clients show it as such, and write what a person types as HTML. Rooster's text is plain.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape, unescape

import msgspec

from providers.additions import find, merged_body
from providers.contract import Event
from providers.texts import plain

__all__ = ["merged", "text", "written"]

_SHOWN = {"br": "\n", "/p": "\n\n", "/div": "\n", "/li": "\n", "/ul": "\n", "/ol": "\n", "/tr": "\n"}
"""The markup that people see as white space. All other stands between letters and shows nothing."""


_MARKUP = re.compile(
    r"""
    <(?P<tag>/?[a-z][^\s/<>]*)[^<>]*>
    | <!--.*?(?:-->|\Z)
    | <[!?/][^<>]*>
    | (?P<reference>&(?:\#[0-9]+|\#x[0-9a-f]+|[a-z][a-z0-9]*);?)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL | re.ASCII,
)


class _Piece(msgspec.Struct, frozen=True):
    """A piece of a description: what is written from ``start`` to ``end``, and the text that people see.

    ``tag`` is the element's name, of an end tag with a slash before it; None for text.
    """

    start: int
    end: int
    text: str
    tag: str | None


def text(description: str) -> str:
    """What people see of a description, as plain text."""
    if "<" not in description and "&" not in description:
        return description
    return _shown(_pieces(description))


def written(body: str) -> str:
    """A description that shows this plain text: the text itself, unless it could be taken for HTML."""
    return body if text(body) == body else escape(body, quote=False)


def merged(current: str, before: Sequence[Event], event: Event) -> str:
    """The description with ``event``'s text in the place of ours, and all else as the person left it.

    What ``providers.additions.merged_body`` says, for a description: what they have formatted stays so.
    """
    if text(current) == current:
        return written(merged_body(current, before, event))
    pieces = _pieces(current)
    shown = _shown(pieces)
    new = plain(event.body)
    for ours in (*sorted((plain(one.body) for one in before), key=len, reverse=True), new):
        if found := find(ours, shown):
            return current if ours == new else _replaced(current, pieces, found.span(), event.body)
    if not plain(shown):
        return written(event.body)
    return _html(f"{event.body}\n\n") + current if event.body else current


def _pieces(description: str) -> list[_Piece]:
    """The description, cut into markup, references to characters and what is between them, without gaps.

    The standard library's parser tells of no places, drops some of what it reads and fails on some.
    """
    pieces: list[_Piece] = []
    place = 0
    for match in _MARKUP.finditer(description):
        start, end = match.span()
        if place < start:
            pieces.append(_Piece(place, start, description[place:start], None))
        if match["reference"]:
            pieces.append(_Piece(start, end, unescape(match["reference"]), None))
        else:
            tag = (match["tag"] or "").casefold()
            pieces.append(_Piece(start, end, _SHOWN.get(tag, ""), tag))
        place = end
    return [*pieces, _Piece(place, len(description), description[place:], None)]


def _shown(pieces: Iterable[_Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def _replaced(current: str, pieces: list[_Piece], span: tuple[int, int], body: str) -> str:
    """The description with ``body`` instead of what people see at ``span``.

    A link that Google has made of our text goes with it; other markup in there may be of theirs as well.
    """
    first, start = _place(pieces, span[0])
    last, end = _place(pieces, span[1] - 1)
    end = _place_after(pieces[last], end)
    if first and start == pieces[first].start and pieces[first - 1].tag == "a":
        start = pieces[first - 1].start
    if end == pieces[last].end and last + 1 < len(pieces) and pieces[last + 1].tag == "/a":
        end = pieces[last + 1].end
    theirs = "".join(
        current[piece.start : piece.end]
        for piece in pieces[first : last + 1]
        if piece.tag not in (None, "br", "a", "/a")
    )
    head, tail = current[:start], theirs + current[end:]
    if body:
        return head + _html(body) + tail
    # No empty lines in the place of our text.
    head, tail = re.sub(r"(?:\s|<br\s*/?>)+$", "", head), re.sub(r"^(?:\s|<br\s*/?>)+", "", tail)
    return head + _html("\n\n") + tail if head and tail else head + tail


def _place(pieces: list[_Piece], position: int) -> tuple[int, int]:
    """Which piece shows the letter at this place of the text, and where in the description it begins."""
    for index, piece in enumerate(pieces):
        if position < len(piece.text):
            letters = piece.tag is None and len(piece.text) == piece.end - piece.start
            return index, piece.start + position if letters else piece.start
        position -= len(piece.text)
    raise AssertionError("a place after the end of the text")


def _place_after(piece: _Piece, start: int) -> int:
    letters = piece.tag is None and len(piece.text) == piece.end - piece.start
    return start + 1 if letters else piece.end


def _html(body: str) -> str:
    return escape(body, quote=False).replace("\n", "<br>")
