"""Addresses to which secrets and tokens go."""

from collections.abc import Callable
from typing import Any

import pytest

from providers.settings import EwsSettings, GoogleSettings, O365Settings


def o365(**addresses: str) -> O365Settings:
    return O365Settings(tenant_id="t", client_id="c", client_secret="hunter2", **addresses)


def google(**addresses: str) -> GoogleSettings:
    return GoogleSettings(service_account="{}", **addresses)


def ews(**addresses: str) -> EwsSettings:
    endpoint = "https://mail.uni.example/EWS/Exchange.asmx"
    return EwsSettings(service_endpoint=endpoint, username="u", password="hunter2", **addresses)


KEYS: list[tuple[Callable[..., Any], str]] = [
    (o365, "graph_url"),
    (o365, "authority"),
    (google, "api_url"),
    (ews, "authority"),
]
each_key = pytest.mark.parametrize(
    ("settings", "key"), KEYS, ids=lambda value: getattr(value, "__name__", value)
)


@each_key
@pytest.mark.parametrize(
    "address",
    [
        "http://graph.uni.example/v1.0",
        "http://localhost.uni.example",
        "http://10.0.0.1",
        "http://[2001:db8::1]",
        "graph.uni.example",
        "ftp://graph.uni.example",
        "https://",
        "https://[::1",
        "",
    ],
)
def test_an_address_that_would_give_our_secrets_away_is_refused(
    settings: Callable[..., Any], key: str, address: str
) -> None:
    with pytest.raises(ValueError, match=f"^{key}: "):
        settings(**{key: address})


@each_key
@pytest.mark.parametrize(
    "address",
    [
        "https://graph.uni.example:8443/v1.0",
        "HTTPS://graph.uni.example",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "http://localhost",
    ],
)
def test_an_address_that_keeps_them_is_taken(settings: Callable[..., Any], key: str, address: str) -> None:
    assert getattr(settings(**{key: address}), key) == address
