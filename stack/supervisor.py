"""The stack as a whole: its parts started side by side, watched, and stopped in order."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from stack.errors import StackError
from stack.folder import DataFolder, write_json
from stack.part import Part
from stack.ports import Ports
from stack.process import stop_leftovers
from stack.services import Service, Site, Tier, arrange
from stack.settings import Settings, load

Say = Callable[[str], None]


def _nowhere(_: str) -> None:
    return None


class Supervisor:
    """Runs the services of one data folder; `settings` have the addresses of all of them."""

    def __init__(
        self, settings: Settings, services: Iterable[Service], folder: DataFolder, say: Say
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.hurry = asyncio.Event()
        self.parts = {service.name: Part(service, folder, say) for service in services}
        self._started_at = datetime.now(UTC)
        self._ready = False
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Starts every part and returns when all are well; raises StackError when one cannot be."""
        for part in self.parts.values():
            part.changed = self._record
            self._tasks[part.name] = asyncio.create_task(part.run(self.parts), name=part.name)
        all_well = asyncio.create_task(self._all_well())
        try:
            while not all_well.done():
                waited = {all_well, *(task for task in self._tasks.values() if not task.done())}
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                for task in self._tasks.values():
                    if task.done():
                        task.result()
        finally:
            all_well.cancel()
        self._ready = True
        self._record()

    async def broken(self) -> None:
        """Returns never; raises what stopped the supervision of a part, which is a defect."""
        lasting = {task for task in self._tasks.values() if not task.done()}
        while lasting:
            ended, lasting = await asyncio.wait(lasting, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Stops what runs, the edge first and the servers last; `hurry` cuts it short."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for tier in sorted(Tier, reverse=True):
            ending = (part for part in self.parts.values() if part.service.tier is tier)
            await asyncio.gather(*(part.stop(self.hurry) for part in ending))
        self.folder.state.unlink(missing_ok=True)

    def kill(self, name: str) -> int:
        """Ends a part's process as a crash would, and returns the process id; it is restarted."""
        return self._part(name).kill()

    async def healthy(self, name: str, timeout_s: float = 30.0) -> None:
        """Waits until the part is well; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._part(name).well.wait()

    def describe(self) -> dict[str, Any]:
        """What `status` shows."""
        return {
            "pid": os.getpid(),
            "url": self.settings.url,
            "ready": self._ready,
            "started_at": self._started_at.isoformat(),
            "parts": [_described(part) for part in self.parts.values()],
        }

    async def _all_well(self) -> None:
        for part in self.parts.values():
            await part.well.wait()

    def _part(self, name: str) -> Part:
        if name not in self.parts:
            raise StackError(f"there is no part {name!r}; there are: {', '.join(self.parts)}")
        return self.parts[name]

    def _record(self) -> None:
        write_json(self.folder.state, self.describe())


@asynccontextmanager
async def prepared(
    settings: Settings,
    *,
    parts: Iterable[str] | None = None,
    usual_ports: bool = False,
    say: Say = _nowhere,
) -> AsyncIterator[Supervisor]:
    """A stack that is set up and not started; whatever runs of it is stopped at the end.

    Holds the data folder meanwhile. Raises StackError: the folder is in use, a port is taken.
    """
    folder = DataFolder(settings.data_dir)
    folder.create()
    with folder.locked() as announce:
        for left in await stop_leftovers(folder.run):
            say(f"{left.part} was left over from an earlier run (process {left.pid}): stopped")
        ports = Ports.of(folder.ports, usual=usual_ports)
        complete, services = arrange(Site(settings, folder, ports), parts)
        announce(complete.url)
        supervisor = Supervisor(complete, services, folder, say)
        try:
            yield supervisor
        finally:
            await _to_its_end(supervisor.stop())


@asynccontextmanager
async def running(
    settings: Settings | None = None,
    *,
    parts: Iterable[str] | None = None,
    usual_ports: bool = False,
    say: Say = _nowhere,
) -> AsyncIterator[Supervisor]:
    """A running stack: the parts asked for and those they need, all well; stopped at the end.

    Raises StackError when it cannot be started.
    """
    chosen = settings or load()
    async with prepared(chosen, parts=parts, usual_ports=usual_ports, say=say) as supervisor:
        await supervisor.start()
        yield supervisor


def _described(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "state": part.state.value,
        "pid": part.pid,
        "address": part.service.address,
        "since": part.since.isoformat(),
        "restarts": part.restarts,
        "embedded": part.service.command is not None,
        "log": str(part.log),
    }


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    # Being cancelled while stopping must not leave processes behind.
    task = asyncio.create_task(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError
