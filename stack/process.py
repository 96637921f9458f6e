"""Child processes: started through the launcher, recorded in the data folder, and stopped."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import psutil  # type: ignore[import-untyped]

from stack.folder import read_json, write_json

LAUNCHER: Final = Path(__file__).with_name("launch.py")
LEFTOVER_GRACE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Account:
    """The user a program runs as; `traverse` lets it pass folders that are closed to it."""

    uid: int
    gid: int
    traverse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One program to run: its arguments, its whole environment, its folder, and how to stop it."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM


@dataclass(slots=True)
class Child:
    """A running process; its record outlives this program so that the next one can find it."""

    process: asyncio.subprocess.Process
    command: Command
    record: Path
    stopping: bool = field(default=False)

    @classmethod
    async def start(cls, command: Command, *, log: Path, record: Path) -> Self:
        """Starts the program with its output going to `log`."""
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *_launched(command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(command.env),
                cwd=command.cwd,
                start_new_session=True,  # a Ctrl-C in the terminal is ours to pass on, in order
            )
        written = {
            "pid": process.pid,
            "identity": identity(process.pid),
            "signal": int(command.stop_signal),
        }
        write_json(record, written)
        return cls(process, command, record)

    @property
    def pid(self) -> int:
        """The process id, also after the end."""
        return self.process.pid

    async def wait(self) -> int:
        """Waits for the end and returns the exit status, negative for a signal."""
        status = await self.process.wait()
        self.record.unlink(missing_ok=True)
        return status

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        _send(self.pid, signal.SIGKILL, self.process.returncode is None)

    async def stop(self, grace_s: float, hurry: asyncio.Event) -> None:
        """Asks it to end, and ends it when it has not by `grace_s` or once `hurry` is set."""
        self.stopping = True
        _send(self.pid, self.command.stop_signal, self.process.returncode is None)
        ended = asyncio.create_task(self.wait())
        hurried = asyncio.create_task(hurry.wait())
        try:
            await asyncio.wait(
                (ended, hurried), timeout=grace_s, return_when=asyncio.FIRST_COMPLETED
            )
            self.kill()
            await ended
        finally:
            hurried.cancel()
        _kill_group(self.pid)


async def run_once(command: Command, *, log: Path, given: bytes = b"") -> int:
    """Runs a program to its end on the input `given`, output going to `log`; its exit status."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *_launched(command),
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=dict(command.env),
            cwd=command.cwd,
            start_new_session=True,
        )
    try:
        await process.communicate(given)
        return await process.wait()
    except asyncio.CancelledError:
        _send(process.pid, signal.SIGKILL, process.returncode is None)
        await process.wait()
        raise


def identity(pid: int) -> str | None:
    """What tells this process from any later one with the same id; None when there is none."""
    try:
        if sys.platform == "linux":
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if stat[0] == "Z":  # dead, and not yet collected by its parent
                return None
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            return f"{boot}/{stat[19]}"
        return str(psutil.Process(pid).create_time())
    except (OSError, psutil.Error):
        return None


def listens(pid: int, port: int) -> bool:
    """Whether this process has the port; True also where the system does not tell us."""
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections)


@dataclass(frozen=True, slots=True)
class Leftover:
    """A process that a supervisor which died by force left behind."""

    part: str
    pid: int
    identity: str


async def stop_leftovers(records: Path) -> list[Leftover]:
    """Ends every recorded process that still runs and returns them; the records are removed."""
    found = list(_leftovers(records))
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LEFTOVER_GRACE_S
    remaining = found
    while remaining := [one for one in remaining if identity(one.pid) == one.identity]:
        if loop.time() > deadline:
            for one in remaining:
                _send(one.pid, signal.SIGKILL, True)
        await asyncio.sleep(0.05)
    _forget(records)
    return found


def _leftovers(records: Path) -> Iterator[Leftover]:
    for record in sorted(records.glob("*.json")):
        written = read_json(record)
        pid, known = int(written.get("pid", 0)), str(written.get("identity"))
        if identity(pid) == known:
            _send(pid, signal.Signals(int(written["signal"])), True)
            yield Leftover(record.stem, pid, known)


def _forget(records: Path) -> None:
    for record in records.glob("*.json"):
        record.unlink(missing_ok=True)


def _launched(command: Command) -> tuple[str, ...]:
    account = command.account or Account(os.geteuid(), os.getegid())
    numbers = (os.getpid(), command.stop_signal, account.uid, account.gid, account.traverse)
    told = (str(int(number)) for number in numbers)
    return (sys.executable, "-I", "-S", str(LAUNCHER), *told, "--", *command.argv)


def _send(pid: int, number: signal.Signals, running: bool) -> None:
    # A process that has been waited for may have passed its id on to a stranger.
    if running:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
