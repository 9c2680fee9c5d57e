"""Who calls, and how far they may go (CONTRACT §3).

=========  ==========================================================================================
admin      everything
frontend   timetables; reading and syncing the user whom the header ``requestedAuth`` names
reader     GET, of everything
=========  ==========================================================================================
"""

from typing import Any
from urllib.parse import unquote

from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp

from app.database.types import Pool
from app.errors import Forbidden
from app.tokens import Role, find_token

__all__ = ["Authentication", "Caller", "Unauthorized", "admin_only", "own_user", "reader_reads", "staff_only"]

Connection = ASGIConnection[Any, Any, Any, Any]


class Unauthorized(HTTPException):
    """No valid token."""

    status_code = 401

    def __init__(self) -> None:
        super().__init__(
            detail="A valid API token is needed: send `apiToken: TOKEN` or `Authorization: Bearer TOKEN`.",
            # RFC 9110 section 11.6.1: a 401 names the scheme to use.
            headers={"WWW-Authenticate": 'Bearer realm="rooster"'},
        )


class Caller:
    """The token that a request came with: its name and role, and the user whom it acts for."""

    def __init__(self, name: str, role: Role, requested: str | None = None) -> None:
        self.name = name
        self.role = role
        self.requested = requested

    def require_admin(self) -> None:
        """Raises Forbidden unless the caller is an admin."""
        if self.role != "admin":
            raise Forbidden("forbidden", "This needs a token with the role admin.")

    def require_staff(self) -> None:
        """Raises Forbidden unless the caller is an admin or a reader: who may see everybody's."""
        if self.role not in ("admin", "reader"):
            raise Forbidden("forbidden", "This needs a token with the role admin, or reader for a GET.")

    def may_act_for(self, username: str) -> None:
        """Raises Forbidden where the caller may have nothing to do with this user.

        A frontend has to do with the user of ``requestedAuth`` and with nobody else. The header may hold
        the name as it is, in UTF-8, or percent-encoded.
        """
        if self.role in ("admin", "reader"):
            return
        if self.requested is None:
            raise Forbidden(
                "forbidden", "A token with the role frontend says for whom: requestedAuth: USERNAME."
            )
        if username not in (self.requested, unquote(self.requested)):
            raise Forbidden("forbidden", "This is not the user whom requestedAuth names.")


class Authentication(AbstractAuthenticationMiddleware):
    """Finds the caller of every request, but for routes that are open to all (``opt={"public": True}``)."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, exclude_from_auth_key="public")

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        """The caller; raises Unauthorized."""
        token = connection.headers.get("apitoken") or _bearer(connection.headers.get("authorization", ""))
        if not token:
            raise Unauthorized
        pool: Pool = connection.app.state.pool
        async with pool.acquire() as database:
            found = await find_token(database, token)
        if found is None:
            raise Unauthorized
        name, role = found
        return AuthenticationResult(user=Caller(name, role, _requested(connection)), auth=None)


def _bearer(header: str) -> str | None:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.casefold() == "bearer" else None


def _requested(connection: Connection) -> str | None:
    """The user of ``requestedAuth``. HTTP headers are bytes; ours are UTF-8."""
    values = [value for name, value in connection.scope["headers"] if name.lower() == b"requestedauth"]
    if len(values) > 1:
        raise Forbidden("forbidden", "requestedAuth is given more than once: it names one user.")
    return values[0].decode("utf-8", "surrogateescape") if values else None


def reader_reads(connection: Connection, _: BaseRouteHandler) -> None:
    """A guard: the role reader is for GET only."""
    caller = connection.scope.get("user")
    if isinstance(caller, Caller) and caller.role == "reader" and connection.scope.get("method") != "GET":
        raise Forbidden("forbidden", "A token with the role reader can only read.")


def admin_only(connection: Connection, _: BaseRouteHandler) -> None:
    """A guard for routes that change who has what."""
    connection.user.require_admin()


def staff_only(connection: Connection, _: BaseRouteHandler) -> None:
    """A guard for routes that show everybody's."""
    connection.user.require_staff()


def own_user(connection: Connection, _: BaseRouteHandler) -> None:
    """A guard for routes about the user of their path."""
    connection.user.may_act_for(connection.path_params["username"])
