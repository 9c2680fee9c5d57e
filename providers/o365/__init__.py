"""Microsoft 365 by Microsoft Graph v1.0, as an application with the permission Calendars.ReadWrite.

The colours of categories take MailboxSettings.ReadWrite too; without it there are none.
"""

from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_pem_x509_certificate

from providers.adapter import Adapter
from providers.contract import Clock
from providers.o365.adapter import GraphAdapter
from providers.o365.auth import Tokens
from providers.o365.http import Graph
from providers.settings import O365Settings, SettingsError

__all__ = ["connect"]


async def connect(settings: O365Settings, clock: Clock) -> Adapter:
    """An adapter for these settings. Sends nothing yet; ``close`` it when done.

    Raises SettingsError if ``ca_file`` or the certificate cannot be used.
    """
    if settings.certificate is not None:
        _check_certificate(settings.certificate)
    return GraphAdapter(settings, Graph(settings, Tokens(settings, clock)), clock)


def _check_certificate(pem: str) -> None:
    """Now: msal would say so when it asks for a token, and then of an authority that it cannot reach."""
    try:
        load_pem_x509_certificate(pem.encode())
        serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise SettingsError(
            "certificate_file: expected a certificate and its private key without a password, both in PEM"
        ) from None  # The parser's own error may hold the key.
