"""The EWS adapter over real TLS: connections, certificates, log-on, and what breaks on the way."""

import asyncio
import base64
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import spnego
from aiohttp import web

from providers.adapter import Adapter
from providers.contract import Create, Done, Mailbox, ProviderError, Refused, Throttled, Unknown
from providers.ews import connect, session
from providers.settings import EwsAccount, EwsSettings
from tests.clock import SettableClock
from tests.ews.server import PATH, Drop, Handler, Received, Server
from tests.unit.providers.ews_server import event, fault, folder, marker, response, success

ALICE = Mailbox(address="alice@uni.example", identity="folder")
CREATE = Create(event=event(1, title="Thanatology", description="Not for the log"), marker=marker(1))


async def well(received: Received) -> web.StreamResponse:
    """An Exchange that does what it is asked."""
    body = {
        "GetFolder": lambda: folder(),
        "CreateItem": lambda: response("CreateItem", success("id-1", "v1")),
    }[received.operation]()
    return xml(body)


def xml(body: bytes, status: int = 200, **headers: str) -> web.Response:
    return web.Response(body=body, status=status, content_type="text/xml", headers=headers)


@asynccontextmanager
async def exchange(
    folder: Path, handler: Handler = well, routes: tuple[web.AbstractRouteDef, ...] = (), **settings: Any
) -> AsyncIterator[tuple[Adapter, Server]]:
    """A server with this handler, and an adapter that is configured for it."""
    async with Server(folder, handler, routes) as server:
        account = {"username": "svc@uni.example", "password": "passwört"}
        if "accounts" in settings:
            account = {}
        if settings.get("auth_type") == "oauth":
            settings["authority"] = server.url
        adapter = await connect(
            EwsSettings(
                service_endpoint=server.url + PATH, ca_file=str(server.ca_file), **(account | settings)
            ),
            SettableClock(datetime.now(UTC)),
        )
        try:
            yield adapter, server
        finally:
            await adapter.close()


# ── What breaks ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_create_whose_answer_is_lost_is_sent_once(tmp_path: Path):
    async def drop(received: Received) -> web.StreamResponse:
        return Drop()

    async with exchange(tmp_path, drop) as (adapter, server):
        (outcome,) = await adapter.apply(ALICE, [CREATE])

    assert isinstance(outcome, Unknown)
    assert server.operations == ["CreateItem"]


