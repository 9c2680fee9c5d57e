"""Google Calendar v3 for the sandbox: the API, its token endpoint and its batch endpoint.

Built from Google's own discovery document and guides, not from what Rooster's adapter sends: any client
of the API with a service account and domain-wide delegation works against it.
"""

from providers.sandbox.google.dialect import GoogleDialect
from providers.sandbox.google.web import routes
from providers.sandbox.state import Dialect

__all__ = ["dialect", "routes"]


def dialect() -> Dialect:
    """Google's events in the sandbox's common shape."""
    return GoogleDialect()
