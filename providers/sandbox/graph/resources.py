"""The types of v1.0's metadata that can be queried, and their properties."""

import msgspec

from providers.sandbox.graph.errors import GraphError, bad_uri
from providers.sandbox.graph.validation import READ_ONLY

__all__ = ["CALENDAR", "EVENT", "NAVIGATION", "Resource"]

EVENT_PROPERTIES = READ_ONLY | {
    "allowNewTimeProposals",
    "attendees",
    "body",
    "categories",
    "end",
    "hideAttendees",
    "importance",
    "isAllDay",
    "isOnlineMeeting",
    "isReminderOn",
    "location",
    "locations",
    "onlineMeetingProvider",
    "recurrence",
    "reminderMinutesBeforeStart",
    "responseRequested",
    "sensitivity",
    "showAs",
    "start",
    "subject",
    "transactionId",
}
CALENDAR_PROPERTIES = {
    "allowedOnlineMeetingProviders",
    "canEdit",
    "canShare",
    "canViewPrivateItems",
    "changeKey",
    "color",
    "defaultOnlineMeetingProvider",
    "hexColor",
    "id",
    "isDefaultCalendar",
    "isRemovable",
    "isTallyingResponses",
    "name",
    "owner",
}
NAVIGATION = {"singleValueExtendedProperties", "multiValueExtendedProperties", "attachments", "extensions"}


class Resource(msgspec.Struct, frozen=True):
    """A type of v1.0's metadata, as far as queries go."""

    name: str
    properties: frozenset[str]

    def unknown(self, name: str) -> GraphError:
        """The answer to a query that names a property which it does not have."""
        return bad_uri(f"Could not find a property named '{name}' on type 'microsoft.graph.{self.name}'.")


EVENT = Resource("event", frozenset(EVENT_PROPERTIES))
CALENDAR = Resource("calendar", frozenset(CALENDAR_PROPERTIES))
