"""The sandbox as a server: TLS, files, and a state that survives a restart."""

import json
import socket
import ssl
import stat
import sys
import tomllib
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from providers.sandbox.credentials import Credentials
from providers.sandbox.persistence import StateFileError
from providers.sandbox.server import Sandbox, SandboxError

from .conftest import Control, strict_context

MINE = {"title": "Dentist", "start": "2027-03-01T10:00:00Z", "end": "2027-03-01T10:30:00Z"}


def new_sandbox(credentials: Credentials, state_file: Path | None = None, port: int = 0) -> Sandbox:
    sandbox = Sandbox(port=port, state_file=state_file)
    sandbox.state.credentials = credentials
    return sandbox


async def test_its_certificate_passes_strict_verification_by_address_and_by_name(
    sandbox: Sandbox, client: aiohttp.ClientSession
) -> None:
    for host in ("127.0.0.1", "localhost"):
        async with client.get(f"https://{host}:{sandbox.port}/control/stats") as response:
            assert response.status == 200


async def test_nobody_else_trusts_its_certificate(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"{sandbox.control}/stats", ssl=ssl.create_default_context())


def test_the_authority_signs_for_nothing_but_its_server(sandbox: Sandbox) -> None:
    ca = x509.load_pem_x509_certificate(sandbox.ca_file.read_bytes())
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    assert not list(sandbox.ca_file.parent.glob("ca*key*")), "the authority's key is not kept"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is not an address of the machine")
def test_it_listens_on_127_0_0_1_only(sandbox: Sandbox) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.2", sandbox.port))  # fails beside a server that listens on every address


def test_the_configuration_names_all_three_providers(sandbox: Sandbox) -> None:
    config = tomllib.loads(sandbox.config.read_text())
    assert config["instance"] == "uni.example"
    assert set(config["providers"]) == {"ews", "o365", "googlecalendar"}
    for provider in config["providers"].values():
        assert provider["ca_file"] == str(sandbox.ca_file)
        assert sandbox.url in " ".join(str(value) for value in provider.values())


def test_googles_key_file_points_at_the_sandboxs_token_endpoint(sandbox: Sandbox) -> None:
    config = tomllib.loads(sandbox.config.read_text())
    key = json.loads(Path(config["providers"]["googlecalendar"]["service_account_file"]).read_text())
    assert key["type"] == "service_account"
    assert key["token_uri"] == f"{sandbox.url}/token"


def test_only_the_owner_can_read_the_files(sandbox: Sandbox) -> None:
    folder = sandbox.config.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


async def test_without_a_state_file_nothing_is_left(credentials: Credentials) -> None:
    async with new_sandbox(credentials) as sandbox:
        folder = sandbox.config.parent
    assert not folder.exists()


async def test_mailboxes_survive_a_restart(credentials: Credentials, tmp_path: Path) -> None:
    state_file = tmp_path / "state"
    before = {}
    async with new_sandbox(credentials, state_file) as sandbox, connected(sandbox) as session:
        control = Control(session, sandbox.control)
        for type_ in ("ews", "o365", "googlecalendar"):
            await control.add(type_, "alice@uni.example", **MINE)
            before[type_] = await control.events(type_, "alice@uni.example")
        await control.ok(
            "POST", control.mailbox("ews", "bob@other.example"), {"aliases": ["b@other.example"]}
        )
        await control.ok("DELETE", control.mailbox("ews", "carol@uni.example"))
    async with new_sandbox(credentials, state_file) as sandbox, connected(sandbox) as session:
        control = Control(session, sandbox.control)
        for type_, events in before.items():
            assert len(events) == 1
            assert await control.events(type_, "alice@uni.example") == events
        assert await control.events("ews", "B@other.example") == []
        status, _ = await control.call("GET", control.mailbox("ews", "carol@uni.example", "events"))
        assert status == 404


