"""Payments for support and admins: why a PSP was asked, how the PSPs do, what is open."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import AwareDatetime
from starlette.responses import Response

from api import payment_views as views
from api.identity import AdminDep, ReadLimit, StaffDep
from api.problems import SIGNED_IN, WITH_BODY, Problem, problems
from api.schemas.base import ULID_PATTERN
from api.schemas.payments_admin import (
    CashLimitBody,
    CashLimitsView,
    DecisionRowView,
    DecisionsView,
    LateCapturesView,
    PaymentFileView,
    RoutingView,
    SummaryView,
)
from api.services import ServicesDep
from db.payment_health import HealthAway
from db.repositories import cash, ledger, payment_reports, payments, refunds
from domain.payments import DECISIONS, Decision, PaymentMethod

router = APIRouter(prefix="/v1/admin/payments", tags=["payments"], dependencies=[ReadLimit])

_STAFF_ONLY = (*SIGNED_IN, "FORBIDDEN")
_ULID: Final = re.compile(ULID_PATTERN)
_A_DAY: Final = timedelta(days=1)
_LONGEST: Final = timedelta(days=92)


@router.get("/decisions", responses=problems(*_STAFF_ONLY))
async def decisions(_: StaffDep) -> DecisionsView:
    """What each failure of a call to a PSP leads to: the very table that sagas go by."""
    return DecisionsView(
        rows=[DecisionRowView.model_validate(row) for row in DECISIONS],
        without_row=Decision.STOP,
        without_row_means="A failure that no row speaks about ends the payment: it is not retried.",
        unknown=Decision.INQUIRE,
        unknown_means=(
            "After an unknown outcome the PSP is asked what became of the payment, whatever the "
            "rows say: the money may have moved."
        ),
    )


@router.get("/routing", responses=problems(*_STAFF_ONLY))
async def routing(_: AdminDep, services: ServicesDep) -> RoutingView:
    """The rules in force, and how the PSPs do now."""
    config, now = services.config, services.clock()
    try:
        health = await services.health.read(config.offers, PaymentMethod, now)
        downtimes = await services.health.downtimes(config.offers)
    except HealthAway:
        return views.routing_view(config, now, None, ())
    return views.routing_view(config, now, health, downtimes)


@router.get("/summary", responses=problems(*_STAFF_ONLY))
async def summary(
    _: StaffDep,
    services: ServicesDep,
    since: Annotated[
        AwareDatetime | None, Query(alias="from", description="A day ago if left out.")
    ] = None,
    until: Annotated[
        AwareDatetime | None, Query(alias="to", description="Not included; now if left out.")
    ] = None,
) -> SummaryView:
    """Success, failover and late captures of payments opened in a range; and what is open now."""
    now = services.clock()
    first, last = _range(since, until, now)
    async with services.database.reading() as session:
        counts = await payment_reports.attempts_between(session, first, last)
        failover = await payment_reports.failover_between(session, first, last)
        late = await payment_reports.late_captures_between(session, first, last)
        backlog = await payment_reports.refund_backlog(session, now)
        unknown, oldest = await payment_reports.unknown_attempts(session, now)
    return SummaryView(
        since=first,
        until=last,
        success=views.successes_view(counts),
        failover=views.failover_view(failover),
        late_captures=LateCapturesView.model_validate(late),
        refund_backlog=[views.backlog_view(row, now) for row in backlog],
        unknown=views.unknowns_view(unknown, oldest, now),
    )


@router.get("/cash-limits", responses=problems(*_STAFF_ONLY))
async def cash_limits(_: StaffDep, services: ServicesDep) -> CashLimitsView:
    """How much may be paid in cash at the door, by the PIN codes' first digits."""
    async with services.database.reading() as session:
        limits = await cash.limits(session)
    return CashLimitsView(usual_paise=cash.USUAL_LIMIT_PAISE, by_prefix=limits)


@router.post("/cash-limits", status_code=204, responses=problems(*_STAFF_ONLY, *WITH_BODY))
async def set_cash_limit(body: CashLimitBody, _: AdminDep, services: ServicesDep) -> Response:
    """Set a limit for the PIN codes that begin so; 0 takes no cash there."""
    async with services.database.unit_of_work() as session:
        await cash.set_limit(session, body.prefix, body.max_paise)
    return Response(status_code=204)


@router.get("/{order_id}", responses=problems("PAYMENT_NOT_FOUND", *_STAFF_ONLY))
async def payment_of(order_id: str, _: StaffDep, services: ServicesDep) -> PaymentFileView:
    """An order's payment: each attempt with why its PSP was asked, refunds, ledger lines."""
    if not _ULID.fullmatch(order_id):
        raise Problem("PAYMENT_NOT_FOUND")
    async with services.database.reading() as session:
        payment = await payments.of_order(session, order_id)
        if payment is None:
            raise Problem("PAYMENT_NOT_FOUND")
        attempts = await payments.attempts_of(session, order_id)
        paid_back = await refunds.of_order(session, order_id)
        disputed = await refunds.disputes_of(session, order_id)
        lines = await ledger.of_order(session, order_id)
    return views.payment_file(payment, attempts, paid_back, disputed, lines)


def _range(
    since: datetime | None, until: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    last = until or now
    first = since or last - _A_DAY
    if first >= last:
        raise _wrong("from", f"{first.isoformat()} is not before {last.isoformat()}")
    if last - first > _LONGEST:
        raise _wrong("from", f"a summary covers at most {_LONGEST.days} days: ask for fewer")
    if first.timestamp() < 0:
        raise _wrong("from", "must be after 1970")
    return first, last


def _wrong(field: str, message: str) -> Problem:
    return Problem("VALIDATION_FAILED", errors=[{"field": field, "message": message}])
