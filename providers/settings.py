"""The configuration of each provider, as CONTRACT §2 names it, with secrets and files already read."""

from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

__all__ = [
    "EwsAccount",
    "EwsSettings",
    "FilePath",
    "GoogleSettings",
    "O365Settings",
    "Secret",
    "Settings",
    "SettingsError",
    "is_marked",
]

Secret = Annotated[str, msgspec.Meta(extra={"secret": True})]
"""A value that is never shown. In a configuration file, ``X_file`` may name a file that holds it."""

FilePath = Annotated[str, msgspec.Meta(extra={"path": True})]
"""A path; in a configuration file, relative to the folder of that file."""


class SettingsError(ValueError):
    """Settings that no adapter can work with: the key, a colon, and what is wrong. Holds no secret."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of the configuration. Its secrets do not appear in its repr."""

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({fields})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        info = msgspec.inspect.type_info(type(self))
        assert isinstance(info, msgspec.inspect.StructType)
        values = [(field, getattr(self, field.name)) for field in info.fields]
        return [
            (field.name, "***" if value and is_marked(field.type, "secret") else value)
            for field, value in values
        ]


def is_marked(type_: msgspec.inspect.Type, mark: str) -> bool:
    """Whether a field of this type, or an optional one of it, is a ``secret`` or a ``path``."""
    if isinstance(type_, msgspec.inspect.UnionType):
        return any(is_marked(member, mark) for member in type_.types)
    return isinstance(type_, msgspec.inspect.Metadata) and mark in (type_.extra or {})


class EwsAccount(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service account; Exchange counts throttling per account."""

    username: str
    password: Secret


class EwsSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On-premises Exchange. ``username`` and ``password`` are the first account, if given.

    With ``auth_type`` oauth, an account is an application in Microsoft Entra: ``username`` is its client
    id and ``password`` its client secret, in the tenant ``tenant_id``.
    """

    service_endpoint: str
    username: str | None = None
    password: Secret | None = None
    auth_type: Literal["basic", "ntlm", "oauth"] = "basic"
    access_type: Literal["impersonation", "delegate"] = "impersonation"
    ca_file: FilePath | None = None
    accounts: tuple[EwsAccount, ...] = ()
    tenant_id: str | None = None
    authority: str = "https://login.microsoftonline.com"

    def __post_init__(self) -> None:
        if self.auth_type == "oauth" and self.tenant_id is None:
            raise ValueError("auth_type oauth needs tenant_id")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.username is None and not self.accounts:
            raise ValueError("username and password are missing, or accounts in their place")
        _check_addresses(authority=self.authority)


class O365Settings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Microsoft 365. Either ``client_secret`` or ``certificate`` (PEM with key) is given."""

    tenant_id: str
    client_id: str
    client_secret: Secret | None = None
    certificate: Secret | None = None
    authority: str = "https://login.microsoftonline.com"
    graph_url: str = "https://graph.microsoft.com/v1.0"
    ca_file: FilePath | None = None

    def __post_init__(self) -> None:
        if (self.client_secret is None) == (self.certificate is None):
            raise ValueError("give either client_secret_file or certificate_file")
        _check_addresses(authority=self.authority, graph_url=self.graph_url)


class GoogleSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Google Workspace with domain-wide delegation.

    ``service_account`` is the text of the JSON key file.
    """

    service_account: Secret
    api_url: str = "https://www.googleapis.com"
    ca_file: FilePath | None = None

    def __post_init__(self) -> None:
        _check_addresses(api_url=self.api_url)


def _check_addresses(**addresses: str) -> None:
    """Tokens and secrets go to these addresses. Raises ValueError for one that does not keep them.

    On this machine itself nobody listens in: a tunnel or a test may end there without TLS.
    """
    for name, address in addresses.items():
        try:
            parts = urlsplit(address)
        except ValueError:
            raise ValueError(f"{name}: not an address") from None
        if not parts.hostname or parts.scheme not in ("https", "http"):
            raise ValueError(f"{name}: expected an address that begins with https://")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ValueError(f"{name}: has to begin with https://, as tokens and secrets go there")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
