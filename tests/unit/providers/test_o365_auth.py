"""Access tokens: asked for once, renewed in time, and errors that leak nothing."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
import requests

from providers.contract import ProviderError, Refused, Unknown
from providers.o365 import auth
from providers.o365.auth import Tokens
from providers.settings import O365Settings
from tests.clock import SettableClock

SECRET = "hunter2"


class Authority:
    """An authority behind a requests session: discovery, and tokens that tell themselves apart."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.forms: list[dict[str, Any]] = []
        self.token: tuple[int, dict[str, Any]] | Exception | None = None
        self.discovery = 200

    def get(self, url: str, **options: Any) -> requests.Response:
        self.urls.append(url)
        document = {
            "issuer": "https://login.example/tenant/v2.0",
            "authorization_endpoint": "https://login.example/tenant/oauth2/v2.0/authorize",
            "token_endpoint": "https://login.example/tenant/oauth2/v2.0/token",
        }
        return respond(self.discovery, document if self.discovery == 200 else {"error": "invalid_tenant"})

    def post(self, url: str, **options: Any) -> requests.Response:
        self.urls.append(url)
        self.forms.append(options["data"])
        if isinstance(self.token, Exception):
            raise self.token
        if self.token is not None:
            return respond(*self.token)
        return respond(
            200, {"token_type": "Bearer", "access_token": f"token{len(self.forms)}", "expires_in": 3600}
        )

    def close(self) -> None:
        pass


def respond(status: int, document: dict[str, Any]) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = json.dumps(document).encode()
    return response


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> Authority:
    authority = Authority()
    monkeypatch.setattr(auth, "_session", lambda ca_file: authority)
    return authority


def tokens(clock: SettableClock, **settings: str) -> Tokens:
    defaults = {"tenant_id": "tenant", "client_id": "client", "authority": "https://login.example"}
    secret = {} if "certificate" in settings else {"client_secret": SECRET}
    return Tokens(O365Settings(**defaults | secret | settings), clock)


async def test_many_callers_at_once_are_one_request(authority: Authority, clock: SettableClock) -> None:
    ours = tokens(clock)
    assert set(await asyncio.gather(*(ours.get() for _ in range(20)))) == {"token1"}
    assert len(authority.forms) == 1


async def test_a_token_is_kept_until_shortly_before_it_expires(
    authority: Authority, clock: SettableClock
) -> None:
    ours = tokens(clock)
    await ours.get()
    clock.advance(minutes=54)
    assert await ours.get() == "token1"
    clock.advance(minutes=2)
    assert await ours.get() == "token2"


async def test_a_rejected_token_is_not_given_out_again(authority: Authority, clock: SettableClock) -> None:
    ours = tokens(clock)
    token = await ours.get()
    ours.reject(token)
    assert await ours.get() == "token2"
    ours.reject(token)
    assert await ours.get() == "token2", "an answer to the old token came late"


async def test_a_private_authority_is_not_asked_about_at_microsoft(
    authority: Authority, clock: SettableClock
) -> None:
    await tokens(clock).get()
    assert all(url.startswith("https://login.example/tenant/") for url in authority.urls)


@pytest.mark.parametrize(
    ("graph_url", "scope"),
    [
        ("https://graph.microsoft.com/v1.0", "https://graph.microsoft.com/.default"),
        ("https://graph.microsoft.us/v1.0", "https://graph.microsoft.us/.default"),
        ("https://dod-graph.microsoft.us/v1.0", "https://dod-graph.microsoft.us/.default"),
        ("https://microsoftgraph.chinacloudapi.cn/v1.0/", "https://microsoftgraph.chinacloudapi.cn/.default"),
    ],
)
async def test_each_national_cloud_has_its_own_scope(
    authority: Authority, clock: SettableClock, graph_url: str, scope: str
) -> None:
    await tokens(clock, graph_url=graph_url).get()
    assert authority.forms[0]["scope"] == scope


async def test_a_wrong_secret_is_refused_for_the_account_without_leaking(
    authority: Authority, clock: SettableClock, caplog: pytest.LogCaptureFixture
) -> None:
    description = f"AADSTS7000215: Invalid client secret provided: {SECRET}."
    error = {"error": "invalid_client", "error_description": description, "error_codes": [7000215]}
    authority.token = (401, error)
    with pytest.raises(ProviderError) as raised:
        await tokens(clock).get()
    assert isinstance(raised.value.outcome, Refused)
    assert raised.value.outcome.scope == "account"
    assert SECRET not in repr(raised.value.outcome) + str(raised.value) + caplog.text


async def test_an_unknown_tenant_is_refused_for_the_account(
    authority: Authority, clock: SettableClock
) -> None:
    authority.discovery = 400
    with pytest.raises(ProviderError) as raised:
        await tokens(clock).get()
    assert isinstance(raised.value.outcome, Refused)
    assert raised.value.outcome.scope == "account"


async def test_a_certificate_that_is_none_is_refused_for_the_account(
    authority: Authority, clock: SettableClock
) -> None:
    with pytest.raises(ProviderError) as raised:
        await tokens(clock, certificate="not a certificate").get()
    assert isinstance(raised.value.outcome, Refused)
    assert raised.value.outcome.scope == "account"


@pytest.mark.parametrize("fault", ["connection", "discovery 503", "token 503"])
async def test_an_authority_that_is_down_is_unknown(
    authority: Authority, clock: SettableClock, fault: str
) -> None:
    if fault == "connection":
        authority.token = requests.ConnectionError("refused")
    elif fault == "discovery 503":
        authority.discovery = 503
    else:
        authority.token = (503, {"error": "x"})
    ours = tokens(clock)
    with pytest.raises(ProviderError) as raised:
        await ours.get()
    assert isinstance(raised.value.outcome, Unknown)


async def test_an_authority_that_comes_back_is_asked_again(
    authority: Authority, clock: SettableClock
) -> None:
    authority.discovery = 503
    ours = tokens(clock)
    with pytest.raises(ProviderError):
        await ours.get()
    authority.discovery = 200
    assert await ours.get() == "token1"


def test_the_environments_ca_bundle_does_not_win_over_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/elsewhere.pem")
    monkeypatch.setenv("CURL_CA_BUNDLE", "/elsewhere.pem")
    session = auth._session("/ours.pem")
    merged = session.merge_environment_settings("https://login.example", {}, None, session.verify, None)
    assert merged["verify"] == "/ours.pem"


def test_a_token_is_not_waited_for_for_ever() -> None:
    assert auth._session(None).request.keywords["timeout"] <= timedelta(minutes=1).total_seconds()
