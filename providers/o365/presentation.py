"""Reminder and sensitivity of an event in Graph's form: sent where we have any, and not otherwise."""

from typing import Any

from providers.contract import Event, Privacy, Update

__all__ = ["presentation_changed", "presentation_of"]

_DEFAULT_REMINDER = {"isReminderOn": True, "reminderMinutesBeforeStart": 15}
"""What Exchange gives events for which nothing is said. Graph has no way to ask for the person's default."""


def presentation_of(event: Event) -> dict[str, Any]:
    """What of ours a new event gets; the provider's defaults stand in for the rest."""
    fields: dict[str, Any] = {}
    if event.reminder is not None:
        fields |= _reminder(event)
    if event.privacy is not None:
        fields["sensitivity"] = event.privacy
    return fields


def presentation_changed(update: Update, now: Privacy | None) -> dict[str, Any]:
    """What an update writes, by the rules of ``Update``.

    ``now`` is the privacy that was read of an event of which we were not sure; None where we are.
    """
    event = update.event
    fields: dict[str, Any] = {}
    if _differs(event.reminder, [before.reminder for before in update.possible]):
        fields |= _reminder(event)
    if now is None:
        differs = _differs(event.privacy, [before.privacy for before in update.possible])
    else:
        was_ours = any(before.privacy is not None for before in update.possible)
        differs = now != (event.privacy or "normal") and (event.privacy is not None or was_ours)
    if differs:
        fields["sensitivity"] = event.privacy or "normal"
    return fields


def _differs(wanted: object, before: list[Any]) -> bool:
    """Whether there may be another one there; of what is not known, there is none of ours."""
    return any(each != wanted for each in before or [None])


def _reminder(event: Event) -> dict[str, Any]:
    match event.reminder:
        case None:
            return dict(_DEFAULT_REMINDER)
        case "none":
            return {"isReminderOn": False}
        case minutes:
            return {"isReminderOn": True, "reminderMinutesBeforeStart": minutes}
