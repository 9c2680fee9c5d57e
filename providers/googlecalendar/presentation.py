"""What an event looks like in the calendar: reminder, visibility and colour.

People choose reminders and colours for themselves: they are written where ours changes, and never read.
https://developers.google.com/workspace/calendar/api/v3/reference/events
"""

from collections.abc import Sequence
from typing import Any

from providers.contract import Colour, Event, Privacy

__all__ = ["changed", "initial", "of_visibility", "visibility"]

COLOURS: dict[Colour, str] = {
    "red": "11",
    "orange": "6",
    "yellow": "5",
    "green": "10",
    "teal": "7",
    "blue": "9",
    "purple": "3",
    "cranberry": "4",
    "grey": "8",
}
"""By ``colorId``: Tomato, Tangerine, Banana, Basil, Peacock, Blueberry, Grape, Flamingo and Graphite."""

LONGEST_REMINDER = 40320
"""Google takes no reminder longer than four weeks (in minutes) before the start."""

# A list in a patch replaces the one that is there, and an object is merged with it: without the empty list,
# reminders of ours would stay next to the default.
_DEFAULTS: dict[str, Any] = {"reminders": {"useDefault": True, "overrides": []}, "colorId": None}


def initial(event: Event) -> dict[str, Any]:
    """What a new event is given of it: what is ours, and nothing else."""
    return {name: value for name, value in _wanted(event).items() if value is not None} | (
        {"visibility": visibility(event.privacy)} if event.privacy is not None else {}
    )


def changed(possible: Sequence[Event], event: Event) -> dict[str, Any]:
    """What is to be written of reminder and colour over what may be there of ours.

    What is ours no longer gives way to the default. Where nothing is known, what is ours is written.
    """
    wanted = _wanted(event)
    if not possible:
        return {name: value for name, value in wanted.items() if value is not None}
    before = [_wanted(one) for one in possible]
    return {
        name: _DEFAULTS[name] if value is None else value
        for name, value in wanted.items()
        if any(one[name] != value for one in before)
    }


def visibility(privacy: Privacy | None) -> str:
    """Google's name for it. "public" would show more than the calendar's own default does."""
    return "private" if privacy == "private" else "default"


def of_visibility(visibility: str) -> Privacy:
    """What an event's visibility means; "confidential" is an older name for private."""
    return "private" if visibility in ("private", "confidential") else "normal"


def _wanted(event: Event) -> dict[str, Any]:
    return {"reminders": _reminders(event), "colorId": _colour(event)}


def _reminders(event: Event) -> dict[str, Any] | None:
    if event.reminder is None:
        return None
    if event.reminder == "none":
        return {"useDefault": False, "overrides": []}
    minutes = min(event.reminder, LONGEST_REMINDER)
    return {"useDefault": False, "overrides": [{"method": "popup", "minutes": minutes}]}


def _colour(event: Event) -> str | None:
    """That of the first category that has one."""
    return next((COLOURS[event.colours[one]] for one in event.categories if one in event.colours), None)
