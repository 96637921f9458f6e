"""`up`, in the foreground and detached, and the commands that look after a running stack."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from stack.errors import StackError
from stack.folder import DataFolder, read_json
from stack.process import identity
from stack.services.base import python
from stack.settings import ROOT, Settings
from stack.supervisor import Supervisor, prepared

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NOT_RUNNING: Final = 3
DOWN_S: Final = 90.0


async def up(settings: Settings, parts: Iterable[str] | None = None) -> None:
    """Runs the stack, or some parts of it, until a signal stops it.

    Raises StackError when it cannot be started.
    """
    asked = asyncio.Event()
    async with prepared(settings, parts=parts, usual_ports=True, say=tell) as supervisor:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if asked.is_set():
                supervisor.hurry.set()
            else:
                tell("stopping; once more to stop at once")
                asked.set()

        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, stop)
        await _until(asked, _serve(supervisor))
    tell("stopped")


def tell(line: str) -> None:
    """Says a line at once, also into a pipe."""
    print(line, flush=True)


async def _serve(supervisor: Supervisor) -> None:
    await supervisor.start()
    tell(f"ready {supervisor.settings.url}" if "api" in supervisor.parts else "ready")
    await supervisor.broken()


async def _until(asked: asyncio.Event, work: Any) -> None:
    working = asyncio.create_task(work)
    asking = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait((working, asking), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, asking):
            task.cancel()
        await asyncio.gather(working, asking, return_exceptions=True)


def detach(settings: Settings, parts: Iterable[str] | None = None) -> int:
    """Starts the stack in the background, repeats its lines until it is ready; the exit code."""
    folder = DataFolder(settings.data_dir)
    folder.create()
    log = folder.rotate_log("up")
    only = (word for part in parts or () for word in ("--only", part))
    arguments = ("up", "--data", str(folder.path), "--port", str(settings.port), *only)
    with log.open("ab") as output:
        process = subprocess.Popen(
            python("-m", "stack", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        begin = output.tell()
    try:
        for line in _lines_of(process, log, begin):
            print(
                line, file=sys.stderr if line.startswith("sagakart: ") else sys.stdout, flush=True
            )
            if line.split(" ")[0] == "ready":
                return 0
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def _lines_of(process: subprocess.Popen[bytes], log: Path, begin: int) -> Iterator[str]:
    with log.open() as file:
        file.seek(begin)
        held = ""
        while True:
            ended = process.poll() is not None  # asked first: what it said last is still read
            held += file.read()
            *whole, held = held.split("\n")
            yield from whole
            if ended:
                return
            time.sleep(0.05)


def down(settings: Settings) -> str:
    """Stops the stack of this data folder and says so; raises StackError when it does not end."""
    folder = DataFolder(settings.data_dir)
    holder = folder.holder()
    if holder is None:
        return f"nothing runs in {folder.path}"
    known = identity(holder.pid)
    try:
        os.kill(holder.pid, signal.SIGTERM)
    except (ProcessLookupError, PermissionError) as error:
        raise StackError(f"process {holder.pid} cannot be stopped: {error.strerror}") from None
    deadline = time.monotonic() + DOWN_S
    while known is not None and identity(holder.pid) == known:
        if time.monotonic() > deadline:
            log = folder.log_of("up")
            raise StackError(
                f"process {holder.pid} has not stopped after {DOWN_S:.0f} s; see {log}"
            )
        time.sleep(0.05)
    return "stopped"


def status(settings: Settings, *, as_json: bool) -> int:
    """Prints how each part is; the exit code is 3 when no stack runs on the data folder."""
    folder = DataFolder(settings.data_dir)
    holder = folder.holder()
    found = read_json(folder.state) if holder else {}
    if as_json:
        print(json.dumps({"running": holder is not None, "data": str(folder.path)} | found))
    elif holder is None:
        print(f"nothing runs in {folder.path}")
    else:
        print(f"{'ready' if found.get('ready') else 'starting'} {holder.url}, process {holder.pid}")
        for part in found.get("parts", ()):
            print(_in_a_line(part))
    return 0 if holder else NOT_RUNNING


def _in_a_line(part: dict[str, Any]) -> str:
    age = datetime.now(UTC) - datetime.fromisoformat(part["since"])
    pid = part["pid"] or ""
    restarts = f"restarts: {part['restarts']}" if part["restarts"] else ""
    columns = f"{part['name']:<12} {part['state']:<10} {pid:<8} {_duration(age.total_seconds()):>8}"
    return f"{columns}  {part['address']:<44} {restarts}".rstrip()


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def logs(settings: Settings, part: str, *, lines: int, follow: bool) -> None:
    """Prints the end of a part's log and, with `follow`, what is added; raises StackError."""
    folder = DataFolder(settings.data_dir)
    log = folder.log_of(part)
    if "/" in part or not log.is_file():
        there = ", ".join(sorted(path.stem for path in folder.logs.glob("*.log")))
        raise StackError(
            f"there is no log of {part!r} in {folder.logs}; there are: {there or 'none'}"
        )
    position = _print_end(log, lines)
    while follow:
        time.sleep(0.2)
        size = log.stat().st_size if log.exists() else 0
        if size < position:
            position = 0  # it was set aside and begun anew
        if size > position:
            with log.open("rb") as file:
                file.seek(position)
                sys.stdout.write(file.read().decode(errors="replace"))
                sys.stdout.flush()
                position = file.tell()


def _print_end(log: Path, lines: int) -> int:
    with log.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        block, begin = b"", end
        while begin > 0 and block.count(b"\n") <= lines:
            begin = max(0, begin - 65536)
            file.seek(begin)
            block = file.read(end - begin)
    tail = block.splitlines(keepends=True)[-lines:] if lines else []
    sys.stdout.write(b"".join(tail).decode(errors="replace"))
    sys.stdout.flush()
    return end
