"""rooster doctor: a line for each thing that can be wrong, and what to do about it."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from click.testing import CliRunner

from app import commands, doctor
from app.clock import Clock
from app.commands import rooster
from app.config import Config, ConfigError, DatabaseSettings, Providers, SyncSettings
from app.database.types import Pool
from app.doctor import Finding, examine
from app.sources.integrations import open_sources
from app.sources.secrets import Vault
from app.sources.settings import SourceSettings
from providers.adapter import Adapter
from providers.contract import Outcome, Refused, Throttled
from providers.settings import EwsSettings
from tests.clock import SettableClock
from tests.fakes import DOWN, NO_ACCESS, Call, FakeAdapter

EWS = EwsSettings(service_endpoint="https://mail.uni.example/EWS/Exchange.asmx", username="a", password="b")
WRONG_PASSWORD = Refused(code="401", reason="The password is wrong.", scope="account")
NOT_TRUSTED = Refused(code="certificate", reason="Set ca_file in [providers.ews].", scope="account")


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> FakeAdapter:
    """The adapter of every provider that is configured."""
    adapter = FakeAdapter("ews")

    @asynccontextmanager
    async def open_adapters(config: Config, clock: Clock) -> AsyncIterator[dict[str, Adapter]]:
        yield {"ews": adapter}

    monkeypatch.setattr(doctor, "open_adapters", open_adapters)
    return adapter


@pytest.fixture
def config(database: str) -> Config:
    return Config(
        instance="uni.example", database=DatabaseSettings(url=database), providers=Providers(ews=EWS)
    )


async def examined(config: Config, **mailboxes: str) -> dict[str, Finding]:
    return {finding.subject: finding async for finding in examine(config, mailboxes, SettableClock())}


async def test_all_is_well(config: Config, adapter: FakeAdapter) -> None:
    adapter.add_mailbox("alice@uni.example")
    findings = await examined(config, ews="alice@uni.example")
    assert [finding.ok for finding in findings.values()] == [True, True, True]
    assert findings["ews"].detail == "events can be written to alice@uni.example"
    assert findings["database"].detail.startswith("PostgreSQL ")


async def test_without_a_mailbox_the_credentials_are_proved_by_asking_for_one_that_is_not_there(
    config: Config, adapter: FakeAdapter
) -> None:
    finding = (await examined(config))["ews"]
    assert finding.ok
    assert "--mailbox ews=ADDRESS" in finding.detail
    assert [call.address for call in adapter.calls] == ["rooster-doctor-no-such-mailbox@uni.example"]


async def test_a_mailbox_that_is_provisioned_is_tried_unasked(
    config: Config, adapter: FakeAdapter, pool: Pool
) -> None:
    adapter.add_mailbox("bob@uni.example")
    await pool.execute(
        """
        WITH mailbox AS (INSERT INTO mailboxes (type, address) VALUES ('ews', 'bob@uni.example') RETURNING id)
        INSERT INTO synchronizations (username, type, mailbox_id, address, last_resync)
        SELECT 'bob', 'ews', id, 'bob@uni.example', now() FROM mailbox
        """
    )
    assert (await examined(config))["ews"].detail == "events can be written to bob@uni.example"


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (WRONG_PASSWORD, "The password is wrong. See [providers.ews]"),
        (NOT_TRUSTED, "Set ca_file in [providers.ews]."),
        (
            NO_ACCESS,
            "alice@uni.example: No access to this mailbox."
            " Give the account of [providers.ews] access to this mailbox",
        ),
        (DOWN, "The provider does not answer. Check the URL, the network and ca_file in [providers.ews]"),
    ],
)
async def test_what_the_provider_refuses_is_said_with_what_to_do(
    config: Config, adapter: FakeAdapter, answer: Outcome, detail: str
) -> None:
    adapter.add_mailbox("alice@uni.example")
    adapter.fail("probe", answer)
    finding = (await examined(config, ews="alice@uni.example"))["ews"]
    assert (finding.ok, finding.detail) == (False, detail)


async def test_wrong_credentials_are_found_without_a_mailbox(config: Config, adapter: FakeAdapter) -> None:
    adapter.fail("probe", WRONG_PASSWORD)
    assert not (await examined(config))["ews"].ok


async def test_a_mailbox_that_is_not_there_is_wrong(config: Config, adapter: FakeAdapter) -> None:
    finding = (await examined(config, ews="nobody@uni.example"))["ews"]
    assert not finding.ok
    assert finding.detail.startswith("nobody@uni.example: ")
    assert finding.detail.endswith("To try another: --mailbox ews=ADDRESS")


async def test_being_throttled_is_no_fault(
    config: Config, adapter: FakeAdapter, clock: SettableClock
) -> None:
    adapter.fail("probe", Throttled(until=clock.advance(minutes=5), scope="account"))
    finding = (await examined(config))["ews"]
    assert finding.ok
    assert "2026-09-01 08:05:00Z" in finding.detail


async def test_a_provider_that_never_answers_is_given_up(config: Config, adapter: FakeAdapter) -> None:
    async def hang(_: Call) -> None:
        await asyncio.Event().wait()

    adapter.before = hang
    impatient = msgspec.structs.replace(config, sync=SyncSettings(probe_timeout_seconds=1))
    finding = (await examined(impatient))["ews"]
    assert (finding.ok, finding.detail.partition(":")[0]) == (False, "no answer within 1 seconds")


async def test_a_schema_that_is_too_old_is_wrong(config: Config, adapter: FakeAdapter, pool: Pool) -> None:
    await pool.execute("DELETE FROM schema_migrations WHERE version > 1")
    finding = (await examined(config))["database"]
    assert not finding.ok
    assert "rooster migrate" in finding.detail


class TestSources:
    """The key that credentials of sources are encrypted with."""

    KEY = bytes(range(32))

    @pytest.fixture
    async def accounts(self, pool: Pool) -> list[UUID]:
        """Two with credentials, and one without."""
        ids = [uuid4() for _ in range(3)]
        vault = Vault(self.KEY)
        stored = [vault.encrypt(b"hunter2", ids[0]), vault.encrypt(b"hunter2", ids[1]), b""]
        await pool.executemany(
            "INSERT INTO integrated_accounts"
            " (id, integration_name, base_url, credentials, settings, created_at, updated_at)"
            " VALUES ($1, 'http-json', 'https://source.example', $2, '{}', now(), now())",
            list(zip(ids, stored, strict=True)),
        )
        return ids

    def keyed(self, config: Config, key: bytes) -> Config:
        sources = SourceSettings(encryption_key=b64encode(key).decode())
        return msgspec.structs.replace(config, sources=sources)

    async def test_the_right_one(self, config: Config, adapter: FakeAdapter, accounts: list[UUID]) -> None:
        finding = (await examined(self.keyed(config, self.KEY)))["sources"]
        assert (finding.ok, "2 stored credentials" in finding.detail) == (True, True)

    async def test_another_one(
        self, config: Config, adapter: FakeAdapter, accounts: list[UUID], pool: Pool
    ) -> None:
        other = bytes(32)
        finding = (await examined(self.keyed(config, other)))["sources"]
        assert not finding.ok
        assert str(accounts[0]) in finding.detail
        assert "earlier [sources] encryption_key" in finding.detail
        assert finding.detail.endswith("(and those of 1 more)")
        # Of two machines, one had another key.
        stored = Vault(other).encrypt(b"hunter2", accounts[1])
        await pool.execute(
            "UPDATE integrated_accounts SET credentials = $2 WHERE id = $1", accounts[1], stored
        )
        finding = (await examined(self.keyed(config, self.KEY)))["sources"]
        assert not finding.ok
        assert str(accounts[1]) in finding.detail
        assert "hunter2" not in finding.detail

    async def test_certificates_that_cannot_be_read(
        self, config: Config, adapter: FakeAdapter, tmp_path: Path
    ) -> None:
        sources = SourceSettings(ca_file=str(tmp_path / "ca.pem"))
        config = msgspec.structs.replace(config, sources=sources)
        finding = (await examined(config))["sources"]
        assert (finding.ok, "sources.ca_file: " in finding.detail) == (False, True)
        tmp_path.joinpath("ca.pem").write_text("no certificate")
        assert "no certificate in PEM" in (await examined(config))["sources"].detail
        with pytest.raises(ConfigError, match=r"sources\.ca_file"):
            async with open_sources(config, SettableClock()):
                pass

    async def test_none(self, config: Config, adapter: FakeAdapter, accounts: list[UUID]) -> None:
        finding = (await examined(config))["sources"]
        assert not finding.ok
        assert "sources.encryption_key is missing" in finding.detail

    async def test_one_whose_file_is_gone_and_no_other_one_is_made(
        self, accounts: list[UUID], pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        @asynccontextmanager
        async def embedded(*_: object, **__: object) -> AsyncIterator[Pool]:
            yield pool

        monkeypatch.setattr(doctor, "open_database", embedded)
        finding = (await examined(Config(instance="uni.example", data_dir=str(tmp_path))))["sources"]
        assert not finding.ok
        assert "put sources.key back" in finding.detail
        assert list(tmp_path.iterdir()) == []

    async def test_one_that_is_none_is_found_before_there_are_accounts(
        self, config: Config, adapter: FakeAdapter
    ) -> None:
        finding = (await examined(self.keyed(config, b"short")))["sources"]
        assert not finding.ok
        assert "expected 32 bytes in base64" in finding.detail


async def test_a_provider_that_is_not_configured_cannot_be_tried(
    config: Config, adapter: FakeAdapter
) -> None:
    finding = (await examined(config, o365="alice@uni.example"))["o365"]
    assert not finding.ok
    assert "[providers.o365]" in finding.detail


async def test_nothing_configured_is_wrong_and_says_what_is_missing(database: str) -> None:
    findings = await examined(Config(database=DatabaseSettings(url=database)))
    assert [finding.ok for finding in findings.values()] == [False, True, False]
    assert "instance is missing" in findings["instance"].detail
    assert "[providers.ews|o365|googlecalendar]" in findings["providers"].detail


async def test_a_key_that_cannot_be_read_is_wrong_and_not_shown(database: str) -> None:
    from providers.settings import GoogleSettings

    broken = Providers(googlecalendar=GoogleSettings(service_account="hunter2"))
    config = Config(instance="x", database=DatabaseSettings(url=database), providers=broken)
    finding = (await examined(config))["googlecalendar"]
    assert not finding.ok
    assert finding.detail.startswith("providers.googlecalendar.service_account_file: not the JSON key file")
    assert "hunter2" not in finding.detail


@pytest.mark.parametrize(("instance", "status"), [("uni.example", 0), ("", 1)])
def test_the_command_prints_a_line_each_and_exits_by_the_outcome(
    database: str,
    adapter: FakeAdapter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    instance: str,
    status: int,
) -> None:
    adapter.add_mailbox("alice@uni.example")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "configure_logging", lambda *_: None)
    monkeypatch.setenv("ROOSTER_DATABASE__URL", database)
    monkeypatch.setenv("ROOSTER_INSTANCE", instance)
    monkeypatch.setenv("ROOSTER_PROVIDERS__EWS__SERVICE_ENDPOINT", "https://mail.uni.example")
    monkeypatch.setenv("ROOSTER_PROVIDERS__EWS__USERNAME", "a")
    monkeypatch.setenv("ROOSTER_PROVIDERS__EWS__PASSWORD", "b")
    result = CliRunner().invoke(rooster, ["doctor", "--mailbox", "ews=alice@uni.example"])
    assert result.exit_code == status
    assert [line[0] for line in result.stdout.splitlines()] == ["✓", "✓" if instance else "✗", "✓", "✓"]


def test_a_mailbox_without_a_type_is_a_usage_error() -> None:
    result = CliRunner().invoke(rooster, ["doctor", "--mailbox", "alice@uni.example"])
    assert result.exit_code == 2
    assert "expected TYPE=ADDRESS" in result.stderr
