"""Credentials at rest: encrypted with AES-256-GCM, each bound to the account that it belongs to.

The key is ``[sources] encryption_key``, 32 bytes in base64. With the embedded database, one is made where
none is configured: the file ``sources.key`` in the data folder, for its owner alone.
"""

import base64
import contextlib
import os
from pathlib import Path
from secrets import token_bytes
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.config import Config, ConfigError
from app.errors import Conflict

__all__ = ["KEY_FILE", "Undecipherable", "Vault", "find_vault", "open_vault"]

KEY_FILE = "sources.key"
KEY_BYTES = 32
NONCE_BYTES = 12
"""NIST SP 800-38D section 8.2: 96 bits, random; far fewer than 2^32 are ever made with one key."""
VERSION = b"\x01"


class Undecipherable(Conflict):
    """What is stored was not encrypted with this key, or not for this account."""


class Vault:
    """Encrypts and decrypts with one key, which it never shows."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def encrypt(self, plain: bytes, owner: UUID) -> bytes:
        """The text, encrypted for its owner: under another one's id it cannot be read."""
        nonce = token_bytes(NONCE_BYTES)
        return VERSION + nonce + self._cipher.encrypt(nonce, plain, owner.bytes)

    def decrypt(self, stored: bytes, owner: UUID) -> bytes:
        """What was encrypted for the owner. Raises Undecipherable."""
        nonce, text = stored[1 : 1 + NONCE_BYTES], stored[1 + NONCE_BYTES :]
        try:
            if stored[:1] != VERSION:
                raise InvalidTag
            return self._cipher.decrypt(nonce, text, owner.bytes)
        except (InvalidTag, ValueError):
            raise Undecipherable(
                "undecipherable_credentials",
                f"The credentials of integrated account {owner} cannot be decrypted: they were encrypted with"
                " another key. Give back the earlier [sources] encryption_key, or set the credentials anew.",
            ) from None


def find_vault(config: Config) -> Vault | None:
    """The vault with the key that there is; None where one would have to be made. Raises ConfigError."""
    configured = config.sources.encryption_key is not None or config.database.url is not None
    return open_vault(config) if configured or (config.data_path / KEY_FILE).exists() else None


def open_vault(config: Config) -> Vault:
    """The vault with the configured key, or the data folder's, made if need be. Raises ConfigError."""
    configured = config.sources.encryption_key
    if configured is not None:
        return Vault(_parse(configured, "sources.encryption_key"))
    if config.database.url is not None:
        raise ConfigError(
            "sources.encryption_key is missing: it encrypts the credentials of sources in the database. Make"
            " one with `openssl rand -base64 32`, and give it to every machine (or its file, as"
            " sources.encryption_key_file)."
        )
    file = config.data_path / KEY_FILE
    try:
        return Vault(_parse(_read_or_make(file), str(file)))
    except OSError as error:
        raise ConfigError(f"{file} can be neither read nor made: {error.strerror}") from None


def _parse(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{name}: expected {KEY_BYTES} bytes in base64, as `openssl rand -base64 32` gives")
    return key


def _read_or_make(file: Path) -> str:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        # Written whole under another name first: nobody reads half of it, and of two at once the first wins.
        draft = file.with_name(f"{KEY_FILE}.{os.getpid()}.{token_bytes(4).hex()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as writing:
                writing.write(base64.b64encode(token_bytes(KEY_BYTES)) + b"\n")
                writing.flush()
                os.fsync(writing.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, file)
        finally:
            draft.unlink()
    return file.read_text(encoding="ascii", errors="replace")
