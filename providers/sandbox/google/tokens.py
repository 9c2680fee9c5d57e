"""The token endpoint: domain-wide delegation by a signed assertion (RFC 7523).

https://developers.google.com/identity/protocols/oauth2/service-account
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import jwt
import msgspec

from providers.sandbox.google.errors import ApiError
from providers.sandbox.state import Fault, State

__all__ = ["Grant", "TokenError", "Tokens"]

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
"""google-auth names this audience whatever the key file's ``token_uri`` says."""

SCOPE_PREFIX = "https://www.googleapis.com/auth/calendar"
LIFETIME = timedelta(hours=1)
LEEWAY = timedelta(minutes=5)


class TokenError(Exception):
    """An answer of the token endpoint other than a token (RFC 6749 §5.2)."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error, "error_description": description}


class Grant(msgspec.Struct, frozen=True):
    """What a token allows: to act as this person, within these scopes."""

    subject: str
    scopes: frozenset[str]


class Tokens:
    """Gives out access tokens, and knows them again. They outlive a restart of the sandbox."""

    def __init__(self, state: State, token_uri: Callable[[], str]) -> None:
        self._state = state
        self._token_uri = token_uri

    def grant(self, form: dict[str, str]) -> dict[str, object]:
        """The token endpoint's answer to a form. Raises ``TokenError``."""
        if form.get("grant_type") != GRANT_TYPE:
            raise TokenError(
                400, "unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}"
            )
        claims = self._claims(form.get("assertion", ""))
        subject, scopes = claims.get("sub"), str(claims.get("scope", "")).split()
        if not scopes or not all(scope.startswith(SCOPE_PREFIX) for scope in scopes):
            raise TokenError(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        if subject is None or self._state.mailbox("googlecalendar", str(subject)) is None:
            raise TokenError(400, "invalid_grant", "Invalid email or User ID")
        expires = self._state.now() + LIFETIME
        payload = {
            "sub": subject,
            "scope": " ".join(scopes),
            "exp": int(expires.timestamp()),
            "aud": "calendar",
        }
        token = jwt.encode(payload, self._state.credentials.signing_key, algorithm="HS256")
        return {
            "access_token": f"ya29.{token}",
            "expires_in": int(LIFETIME.total_seconds()) - 1,
            "token_type": "Bearer",
        }

    def _claims(self, assertion: str) -> dict[str, object]:
        """The assertion's claims, its signature, issuer, audience and times checked."""
        credentials = self._state.credentials
        try:
            claims: dict[str, object] = jwt.decode(
                assertion,
                credentials.public_key,
                algorithms=["RS256"],
                audience=[GOOGLE_AUDIENCE, self._token_uri()],
                options={"require": ["iss", "aud", "exp", "iat"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidSignatureError:
            raise TokenError(400, "invalid_grant", "Invalid JWT Signature.") from None
        except jwt.InvalidAudienceError:
            raise TokenError(
                400,
                "invalid_grant",
                f"Invalid JWT: Failed audience check. The right audience is {GOOGLE_AUDIENCE}",
            ) from None
        except jwt.PyJWTError:
            raise TokenError(400, "invalid_grant", "Bad Request") from None
        if claims["iss"] != credentials.google_email:
            raise TokenError(400, "invalid_grant", "Invalid grant: account not found")
        if not self._timely(claims):
            raise TokenError(
                400,
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim.",
            )
        return claims

    def _timely(self, claims: dict[str, object]) -> bool:
        issued, expires = claims["iat"], claims["exp"]
        if not isinstance(issued, int) or not isinstance(expires, int):
            return False
        now = self._state.now()
        lifetime = timedelta(seconds=expires - issued)
        return (
            timedelta(0) < lifetime <= LIFETIME
            and datetime.fromtimestamp(issued, now.tzinfo) <= now + LEEWAY
            and datetime.fromtimestamp(expires, now.tzinfo) > now - LEEWAY
        )

    def check(self, authorization: str | None) -> Grant:
        """What the ``Authorization`` header allows. Raises ``ApiError`` 401."""
        scheme, _, token = (authorization or "").partition(" ")
        try:
            if scheme.casefold() != "bearer":
                raise jwt.InvalidTokenError
            payload = jwt.decode(
                token.strip().removeprefix("ya29."),
                self._state.credentials.signing_key,
                algorithms=["HS256"],
                audience="calendar",
                options={"verify_exp": False},
            )
            if payload["exp"] <= self._state.now().timestamp():
                raise jwt.ExpiredSignatureError
        except jwt.PyJWTError:
            raise ApiError(
                401, "authError", "Invalid Credentials", location="Authorization", location_type="header"
            ) from None
        return Grant(payload["sub"], frozenset(payload["scope"].split()))


def from_fault(fault: Fault) -> TokenError | None:
    """The error to answer instead of a token; None for a fault of another kind."""
    errors = {
        "deny": TokenError(
            401,
            "unauthorized_client",
            "Client is unauthorized to retrieve access tokens using this method, or client not authorized "
            "for any of the scopes requested.",
        ),
        "gone": TokenError(400, "invalid_grant", "Invalid email or User ID"),
        "throttle": TokenError(429, "rate_limit_exceeded", "Rate Limit Exceeded"),
        "unavailable": TokenError(503, "temporarily_unavailable", "Backend Error"),
    }
    return errors.get(fault.fault)
