"""The stack that the demo runs on: its own, or one that runs already in the folder it was given."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from stack.errors import StackError
from stack.folder import DataFolder, read_json
from stack.invariants import reach
from stack.settings import Settings, load
from stack.supervisor import Supervisor, running

Say = Callable[[str], None]


class House(Protocol):
    """A running stack: where it is, how its parts are, and a way to end one by force."""

    settings: Settings
    own: bool

    def parts(self) -> list[dict[str, Any]]:
        """Every part as `status` shows it."""

    def kill(self, part: str) -> bool:
        """End a part's process with SIGKILL; False where it does not run at this moment."""

    async def broken(self) -> None:
        """Returns never; raises what stopped the supervision."""


class OwnHouse:
    """A stack that was started for the demo, in this process."""

    own = True

    def __init__(self, supervisor: Supervisor) -> None:
        self.settings = supervisor.settings
        self._supervisor = supervisor

    def parts(self) -> list[dict[str, Any]]:
        """As the supervisor has them."""
        found: list[dict[str, Any]] = self._supervisor.describe()["parts"]
        return found

    def kill(self, part: str) -> bool:
        """Through the supervisor."""
        try:
            self._supervisor.kill(part)
        except StackError:
            return False
        return True

    async def broken(self) -> None:
        """As the supervisor says."""
        await self._supervisor.broken()


class Guest:
    """A stack that somebody else started; its state is read from its data folder."""

    own = False

    def __init__(self, settings: Settings, folder: DataFolder) -> None:
        self.settings = settings
        self._folder = folder

    def parts(self) -> list[dict[str, Any]]:
        """As the other supervisor has written them down."""
        found: list[dict[str, Any]] = read_json(self._folder.state).get("parts", [])
        return found

    def kill(self, part: str) -> bool:
        """By the process id that was written down."""
        pid = next((one["pid"] for one in self.parts() if one["name"] == part), None)
        if not pid:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        except PermissionError:
            raise StackError(
                f"process {pid} ({part}) belongs to another user; run the demo as that user"
            ) from None
        return True

    async def broken(self) -> None:
        """Its supervisor looks after itself."""
        await asyncio.Event().wait()


@asynccontextmanager
async def open_house(data: Path | None, say: Say) -> AsyncIterator[House]:
    """A running stack: the one in `data` if one runs there, else a new one, stopped at the end."""
    if data is not None:
        settings = load(data_dir=data)
        folder = DataFolder(settings.data_dir)
        if folder.holder() is not None:
            say(f"using the stack that runs in {folder.path}")
            yield Guest(reach(settings), folder)
            return
    with _folder(data) as path:
        settings = load(data_dir=path, pace="demo").model_copy(update={"port": 0})
        async with running(settings, say=say) as supervisor:
            yield OwnHouse(supervisor)


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """The folder that was given, which is kept, or one that is removed at the end."""
    if data is not None:
        yield data
        return
    made = Path(tempfile.mkdtemp(prefix="sagakart-demo-"))
    try:
        # As root, PostgreSQL's own user has to pass through to its files.
        made.chmod(0o711 if os.geteuid() == 0 else 0o700)
        yield made / "data"
    finally:
        shutil.rmtree(made, ignore_errors=True)