async def test_a_create_whose_answer_breaks_off_is_sent_once(tmp_path: Path):
    async def half(received: Received) -> web.StreamResponse:
        body = response("CreateItem", success("id-1"))
        return web.Response(body=body[: len(body) // 2], content_type="text/xml")

    async with exchange(tmp_path, half) as (adapter, server):
        (outcome,) = await adapter.apply(ALICE, [CREATE])

    assert isinstance(outcome, Unknown)
    assert server.operations == ["CreateItem"]


async def test_an_exchange_that_hangs_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # Long enough for the request to arrive, on any machine.
    monkeypatch.setattr(session, "READ_TIMEOUT", 2.0)
    over = asyncio.Event()

    async def hang(received: Received) -> web.StreamResponse:
        await over.wait()
        return xml(b"")

    async with exchange(tmp_path, hang) as (adapter, server):
        (outcome,) = await adapter.apply(ALICE, [CREATE])
        over.set()

    assert isinstance(outcome, Unknown)
    assert server.operations == ["CreateItem"]


async def test_after_a_broken_connection_the_next_request_makes_another(tmp_path: Path):
    answers = iter([Drop(), None])

    async def once(received: Received) -> web.StreamResponse:
        return next(answers) or await well(received)

    async with exchange(tmp_path, once) as (adapter, _):
        (first,) = await adapter.apply(ALICE, [CREATE])
        (second,) = await adapter.apply(ALICE, [CREATE])

    assert isinstance(first, Unknown)
    assert second == Done("id-1", "v1")


async def test_a_server_that_is_not_there(tmp_path: Path):
    async with exchange(tmp_path) as (adapter, server):
        await server.__aexit__(None, None, None)
        with pytest.raises(ProviderError) as caught:
            await adapter.probe(ALICE.address)

    assert isinstance(caught.value.outcome, Unknown)
    assert caught.value.outcome.code == "unreachable"


async def test_a_soap_fault_comes_with_status_500(tmp_path: Path):
    async def busy(received: Received) -> web.StreamResponse:
        return xml(fault("ErrorServerBusy", 2000), status=500)

    async with exchange(tmp_path, busy) as (adapter, server):
        (outcome,) = await adapter.apply(ALICE, [CREATE])

    assert isinstance(outcome, Throttled)
    assert outcome.code == "ErrorServerBusy"
    assert len(server.received) == 1


async def test_a_page_of_the_web_server_with_status_500_is_no_answer(tmp_path: Path):
    async def broken(received: Received) -> web.StreamResponse:
        # exchangelib takes this for "busy", for the sake of the header.
        return web.Response(text="<html>Server Error</html>", status=500, headers={"Connection": "close"})

    async with exchange(tmp_path, broken) as (adapter, _):
        (outcome,) = await adapter.apply(ALICE, [CREATE])

    assert isinstance(outcome, Unknown)


async def test_a_redirect_is_not_followed_with_the_password(tmp_path: Path):
    async def elsewhere(received: Received) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": PATH + "?elsewhere"})

    async with exchange(tmp_path, elsewhere) as (adapter, server):
        (outcome,) = await adapter.apply(ALICE, [CREATE])

    assert isinstance(outcome, Refused)
    assert outcome.scope == "account"
    assert len(server.received) == 1


# ── Certificates ─────────────────────────────────────────────────────────────────────────────────────────


async def test_two_exchanges_with_authorities_of_their_own_work_side_by_side(tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    async with exchange(one) as (first, _), exchange(two) as (second, _):
        for adapter in (first, second, first):
            assert await adapter.probe(ALICE.address) == ALICE


async def test_a_server_of_another_authority_hears_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with exchange(tmp_path) as (_, server):
        other = tmp_path / "other"
        other.mkdir()
        async with Server(other, well) as stranger:
            # Although the environment trusts it.
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stranger.ca_file))
            adapter = await connect(
                EwsSettings(
                    service_endpoint=stranger.url + PATH,
                    username="svc",
                    password="secret",
                    ca_file=str(server.ca_file),
                ),
                SettableClock(),
            )
            (outcome,) = await adapter.apply(ALICE, [CREATE])
            await adapter.close()

    assert isinstance(outcome, Refused)
    assert (outcome.scope, outcome.permanent) == ("account", False)
    assert "ca_file" in outcome.reason
    assert stranger.received == []


# ── Connections ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_connection_is_kept(tmp_path: Path):
    async with exchange(tmp_path) as (adapter, server):
        for _ in range(5):
            await adapter.probe(ALICE.address)

    assert len({one.connection for one in server.received}) == 1


async def test_an_account_opens_no_more_than_ten_connections(tmp_path: Path):
    async def slowly(received: Received) -> web.StreamResponse:
        await asyncio.sleep(0.02)
        return folder_answer()

    def folder_answer() -> web.StreamResponse:
        return xml(folder())

    async with exchange(tmp_path, slowly) as (adapter, server):
        await asyncio.gather(*(adapter.probe(f"user{i}@uni.example") for i in range(40)))

    assert len(server.received) == 40
    assert 2 <= len({one.connection for one in server.received}) <= 10


async def test_a_second_adapter_does_not_get_the_settings_of_the_first(tmp_path: Path):
    # exchangelib caches by endpoint and credentials; these differ in what they trust only.
    async with exchange(tmp_path) as (adapter, server):
        await adapter.probe(ALICE.address)
        second = await connect(
            EwsSettings(service_endpoint=server.url + PATH, username="svc@uni.example", password="passwört"),
            SettableClock(),
        )
        with pytest.raises(ProviderError) as caught:
            await second.probe(ALICE.address)
        await second.close()

    assert isinstance(caught.value.outcome, Refused)


async def test_exchanges_routing_cookies_are_not_carried_to_another_mailbox(tmp_path: Path):
    async def with_cookie(received: Received) -> web.StreamResponse:
        return xml(folder(), **{"Set-Cookie": "X-BackEndCookie=alice; path=/"})

    async with exchange(tmp_path, with_cookie) as (adapter, server):
        await adapter.probe("alice@uni.example")
        await adapter.probe("bob@uni.example")

    assert "Cookie" not in server.received[1].headers
    assert [one.headers["X-AnchorMailbox"] for one in server.received] == [
        "alice@uni.example",
        "bob@uni.example",
    ]


# ── Log-on ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_basic_sends_the_password_as_utf8(tmp_path: Path):
    async with exchange(tmp_path) as (adapter, server):
        await adapter.probe(ALICE.address)

    _, _, encoded = server.received[0].headers["Authorization"].partition(" ")
    assert base64.b64decode(encoded).decode() == "svc@uni.example:passwört"


async def test_a_mailbox_is_reached_through_its_account(tmp_path: Path):
    accounts = tuple(EwsAccount(username=f"svc{i}", password=f"secret{i}") for i in range(3))
    async with exchange(tmp_path, accounts=accounts) as (adapter, server):
        addresses = [f"user{i}@uni.example" for i in range(12)]
        for address in addresses:
            await adapter.probe(address)
        names = [adapter.account(address) for address in addresses]

    said = [base64.b64decode(one.headers["Authorization"].split()[1]) for one in server.received]
    assert said == [f"{name}:secret{name[-1]}".encode() for name in names]
    assert len(set(names)) > 1


async def test_ntlm_logs_a_connection_on_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    users = tmp_path / "users"
    users.write_text("UNI:svc:secret\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    contexts: dict[tuple[str, int], Any] = {}

    async def ntlm(received: Received) -> web.StreamResponse:
        context = contexts.get(received.connection)
        if context is not None and context.complete:
            return await well(received)
        scheme, _, token = received.headers.get("Authorization", "").partition(" ")
        if scheme != "NTLM":
            return web.Response(status=401, headers={"WWW-Authenticate": "NTLM"})
        if context is None:
            context = contexts[received.connection] = spnego.server(
                protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm
            )
        challenge = context.step(base64.b64decode(token))
        if not context.complete:
            said = base64.b64encode(challenge).decode()
            return web.Response(status=401, headers={"WWW-Authenticate": f"NTLM {said}"})
        return await well(received)

    account = (EwsAccount(username="UNI\\svc", password="secret"),)
    async with exchange(tmp_path, ntlm, auth_type="ntlm", accounts=account) as (adapter, server):
        assert await adapter.apply(ALICE, [CREATE]) == [Done("id-1", "v1")]
        assert len(server.received) == 3  # asked, challenged, logged on
        assert await adapter.apply(ALICE, [CREATE]) == [Done("id-1", "v1")]
        assert len(server.received) == 4

    assert next(iter(contexts.values())).client_principal == "UNI\\svc"


async def test_ntlm_with_a_wrong_password_refuses_the_account(tmp_path: Path):
    async def never(received: Received) -> web.StreamResponse:
        return web.Response(status=401, headers={"WWW-Authenticate": "NTLM"})

    async with exchange(tmp_path, never, auth_type="ntlm") as (adapter, _):
        (outcome,) = await adapter.apply(ALICE, [CREATE])

    assert isinstance(outcome, Refused)
    assert outcome.scope == "account"


class Authority:
    """Microsoft Entra's endpoints for one tenant."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.refusal: str | None = None
        self.routes = (
            web.get("/tenant/v2.0/.well-known/openid-configuration", self._discover),
            web.post("/tenant/token", self._token),
        )

    async def _discover(self, request: web.Request) -> web.Response:
        base = f"https://{request.host}/tenant"
        return web.json_response(
            {"issuer": base, "authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token"}
        )

    async def _token(self, request: web.Request) -> web.Response:
        self.asked.append({key: str(value) for key, value in (await request.post()).items()})
        if self.refusal is not None:
            return web.json_response({"error": self.refusal, "error_description": "Text."}, status=401)
        token = {"access_token": f"token-{len(self.asked)}", "token_type": "Bearer", "expires_in": 3600}
        return web.json_response(token)


OAUTH: dict[str, Any] = {
    "auth_type": "oauth",
    "tenant_id": "tenant",
    "accounts": (EwsAccount(username="client", password="secret"),),
}


async def test_oauth_shows_a_token_for_this_exchange_and_keeps_it(tmp_path: Path):
    authority = Authority()
    async with exchange(tmp_path, routes=authority.routes, **OAUTH) as (adapter, server):
        await asyncio.gather(*(adapter.probe(f"user{i}@uni.example") for i in range(5)))
        host = server.url

    assert {one.headers["Authorization"] for one in server.received} == {"Bearer token-1"}
    (asked,) = authority.asked
    assert (asked["grant_type"], asked["client_id"]) == ("client_credentials", "client")
    assert asked["scope"] == f"{host}/.default"


async def test_a_token_that_exchange_does_not_accept_is_not_shown_again(tmp_path: Path):
    async def strict(received: Received) -> web.StreamResponse:
        if received.headers["Authorization"] == "Bearer token-1":
            return web.Response(status=401)
        return await well(received)

    authority = Authority()
    async with exchange(tmp_path, strict, authority.routes, **OAUTH) as (adapter, _):
        with pytest.raises(ProviderError) as caught:
            await adapter.probe(ALICE.address)
        assert await adapter.probe(ALICE.address) == ALICE

    assert isinstance(caught.value.outcome, Refused)
    assert caught.value.outcome.scope == "account"


async def test_a_token_is_renewed_before_it_expires(tmp_path: Path):
    authority = Authority()
    async with exchange(tmp_path, routes=authority.routes, **OAUTH) as (adapter, server):
        await adapter.probe(ALICE.address)
        adapter._clock.advance(minutes=56)  # type: ignore[attr-defined]
        await adapter.probe(ALICE.address)

    assert [one.headers["Authorization"] for one in server.received] == ["Bearer token-1", "Bearer token-2"]


async def test_an_authority_that_gives_no_token_refuses_the_account(tmp_path: Path):
    authority = Authority()
    authority.refusal = "invalid_client"
    async with exchange(tmp_path, routes=authority.routes, **OAUTH) as (adapter, server):
        (outcome,) = await adapter.apply(ALICE, [CREATE])

    assert isinstance(outcome, Refused)
    assert (outcome.scope, outcome.code) == ("account", "invalid_client")
    assert server.received == []


async def test_a_permit_is_asked_for_when_all_is_ready_to_be_sent(tmp_path: Path):
    """After the token, which may take long; in the thread that sends."""
    authority = Authority()
    tokens: list[int] = []
    threads: list[str] = []

    def permit() -> None:
        tokens.append(len(authority.asked))
        threads.append(threading.current_thread().name)
        raise KeyError("the lease is lost")

    async with exchange(tmp_path, routes=authority.routes, **OAUTH) as (adapter, server):
        with pytest.raises(KeyError, match="the lease is lost"):
            await adapter.apply(ALICE, [CREATE], permit)

    assert tokens == [1]
    assert threads[0].startswith("ews")
    assert server.received == []


# ── Settings and the log ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"service_endpoint": "http://mail.uni.example/EWS/Exchange.asmx"}, "https"),
        ({"ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem"),
    ],
)
async def test_settings_that_cannot_work_are_refused_at_once(changes: dict[str, str], says: str):
    settings = {"service_endpoint": "https://mail.uni.example/EWS/Exchange.asmx"} | changes
    with pytest.raises(ValueError, match=says):
        await connect(EwsSettings(username="svc", password="secret", **settings), SettableClock())


async def test_the_log_holds_no_secret_and_nothing_that_people_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    answers = iter([Drop(), None])

    async def once(received: Received) -> web.StreamResponse:
        return next(answers) or await well(received)

    with caplog.at_level(logging.DEBUG):
        async with exchange(tmp_path, once) as (adapter, server):
            await adapter.apply(ALICE, [CREATE])
            await adapter.apply(ALICE, [CREATE])
            authorization = server.received[0].headers["Authorization"].split()[1]

    for secret in ("Thanatology", "Not for the log", "passwört", authorization):
        assert secret not in caplog.text
