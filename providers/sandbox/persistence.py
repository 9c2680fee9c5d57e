"""Keeps the sandbox's mailboxes, secrets and port in a file, so that they survive a restart.

The file is an SQLite database: a change is one transaction, and costs in proportion to the mailboxes
that have changed, however many there are.
"""

import sqlite3
from pathlib import Path

import msgspec

from providers.sandbox.credentials import Credentials
from providers.sandbox.state import SandboxMailbox, State
from providers.sandbox.tls import Certificates

__all__ = ["Setup", "StateFile", "StateFileError"]

Fingerprint = tuple[object, ...]


class StateFileError(Exception):
    """The state file cannot be used; the message says what to do."""


class Setup(msgspec.Struct, kw_only=True):
    """What stays the same over restarts besides the mailboxes, so that a configuration keeps working."""

    port: int
    certificates: Certificates
    credentials: Credentials


class StateFile:
    """A sandbox's state on disk. Used by one sandbox at a time."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises ``StateFileError`` if it is something else, or in use."""
        self._saved: dict[tuple[str, str], Fingerprint] = {}
        try:
            self._database = sqlite3.connect(path, timeout=1, isolation_level=None)
            self._database.executescript(
                """
                PRAGMA locking_mode = exclusive;
                PRAGMA synchronous = normal;
                BEGIN IMMEDIATE;
                CREATE TABLE IF NOT EXISTS setup (
                    one INTEGER PRIMARY KEY CHECK (one = 1), data BLOB NOT NULL
                );
                CREATE TABLE IF NOT EXISTS mailbox (
                    type TEXT NOT NULL, address TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (type, address)
                );
                COMMIT;
                """
            )
        except sqlite3.DatabaseError as error:
            raise StateFileError(
                f"{path} cannot be used as a sandbox's state ({error}): name another file, "
                "or stop the sandbox that is using it."
            ) from error
        path.chmod(0o600)

    def setup(self) -> Setup | None:
        """What the last sandbox on this file was set up with; None for a new file."""
        row = self._database.execute("SELECT data FROM setup").fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=Setup)

    def save_setup(self, setup: Setup) -> None:
        """Keep what later sandboxes on this file shall be set up with."""
        self._database.execute("INSERT OR REPLACE INTO setup VALUES (1, ?)", (msgspec.json.encode(setup),))

    def load(self, state: State) -> None:
        """Put the kept mailboxes into ``state``."""
        for type_, address, data in self._database.execute("SELECT type, address, data FROM mailbox"):
            mailbox = msgspec.json.decode(data, type=SandboxMailbox)
            state.put_mailbox(mailbox)
            self._saved[type_, address] = _fingerprint(mailbox)

    def save(self, state: State) -> None:
        """Write the mailboxes that have changed since the last time, all of them or none."""
        changed = {
            key: mailbox
            for key, mailbox in state.mailboxes.items()
            if self._saved.get(key) != _fingerprint(mailbox)
        }
        if not changed:
            return
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany(
                "INSERT OR REPLACE INTO mailbox VALUES (?, ?, ?)",
                ((*key, msgspec.json.encode(mailbox)) for key, mailbox in changed.items()),
            )
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
        self._saved |= {key: _fingerprint(mailbox) for key, mailbox in changed.items()}

    def close(self) -> None:
        """Give the file back."""
        self._database.close()


def _fingerprint(mailbox: SandboxMailbox) -> Fingerprint:
    """Differs after every change; ``serial`` grows with each change of an event."""
    return (
        mailbox.serial,
        len(mailbox.events),
        mailbox.access,
        mailbox.gone,
        mailbox.address,
        *mailbox.aliases,
    )
