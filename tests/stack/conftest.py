"""Small servers that stand for the parts of a stack, and folders for them to live in."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from stack import probes
from stack.folder import DataFolder
from stack.ports import LOOPBACK, Ports
from stack.process import Command
from stack.services import Service
from stack.supervisor import Supervisor

SERVER = """
import os, signal, socket, sys, time
name, port, ended, stubborn = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
def end(*_):
    with open(ended, "a") as file:
        file.write(name + "\\n")
    if stubborn != "stubborn":
        os._exit(0)
signal.signal(signal.SIGTERM, end)
listening = socket.create_server(("127.0.0.1", port))
print(name, "listens", flush=True)
while True:
    listening.accept()[0].close()
"""

MakeServer = Callable[..., Service]


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    made.create()
    return made


@dataclass(frozen=True, slots=True)
class Ended:
    """The servers that were asked to end, in that order."""

    file: Path

    def names(self) -> list[str]:
        return self.file.read_text().split() if self.file.exists() else []


@pytest.fixture
def ended(tmp_path: Path) -> Ended:
    """What each server writes down when it is asked to end."""
    return Ended(tmp_path / "ended")


@pytest.fixture
def server(folder: DataFolder, ended: Ended) -> MakeServer:
    """Makes a service that is a small TCP server; further arguments are the service's fields."""
    ports = Ports.of(folder.ports, usual=False)

    def make(name: str, *, stubborn: bool = False, **fields: object) -> Service:
        port = ports.for_part(name)
        manner = "stubborn" if stubborn else "obedient"
        service = Service(
            name=name,
            address=f"{LOOPBACK}:{port}",
            command=program(folder, SERVER, name, str(port), str(ended.file), manner),
            probe=probes.tcp(LOOPBACK, port),
            port=port,
            grace_s=5.0,
        )
        return replace(service, **fields)  # type: ignore[arg-type]

    return make


def program(folder: DataFolder, source: str, *arguments: str) -> Command:
    """A few lines of Python as a program."""
    return Command(
        argv=(sys.executable, "-I", "-S", "-c", source, *arguments),
        env={"PATH": os.environ["PATH"]},
        cwd=folder.path,
        stop_signal=signal.SIGTERM,
    )


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Waits until it is so; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process
            await asyncio.sleep(0.02)


class Heard(list[str]):
    """What a supervisor said, line by line."""

    def __call__(self, line: str) -> None:
        self.append(line)


def supervise(folder: DataFolder, *services: Service) -> tuple[Supervisor, Heard]:
    """A supervisor of these services and the lines that it will say."""
    from stack.settings import Settings

    heard = Heard()
    settings = Settings(_env_file=None, data_dir=folder.path)
    return Supervisor(settings, services, folder, heard), heard
