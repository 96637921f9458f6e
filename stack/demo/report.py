"""The day's account: one JSON object, or text for people."""

import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from domain.money import Money
from stack.check import in_words
from stack.demo.account import percentile
from stack.demo.customers import FINAL
from stack.demo.run import Day

WIDTH: Final = 100


def as_json(day: Day) -> dict[str, Any]:
    """The account as plain JSON values: counts of orders, amounts in paise, latencies in ms."""
    states, latencies = _states(day), _latencies_ms(day)
    return {
        "orders": len(day.outcomes),
        "confirmed": states["CONFIRMED"],
        "refused": states["REFUSED"],
        "cancelled": states["CANCELLED"],
        "expired": states["EXPIRED"],
        "open": _open(states),
        "held": day.books.held,
        "failed_over": len(day.books.failed_over),
        "compensated": day.books.compensated,
        "late_returned": day.books.late_returned,
        "parked": len(day.books.parked),
        "violations": len(day.findings),
        "p50_ms": percentile(latencies, 50),
        "p95_ms": percentile(latencies, 95),
        "p99_ms": percentile(latencies, 99),
        "sold_paise": day.books.sold_paise,
        "refunded_paise": day.books.refunded_paise,
        "refusals": dict(_refusals(day)),
        "returns": dict(day.returns),
        "customers": day.customers,
        "duration_s": round(day.seconds, 1),
        "seed": day.wishes.seed,
        "faults": day.wishes.faults,
        "kills": dict(day.killed),
        "restarts": day.restarts,
        "retries": dict(day.retries),
        "parked_sagas": [_parked(one) for one in day.books.parked],
        "checked": asdict(day.report.counts),
        "findings": [asdict(finding) for finding in day.findings],
        "notes": day.notes,
    }


def as_text(day: Day) -> Iterator[str]:
    """The account as lines."""
    states = _states(day)
    yield ""
    yield f"{len(day.outcomes)} orders by {day.customers} customers in {day.seconds:.0f} s"
    yield from _columns(_sales(day, states))
    yield ""
    yield from _latency_lines(day)
    yield from _disturbances(day)
    yield from _parked_lines(day)
    yield from _story(day)
    yield ""
    yield from in_words(day.report)
    told = [finding for finding in day.findings if finding.invariant == 0]
    for finding in told:
        yield f"the edge: {finding.subject}: {finding.message}"
        yield f"   expected {finding.expected}, found {finding.found}"
    yield from (note for note in day.notes if note not in day.report.notes)


def _sales(day: Day, states: Counter[str]) -> Iterator[tuple[str, int, str]]:
    books = day.books
    yield "sold", states["CONFIRMED"], Money(books.sold_paise).in_rupees()
    yield "refused", states["REFUSED"], ""
    for code, count in _refusals(day).most_common():
        yield f"  {code}", count, ""
    yield "expired", states["EXPIRED"], "the customer did not pay in time"
    yield "cancelled", states["CANCELLED"], "by the customer"
    if still_open := _open(states):
        yield "still open", still_open, "waiting on somebody, or parked"
    yield "held", books.held, "looked at by an agent, or left until their time was over"
    yield "failed over", len(books.failed_over), "paid at another provider than the first asked"
    yield "compensated", books.compensated, "sagas that undid all they had done"
    given_back = f"{Money(books.refunded_paise).in_rupees()} refunded in all"
    yield "late, returned", books.late_returned, given_back
    for code, count in day.returns.most_common():
        yield ("disputed" if code == "disputes" else f"refund: {code}"), count, ""


def _columns(rows: Iterator[tuple[str, int, str]]) -> Iterator[str]:
    for name, count, remark in rows:
        yield f"  {name:<26}{count:>6}  {remark}".rstrip()


def _latency_lines(day: Day) -> Iterator[str]:
    latencies = _latencies_ms(day)
    if latencies:
        shown = ", ".join(f"p{of} {percentile(latencies, of):.0f} ms" for of in (50, 95, 99))
        yield (
            f"from POST to the final answer: {shown} ({len(latencies)} orders that wait for nobody)"
        )


def _disturbances(day: Day) -> Iterator[str]:
    yield f"faults at the payment providers: {day.wishes.faults}, seed {day.wishes.seed}"
    if day.killed:
        killed = ", ".join(f"{part} {count}×" for part, count in sorted(day.killed.items()))
        yield f"killed with SIGKILL: {killed}"
    if day.restarts:
        parts = ", ".join(f"{part} {count}×" for part, count in sorted(day.restarts.items()))
        yield f"restarted: {parts}"
    if day.retries:
        why = ", ".join(f"{reason} {count}×" for reason, count in day.retries.most_common())
        yield f"sent again by customers, under the same key: {why}"


def _parked_lines(day: Day) -> Iterator[str]:
    yield f"parked: {len(day.books.parked) or 'none'}"
    for one in map(_parked, day.books.parked):
        yield f"  {one['id']} at “{one['step']}”: {one['code']}, see {one['runbook']}"


def _story(day: Day) -> Iterator[str]:
    if not day.books.story:
        return
    how = "failed over" if day.books.story_of in day.books.failed_over else "had most to tell"
    yield ""
    yield f"one order that {how}, {day.books.story_of}:"
    began = day.books.story[0].at
    for told in day.books.story:
        head = f"  {(told.at - began).total_seconds():7.2f} s  {told.saga:<13}"
        yield from textwrap.wrap(
            told.words, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)
        )


def _parked(saga: dict[str, str]) -> dict[str, str]:
    return {**saga, "runbook": f"runbooks/{saga['code']}.md"}


def _states(day: Day) -> Counter[str]:
    """How many orders ended in each state, by our books; by the customer where no row was made."""
    return Counter(
        day.books.states.get(outcome.order_id, outcome.state) for outcome in day.outcomes
    )


def _open(states: Counter[str]) -> int:
    return sum(count for state, count in states.items() if state not in FINAL)


def _refusals(day: Day) -> Counter[str]:
    return Counter(
        outcome.code or "UNKNOWN" for outcome in day.outcomes if outcome.state == "REFUSED"
    )


def _latencies_ms(day: Day) -> list[float]:
    return [
        round(outcome.latency_s * 1000, 1)
        for outcome in day.outcomes
        if outcome.latency_s is not None
    ]
