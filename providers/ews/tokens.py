"""Access tokens for EWS: the OAuth 2.0 client credentials flow with Microsoft Entra, by msal.

For Exchange Online, and for Exchange on-premises with hybrid modern authentication.
"""

import ssl
import threading
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msal
import requests
from msal.exceptions import MsalServiceError
from requests.adapters import HTTPAdapter

from providers.contract import Clock

__all__ = ["NoToken", "TokenRefused", "Tokens"]

SPARE = timedelta(minutes=5)
"""A token is not used in its last minutes: a request under way should not see it expire."""

TIMEOUT = 30.0
"""Seconds for one request to the authority."""


class TokenRefused(Exception):
    """The authority does not give this application a token; ``code`` is its word for why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NoToken(Exception):
    """The authority cannot be reached or does not work; nothing was sent to Exchange."""


class Tokens:
    """The token of one application, renewed before it expires. Safe to use from many threads.

    However many ask at once, one request goes to the authority.
    """

    def __init__(
        self,
        service_endpoint: str,
        *,
        authority: str,
        client_id: str,
        client_secret: str,
        ca_file: str | None,
        clock: Clock,
    ) -> None:
        """``authority`` with the tenant: ``https://login.microsoftonline.com/TENANT``.

        It may have a certificate of the public authorities or of ``ca_file``: Exchange's may be private
        where Microsoft's is not.
        """
        self._ca_file = ca_file
        self._scope = f"https://{urlsplit(service_endpoint).netloc}/.default"
        self._application = partial(
            msal.ConfidentialClientApplication,
            client_id,
            client_credential=client_secret,
            authority=authority,
            # msal would ask login.microsoftonline.com about an authority that it does not know.
            instance_discovery=False,
        )
        self._clock = clock
        self._lock = threading.Lock()
        self._token: str | None = None
        self._good_until: datetime = clock()

    def get(self) -> str:
        """A token that Exchange should accept. Blocks. Raises TokenRefused or NoToken."""
        with self._lock:
            if self._token is None or self._clock() >= self._good_until:
                asked_at = self._clock()
                answer = self._acquire()
                if "access_token" not in answer:
                    raise TokenRefused(str(answer.get("error", "no_token")))
                self._token = str(answer["access_token"])
                self._good_until = asked_at + timedelta(seconds=int(answer.get("expires_in", 0))) - SPARE
            return self._token

    def reject(self, token: str) -> None:
        """Exchange did not accept this token: the next ``get`` asks for another one."""
        with self._lock:
            if token == self._token:
                self._token = None

    def _acquire(self) -> dict[str, Any]:
        try:
            with requests.Session() as session:
                session.mount("https://", _AlsoTrusting(self._ca_file))
                session.request = partial(session.request, timeout=TIMEOUT)  # type: ignore[method-assign]
                # A new one each time, because it keeps tokens itself and would give out a rejected one.
                application = self._application(http_client=session)
                answer = application.acquire_token_for_client(scopes=[self._scope])
        except requests.RequestException as error:
            raise NoToken(type(error).__name__) from error
        except ValueError as error:  # msal says so of a tenant that the authority does not know
            raise TokenRefused("invalid_authority") from error
        except (MsalServiceError, RuntimeError) as error:  # and so of an authority that answers 5xx
            raise NoToken(type(error).__name__) from error
        return answer if isinstance(answer, dict) else {}


class _AlsoTrusting(HTTPAdapter):
    """Trusts ``ca_file`` in addition to what requests trusts."""

    def __init__(self, ca_file: str | None) -> None:
        self._context = ssl.create_default_context()
        if ca_file is not None:
            self._context.load_verify_locations(ca_file)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)
