"""Microsoft 365 by Microsoft Graph v1.0, as an application with the permission Calendars.ReadWrite.

The colours of categories take MailboxSettings.ReadWrite too; without it there are none.
"""

from providers.adapter import Adapter
from providers.contract import Clock
from providers.o365.adapter import GraphAdapter
from providers.o365.auth import Tokens
from providers.o365.http import Graph
from providers.settings import O365Settings

__all__ = ["connect"]


async def connect(settings: O365Settings, clock: Clock) -> Adapter:
    """An adapter for these settings. Sends nothing yet; ``close`` it when done.

    Raises OSError if ``ca_file`` cannot be read.
    """
    return GraphAdapter(settings, Graph(settings, Tokens(settings, clock)), clock)
