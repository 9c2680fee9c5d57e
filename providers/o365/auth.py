"""Access tokens for Microsoft Graph: the client credentials flow, by msal."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msal
import requests
from msal.exceptions import MsalServiceError

from providers.contract import Clock, ProviderError
from providers.o365 import outcomes
from providers.settings import O365Settings

__all__ = ["Tokens"]

SPARE = timedelta(minutes=5)
"""A token is not used in its last minutes: a request under way should not see it expire."""

TIMEOUT = 30.0
"""Seconds for one request to the authority."""


class Tokens:
    """The application's access token, renewed before it expires.

    However many ask at once, one request goes to the authority. msal is synchronous and runs in a
    thread.
    """

    def __init__(self, settings: O365Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = asyncio.Lock()
        self._session = _session(settings.ca_file)
        self._application: Any = None
        self._token: str | None = None
        self._good_until = clock()

    async def get(self) -> str:
        """A token that Graph should accept. Raises ``ProviderError``: Refused (account) or Unknown."""
        if (token := self._current()) is not None:
            return token
        async with self._lock:
            if (token := self._current()) is not None:
                return token
            asked_at = self._clock()
            answer = await asyncio.to_thread(self._acquire)
            token = answer.get("access_token")
            if not isinstance(token, str):
                raise ProviderError(outcomes.of_token_error(answer))
            self._token = token
            self._good_until = asked_at + timedelta(seconds=int(answer.get("expires_in", 0))) - SPARE
            return token

    def reject(self, token: str) -> None:
        """Graph did not accept this token: the next ``get`` asks for another one."""
        if token == self._token:
            self._token = None

    async def close(self) -> None:
        """Close the connections to the authority."""
        await asyncio.to_thread(self._session.close)

    def _current(self) -> str | None:
        return self._token if self._clock() < self._good_until else None

    def _acquire(self) -> dict[str, Any]:
        """A dict of msal's with ``access_token``, or with ``error``. Runs in a thread."""
        try:
            if self._application is None:
                self._application = _application(self._settings, self._session)
            # msal keeps tokens too, and would hand out one that Graph has rejected.
            self._application.remove_tokens_for_client()
            answer = self._application.acquire_token_for_client(scopes=[_scope(self._settings.graph_url)])
        except requests.exceptions.SSLError as error:
            raise ProviderError(outcomes.untrusted()) from error
        except requests.RequestException as error:
            raise ProviderError(outcomes.no_token(type(error).__name__)) from error
        except ValueError as error:
            # msal says so of a tenant that the authority does not know, and of an unusable certificate.
            raise ProviderError(outcomes.no_authority()) from error
        except (MsalServiceError, RuntimeError) as error:
            # How msal says that the authority answered 5xx.
            raise ProviderError(outcomes.no_token(type(error).__name__)) from error
        return answer if isinstance(answer, dict) else {}


def _application(settings: O365Settings, session: Any) -> Any:
    """The application as msal has it. Asks the authority for its endpoints (OpenID Connect Discovery)."""
    authority = f"{settings.authority.rstrip('/')}/{settings.tenant_id}"
    credential: Any = settings.client_secret
    if settings.certificate is not None:
        credential = {"private_key": settings.certificate, "public_certificate": settings.certificate}
    return msal.ConfidentialClientApplication(
        settings.client_id,
        authority=authority,
        client_credential=credential,
        http_client=session,
        # Otherwise msal asks login.microsoftonline.com about the authority, and a private or sovereign
        # one may be where that host cannot be reached. The administrator has vouched for it.
        instance_discovery=False,
    )


def _scope(graph_url: str) -> str:
    """All application permissions granted for this cloud's Graph: each has a host of its own."""
    parts = urlsplit(graph_url)
    return f"{parts.scheme}://{parts.netloc}/.default"


def _session(ca_file: str | None) -> Any:
    """A requests session that trusts ``ca_file``, whatever the environment says.

    With ``trust_env`` REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE would win over ``verify``.
    """
    session: Any = requests.Session()
    session.trust_env = False
    session.verify = ca_file or True
    session.request = partial(session.request, timeout=TIMEOUT)
    return session
