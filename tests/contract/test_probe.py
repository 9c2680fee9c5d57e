"""``Adapter.probe``: which mailbox is it, and may we write to it?"""

import socket
from pathlib import Path

import certifi
import pytest

from providers.adapter import Adapter
from providers.contract import Gone, ProviderError, Refused, Throttled, Unknown
from providers.sandbox.server import Sandbox
from tests.contract.harness import Control, connect, create, lecture, rewritten

Failure = Refused | Throttled | Gone | Unknown


async def failure(adapter: Adapter, address: str) -> Failure:
    with pytest.raises(ProviderError) as error:
        await adapter.probe(address)
    return error.value.outcome


async def test_the_adapter_says_which_type_it_is(adapter: Adapter, type: str) -> None:
    assert adapter.type == type
    assert adapter.batch >= 1


async def test_a_mailbox_keeps_the_address_that_was_asked_for(adapter: Adapter, address: str) -> None:
    assert (await adapter.probe(address)).address == address


async def test_two_addresses_of_one_mailbox_have_one_identity(
    adapter: Adapter, control: Control, address: str
) -> None:
    alias = f"alias-{address}"
    await control.make(address, aliases=[alias])
    assert (await adapter.probe(alias)).identity == (await adapter.probe(address)).identity


async def test_the_case_of_an_address_makes_no_other_mailbox(adapter: Adapter, address: str) -> None:
    assert (await adapter.probe(address.upper())).identity == (await adapter.probe(address)).identity


async def test_two_mailboxes_have_two_identities(adapter: Adapter, address: str) -> None:
    assert (await adapter.probe(f"other-{address}")).identity != (await adapter.probe(address)).identity


async def test_an_identity_stays(adapter: Adapter, sandbox: Sandbox, type: str, address: str) -> None:
    first = await adapter.probe(address)
    await adapter.apply(first, [create(lecture())])
    again = await connect(type, sandbox.config)
    assert await again.probe(address) == first
    await again.close()


async def test_no_such_mailbox(adapter: Adapter) -> None:
    outcome = await failure(adapter, "nobody@elsewhere.example")
    assert isinstance(outcome, Gone), outcome
    assert outcome.what == "mailbox"
    assert outcome.reason


async def test_a_mailbox_that_was_deleted(adapter: Adapter, control: Control, address: str) -> None:
    await adapter.probe(address)
    await control.remove(address)
    outcome = await failure(adapter, address)
    assert isinstance(outcome, Gone), outcome
    # With a token from before, Google speaks of the calendar.
    assert outcome.what in ("mailbox", "calendar")


async def test_no_access_to_the_mailbox(adapter: Adapter, control: Control, address: str) -> None:
    await control.make(address, access=False)
    outcome = await failure(adapter, address)
    assert isinstance(outcome, Refused), outcome
    assert outcome.scope == "mailbox"
    assert outcome.reason


async def test_wrong_credentials(
    sandbox: Sandbox, other_sandbox: Sandbox, control: Control, type: str, address: str, tmp_path: Path
) -> None:
    """Those of another sandbox."""
    config = rewritten(other_sandbox, tmp_path, (other_sandbox.url, sandbox.url))
    (tmp_path / other_sandbox.ca_file.name).write_text(sandbox.ca_file.read_text())
    adapter = await connect(type, config)
    outcome = await failure(adapter, address)
    await adapter.close()
    assert isinstance(outcome, Refused), outcome
    assert outcome.scope == "account"
    assert outcome.reason


async def test_a_server_that_is_down(sandbox: Sandbox, control: Control, type: str, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f":{unused.getsockname()[1]}"
        adapter = await connect(type, rewritten(sandbox, tmp_path, (f":{sandbox.port}", nobody)))
        outcome = await failure(adapter, "alice@uni.example")
        await adapter.close()
    assert isinstance(outcome, Unknown), outcome
    assert outcome.reason


async def test_a_server_that_answers_503(adapter: Adapter, control: Control, address: str) -> None:
    await control.fault("unavailable", operation="read")
    assert isinstance(await failure(adapter, address), Unknown | Throttled)


async def test_a_provider_that_denies_whatever_is_asked(
    adapter: Adapter, control: Control, address: str
) -> None:
    """It is the mailbox that cannot be reached, and not all of them."""
    await control.fault("deny")
    outcome = await failure(adapter, address)
    assert isinstance(outcome, Refused), outcome
    assert outcome.scope == "mailbox"


async def test_a_provider_that_asks_to_wait(adapter: Adapter, control: Control, address: str) -> None:
    await control.fault("throttle", operation="read")
    assert isinstance(await failure(adapter, address), Throttled)


async def test_the_ca_file_holds_against_the_environment(
    sandbox: Sandbox, control: Control, type: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries on ``requests`` let these variables win over a session's own setting."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "HTTPLIB2_CA_CERTS"):
        monkeypatch.setenv(variable, certifi.where())
    adapter = await connect(type, sandbox.config)
    assert (await adapter.probe(address)).address == address
    await adapter.close()


async def test_a_server_that_the_ca_file_does_not_vouch_for_is_not_talked_to(
    sandbox: Sandbox,
    other_sandbox: Sandbox,
    control: Control,
    type: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not even if the environment vouches for it."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "HTTPLIB2_CA_CERTS"):
        monkeypatch.setenv(variable, str(sandbox.ca_file))
    config = rewritten(sandbox, tmp_path)
    (tmp_path / sandbox.ca_file.name).write_text(other_sandbox.ca_file.read_text())
    adapter = await connect(type, config)
    outcome = await failure(adapter, "alice@uni.example")
    await adapter.close()
    assert isinstance(outcome, Unknown | Refused), outcome
    assert isinstance(outcome, Unknown) or outcome.scope == "account"
    assert await control.requests() == 0
