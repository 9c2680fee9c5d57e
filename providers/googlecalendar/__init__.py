"""Google Workspace calendars, by the Google Calendar API v3 and domain-wide delegation."""

from providers.adapter import Adapter
from providers.contract import Clock
from providers.googlecalendar.adapter import GoogleAdapter
from providers.googlecalendar.client import Client
from providers.settings import GoogleSettings

__all__ = ["connect"]


async def connect(settings: GoogleSettings, clock: Clock) -> Adapter:
    """The adapter, ready for use in this event loop; nothing is sent yet.

    ``clock`` gives the present moment, aware, in UTC. Raises ``SettingsError`` if the key file is
    none of a service account, or ``ca_file`` cannot be used.
    """
    return GoogleAdapter(Client(settings), clock)
