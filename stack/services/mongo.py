"""The Mongo wire protocol over SQLite: one file per database in the data folder."""

from typing import Final

from stack import probes
from stack.ports import LOOPBACK
from stack.process import Command
from stack.services.base import Service, Site, python

# It logs each command, its content included, unless told otherwise before it begins.
MAIN: Final = """
import logging
logging.getLogger("nx_27017").setLevel(logging.WARNING)
from nx_27017.nx_27017 import main
main()
"""


def url(port: int) -> str:
    """How our code reaches the embedded server."""
    return f"mongodb://{LOOPBACK}:{port}"


def service(site: Site, port: int) -> Service:
    """The embedded server on this port."""
    home = site.home("mongo")
    pid_file = home / "pid"
    data = home / "data"

    async def prepare() -> None:
        # It takes any living process with the id in an old file for itself, and ends.
        pid_file.unlink(missing_ok=True)
        data.mkdir(exist_ok=True)

    options = {
        "--data-dir": str(data),
        "--host": LOOPBACK,
        "--port": str(port),
        "--pid-file": str(pid_file),
        "--log-file": "/dev/null",  # it says the same on its output, which is our log
    }
    arguments = tuple(word for pair in options.items() for word in pair)
    return Service(
        name="mongo",
        address=f"{LOOPBACK}:{port}",
        command=Command(
            argv=python("-c", MAIN, *arguments),
            env=site.foreign_environment(home),
            cwd=home,
        ),
        port=port,
        probe=probes.mongo(LOOPBACK, port),
        prepare=prepare,
    )
