"""What values of the built-in preferences have to be, beyond what their descriptions can say."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, get_args

from app.preferences.patterns import check_patterns
from app.preferences.rules import check_rules
from app.preferences.templates import check_template
from app.timetables.event import LINE
from providers.contract import Colour, ShowAs

__all__ = ["SYNTAX"]


def _whole(number: float) -> str | None:
    return None if number == int(number) else "Expected a whole number."


def _name(text: str) -> str | None:
    if LINE.search(text):
        return "Expected one line, without control characters."
    return None if text.strip() else "It is blank; null is for the default calendar."


def _categories(categories: Sequence[str]) -> str | None:
    blank = [position for position, category in enumerate(categories, 1) if not category.strip()]
    return f"Item {blank[0]}: Blank." if blank else None


SYNTAX: Mapping[str, Callable[[Any], str | None]] = {
    "presentation.showAsByCategory": partial(check_rules, allowed=get_args(ShowAs)),
    "presentation.reminderMinutes": _whole,
    "presentation.titleTemplate": check_template,
    "presentation.descriptionTemplate": check_template,
    "presentation.categoryNames": check_rules,
    "presentation.colourByCategory": partial(check_rules, allowed=get_args(Colour)),
    "selection.includeCategories": _categories,
    "selection.excludeCategories": _categories,
    "selection.includeTitles": check_patterns,
    "selection.excludeTitles": check_patterns,
    "selection.daysBack": _whole,
    "selection.daysAhead": _whole,
    "calendar.name": _name,
    "sync.resyncMinutes": _whole,
}
"""By ``section.key``: what is wrong with a value that its description allows, in a sentence, or None."""
