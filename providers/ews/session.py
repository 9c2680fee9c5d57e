"""Connections to one Exchange endpoint with one service account, and what can happen on the way.

exchangelib gives the authentication; requests are posted here and not by exchangelib's own loop, which
retries, guesses at what a status means, and logs whole requests, with what people wrote in them.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from queue import Empty, LifoQueue
from typing import Any

import requests
from exchangelib import Configuration, Credentials, FailFast
from exchangelib.account import Account, Identity
from exchangelib.credentials import IMPERSONATION
from exchangelib.ewsdatetime import UTC as EWS_UTC
from exchangelib.protocol import BaseProtocol
from exchangelib.services.common import EWSAccountService
from exchangelib.transport import BASIC, NOAUTH, NTLM
from exchangelib.version import EXCHANGE_2013_SP1, Version
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from spnego.exceptions import SpnegoError
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, SSLError

from providers.contract import Permit, always
from providers.ews.tokens import Tokens

__all__ = [
    "CONNECTIONS",
    "Endpoint",
    "HttpStatus",
    "MailboxAccount",
    "NoAnswer",
    "NotSent",
    "Untrusted",
]

CONNECTIONS = 10
"""Connections of one account in this process. Exchange allows 27 over all of them
(EWSMaxConcurrency, learn.microsoft.com, "EWS throttling in Exchange"); several workers share them."""

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 100.0
"""Seconds of silence. Exchange gives up a request of its own accord after about as long."""

VERSION = Version(build=EXCHANGE_2013_SP1, api_version="Exchange2013_SP1")
"""The schema that we speak. Everything since Exchange 2013 SP1 understands it, Exchange Online too, and
we need nothing newer. Named here, so that exchangelib does not probe."""


class NotSent(Exception):
    """No connection came about: Exchange has not heard of the request."""


class Untrusted(Exception):
    """The server's certificate is not to be trusted; nothing was sent."""


class NoAnswer(Exception):
    """The request was sent, and no complete answer came."""


class HttpStatus(Exception):
    """An HTTP status in place of an EWS answer."""

    def __init__(self, status: int, retry_after: str | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after = retry_after


class _TrustingAdapter(HTTPAdapter):
    """Trusts exactly ``ca_file``, whatever REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE say.

    requests lets the environment win over ``Session.verify``; it cannot win over this.
    One connection, no retry.
    """

    def __init__(self, ca_file: str | None) -> None:
        self._ca_file = ca_file
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0, pool_block=True)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        return super().send(request, stream, timeout, self._ca_file or verify, cert, proxies)


