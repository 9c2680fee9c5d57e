"""Rules by category: lists of ``CATEGORY=what``, compared without regard to upper and lower case."""

from collections.abc import Sequence
from typing import Any

from app.timetables.event import LINE

__all__ = ["check_rules", "read_rules"]

MAX_NAME = 255
"""Characters of a category's name in a mailbox."""


def read_rules(rules: Sequence[Any], allowed: Sequence[str] | None = None) -> dict[str, str]:
    """What each category (casefolded) stands for.

    What follows the last ``=`` counts, so that a category may hold one. Rules that ``check_rules`` would
    refuse are left out; of two for one category, the first counts.
    """
    read: dict[str, str] = {}
    for rule in rules:
        category, what = _parts(rule)
        if category and (allowed is None or what in allowed):
            read.setdefault(category.casefold(), what)
    return read


def check_rules(rules: Sequence[str], allowed: Sequence[str] | None = None) -> str | None:
    """What is wrong with a list of rules, in a sentence, or None. ``allowed``: what may follow the ``=``."""
    expected = "NAME" if allowed is None else f"one of {', '.join(allowed)}"
    seen = set[str]()
    for position, rule in enumerate(rules, 1):
        category, what = _parts(rule)
        if not category or (allowed is not None and what not in allowed):
            return f"Item {position}: expected CATEGORY=, and behind it {expected}."
        if LINE.search(what) or len(what) > MAX_NAME:
            return f"Item {position}: a name is one line of at most {MAX_NAME} characters."
        if category.casefold() in seen:
            return f"Item {position}: there is a rule for this category already."
        seen.add(category.casefold())
    return None


def _parts(rule: Any) -> tuple[str, str]:
    """Category and what it stands for; no category where it is no rule."""
    if not isinstance(rule, str):
        return "", ""
    category, _, what = rule.rpartition("=")
    return category.strip(), what.strip()
