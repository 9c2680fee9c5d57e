"""The embedded PostgreSQL: found or started, one owner, gone with its owner, whole after every kill."""

import asyncio
import fcntl
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote

import asyncpg
import pytest

from app.database import embedded
from app.database.embedded import EmbeddedDatabaseError, embedded_database

QUICK = {"fsync": "off", "shared_buffers": "16MB"}

OWNER = """
import asyncio, sys
from pathlib import Path
from app.database.embedded import embedded_database

async def main():
    async with embedded_database(Path(sys.argv[1]), settings={"fsync": "off"}) as dsn:
        print(dsn, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster as the first start makes it, to copy: making one takes longer than most tests."""

    async def make() -> None:
        async with embedded_database(folder, settings=QUICK):
            pass

    folder = tmp_path_factory.mktemp("cluster")
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(make())
    return folder / "postgres"


@pytest.fixture
def folder(tmp_path: Path, cluster: Path) -> Path:
    """A data folder with a cluster in it."""
    shutil.copytree(cluster, tmp_path / "postgres")
    return tmp_path


async def until_it_answers(dsn: str, answer: int) -> None:
    """Until the server is back, with what was stored."""
    async with asyncio.timeout(60):
        while True:
            try:
                assert await fetch(dsn, "SELECT answer FROM kept") == answer
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.1)
            else:
                return


