"""What people add to the fields that they share with Rooster, and how it survives our updates.

Two fields are shared: the text of an event, in which people put notes around ours, and its categories.
"""

import re
from collections.abc import Iterable, Sequence

from providers.contract import Content, Event
from providers.texts import plain

__all__ = ["find", "merged_body", "merged_categories", "only_ours"]

_NOT_IN_A_WORD = r"(?:(?<!\w)|(?!\w))"
"""Between two characters that are not both part of one word."""


def merged_body(current: str, before: Iterable[Event], event: Event) -> str:
    """The plain text to write: ``event``'s in the place of ours from before, with their notes around it.

    ``before`` is what the mailbox may hold of ours. The longest of those texts that is there is the one
    that is replaced; if none is, everything there is theirs, and our text comes before it. A text that
    is there already, as it is to be, is not put there twice.
    """
    new = plain(event.body)
    for text in sorted({plain(one.body) for one in before} - {""}, key=len, reverse=True):
        found = find(text, current)
        if found is not None:
            if text == new:
                return current
            head, tail = current[: found.start()], current[found.end() :]
            return head + event.body + tail if event.body else _joined(head.rstrip(), tail.lstrip())
    return current if find(new, current, whole_lines=True) else _joined(event.body, current)


def merged_categories(current: Sequence[str], before: Iterable[Event], event: Event) -> tuple[str, ...]:
    """The categories to write: ``event``'s, then those of theirs, which are all that were not ours before."""
    ours = {category for one in before for category in one.categories}
    theirs = (one for one in current if one not in ours)
    return tuple(dict.fromkeys((*event.categories, *theirs)))


def only_ours(content: Content, event: Event) -> bool:
    """Whether the shared fields hold what ``event`` says and nothing of the person's.

    Only then may a later update write them whole on the strength of the version alone.
    """
    return plain(content.body) == plain(event.body) and set(content.categories) == set(event.categories)


def find(text: str, current: str, *, whole_lines: bool = False) -> re.Match[str] | None:
    """Our text in theirs, whatever became of white space between its lines: whole lines, else whole words.

    ``text`` is ``plain``. None if it is not there, and for an empty one. With ``whole_lines``, words in
    the middle of theirs are not taken for it.
    """
    if not text:
        return None
    lines = (re.escape(line).replace(r"\ ", "[ \xa0]") for line in text.split("\n"))
    pattern = r"\s*\n\s*".join(lines)
    words = rf"{_NOT_IN_A_WORD}{pattern}{_NOT_IN_A_WORD}"
    found = re.search(rf"^[^\S\n]*{pattern}(?=\s*$)", current, re.MULTILINE)
    return found if found or whole_lines else re.search(words, current)


def _joined(first: str, second: str) -> str:
    return "\n\n".join(part for part in (first, second) if part.strip())
