"""The data folder: what lies where in it, and the lock that keeps it to one stack."""

import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stack.errors import FolderInUse, StackError
from stack.settings import SECRETS

PRIVATE: Final = 0o600
LOG_BYTES: Final = 10 * 1024 * 1024
OLD_LOGS: Final = 2
COMPLAINS: Final = re.compile("error|fatal|panic|in use", re.IGNORECASE)
LOCK_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class Holder:
    """The stack that holds a data folder: its process id and the address of its API."""

    pid: int
    url: str


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Names of everything the stack keeps; nothing outside is written."""

    path: Path

    @property
    def logs(self) -> Path:
        """One log file per part."""
        return self.path / "logs"

    @property
    def run(self) -> Path:
        """One record per running process, and the workers' signs of life."""
        return self.path / "run"

    @property
    def ports(self) -> Path:
        """The port of each part, chosen at the first start."""
        return self.path / "ports.json"

    @property
    def state(self) -> Path:
        """What the running stack says about its parts."""
        return self.path / "state.json"

    def log_of(self, part: str) -> Path:
        """The part's log file."""
        return self.logs / f"{part}.log"

    def create(self) -> None:
        """Makes the folder and its layout; raises StackError where that cannot be done."""
        try:
            # As root, PostgreSQL's own user has to pass through to its files.
            mode = 0o711 if os.geteuid() == 0 else 0o700
            self.path.mkdir(parents=True, exist_ok=True, mode=mode)
            for folder in (self.logs, self.run):
                folder.mkdir(exist_ok=True, mode=0o700)
            ignore = self.path / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as error:
            raise StackError(
                f"the data folder {self.path} cannot be used: {error.strerror}; "
                "choose another with --data DIR"
            ) from None

    def rotate_log(self, part: str) -> Path:
        """Returns the part's log file, first setting an overgrown one aside."""
        log = self.log_of(part)
        if log.exists() and log.stat().st_size > LOG_BYTES:
            for age in range(OLD_LOGS, 1, -1):
                older = log.with_suffix(f".log.{age - 1}")
                if older.exists():
                    older.replace(log.with_suffix(f".log.{age}"))
            log.replace(log.with_suffix(".log.1"))
        return log

    def generated_secrets(self) -> dict[str, str]:
        """The secrets of this folder, made at random on first use and kept for its owner only."""
        path = self.path / "secrets.json"
        kept = read_json(path)
        fresh = {
            name: secrets.token_urlsafe(48)
            for name in (*SECRETS, "postgres_password")
            if name not in kept
        }
        if fresh:
            kept |= fresh
            write_json(path, kept)
        return {name: str(value) for name, value in kept.items()}

    def holder(self) -> Holder | None:
        """The stack that runs on this folder now, if one does."""
        try:
            with self._lock_file().open() as file:
                if _acquired(file.fileno()):
                    return None
                return _holder_in(file.read())
        except OSError:
            return None

    @contextmanager
    def locked(self) -> Iterator[Callable[[str], None]]:
        """Holds the folder for this process; raises FolderInUse when another one does.

        Gives a function that says, to whoever finds the folder held, the address of our API.
        """
        with self._lock_file().open("a+") as file:
            if not _acquired_soon(file.fileno()):
                file.seek(0)
                holder = _holder_in(file.read())
                raise FolderInUse(
                    f"the data folder {self.path} is in use by process {holder.pid} "
                    f"({holder.url}); stop it with: ./sagakart down --data {self.path}"
                )

            def announce(url: str) -> None:
                file.truncate(0)
                file.write(json.dumps({"pid": os.getpid(), "url": url}))
                file.flush()

            announce("starting")
            yield announce

    def _lock_file(self) -> Path:
        return self.path / "lock"


def last_line(log: Path) -> str:
    """The last thing a part said, or that it said nothing."""
    return next(reversed(_last_lines(log)), "it said nothing")


def complaint(log: Path) -> str:
    """The last line of a log that tells of an error; the last line where none does."""
    told = (line for line in reversed(_last_lines(log)) if COMPLAINS.search(line))
    return next(told, last_line(log))


def _last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return []
    return [line.strip() for line in lines if line.strip()]


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file of ours; empty when there is none; raises StackError when unreadable."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StackError(f"{path} cannot be read ({error}); repair or remove it") from None
    if not isinstance(value, dict):
        raise StackError(f"{path} does not hold a JSON object; repair or remove it")
    return value


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replaces a file of ours as a whole, readable by its owner only."""
    half = path.with_name(path.name + ".new")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file, indent=2)
    half.replace(path)


def _acquired(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _acquired_soon(descriptor: int) -> bool:
    # `status` takes the lock for an instant to see whether anybody holds it.
    for _ in range(LOCK_TRIES):
        if _acquired(descriptor):
            return True
        time.sleep(0.02)
    return False


def _holder_in(text: str) -> Holder:
    try:
        value = json.loads(text)
        return Holder(int(value["pid"]), str(value["url"]))
    except (ValueError, KeyError, TypeError):
        return Holder(0, "just starting")  # it holds the lock and has not yet said who it is
