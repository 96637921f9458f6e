"""Take the sagas' rules away one at a time, and see that the tests notice each.

    python tests/mutants/run.py [--only N ...] [--list]

Works on copies of the tree. Exits with 1 when a mutant survives, or when the tests fail on the
tree as it is.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.mutants.table import MUTANTS, Mutant  # noqa: E402 - the tree has to be found first

_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", ".*_cache", "node_modules", "frontend", "*.log"
)
_FAILED = re.compile(r"^FAILED (\S+)", re.MULTILINE)
_ALL_S = 600
_EACH_S = 150
_TO_END_S = 40


class Ended(StrEnum):
    """How a run of tests ended. BROKEN: not one test failed, but it did not run as it should."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    HUNG = "HUNG"
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests said: how they ended, which failed first, and how long it took."""

    ended: Ended
    by: str
    seconds: float
    output: str

    @property
    def noticed(self) -> bool:
        """Whether a test failed, or waited in vain: an error in a fixture is neither."""
        return self.ended in (Ended.FAILED, Ended.HUNG)


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the tree that shares the installed packages, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="sagakart-mutant-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=_LEFT_OUT, symlinks=True)
        (tree / ".venv").symlink_to(Path(sys.prefix))
        # database servers of root run as a user of their own, who must reach what they need
        Path(folder).chmod(0o755)
        yield tree


def apply(mutant: Mutant, tree: Path) -> None:
    """Change the one place; raises ValueError when it is not there exactly once."""
    file = tree / mutant.file
    text = file.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.file} has {text.count(mutant.old)} of: {mutant.old!r}")
    file.write_text(text.replace(mutant.old, mutant.new))


def judge(tree: Path, tests: Sequence[str], patience_s: float) -> Verdict:
    """Run tests in a tree."""
    began = time.monotonic()
    command = [str(tree / ".venv/bin/python"), "-m", "pytest", "-x", "-q", "-rfE", "--tb=short"]
    # its own group, so that servers of a test that hangs end with it
    run = subprocess.Popen(
        [*command, "-p", "no:cacheprovider", *tests],
        cwd=tree,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = run.communicate(timeout=patience_s)
        failed = _FAILED.search(output)
        by = failed.group(1) if failed else ""
        ended = Ended.FAILED if failed else Ended.BROKEN if run.returncode else Ended.PASSED
    except subprocess.TimeoutExpired:
        output = _end(run)
        by, ended = f"a wait of {patience_s:.0f} s in vain", Ended.HUNG
    except KeyboardInterrupt:
        _end(run)
        raise
    return Verdict(ended, by, time.monotonic() - began, output)


def _end(run: subprocess.Popen[str]) -> str:
    """End the tests, which end the servers they started; returns what they said."""
    run.send_signal(signal.SIGINT)
    try:
        return run.communicate(timeout=_TO_END_S)[0]
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        return run.communicate()[0]


def main() -> int:
    """Judge the tree as it is, then each mutant."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="numbers from the table")
    parser.add_argument("--list", action="store_true", help="print the table and stop")
    asked = parser.parse_args()
    numbered = list(enumerate(MUTANTS, 1))
    chosen = [(n, mutant) for n, mutant in numbered if not asked.only or n in asked.only]
    if asked.list:
        for number, mutant in chosen:
            print(f"{number:>3}  {mutant.file:<36} {mutant.takes_away}")
        return 0
    tests = sorted({test for _, mutant in chosen for test in mutant.tests})
    with copied() as tree:
        healthy = judge(tree, tests, _ALL_S)
    if healthy.ended is not Ended.PASSED:
        print(healthy.output)
        print(f"the tests fail on the tree as it is: {healthy.ended} {healthy.by}")
        return 1
    print(f"as it is: all {len(tests)} tests pass ({healthy.seconds:.0f} s)", flush=True)
    survivors = [number for number, mutant in chosen if not _caught(number, mutant)]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants caught")
    if survivors:
        print(f"not caught: {', '.join(map(str, survivors))}")
    return 1 if survivors else 0


def _caught(number: int, mutant: Mutant) -> bool:
    with copied() as tree:
        apply(mutant, tree)
        verdict = judge(tree, mutant.tests, _EACH_S)
    survived = "BROKEN" if verdict.ended is Ended.BROKEN else "SURVIVED"
    word = f"CAUGHT by {verdict.by}" if verdict.noticed else survived
    print(f"{number:>3}  without: {mutant.takes_away}\n     {mutant.file}")
    print(f"     {word} ({verdict.seconds:.0f} s)", flush=True)
    if verdict.ended is Ended.BROKEN:
        print(verdict.output[-2000:])
    return verdict.noticed


if __name__ == "__main__":
    sys.exit(main())
