"""Microsoft Entra ID: the token endpoint for applications, and the metadata that finds it.

Client credentials with a secret or a certificate: learn.microsoft.com/entra/identity-platform/
v2-oauth2-client-creds-grant-flow; errors: reference-error-codes there.
"""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import msgspec
from aiohttp import web

from providers.sandbox.faults import cut_connection, send_half
from providers.sandbox.state import State

__all__ = ["InvalidToken", "application_of", "routes"]

TYPE = "o365"
LIFETIME = timedelta(seconds=3599)
GRAPH = "https://graph.microsoft.com"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class InvalidToken(Exception):
    """Not a token that was given out here for Graph, or one that has expired."""


class _Refusal(msgspec.Struct, frozen=True):
    status: int
    error: str
    code: int
    description: str


UNAVAILABLE = _Refusal(
    503, "temporarily_unavailable", 90033, "A transient error has occurred. Please try again."
)


def routes(state: State, base_url: Callable[[], str]) -> list[web.AbstractRouteDef]:
    """The endpoints of the one tenant that there is."""
    entra = _Entra(state, base_url)
    return [
        web.get("/{tenant}/v2.0/.well-known/openid-configuration", entra.discover),
        web.get("/{tenant}/discovery/v2.0/keys", entra.keys),
        web.post("/{tenant}/oauth2/v2.0/token", entra.token),
    ]


def application_of(state: State, token: str, base_url: str) -> str:
    """The client id of the application that the access token was given to. Raises ``InvalidToken``."""
    try:
        # The expiry is checked by the sandbox's own clock.
        claims = jwt.decode(
            token,
            state.credentials.signing_key,
            algorithms=["HS256"],
            audience=[GRAPH, base_url],
            options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError as error:
        raise InvalidToken("Access token validation failure.") from error
    if claims["exp"] <= state.now().timestamp():
        raise InvalidToken("Lifetime validation failed, the token is expired.")
    return str(claims["appid"])


class _Entra:
    def __init__(self, state: State, base_url: Callable[[], str]) -> None:
        self._state = state
        self._base_url = base_url

    async def discover(self, request: web.Request) -> web.Response:
        """OpenID Connect discovery: openid.net/specs/openid-connect-discovery-1_0.html."""
        tenant = request.match_info["tenant"]
        if tenant != self._state.credentials.tenant_id:
            return self._refused(self._no_tenant(tenant))
        base = f"{self._base_url()}/{tenant}"
        return web.json_response(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_types_supported": ["code", "id_token", "token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "scopes_supported": ["openid"],
            }
        )

    async def keys(self, request: web.Request) -> web.Response:
        """No keys: access tokens for Graph are not for clients to read."""
        return web.json_response({"keys": []})

    async def token(self, request: web.Request) -> web.StreamResponse:
        """A token for an application that proves to be the one that is registered."""
        self._state.stats.request(TYPE, "token", len(await request.read()))
        self._state.stats.operation(TYPE, "token")
        form = {name: str(value) for name, value in (await request.post()).items()}
        fault = self._state.faults.take(TYPE, "token")
        kind = None if fault is None else fault.fault
        if fault is not None and kind == "slow":
            await self._state.sleep(float(fault.options.get("delay", 5)))
        if kind == "commit_then_drop":
            return cut_connection(request)
        if fault is not None and kind == "throttle":
            refusal = _Refusal(429, "temporarily_unavailable", 90055, "The request is throttled.")
            return self._refused(refusal, fault.retry_after)
        if fault is not None and kind in ("unavailable", "commit_then_503"):
            return self._refused(UNAVAILABLE, fault.retry_after)
        if kind == "deny":
            return self._refused(_Refusal(401, "invalid_client", 7000215, "Invalid client secret provided."))
        if kind == "gone":
            return self._refused(self._no_tenant(request.match_info["tenant"]))
        refused = self._check(request.match_info["tenant"], form)
        if refused is not None:
            return self._refused(refused)
        issued = json.dumps(self._issue(form["scope"])).encode()
        if kind == "partial":
            return await send_half(request, 200, issued)
        return web.Response(
            body=issued, content_type="application/json", headers={"Cache-Control": "no-store"}
        )

    def _check(self, tenant: str, form: Mapping[str, str]) -> _Refusal | None:
        """What is wrong with the request, if anything."""
        credentials = self._state.credentials
        if tenant != credentials.tenant_id:
            return self._no_tenant(tenant)
        if form.get("grant_type") != "client_credentials":
            return _Refusal(
                400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type."
            )
        if form.get("client_id") != credentials.client_id:
            return _Refusal(400, "unauthorized_client", 700016, "Application was not found in the directory.")
        if not form.get("scope", "").endswith("/.default"):
            return _Refusal(400, "invalid_scope", 1002012, "The provided value for scope is not valid.")
        if form["scope"] not in (f"{GRAPH}/.default", f"{self._base_url()}/.default"):
            return _Refusal(
                400, "invalid_resource", 500011, "The resource principal was not found in the tenant."
            )
        if "client_assertion" in form:
            return self._check_assertion(form)
        if form.get("client_secret") != credentials.client_secret:
            return _Refusal(401, "invalid_client", 7000215, "Invalid client secret provided.")
        return None

    def _check_assertion(self, form: Mapping[str, str]) -> _Refusal | None:
        """A JWT signed with the certificate's key (RFC 7523 section 3)."""
        credentials = self._state.credentials
        endpoint = f"{self._base_url()}/{credentials.tenant_id}/oauth2/v2.0/token"
        problem = _Refusal(
            401, "invalid_client", 700027, "The certificate cannot verify the client assertion."
        )
        if form.get("client_assertion_type") != ASSERTION:
            return problem
        try:
            claims = jwt.decode(
                form["client_assertion"],
                credentials.public_key,
                algorithms=["RS256", "PS256"],
                audience=endpoint,
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            return problem
        if claims.get("exp", 0) <= self._state.now().timestamp():
            return _Refusal(
                401, "invalid_client", 700024, "Client assertion is not within its valid time range."
            )
        if {claims.get("iss"), claims.get("sub")} != {credentials.client_id}:
            return problem
        return None

    def _issue(self, scope: str) -> dict[str, Any]:
        now = self._state.now()
        credentials = self._state.credentials
        token = jwt.encode(
            {
                "aud": scope.removesuffix("/.default"),
                "iss": f"{self._base_url()}/{credentials.tenant_id}/v2.0",
                "iat": int(now.timestamp()),
                "exp": int((now + LIFETIME).timestamp()),
                "appid": credentials.client_id,
                "tid": credentials.tenant_id,
                "roles": ["Calendars.ReadWrite"],
                "uti": uuid4().hex,
            },
            credentials.signing_key,
            algorithm="HS256",
        )
        seconds = int(LIFETIME.total_seconds())
        return {
            "token_type": "Bearer",
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": token,
        }

    def _no_tenant(self, tenant: str) -> _Refusal:
        return _Refusal(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")

    def _refused(self, refusal: _Refusal, retry_after: float | None = None) -> web.Response:
        body: dict[str, Any] = {
            "error": refusal.error,
            "error_description": f"AADSTS{refusal.code}: {refusal.description}",
            "error_codes": [refusal.code],
            "timestamp": f"{self._state.now():%Y-%m-%d %H:%M:%SZ}",
            "trace_id": str(uuid4()),
            "correlation_id": str(uuid4()),
        }
        headers = {} if retry_after is None else {"Retry-After": str(round(retry_after))}
        return web.json_response(body, status=refusal.status, headers=headers)
