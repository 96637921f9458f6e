"""Which port each part listens on: chosen once, kept in the data folder, checked at each start."""

import errno
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from activities.payments.registry import SANDBOX
from stack.errors import StackError
from stack.folder import read_json, write_json

LOOPBACK: Final = "127.0.0.1"
PREFERRED: Final[Mapping[str, int]] = {
    "postgres": 5432,
    "valkey": 6379,
    "mongo": 27017,
    "temporal": 7233,
    "temporal-ui": 8233,
    "temporal-http": 7243,
    "temporal-metrics": 7253,
    **{name: 9101 + place for place, name in enumerate(SANDBOX)},
}
NEIGHBOURS: Final = 50
# Below the range from which the kernel gives outgoing connections their ports, so that a port
# stays free while its part is being restarted.
QUIET: Final = range(20000, 32000)


@dataclass(slots=True)
class Ports:
    """The ports of one data folder; `usual` prefers the well-known numbers to random ones."""

    path: Path
    usual: bool
    kept: dict[str, int] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, path: Path, *, usual: bool) -> "Ports":
        """Reads the ports kept in the file, if it is there."""
        try:
            return cls(path, usual, {name: int(port) for name, port in read_json(path).items()})
        except (TypeError, ValueError):
            raise StackError(f"{path} holds something other than ports; remove it") from None

    def for_part(self, name: str) -> int:
        """The port this part has in this folder; raises StackError when another program has it."""
        port = self.kept.get(name)
        if port is None:
            port = self.kept[name] = self._choose(name)
            write_json(self.path, dict(self.kept))
        elif not is_free(LOOPBACK, port):
            raise StackError(
                f"port {port} ({name}) is taken by another program; stop that program, "
                f"or remove {self.path} to have other ports chosen"
            )
        self.taken.add(port)
        return port

    def fixed(self, name: str, host: str, port: int, remedy: str) -> int:
        """A port that was asked for by number, or any free one for 0; raises StackError."""
        if port == 0:
            port = self._quiet()
        elif port in self.taken or not is_free(host, port):
            raise StackError(f"port {port} ({name}) is taken; {remedy}")
        self.taken.add(port)
        return port

    def _choose(self, name: str) -> int:
        if not self.usual:
            return self._quiet()
        first = PREFERRED[name]
        near = (port for port in range(first, first + NEIGHBOURS) if self._usable(port))
        return next(near, None) or self._quiet()

    def _quiet(self) -> int:
        for _ in range(200):
            port = QUIET.start + secrets.randbelow(len(QUIET))
            if self._usable(port):
                return port
        raise StackError(f"no free port between {QUIET.start} and {QUIET.stop} was found")

    def _usable(self, port: int) -> bool:
        return port not in self.taken | set(self.kept.values()) and is_free(LOOPBACK, port)


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now; raises StackError where this host cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise StackError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return True
