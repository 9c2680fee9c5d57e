"""Settings that only an adapter can judge: every command names the key, and says what is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.adapters import open_adapters
from app.config import Config, ConfigError, Providers
from providers.settings import EwsSettings, GoogleSettings, O365Settings
from tests.clock import SettableClock

ENDPOINT = "https://mail.uni.example/EWS/Exchange.asmx"


def ews(*, service_endpoint: str = ENDPOINT, ca_file: str | None = None) -> Providers:
    return Providers(
        ews=EwsSettings(service_endpoint=service_endpoint, username="u", password="hunter2", ca_file=ca_file)
    )


def o365(*, certificate: str | None = None, ca_file: str | None = None) -> Providers:
    secret = None if certificate is not None else "hunter2"
    return Providers(
        o365=O365Settings(
            tenant_id="t", client_id="c", client_secret=secret, certificate=certificate, ca_file=ca_file
        )
    )


def google(*, service_account: str = "{}", ca_file: str | None = None) -> Providers:
    return Providers(googlecalendar=GoogleSettings(service_account=service_account, ca_file=ca_file))


async def refusal(providers: Providers) -> str:
    with pytest.raises(ConfigError) as caught:
        async with open_adapters(Config(instance="uni.example", providers=providers), SettableClock()):
            pass
    return caught.value.message


@pytest.mark.parametrize(
    ("section", "type_"), [(ews, "ews"), (o365, "o365"), (google, "googlecalendar")], ids=lambda value: ""
)
async def test_a_ca_file_that_cannot_be_used(
    section: Callable[..., Providers], type_: str, tmp_path: Path
) -> None:
    missing, empty = tmp_path / "missing.pem", tmp_path / "empty.pem"
    empty.touch()
    assert (
        await refusal(section(ca_file=str(missing)))
        == f"providers.{type_}.ca_file: {missing} cannot be read: No such file or directory"
    )
    assert (
        await refusal(section(ca_file=str(empty)))
        == f"providers.{type_}.ca_file: {empty} holds no certificate in PEM"
    )


@pytest.mark.parametrize(
    ("providers", "says"),
    [
        (ews(service_endpoint="mail.uni.example"), "providers.ews.service_endpoint: has to begin with https"),
        (ews(service_endpoint="http://mail.uni.example"), "providers.ews.service_endpoint: has to begin"),
        (google(), "providers.googlecalendar.service_account_file: not the JSON key file"),
        (google(service_account="hunter2"), "providers.googlecalendar.service_account_file: not the JSON"),
        (o365(certificate="hunter2"), "providers.o365.certificate_file: expected a certificate and its"),
    ],
)
async def test_what_cannot_be_used_is_said_by_its_key_and_without_its_secret(
    providers: Providers, says: str
) -> None:
    message = await refusal(providers)
    assert message.startswith(says)
    assert "hunter2" not in message
