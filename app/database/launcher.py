"""Runs one of PostgreSQL's programs for the embedded database, and ends it when its owner is gone.

Executed as a script of its own (``python -I -S launcher.py USER OWNER COMMAND…``), with nothing but the
standard library: what it does to itself (user namespace, user, signals) must not happen in the
service's process, which has threads.

USER is ``same``, ``namespace:UID`` (seen by the program as UID, in truth who we are) or ``uid:UID:GID``.
OWNER is the process id of the owner. The owner is gone when it closes our standard input or is no longer
our parent: both hold after a kill -9 too, and unlike ``PR_SET_PDEATHSIG`` the owner's threads do not matter.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

REFUSED = 97
"""Exit status: becoming USER is not allowed here; the command has not been run."""

SHUTDOWN_SECONDS = 60
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE = 1
LINUX_CAPABILITY_VERSION_3 = 0x20080522


def check(result: int) -> None:
    """Raise OSError if a function of the C library failed."""
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def become(user: str) -> None:
    """Become USER. Raises OSError if that is not allowed."""
    kind, _, ids = user.partition(":")
    if kind == "namespace":
        enter_namespace(int(ids))
    elif kind == "uid":
        uid, gid = ids.split(":")
        change_user(int(uid), int(gid))


def enter_namespace(uid: int) -> None:
    """Be seen as ``uid`` while files and permissions stay those of the present user.

    PostgreSQL refuses to run as root. See user_namespaces(7).
    """
    outside_uid, outside_gid = os.geteuid(), os.getegid()
    check(ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outside_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{uid} {outside_gid} 1")


def change_user(uid: int, gid: int) -> None:
    """Become another user for good, keeping one capability: to reach files as root does.

    The program and the data may lie in root's home folder, whose permissions are not ours to change.
    See capabilities(7), "Ambient". Where the capability cannot be kept, the folders' permissions decide.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    linux = sys.platform == "linux"
    if linux:
        check(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if not linux:
        return
    header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
    one = 1 << CAP_DAC_OVERRIDE
    sets = (ctypes.c_uint32 * 6)(one, one, one, 0, 0, 0)  # effective, permitted, inheritable
    if libc.capset(header, sets) == 0:
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def die_with_launcher() -> None:
    """In the new process: be told to shut down when the launcher itself is killed (Linux)."""
    if sys.platform == "linux":
        check(ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0))


def run(owner: int, command: list[str]) -> int:
    """Run the command until it ends or the owner is gone; the command's exit status."""
    # Who stops a whole group of processes stops the owner too, and it will shut us down in order.
    # A handler, unlike SIG_IGN, is not passed on to the command.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    ended, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)  # by SIGCHLD: the command has ended
    # preexec_fn is safe here: this process has one thread. close_fds=False: the command keeps the
    # owner's lock for as long as it lives.
    process = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.DEVNULL, close_fds=False, preexec_fn=die_with_launcher
    )
    while process.poll() is None:
        readable, _, _ = select.select([sys.stdin, ended], [], [], 1)
        if ended in readable:
            os.read(ended, 4096)
        elif readable or os.getppid() != owner:
            process.send_signal(signal.SIGINT)  # PostgreSQL: fast shutdown
            try:
                process.wait(SHUTDOWN_SECONDS)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)  # immediate; recovers at the next start
                process.wait()
    return process.returncode


def main() -> int:
    """Run the command line."""
    user, owner, *command = sys.argv[1:]
    try:
        become(user)
    except OSError as error:
        sys.stderr.write(f"cannot become {user}: {error.strerror}\n")
        return REFUSED
    return run(int(owner), command)


if __name__ == "__main__":
    sys.exit(main())
