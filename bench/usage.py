"""CPU time by process, as the operating system counts it."""

import time
from collections.abc import Mapping
from typing import Final

import psutil  # type: ignore[import-untyped]

# This process: it makes the load, and has started all the others.
DRIVER: Final = "load driver"
# What is neither ours nor idle: on a machine that others use, figures are to be read with it.
ELSEWHERE: Final = "other programs"


def cpu_seconds(parts: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds that this process and others have used since they began.

    `parts` gives process ids by name; their children count with them. Raises psutil.Error when
    one of them is gone.
    """
    used = {name: _of_tree(psutil.Process(pid)) for name, pid in parts.items()}
    used[DRIVER] = time.process_time()
    return used | {ELSEWHERE: _busy() - sum(used.values())}


def between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was used from one reading to the other."""
    return {name: max(0.0, after[name] - before[name]) for name in after}


def _of_tree(process: psutil.Process) -> float:
    # A parent's times include those of children that have ended, not of those that run.
    running = process.children(recursive=True)
    return _of(process) + sum(_of(child) for child in running)


def _of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _busy() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))
