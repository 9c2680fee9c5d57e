"""The configuration of each provider, as CONTRACT §2 names it."""

from typing import Literal

import msgspec

__all__ = ["EwsAccount", "EwsSettings", "GoogleSettings", "O365Settings"]


class EwsAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service account; Exchange counts throttling per account."""

    username: str
    password: str


class EwsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On-premises Exchange. ``username`` and ``password`` are the first account, if given."""

    service_endpoint: str
    username: str | None = None
    password: str | None = None
    auth_type: Literal["basic", "ntlm", "oauth"] = "basic"
    access_type: Literal["impersonation", "delegate"] = "impersonation"
    ca_file: str | None = None
    accounts: tuple[EwsAccount, ...] = ()


class O365Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Microsoft 365. Either ``client_secret`` or ``certificate`` (PEM with key) is given."""

    tenant_id: str
    client_id: str
    client_secret: str | None = None
    certificate: str | None = None
    authority: str = "https://login.microsoftonline.com"
    graph_url: str = "https://graph.microsoft.com/v1.0"
    ca_file: str | None = None


class GoogleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Google Workspace with domain-wide delegation.

    ``service_account`` is the text of the JSON key file.
    """

    service_account: str
    api_url: str = "https://www.googleapis.com"
    ca_file: str | None = None
