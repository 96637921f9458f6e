"""What the supervisor knows about a part, and what a part knows about where it runs."""

import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from stack.folder import DataFolder
from stack.ports import Ports
from stack.probes import Probe
from stack.process import Command
from stack.settings import PREFIX, ROOT, Settings

PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT")


class Tier(IntEnum):
    """When a part is stopped: the higher the earlier, so that nothing loses what it stands on."""

    SERVER = 0
    PREPARATION = 1
    WORKER = 2
    EDGE = 3


async def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One part: how to start it, how to tell that it is well, what must be well before it.

    `command` is None for a part that runs elsewhere and is only looked at. A `once` part does its
    work and ends, so it needs no probe; `mark` is a file to leave behind when it did. `port` is
    the one that its probe asks on.
    """

    name: str
    address: str
    command: Command | None
    probe: Probe = _nothing
    port: int | None = None
    needs: tuple[str, ...] = ()
    tier: Tier = Tier.SERVER
    prepare: Callable[[], Awaitable[None]] = _nothing
    once: bool = False
    mark: Path | None = None
    start_timeout_s: float = 60.0
    grace_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Site:
    """Where the stack is being set up: its settings, its data folder, its ports and secrets."""

    settings: Settings
    folder: DataFolder
    ports: Ports

    def home(self, part: str) -> Path:
        """The part's own folder, made when it is not there."""
        path = self.folder.path / part
        path.mkdir(exist_ok=True, mode=0o700)
        return path

    def foreign_environment(self, home: Path) -> dict[str, str]:
        """The environment of a program that is not ours: whatever it keeps, it keeps in `home`."""
        passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        kept = dict.fromkeys(("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), str(home))
        return passed | kept | {"TZ": "UTC"}


def own_environment(settings: Settings) -> dict[str, str]:
    """The environment of a process of ours: these settings, and no others that we inherited."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)
    }
    return inherited | settings.as_environment() | {"PYTHONPATH": str(ROOT)}


def python(*arguments: str) -> tuple[str, ...]:
    """A Python program of this environment, blind to whatever lies in the current folder."""
    return (sys.executable, "-P", *arguments)