async def fetch(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def another_process(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A process that owns, or uses, the server of the folder; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process, (await process.stdout.readline()).decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def launcher_of(owner: int) -> int:
    (launcher,) = Path(f"/proc/{owner}/task/{owner}/children").read_text().split()
    return int(launcher)


def postmaster_of(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def is_listening(dsn: str) -> bool:
    folder = unquote(dsn.partition("host=")[2])
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(f"{folder}/.s.PGSQL.5432") == 0


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what is bound to happen; the test's own time limit is the limit."""
    while not condition():
        await asyncio.sleep(0.02)


def nothing_is_left(folder: Path) -> bool:
    """Whether no process of the server and its owner is alive: each of them holds the lock."""
    with (folder / "postgres.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def has_pending_signals(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return any(int(value, 16) for value in re.findall(r"^(?:SigPnd|ShdPnd):\s*(\w+)$", status, re.MULTILINE))


async def test_what_is_stored_is_there_at_the_next_start(tmp_path: Path) -> None:
    async with embedded_database(tmp_path, settings=QUICK) as dsn:
        await fetch(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    async with embedded_database(tmp_path, settings=QUICK) as dsn:
        assert await fetch(dsn, "SELECT answer FROM kept") == 42
        assert await fetch(dsn, "SELECT current_database()") == "rooster"


async def test_it_is_reached_by_its_user_alone(folder: Path) -> None:
    async with embedded_database(folder, settings=QUICK) as dsn:
        assert await fetch(dsn, "SHOW listen_addresses") == ""
        socket_dir = Path(str(await fetch(dsn, "SHOW unix_socket_directories")))
        assert socket_dir.stat().st_mode & 0o777 == 0o700
        assert (folder / "postgres").stat().st_mode & 0o777 == 0o700
        assert (folder / "postgres.log").stat().st_mode & 0o777 == 0o600
    assert not socket_dir.exists()


async def test_commits_are_durable_unless_told_otherwise(folder: Path) -> None:
    async with embedded_database(folder) as dsn:
        assert await fetch(dsn, "SHOW fsync") == "on"
        assert await fetch(dsn, "SHOW synchronous_commit") == "on"


async def test_the_log_holds_no_data(folder: Path) -> None:
    async with embedded_database(folder, settings=QUICK) as dsn:
        await fetch(dsn, "CREATE TABLE people (name text UNIQUE)")
        for _ in range(2):
            try:
                await fetch(dsn, "INSERT INTO people VALUES ('Alice Example')")
            except asyncpg.UniqueViolationError:
                break
        else:
            pytest.fail("the second insert should have been refused")
    log = (folder / "postgres.log").read_text()
    assert "duplicate key" in log
    assert "Alice" not in log


async def test_a_log_that_has_grown_large_is_begun_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "postgres.log").write_text("an old line\n")
    async with embedded_database(folder, settings=QUICK):
        assert (folder / "postgres.log").read_text().startswith("an old line")
    monkeypatch.setattr(embedded, "MAX_LOG_BYTES", 10)
    async with embedded_database(folder, settings=QUICK):
        assert "an old line" not in (folder / "postgres.log").read_text()


async def test_a_second_process_uses_the_server_that_runs(folder: Path) -> None:
    async with another_process(folder) as (_, dsn):
        postmaster = postmaster_of(folder)
        async with embedded_database(folder) as same:
            assert same == dsn
        assert await fetch(dsn, "SELECT 1") == 1
        assert postmaster_of(folder) == postmaster


async def test_two_that_start_at_once_share_one_server(folder: Path) -> None:
    async with another_process(folder) as (_, one), another_process(folder) as (_, other):
        assert one == other
        assert await fetch(one, "SELECT 1") == 1


async def test_it_goes_down_with_an_owner_that_is_killed_and_loses_nothing(folder: Path) -> None:
    async with another_process(folder) as (owner, dsn):
        await fetch(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        owner.kill()
        await until(lambda: nothing_is_left(folder))
    async with embedded_database(folder, settings=QUICK) as dsn:
        assert await fetch(dsn, "SELECT answer FROM kept") == 42


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_nobody_turns_to_the_server_of_an_owner_that_was_killed(folder: Path) -> None:
    async with another_process(folder) as (owner, dsn):
        await fetch(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        launcher = launcher_of(owner.pid)
        os.kill(launcher, signal.SIGSTOP)  # so that the server outlives its owner
        try:
            owner.kill()
            await owner.wait()
            assert await fetch(dsn, "SELECT answer FROM kept") == 42
            assert embedded._announced(folder) is None
        finally:
            os.kill(launcher, signal.SIGCONT)
        async with embedded_database(folder, settings=QUICK) as dsn:
            assert await fetch(dsn, "SELECT answer FROM kept") == 42


@pytest.mark.skipif(
    sys.platform != "linux", reason="needs /proc, and a launcher's death is seen on Linux only"
)
async def test_it_goes_down_with_a_launcher_that_is_killed_and_comes_back(folder: Path) -> None:
    async with another_process(folder) as (owner, dsn):
        await fetch(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        postmaster = postmaster_of(folder)
        os.kill(launcher_of(owner.pid), signal.SIGKILL)
        await until(lambda: not Path(f"/proc/{postmaster}").exists())
        await until_it_answers(dsn, 42)


async def test_a_server_that_is_killed_under_its_owner_comes_back(folder: Path) -> None:
    async with embedded_database(folder) as dsn:
        for answer in (42, 43):
            await fetch(dsn, f"CREATE TABLE IF NOT EXISTS kept AS SELECT {answer} AS answer")
            await fetch(dsn, f"UPDATE kept SET answer = {answer}")
            os.kill(postmaster_of(folder), signal.SIGKILL)
            await until_it_answers(dsn, answer)


async def test_a_server_that_was_killed_recovers(folder: Path) -> None:
    async with embedded_database(folder) as dsn:
        await fetch(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        os.kill(postmaster_of(folder), signal.SIGKILL)
    async with embedded_database(folder) as dsn:
        assert await fetch(dsn, "SELECT answer FROM kept") == 42


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_a_stop_signal_to_the_whole_group_leaves_the_stopping_to_the_owner(folder: Path) -> None:
    async with another_process(folder) as (owner, dsn):
        launcher = launcher_of(owner.pid)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(launcher, number)
        await until(lambda: not has_pending_signals(launcher))
        assert launcher_of(owner.pid) == launcher
        assert await fetch(dsn, "SELECT 1") == 1


async def test_a_stale_process_id_is_not_taken_for_a_server(folder: Path) -> None:
    async with embedded_database(folder, settings=QUICK):
        stale = (folder / "postgres" / "postmaster.pid").read_text().splitlines()
    stale[0] = str(os.getppid())  # alive, and no server
    (folder / "postgres" / "postmaster.pid").write_text("\n".join(stale))
    async with embedded_database(folder, settings=QUICK) as dsn:
        assert await fetch(dsn, "SELECT 1") == 1


async def test_a_cluster_left_unfinished_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "postgres.new" / "base").mkdir(parents=True)
    (tmp_path / "postgres.new" / "PG_VERSION").write_text("18\n")
    async with embedded_database(tmp_path, settings=QUICK) as dsn:
        assert await fetch(dsn, "SELECT 1") == 1


async def test_a_cluster_of_another_major_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(
        EmbeddedDatabaseError, match=r"made by PostgreSQL 9 .* brings PostgreSQL \d+.*pg_dump"
    ):
        async with embedded_database(tmp_path):
            pass


@pytest.mark.parametrize("there", [[], ["base"], ["base", "PG_VERSION"]])
async def test_a_folder_that_is_no_cluster_is_refused_and_left_as_it_is(
    tmp_path: Path, there: list[str]
) -> None:
    """A restore that broke off, for instance."""
    for name in there:
        (tmp_path / "postgres" / name).mkdir(parents=True)
    (tmp_path / "postgres").mkdir(exist_ok=True)
    with pytest.raises(EmbeddedDatabaseError, match="is not a whole database"):
        async with embedded_database(tmp_path):
            pass
    assert sorted(path.name for path in (tmp_path / "postgres").iterdir()) == sorted(there)


@pytest.mark.parametrize("name", ["x" * 120, "with blanks, 'quotes' and a ë"])
async def test_any_folder_will_do(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    async with another_process(folder) as (_, dsn), embedded_database(folder) as same:
        assert same == dsn
        assert await fetch(dsn, "SELECT 1") == 1


async def test_a_lock_held_by_somebody_without_a_server_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "START_SECONDS", 0)
    _, lock = embedded._open_lock(tmp_path)
    try:
        assert await embedded._running_or_lock(tmp_path, lock) is None
        with pytest.raises(EmbeddedDatabaseError, match="its PostgreSQL does not answer"):
            async with embedded_database(tmp_path):
                pass
    finally:
        os.close(lock)


async def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedDatabaseError, match="cannot be written: Not a directory"):
        async with embedded_database(tmp_path / "file" / "data"):
            pass


async def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    with pytest.raises(EmbeddedDatabaseError, match=r"does not start: .*shared_buffers"):
        async with embedded_database(folder, settings={"shared_buffers": "none"}):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else for PostgreSQL")
@pytest.mark.parametrize("kind", ["namespace", "uid"])
async def test_as_root_it_runs_as_somebody_else_in_a_folder_that_only_root_may_enter(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    users = [user for user in embedded._users() if user.startswith(kind)]
    assert users
    monkeypatch.setattr(embedded, "_users", lambda: users)
    folder.chmod(0o700)
    async with another_process(folder) as (_, dsn):
        await fetch(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    # The same data under the other kind of user, and back.
    async with embedded_database(folder, settings=QUICK) as dsn:
        assert await fetch(dsn, "SELECT answer FROM kept") == 42
        status = Path(f"/proc/{postmaster_of(folder)}/status").read_text()
        assert ("\nUid:\t0\t" in status) == (kind == "namespace")
    async with another_process(folder) as (_, dsn):
        assert await fetch(dsn, "SELECT answer FROM kept") == 42


async def test_a_user_that_is_refused_leads_to_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = embedded._users()
    monkeypatch.setattr(embedded, "_users", lambda: ["namespace:-1", *users])
    async with embedded_database(folder, settings=QUICK) as dsn:
        assert await fetch(dsn, "SELECT 1") == 1


async def test_nobody_to_run_it_as_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_users", lambda: ["namespace:-1"])
    with pytest.raises(EmbeddedDatabaseError, match=r"cannot be run here: cannot become .* database\.url"):
        async with embedded_database(tmp_path):
            pass
