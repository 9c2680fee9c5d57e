"""Whom TLS connections trust."""

import ssl

from providers.settings import SettingsError

__all__ = ["trusting"]


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """TLS that trusts the authorities in ``ca_file`` (PEM) and no others; None: those of the system.

    With a ``ca_file``, what SSL_CERT_FILE or REQUESTS_CA_BUNDLE say does not count. Raises SettingsError if
    it cannot be read, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise SettingsError(f"ca_file: {ca_file} holds no certificate in PEM") from error
    except OSError as error:
        raise SettingsError(f"ca_file: {ca_file} cannot be read: {error.strerror}") from error
