"""What is seen while the demo runs: a live bar for people, plain lines for everything else."""

import sys
from collections import Counter
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LINES: Final = 10


class Show:
    """Progress on stderr where the result is JSON, else on stdout; never mixed with the result.

    `quiet` leaves out what becomes of the parts once customers buy: they are being killed.
    """

    def __init__(self, *, as_json: bool, quiet: bool = False) -> None:
        self._quiet = quiet
        self._stream = sys.stderr if as_json else sys.stdout
        self._console = Console(file=self._stream, highlight=False)
        self._bar: Progress | None = None
        self._total = self._done = 0
        self._by_state: Counter[str] = Counter()

    def say(self, line: str) -> None:
        """One line of its own."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=self._stream, flush=True)

    def of_parts(self, line: str) -> None:
        """A line of the stack's own."""
        if not (self._quiet and self._total):
            self.say(line)

    def __enter__(self) -> Self:
        """Ready to show."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        self.end()

    def begin(self, what: str, total: int) -> None:
        """Show progress over so many orders."""
        self._total, self._done = total, 0
        if not self._console.is_terminal:
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[states]}"),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=self._console)
        self._bar.add_task(what, total=total, states="")
        self._bar.start()

    def advance(self, state: str) -> None:
        """One order has ended in this state."""
        self._done += 1
        self._by_state[state.lower() or "unanswered"] += 1
        told = ", ".join(f"{count} {name}" for name, count in self._by_state.most_common())
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done, states=told)
        elif self._done * LINES // self._total > (self._done - 1) * LINES // self._total:
            self.say(f"{self._done} of {self._total} orders: {told}")

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