class Endpoint(BaseProtocol):  # type: ignore[misc]
    """An EWS endpoint and the account that logs on to it.

    Not exchangelib's ``Protocol``: that one is kept in a cache for the life of the process, by endpoint
    and credentials, so that a second adapter would get the first one's settings.

    A connection for each request under way, kept for later ones: NTLM authenticates connections. It has
    as many as there are threads that use it at once.
    """

    def __init__(
        self,
        service_endpoint: str,
        *,
        username: str,
        password: str,
        auth_type: str,
        ca_file: str | None,
        tokens: Tokens | None = None,
    ) -> None:
        """With ``tokens`` for ``auth_type`` oauth, and only then."""
        credentials = None if tokens else Credentials(username, password)
        super().__init__(
            Configuration(
                credentials=credentials,
                service_endpoint=service_endpoint,
                auth_type={"basic": BASIC, "ntlm": NTLM, "oauth": NOAUTH}[auth_type],
                version=VERSION,
                retry_policy=FailFast(),
                max_connections=CONNECTIONS,
            )
        )
        self._ca_file = ca_file
        self._tokens = tokens
        self._idle: LifoQueue[requests.Session] = LifoQueue()

    @property
    def version(self) -> Version:
        return self.config.version

    def get_auth_type(self) -> str:
        return str(self.config.auth_type)

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        """A session with its one connection, for one request: the one used last, or a new one."""
        try:
            session = self._idle.get_nowait()
        except Empty:
            session = self._new_session()
        try:
            yield session
        finally:
            self._idle.put(session)

    def _new_session(self) -> requests.Session:
        session: requests.Session = self.create_session()
        if isinstance(session.auth, HTTPBasicAuth):  # RFC 7617 says UTF-8; requests would say Latin-1
            name, password = self.credentials.username, self.credentials.password
            session.auth = HTTPBasicAuth(name.encode(), password.encode())
        session.mount(self.service_endpoint, _TrustingAdapter(self._ca_file))
        # Exchange's routing cookies lead to one mailbox's server; we serve many over one connection.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return session

    def post(self, envelope: bytes, anchor: str, permit: Permit = always) -> bytes:
        """Post a SOAP envelope, once, and return the SOAP answer.

        ``anchor`` is the mailbox, by which Exchange routes. ``permit`` is called last of all, when there
        is nothing left but to hand the request to the network; what it raises propagates, and nothing is
        sent. Raises NotSent, Untrusted, NoAnswer, HttpStatus, TokenRefused, NoToken.
        """
        headers = {"X-AnchorMailbox": anchor} if anchor.isascii() else {}
        token = self._tokens.get() if self._tokens else None
        if token:
            headers["Authorization"] = f"Bearer {token}"
        with self._session() as session:
            permit()
            try:
                response = session.post(
                    self.service_endpoint,
                    data=envelope,
                    headers=headers,
                    allow_redirects=False,
                    timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                )
            except requests.exceptions.RequestException as error:
                raise _failure(error) from error
            except (KeyError, PermissionError, SpnegoError) as error:  # requests-ntlm: no usable challenge
                raise HttpStatus(401) from error
        if response.status_code == 200 or (response.status_code == 500 and _is_xml(response.content)):
            return response.content  # a SOAP fault comes with status 500 (SOAP 1.1, section 6.2)
        if self._tokens and token and response.status_code == 401:
            self._tokens.reject(token)
        raise HttpStatus(response.status_code, response.headers.get("Retry-After"))

    def close(self) -> None:
        """Close all connections. No request may be under way."""
        while not self._idle.empty():
            self._idle.get().close()
        super().close()


def _failure(error: requests.exceptions.RequestException) -> NotSent | Untrusted | NoAnswer:
    """What it means for the request: only what surely happened before there was a connection is NotSent."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    cause = reason.args[0] if isinstance(reason, SSLError) and reason.args else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Untrusted(cause.verify_message)
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return NotSent(type(error).__name__)
    if isinstance(reason, NewConnectionError | ConnectTimeoutError):
        return NotSent(type(reason).__name__)
    return NoAnswer(type(error).__name__)


def _is_xml(content: bytes) -> bool:
    return content.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"<?xml", b"<s:", b"<soap"))


class MailboxAccount(Account):  # type: ignore[misc]
    """A mailbox as exchangelib's services want it, over an ``Endpoint``; makes no request by itself."""

    def __init__(self, address: str, endpoint: Endpoint, access_type: str) -> None:
        self.address = address
        self.protocol = endpoint
        self.access_type = access_type
        # Any of the mailbox's addresses will do; PrimarySmtpAddress would want that very one.
        self.identity = Identity(smtp_address=address if access_type == IMPERSONATION else None)
        self.default_timezone = EWS_UTC
        self.affinity_cookie = None
        self._version = endpoint.version

    @property
    def primary_smtp_address(self) -> str:
        return self.address

    def post(self, service: type[EWSAccountService], permit: Permit = always, **payload: Any) -> bytes:
        """Have exchangelib's service write the request, post it once by ``permit``, and return the answer."""
        call = service(account=self)
        envelope = call.wrap(call.get_payload(**payload), VERSION.api_version)
        return self.protocol.post(envelope, self.address, permit)
