"""The files that a client of the sandbox needs: its CA, a Google key file and a ready rooster.toml."""

import json
from pathlib import Path

import msgspec

from providers.sandbox.credentials import Credentials
from providers.sandbox.tls import Certificates

__all__ = ["Files", "write_files"]


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Where the sandbox's files are. Only the owner can read them."""

    ca: Path
    certificate: Path
    key: Path
    config: Path


def write_files(folder: Path, base_url: str, certificates: Certificates, credentials: Credentials) -> Files:
    """Write all files into ``folder``, which exists and is private to the user."""
    files = Files(
        ca=folder / "ca.pem",
        certificate=folder / "server.pem",
        key=folder / "server-key.pem",
        config=folder / "rooster.toml",
    )
    google = folder / "google-service-account.json"
    _write(files.ca, certificates.ca)
    _write(files.certificate, certificates.certificate)
    _write(files.key, certificates.key)
    _write(folder / "entra-application.pem", credentials.private_key + credentials.certificate)
    _write(google, json.dumps(_google_key(base_url, credentials), indent=2) + "\n")
    _write(files.config, _rooster_toml(base_url, credentials, files.ca, google))
    return files


def _google_key(base_url: str, credentials: Credentials) -> dict[str, str]:
    """A service account's key file, as Google's console hands it out."""
    return {
        "type": "service_account",
        "project_id": credentials.google_project,
        "private_key_id": credentials.private_key_id,
        "private_key": credentials.private_key,
        "client_email": credentials.google_email,
        "client_id": credentials.google_client_id,
        "auth_uri": f"{base_url}/o/oauth2/auth",
        "token_uri": f"{base_url}/token",
        "auth_provider_x509_cert_url": f"{base_url}/oauth2/v1/certs",
        "client_x509_cert_url": f"{base_url}/robot/v1/metadata/x509/{credentials.google_email}",
        "universe_domain": "googleapis.com",
    }


def _rooster_toml(base_url: str, credentials: Credentials, ca: Path, google: Path) -> str:
    ca_file = _quoted(str(ca))
    return f"""\
# Written by the sandbox: every secret in here opens the sandbox and nothing else.
instance = "uni.example"
timezone = "Europe/Amsterdam"

[providers.ews]
service_endpoint = {_quoted(f"{base_url}/EWS/Exchange.asmx")}
username = {_quoted(credentials.ews_username)}
password = {_quoted(credentials.ews_password)}
auth_type = "basic"
access_type = "impersonation"
ca_file = {ca_file}

[providers.o365]
tenant_id = {_quoted(credentials.tenant_id)}
client_id = {_quoted(credentials.client_id)}
client_secret = {_quoted(credentials.client_secret)}
authority = {_quoted(base_url)}
graph_url = {_quoted(f"{base_url}/v1.0")}
ca_file = {ca_file}

[providers.googlecalendar]
service_account_file = {_quoted(str(google))}
api_url = {_quoted(base_url)}
ca_file = {ca_file}
"""


def _quoted(value: str) -> str:
    """A TOML basic string; JSON's escapes are a part of TOML's."""
    return json.dumps(value)


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)
