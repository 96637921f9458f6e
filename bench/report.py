"""What was measured, as one JSON object and as a page to read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bench.history import Footprint, as_json
from bench.load import Load
from bench.rounds import CROWD, Rounds, Series
from bench.usage import ELSEWHERE

GOAL_RATIO: Final = 0.25
GOAL_P50_MS: Final = 80
GOAL_P95_MS: Final = 150
_PERCENTS: Final = (50, 95, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole result; `unsold` counts orders that were not confirmed, by what was answered."""

    seconds: float
    cores: int
    rounds: Rounds
    footprint: Footprint
    unsold: Mapping[str, int]

    @property
    def ratio(self) -> float:
        """Checkouts for each empty workflow, at the same crowd."""
        return self.rounds.checkouts[CROWD].rate / self.rounds.empties[CROWD].rate

    def as_json(self) -> dict[str, Any]:
        """Rates per second, latencies in milliseconds, CPU in seconds."""
        crowd = self.rounds.checkouts[CROWD]
        alone = _latencies(self.rounds.checkouts[1].load)
        return {
            "empty_workflows_per_s": round(self.rounds.empties[CROWD].rate, 1),
            "checkouts_per_s": round(crowd.rate, 1),
            "ratio": round(self.ratio, 3),
            **alone,
            "at_once": CROWD,
            "seconds_a_round": self.seconds,
            "cores": self.cores,
            "checkout": {str(n): _series(s) for n, s in sorted(self.rounds.checkouts.items())},
            "empty": {str(n): _series(s) for n, s in sorted(self.rounds.empties.items())},
            "per_checkout": as_json(self.footprint),
            "unsold": dict(self.unsold),
        }

    def lines(self) -> Iterator[str]:
        """The page."""
        yield f"{self.cores} cores; medians of {len(self.rounds.empties[1].loads)} rounds"
        yield ""
        yield f"{'':<34}{'per second':>10}{'p50':>9}{'p95':>9}{'p99':>9} ms"
        for what, of in (
            ("empty workflow", self.rounds.empties),
            ("checkout", self.rounds.checkouts),
        ):
            for at_once, series in sorted(of.items()):
                yield _row(f"{what}, {_crowd(at_once)}", series)
        yield ""
        yield f"checkouts for each empty workflow: {self.ratio:.2f} (goal {GOAL_RATIO})"
        yield f"one customer: goal p50 {GOAL_P50_MS} ms, p95 {GOAL_P95_MS} ms"
        yield ""
        made = self.footprint
        yield (
            f"a checkout makes {made.history_events:.0f} history events "
            f"({made.bytes_of_history / 1024:.0f} KiB), {made.workflow_tasks:.1f} workflow tasks, "
            f"{made.activities:.1f} activities, {made.local_activities:.1f} local activities"
        )
        yield ""
        yield from self._cpu()
        if self.unsold:
            counted = ", ".join(f"{count} x {what}" for what, count in self.unsold.items())
            yield f"NOT CONFIRMED, though each could have been: {counted}"

    def _cpu(self) -> Iterator[str]:
        columns = (
            self.rounds.checkouts[1],
            self.rounds.checkouts[CROWD],
            self.rounds.empties[CROWD],
        )
        used = [series.cpu_each() for series in columns]
        heads = ("one checkout", f"of {CROWD} at once", "empty workflow")
        yield f"{'CPU milliseconds':<24}" + "".join(f"{head:>16}" for head in heads)
        for name in sorted(used[1], key=lambda name: -used[1][name]):
            if name != ELSEWHERE:
                yield f"  {name:<22}" + "".join(f"{one[name] * 1000:16.1f}" for one in used)
        ours = [sum(one.values()) - one[ELSEWHERE] for one in used]
        yield f"  {'together':<22}" + "".join(f"{one * 1000:16.1f}" for one in ours)
        shares = [
            sum(cpu[ELSEWHERE] for cpu in series.cpu) / series.load.elapsed for series in columns
        ]
        yield f"  {'others here, in cores':<22}" + "".join(f"{share:16.2f}" for share in shares)


def _series(series: Series) -> dict[str, Any]:
    return {
        "per_s": round(series.rate, 1),
        "rounds_per_s": [round(rate, 1) for rate in series.rates],
        **_latencies(series.load),
        "succeeded": series.load.succeeded,
        "answered": len(series.load.took),
        "cpu_s_each": {name: round(used, 5) for name, used in series.cpu_each().items()},
    }


def _latencies(load: Load) -> dict[str, float]:
    return {f"p{percent}_ms": round(load.milliseconds(percent), 1) for percent in _PERCENTS}


def _row(what: str, series: Series) -> str:
    times = "".join(f"{series.load.milliseconds(percent):9.1f}" for percent in _PERCENTS)
    return f"{what:<34}{series.rate:10.1f}{times}"


def _crowd(at_once: int) -> str:
    return "one at a time" if at_once == 1 else f"{at_once} at once"
