"""`test` and `lint`: every check of this repository, one after the other."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Final

from stack.settings import PREFIX, ROOT

Check = tuple[str, tuple[str, ...]]

LINT: Final[tuple[Check, ...]] = (
    ("format", ("ruff", "format", "--check", ".")),
    ("lint", ("ruff", "check", ".")),
    ("types", ("mypy",)),
    ("imports", ("importlinter.cli",)),
)


def lint() -> int:
    """Format, lint, types and import rules; the exit code is 1 when one of them fails."""
    return _run(LINT)


def test(arguments: Iterable[str]) -> int:
    """All of `lint` and then the tests, to which the arguments go."""
    return _run((*LINT, ("tests", ("pytest", *arguments))))


def _run(checks: Iterable[Check]) -> int:
    failed = []
    began = time.monotonic()
    for name, (module, *arguments) in checks:
        print(f"== {name}: {module} {' '.join(arguments)}".rstrip(), flush=True)
        code = subprocess.run(
            _command(module, arguments), cwd=ROOT, env=_environment(), check=False
        )
        if code.returncode != 0:
            failed.append(name)
    took = f"{time.monotonic() - began:.0f} s"
    print(f"== failed: {', '.join(failed)} ({took})" if failed else f"== all passed ({took})")
    return 1 if failed else 0


def _command(module: str, arguments: list[str]) -> tuple[str, ...]:
    # By module: the scripts beside Python name the folder they were installed in, and clones move.
    if module == "importlinter.cli":
        return (sys.executable, "-c", f"from {module} import lint_imports_command as run; run()")
    return (sys.executable, "-m", module, *arguments)


def _environment() -> dict[str, str]:
    # The checks must not depend on what the caller's stack is told.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return kept | {"PYTHONPATH": str(ROOT)}