@pytest.mark.parametrize("type_", ["ews", "o365", "googlecalendar"])
async def test_calendars_survive_a_restart(credentials: Credentials, tmp_path: Path, type_: str) -> None:
    state_file = tmp_path / "state"
    calendars = f"/mailboxes/{type_}/alice@uni.example/calendars"
    async with new_sandbox(credentials, state_file) as sandbox, connected(sandbox) as session:
        control = Control(session, sandbox.control)
        sport = await control.ok("POST", calendars, {"name": "Sport"})
        await control.add(type_, "alice@uni.example", **MINE, calendar=sport["id"])
        assert sandbox.saving is not None
        await sandbox.saving
        path = control.mailbox(type_, "alice@uni.example", "calendars", sport["id"])
        await control.ok("PATCH", path, {"name": "Tennis"})
        before = await control.ok("GET", calendars), await control.events(type_, "alice@uni.example")
    async with new_sandbox(credentials, state_file) as sandbox, connected(sandbox) as session:
        control = Control(session, sandbox.control)
        after = await control.ok("GET", calendars), await control.events(type_, "alice@uni.example")
    assert after == before
    assert [calendar["name"] for calendar in after[0]["calendars"]] == [None, "Tennis"]


async def test_a_configuration_keeps_working_after_a_restart(tmp_path: Path) -> None:
    state_file = tmp_path / "state"
    async with Sandbox(state_file=state_file) as first:
        config, ca, url = first.config.read_text(), first.ca_file.read_bytes(), first.url
    async with Sandbox(state_file=state_file) as second:
        assert (second.config.read_text(), second.ca_file.read_bytes(), second.url) == (config, ca, url)


async def test_a_change_is_written_while_the_sandbox_runs(credentials: Credentials, tmp_path: Path) -> None:
    state_file = tmp_path / "state"
    async with new_sandbox(credentials, state_file) as sandbox, connected(sandbox) as session:
        await Control(session, sandbox.control).add("o365", "alice@uni.example", **MINE)
        saved = sandbox.saving
        assert saved is not None
        await saved
        setup, mailbox = state_file.read_text().splitlines()
    assert json.loads(setup)["port"] == sandbox.port
    assert json.loads(mailbox)["address"] == "alice@uni.example"


async def test_only_the_owner_can_read_the_state(credentials: Credentials, tmp_path: Path) -> None:
    async with new_sandbox(credentials, tmp_path / "state"):
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o600


async def test_a_state_that_was_not_written_whole_is_not_taken(
    credentials: Credentials, tmp_path: Path
) -> None:
    state_file = tmp_path / "state"
    async with new_sandbox(credentials, state_file):
        pass
    whole = state_file.read_bytes()
    (tmp_path / "state.new").write_bytes(whole[: len(whole) // 2])  # what a kill in the middle leaves
    async with new_sandbox(credentials, state_file) as sandbox:
        assert sandbox.config.exists()
    assert state_file.read_bytes() == whole


async def test_a_state_file_serves_one_sandbox_at_a_time(credentials: Credentials, tmp_path: Path) -> None:
    async with new_sandbox(credentials, tmp_path / "state"):
        with pytest.raises(StateFileError, match="stop the sandbox"):
            async with new_sandbox(credentials, tmp_path / "state"):
                pass


async def test_a_file_that_is_no_state_is_left_alone(credentials: Credentials, tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear all, " * 200)
    with pytest.raises(StateFileError, match="name another file"):
        async with new_sandbox(credentials, letter):
            pass
    assert letter.read_text() == "Dear all, " * 200


async def test_a_port_in_use_is_named(sandbox: Sandbox, credentials: Credentials) -> None:
    with pytest.raises(SandboxError, match=str(sandbox.port)):
        async with new_sandbox(credentials, port=sandbox.port):
            pass


async def test_a_folder_without_schemas_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"messages-all\.xsd"):
        async with Sandbox(schemas=tmp_path):
            pass


def connected(sandbox: Sandbox) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=strict_context(sandbox)))
