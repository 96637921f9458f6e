"""Settlement reports over HTTP: page after page, each line read by the PSP's own reader."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

from activities.payments.psp.dialect import MALFORMED, Dialect
from activities.payments.psp.http import Answer, JsonObject, PSPHttp
from activities.payments.psp.port import SettlementsUnavailable
from domain.payments import FailureClass
from domain.settlements import BadSettlementLine, SettlementLine

# These do not mend themselves by waiting.
_OURS = frozenset({FailureClass.CONFIG, FailureClass.INVALID_REQUEST})

# a page's body and how many lines came before it and with it -> how to ask for the next; None: end
NextPage = Callable[[JsonObject, int], Mapping[str, str] | None]


async def settlement_lines(
    http: PSPHttp,
    dialect: Dialect,
    *,
    psp: str,
    path: str,
    params: Mapping[str, str],
    read: Callable[[JsonObject], SettlementLine],
    next_page: NextPage,
) -> AsyncIterator[SettlementLine]:
    """Every line of a report; `dialect.items` names a page's rows.

    Raises SettlementsUnavailable for a page that cannot be had, and for a line that cannot be
    read: leaving it out would show as money that is missing.
    """
    seen = 0
    asked: Mapping[str, str] | None = params
    while asked is not None:
        answer = await http.get(path, asked)
        if not isinstance(answer, Answer) or not answer.ok:
            failure = dialect.failure(answer)
            later = failure.failure_class not in _OURS
            raise SettlementsUnavailable(psp, failure.code, later=later)
        try:
            lines = [read(row) for row in answer.body[dialect.items]]
            seen += len(lines)
            asked = next_page(answer.body, seen)
        except BadSettlementLine as error:
            raise SettlementsUnavailable(psp, str(error), later=False) from error
        except MALFORMED as error:
            raise SettlementsUnavailable(psp, "unreadable_report", later=False) from error
        for line in lines:
            yield line


async def no_settlements(psp: str) -> AsyncIterator[SettlementLine]:
    """The report of a PSP that has none to be asked for: import its file instead."""
    raise SettlementsUnavailable(psp, "no_report_by_api", later=False)
    yield  # the reader of this is an iteration
