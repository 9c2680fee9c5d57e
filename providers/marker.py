"""How the marker is written: the names under which each provider keeps it.

Exchange and Microsoft 365 share one set of named properties, so that a mailbox that moves from one to
the other keeps its events recognisable ([MS-OXPROPS] named properties: property set GUID and name).
"""

from hashlib import sha256
from uuid import UUID

from providers.contract import Marker

__all__ = [
    "ATTEMPT",
    "CALENDAR",
    "EVENT",
    "INSTANCE",
    "NAMES",
    "PROPERTY_SET",
    "SYNCHRONIZATION",
    "event_identity",
    "from_strings",
    "to_strings",
]

PROPERTY_SET = UUID("7c6a1f52-4f0e-5d3b-9a2c-0b6d8e41a7f3")
"""GUID of the named property set. It never changes: events in mailboxes carry it."""

INSTANCE = "RoosterInstance"
SYNCHRONIZATION = "RoosterSynchronization"
EVENT = "RoosterEvent"
ATTEMPT = "RoosterAttempt"
NAMES = (INSTANCE, SYNCHRONIZATION, EVENT, ATTEMPT)

CALENDAR = "RoosterCalendar"
"""Of a calendar that we made, beside ``INSTANCE``: the name that it was made with."""

MAX_EVENT_LENGTH = 255
"""EWS FindItem returns at most 255 characters of a string property."""


def event_identity(uid: str) -> str:
    """The uid as a marker carries it: itself, or its SHA-256 where it is too long for a property."""
    if len(uid) <= MAX_EVENT_LENGTH:
        return uid
    return "sha256:" + sha256(uid.encode()).hexdigest()


def to_strings(marker: Marker) -> dict[str, str]:
    """The marker as named string values. The attempt is 32 lower-case hexadecimal digits."""
    return {
        INSTANCE: marker.instance,
        SYNCHRONIZATION: str(marker.synchronization),
        EVENT: marker.event,
        ATTEMPT: marker.attempt.hex,
    }


def from_strings(values: dict[str, str]) -> Marker | None:
    """The marker in these named values, or None if they hold no complete marker."""
    try:
        return Marker(
            instance=values[INSTANCE],
            synchronization=int(values[SYNCHRONIZATION]),
            event=values[EVENT],
            attempt=UUID(hex=values[ATTEMPT]),
        )
    except (KeyError, ValueError):
        return None
