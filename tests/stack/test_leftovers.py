"""What a supervisor that was killed leaves behind, and what the next one makes of it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from stack import process
from stack.folder import DataFolder, write_json
from stack.process import Child, identity, stop_leftovers
from tests.stack.conftest import Ended, MakeServer, program, until

PARENT = """
import asyncio, sys
from collections.abc import Callable
from pathlib import Path
from stack.process import Child, Command
async def main():
    folder = Path(sys.argv[1])
    sleeper = Command(argv=("/bin/sleep", "60"), env={}, cwd=folder)
    child = await Child.start(sleeper, log=folder / "log", record=folder / "sleeper.json")
    print(child.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def soon(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    return identity(pid) is not None


def test_a_child_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        (sys.executable, "-c", PARENT, str(tmp_path)), stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        soon(lambda: psutil.Process(pid).name() == "sleep")
        parent.kill()
    soon(lambda: not alive(pid))


async def started(folder: DataFolder, server: MakeServer, name: str, **fields: bool) -> Child:
    service = server(name, **fields)
    assert service.command is not None
    log, record = folder.log_of(name), folder.run / f"{name}.json"
    child = await Child.start(service.command, log=log, record=record)
    await until(lambda: log.read_text().endswith("listens\n"))
    return child


async def test_what_was_left_over_is_asked_to_end(
    folder: DataFolder, server: MakeServer, ended: Ended
) -> None:
    children = [await started(folder, server, name) for name in ("store", "api")]
    found = await stop_leftovers(folder.run)
    assert {(one.part, one.pid) for one in found} == {
        ("store", children[0].pid),
        ("api", children[1].pid),
    }
    assert sorted(ended.names()) == ["api", "store"]
    assert not any(alive(child.pid) for child in children)
    assert list(folder.run.iterdir()) == []
    await asyncio.gather(*(child.wait() for child in children))


async def test_what_was_left_over_and_will_not_end_is_ended(
    folder: DataFolder, server: MakeServer, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LEFTOVER_GRACE_S", 0.3)
    child = await started(folder, server, "store", stubborn=True)
    await stop_leftovers(folder.run)
    assert ended.names() == ["store"]
    assert await child.wait() == -signal.SIGKILL


async def test_a_stranger_with_an_old_id_is_left_alone(folder: DataFolder) -> None:
    """The id of a process that is gone may belong to anyone by now: here, to this test."""
    record = folder.run / "store.json"
    write_json(record, {"pid": os.getpid(), "identity": "boot/1", "signal": int(signal.SIGKILL)})
    assert await stop_leftovers(folder.run) == []
    assert not record.exists()


async def test_a_program_that_is_missing_says_so(folder: DataFolder) -> None:
    command = program(folder, "")
    missing = process.Command(argv=("/nowhere/postgres",), env={}, cwd=command.cwd)
    log = folder.log_of("postgres")
    assert await process.run_once(missing, log=log) == 1
    assert log.read_text() == "/nowhere/postgres cannot be run: No such file or directory\n"
