"""One part of a running stack: started, watched, and started again when it dies."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from stack.errors import PartFailed, StackError
from stack.folder import DataFolder, complaint, last_line
from stack.probes import ProbeFailed
from stack.process import Child, Command, listens
from stack.services.base import Service

PROBE_EVERY_S: Final = 5.0
STARTING_PROBE_S: Final = 0.05
UNWELL_AFTER: Final = 3
HUNG_AFTER: Final = 12
FIRST_TRIES: Final = 4
OURS: Final = "sagakart: "


class PartState(StrEnum):
    """Where a part stands."""

    WAITING = "waiting"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNWELL = "unwell"
    RESTARTING = "restarting"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class _Trouble(Exception):
    """The process ended or cannot be brought to health; the text says how.

    With `final`, trying again would end the same way; with `refused`, the process said why.
    """

    def __init__(self, text: str, *, final: bool = False, refused: bool = False) -> None:
        super().__init__(text)
        self.final = final or refused
        self.refused = refused


@dataclass(slots=True)
class BackOff:
    """How long to wait before the next start, in seconds.

    A part that cannot start is tried ever more rarely. One that was well when it died is wanted
    back soon: what stands on it is waiting.
    """

    first_s: float = 0.2
    most_s: float = 10.0
    most_after_health_s: float = 1.0
    steady_s: float = 30.0
    _next_s: float = 0.0

    def after(self, healthy_s: float | None) -> float:
        """The wait after an end that came `healthy_s` after it was well; None: it never was."""
        if healthy_s is not None and healthy_s >= self.steady_s:
            self._next_s = 0.0
        most = self.most_s if healthy_s is None else self.most_after_health_s
        wait = min(max(self._next_s, self.first_s), most)
        self._next_s = wait * 2
        return wait


class Part:
    """Keeps one service running until it is stopped."""

    def __init__(self, service: Service, folder: DataFolder, say: Callable[[str], None]) -> None:
        self.service = service
        self.state = PartState.WAITING
        self.since = datetime.now(UTC)
        self.restarts = 0
        self.well = asyncio.Event()
        self.changed: Callable[[], None] = lambda: None
        self._child: Child | None = None
        self._folder = folder
        self._say = say
        self._backoff = BackOff()
        self._well_at: float | None = None
        self._was_well = False

    @property
    def name(self) -> str:
        """The part's name, by which logs and records are named too."""
        return self.service.name

    @property
    def log(self) -> Path:
        """Where the part's output goes."""
        return self._folder.log_of(self.name)

    @property
    def pid(self) -> int | None:
        """The process that runs now, if one does."""
        child = self._child
        return child.pid if child and child.process.returncode is None else None

    async def run(self, others: Mapping[str, "Part"]) -> None:
        """Keeps the part running until cancelled; a one-time part returns when it is done.

        Raises StackError when the part cannot be brought up in the first place.
        """
        tries = 0
        while True:
            for need in self.service.needs:
                await others[need].well.wait()
            try:
                await self._start()
                if self.service.once:
                    return
                await self._watch()
            except _Trouble as trouble:
                tries += 1
                if not self._was_well and (trouble.final or tries >= FIRST_TRIES):
                    self._enter(PartState.FAILED)
                    raise self._failure(trouble) from None
                await self._pause(str(trouble))

    async def stop(self, hurry: asyncio.Event) -> None:
        """Ends the process, if there is one; `run` must have been cancelled before."""
        if self._child is not None:
            await self._child.stop(self.service.grace_s, hurry)
        if self.state is not PartState.FAILED:
            self._enter(PartState.STOPPED)

    def kill(self) -> int:
        """Ends the process as a crash would and returns its id; raises StackError without one."""
        pid = self.pid
        if self._child is None or pid is None:
            raise StackError(f"{self.name} does not run now")
        self.well.clear()  # it is not, though its end has yet to be noticed
        self._child.kill()
        return pid

    async def _start(self) -> None:
        self._enter(PartState.STARTING)
        began = asyncio.get_running_loop().time()
        if self.service.command is not None:
            await self._prepare()
            await self._spawn(self.service.command)
        patience = self.service.start_timeout_s
        try:
            async with asyncio.timeout(patience):
                await self._until_well()
        except TimeoutError:
            await self._end_hung()
            raise _Trouble(f"is not well after {patience:.0f} s", final=True) from None
        self._well_at = asyncio.get_running_loop().time()
        self._enter(PartState.DONE if self.service.once else PartState.HEALTHY)
        took = self._well_at - began
        if self._was_well:
            self._say(f"{self.name} is back after {took:.1f} s")
        else:
            self._say(f"{self.name:<12} {self.service.address:<44} {took:5.1f} s".rstrip())
        self._was_well = True
        if self.service.mark is not None:
            self.service.mark.touch()
        self.well.set()

    async def _prepare(self) -> None:
        try:
            await self.service.prepare()
        except (StackError, OSError) as error:
            if not self._was_well:
                raise
            raise _Trouble(f"cannot be started ({error})") from None

    async def _spawn(self, command: Command) -> None:
        log = self._folder.rotate_log(self.name)
        record = self._folder.run / f"{self.name}.json"
        start = Child.start(command, log=log, record=record)
        starting = asyncio.create_task(start)
        try:
            self._child = await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._child = await starting  # a process that nobody knows of could not be stopped
            raise

    async def _until_well(self) -> None:
        ended = asyncio.create_task(self._ended())
        try:
            if self.service.once:
                await ended
                return
            while True:
                well = await self._probed()
                if ended.done():
                    await ended
                if well and self._is_the_one():
                    return
                await asyncio.wait((ended,), timeout=STARTING_PROBE_S)
        finally:
            _dismiss(ended)

    async def _ended(self) -> None:
        """Returns when a one-time process has done its work; raises _Trouble at any other end."""
        if self._child is None:
            await asyncio.Event().wait()
            return
        status = await self._child.wait()
        if status == 0 and self.service.once:
            return
        refused = status == StackError.exit_code and last_line(self.log).startswith(OURS)
        raise _Trouble(_in_words(status), refused=refused)

    def _is_the_one(self) -> bool:
        # Another program may have taken the port since it was found free, and answer there.
        pid, port = self.pid, self.service.port
        return pid is None or port is None or listens(pid, port)

    async def _probed(self) -> bool:
        try:
            await self.service.probe()
        except (OSError, TimeoutError, ProbeFailed):
            return False
        return True

    async def _watch(self) -> None:
        ended = asyncio.create_task(self._ended())
        failures = 0
        try:
            while True:
                await asyncio.wait((ended,), timeout=PROBE_EVERY_S)
                if ended.done():
                    await ended
                failures = 0 if await self._probed() else failures + 1
                if not ended.done():
                    await self._judge(failures)
        finally:
            _dismiss(ended)

    async def _judge(self, failures: int) -> None:
        if failures == 0 and self.state is PartState.UNWELL:
            self._enter(PartState.HEALTHY)
            self._say(f"{self.name} answers again")
        elif failures == UNWELL_AFTER:
            self._enter(PartState.UNWELL)
            self._say(f"{self.name} does not answer; see {self.log}")
        elif failures >= HUNG_AFTER and self._child is not None:
            await self._end_hung()

    async def _end_hung(self) -> None:
        if self._child is not None:
            self._child.kill()
            await self._child.wait()

    async def _pause(self, trouble: str) -> None:
        self.well.clear()
        now = asyncio.get_running_loop().time()
        wait = self._backoff.after(None if self._well_at is None else now - self._well_at)
        self._well_at = None
        self.restarts += 1
        self._enter(PartState.RESTARTING)
        self._say(f"{self.name} {trouble}; starting it again in {wait:.1f} s")
        await asyncio.sleep(wait)

    def _failure(self, trouble: _Trouble) -> StackError:
        if self._child is None:
            return PartFailed(f"{self.name} at {self.service.address} does not answer")
        if trouble.refused:
            return StackError(last_line(self.log).removeprefix(OURS))
        return PartFailed(f"{self.name} {trouble}: {complaint(self.log)} (see {self.log})")

    def _enter(self, state: PartState) -> None:
        if state is not self.state:
            self.state = state
            self.since = datetime.now(UTC)
            self.changed()


def _dismiss(task: asyncio.Task[None]) -> None:
    task.cancel()
    if task.done() and not task.cancelled():
        task.exception()  # seen, though nobody asked: asyncio would report it as forgotten


def _in_words(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"
