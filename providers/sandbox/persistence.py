"""Keeps the sandbox's mailboxes, secrets and port in a file, so that they survive a restart.

The file is JSON Lines: the setup, then a mailbox a line. It is replaced as a whole, so that it holds
either all of a change or nothing of it, however the sandbox ends.
"""

import os
import sys
from pathlib import Path

import msgspec

from providers.sandbox.credentials import Credentials
from providers.sandbox.state import SandboxMailbox, State
from providers.sandbox.tls import Certificates

if sys.platform != "win32":
    import fcntl

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
    """A sandbox's state on disk, used by one sandbox at a time.

    ``setup`` and ``mailboxes`` are what the last one left; None and none for a new file.
    """

    def __init__(self, path: Path, lock: Path) -> None:
        """Read the file, if it is there, and hold ``lock``. Raises ``StateFileError``."""
        self._path = path
        self._saved: dict[tuple[str, str], Fingerprint] = {}
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if sys.platform != "win32":
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lines = path.read_bytes().splitlines() if path.exists() else []
            self.setup = msgspec.json.decode(lines[0], type=Setup) if lines else None
            self.mailboxes = [msgspec.json.decode(line, type=SandboxMailbox) for line in lines[1:]]
        except BlockingIOError as error:
            self.close()
            raise StateFileError(
                f"{path} is in use: stop the sandbox that is using it, or name another file."
            ) from error
        except (OSError, msgspec.DecodeError) as error:
            self.close()
            raise StateFileError(
                f"{path} is not a sandbox's state that can be read: name another file."
            ) from error

    def save(self, setup: Setup, state: State) -> None:
        """Write everything, unless nothing has changed since the last time."""
        fingerprints = {key: _fingerprint(mailbox) for key, mailbox in state.mailboxes.items()}
        if fingerprints == self._saved and setup == self.setup:
            return
        new = self._path.with_name(self._path.name + ".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            encoder = msgspec.json.Encoder()
            file.write(encoder.encode(setup) + b"\n")
            file.writelines(encoder.encode(mailbox) + b"\n" for mailbox in state.mailboxes.values())
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        self._saved = fingerprints
        self.setup = setup

    def close(self) -> None:
        """Let another sandbox use the file."""
        os.close(self._lock)


def _fingerprint(mailbox: SandboxMailbox) -> Fingerprint:
    """Differs after every change; ``serial`` grows with each change of an event or a calendar."""
    counts = (len(mailbox.events), len(mailbox.calendars))
    return (mailbox.serial, *counts, mailbox.access, mailbox.gone, *mailbox.aliases)
