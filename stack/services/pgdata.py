"""What has to be true of PostgreSQL's data folder before a server starts on it."""

import asyncio
import os
import pwd
import signal
import stat
import subprocess
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]

from stack.errors import StackError
from stack.process import Account

MAJOR: Final = "18"
SYSTEM_USER: Final = "pgserver"
OLD_SERVER_GRACE_S: Final = 10.0
EVERYONE: Final = stat.S_IROTH | stat.S_IXOTH


def account_for(home: Path, program: Path) -> Account | None:
    """The user to run as: this one, or where that is root, the owner of the data.

    Raises StackError when root has no system user for it and cannot make one.
    """
    data = home / "data"
    if os.geteuid() != 0:
        if data.exists() and data.stat().st_uid != os.geteuid():
            raise StackError(
                f"{data} belongs to another user (id {data.stat().st_uid}); "
                "run as that user, or choose another folder with --data DIR"
            )
        return None
    owner = _owner(data) if data.exists() else _system_user()
    os.chown(home, *owner)
    _share(program.parent.parent)
    traverse = not all(_open_to_everyone(path) for path in (*program.parents, *home.parents))
    return Account(*owner, traverse=traverse)


def check_version(data: Path) -> None:
    """Raises StackError when another major version made the folder."""
    made_by = (data / "PG_VERSION").read_text().strip()
    if made_by != MAJOR:
        raise StackError(
            f"the database in {data} was made by PostgreSQL {made_by} and this is {MAJOR}; "
            "dump it there and load it here, or choose another folder with --data DIR"
        )


async def clear_the_way(data: Path) -> None:
    """Ends what an earlier server left running, and forgets a process id that is not its own."""
    # The folder's lock is ours, so no server that is meant to run is among these. A killed
    # postmaster's sessions end by themselves once they look up from what they are doing.
    deadline = asyncio.get_running_loop().time() + OLD_SERVER_GRACE_S
    recorded = _recorded_pid(data)
    running = _servers_in(data)
    for process in running:
        if process.pid == recorded:
            _signal(process, signal.SIGINT)
    while running := [process for process in running if _still_runs(process)]:
        if asyncio.get_running_loop().time() > deadline:
            for process in running:
                _signal(process, signal.SIGKILL)
        await asyncio.sleep(0.05)
    # PostgreSQL takes any living process with that id for its own and refuses to start.
    if recorded is not None and psutil.pid_exists(recorded):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _owner(path: Path) -> tuple[int, int]:
    return path.stat().st_uid, path.stat().st_gid


def _system_user() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        options = ("--system", "--no-create-home", "--home-dir", "/nonexistent")
        shell = ("--shell", "/usr/sbin/nologin")
        try:
            subprocess.run(
                ["useradd", *options, *shell, SYSTEM_USER], capture_output=True, check=False
            )
            entry = pwd.getpwnam(SYSTEM_USER)
        except (OSError, KeyError):
            raise StackError(
                f"PostgreSQL refuses to run as root and no system user {SYSTEM_USER} can be made "
                "for it; run as an ordinary user, or set SAGAKART_POSTGRES_URL"
            ) from None
    return entry.pw_uid, entry.pw_gid


def _share(install: Path) -> None:
    # Installed under a strict umask, the programs of this clone are root's alone.
    if install.stat().st_mode & EVERYONE == EVERYONE and _runnable(install / "bin" / "postgres"):
        return
    for path in (install, *install.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (EVERYONE if mode & stat.S_IXUSR else stat.S_IROTH))


def _runnable(program: Path) -> bool:
    return program.stat().st_mode & EVERYONE == EVERYONE


def _open_to_everyone(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)


def _recorded_pid(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _servers_in(data: Path) -> list[psutil.Process]:
    place = str(data.resolve())
    return [
        process
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["name"] == "postgres" and process.info["cwd"] == place
    ]


def _still_runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return
