"""From routing, reports and records of payments to what support and admins read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from api.config import ApiConfig
from api.schemas.payments_admin import (
    AttemptView,
    BreakerView,
    ConditionView,
    DisputeView,
    DowntimeView,
    FailoverView,
    LedgerLineView,
    MethodHealthView,
    PaidBackView,
    PaymentFileView,
    PolicyView,
    RefundBacklogView,
    RoutedPspView,
    RoutingView,
    RuleView,
    SuccessesView,
    SuccessView,
    UnknownAttemptView,
    UnknownsView,
)
from db.repositories.ledger import LedgerRecord
from db.repositories.payment_reports import (
    AttemptCount,
    Failover,
    RefundBacklog,
    UnknownAttempt,
)
from db.repositories.payments import AttemptRecord, PaymentRecord
from db.repositories.refunds import DisputeRecord, RefundRecord
from domain.breaker import BreakerPolicy, Health
from domain.outcomes import Outcome
from domain.payments import PaymentMethod
from domain.routing import Downtime, Rule

OTHERWISE = "an even share over every configured PSP that has the method"
_DECIDED = (Outcome.APPROVED, Outcome.DECLINED, Outcome.TECHNICAL, Outcome.UNKNOWN)

Healths = Mapping[tuple[str, PaymentMethod], Health]


def routing_view(
    config: ApiConfig, now: datetime, health: Healths | None, downtimes: Sequence[Downtime]
) -> RoutingView:
    """The rules and, where anything is known, how every PSP does; None: the store is away."""
    return RoutingView(
        rules=[_rule(rule, config.offers) for rule in config.routes.rules],
        otherwise=OTHERWISE,
        policy=PolicyView.model_validate(config.breaker),
        health_known=health is not None,
        psps=[
            RoutedPspView(
                psp=psp,
                methods=sorted(methods),
                health=[
                    _method(method, health[psp, method], config.breaker, now)
                    for method in sorted(methods)
                    if health is not None
                ],
            )
            for psp, methods in config.offers.items()
        ],
        downtimes=[_downtime(one, now) for one in downtimes],
    )


def successes_view(counts: Sequence[AttemptCount]) -> SuccessesView:
    """Success by PSP, by method, by bank, and by all three."""
    return SuccessesView(
        by_psp=_grouped(counts, ("psp",)),
        by_method=_grouped(counts, ("method",)),
        by_bank=_grouped(counts, ("bank",)),
        in_detail=_grouped(counts, ("psp", "method", "bank")),
    )


def failover_view(failover: Failover) -> FailoverView:
    """How often another PSP was asked, and what that saved."""
    share = _percent(failover.failed_over, failover.payments)
    return FailoverView(**asdict(failover), failed_over_percent=share)


def backlog_view(row: RefundBacklog, now: datetime) -> RefundBacklogView:
    """Refunds of one state, by age."""
    return RefundBacklogView(
        state=row.state,
        refunds=row.refunds,
        paise=row.paise,
        oldest_seconds=_age(row.oldest, now),
        under_an_hour=row.under_an_hour,
        under_a_day=row.under_a_day,
        under_a_week=row.under_a_week,
        older=row.older,
    )


def unknowns_view(count: int, oldest: Sequence[UnknownAttempt], now: datetime) -> UnknownsView:
    """Attempts whose outcome is not known, the oldest first."""
    shown = [
        UnknownAttemptView(
            attempt_id=one.id,
            order_id=one.order_id,
            psp=one.psp,
            state=one.state,
            amount_paise=one.amount_paise,
            since=one.created_at,
            age_seconds=_age(one.created_at, now),
        )
        for one in oldest
    ]
    first = shown[0].age_seconds if shown else None
    return UnknownsView(open=count, oldest_seconds=first, oldest=shown)


def payment_file(
    payment: PaymentRecord,
    attempts: Iterable[AttemptRecord],
    refunds: Iterable[RefundRecord],
    disputes: Iterable[DisputeRecord],
    ledger: Iterable[LedgerRecord],
) -> PaymentFileView:
    """Everything about one order's payment."""
    return PaymentFileView(
        order_id=payment.order_id,
        payment_id=payment.id,
        method=payment.method,
        state=payment.state,
        amount_paise=payment.amount_paise,
        currency=payment.currency,
        created_at=payment.created_at,
        updated_at=payment.updated_at,
        attempts=[AttemptView(**_known(AttemptView, one), attempt_id=one.id) for one in attempts],
        refunds=[PaidBackView(**_known(PaidBackView, one), refund_id=one.id) for one in refunds],
        disputes=[DisputeView.model_validate(one) for one in disputes],
        ledger=[LedgerLineView.model_validate(line) for line in ledger],
    )


def _known(view: type[AttemptView | PaidBackView], record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in view.model_fields if hasattr(record, name)}


def _rule(rule: Rule, offers: Mapping[str, object]) -> RuleView:
    when = rule.when
    return RuleView(
        name=rule.name,
        when=ConditionView(
            methods=sorted(when.methods),
            min_paise=when.min_paise,
            max_paise=when.max_paise,
            bins=list(when.bins),
            banks=sorted(when.banks),
        ),
        shares=dict(rule.shares),
        order=list(rule.order),
        not_configured=[psp for psp in rule.psps if psp not in offers],
    )


def _method(
    method: PaymentMethod, health: Health, policy: BreakerPolicy, now: datetime
) -> MethodHealthView:
    breaker = health.breaker.at(now, policy)
    return MethodHealthView(
        method=method,
        breaker=BreakerView(
            state=breaker.state,
            since=breaker.since if breaker.since.timestamp() else None,
            good=breaker.good,
            recent_results=health.recent.results,
            recent_technical=health.recent.technical,
        ),
        success_percent=health.rate.success,
        decided=health.rate.decided,
        declined=health.rate.declined,
        technical=health.rate.technical,
    )


def _downtime(one: Downtime, now: datetime) -> DowntimeView:
    return DowntimeView(
        psp=one.psp,
        methods=sorted(one.methods),
        bank=one.bank,
        begins=one.begins,
        ends=one.ends,
        severity=one.severity,
        now=one.holds(now),
    )


def _grouped(counts: Iterable[AttemptCount], by: Sequence[str]) -> list[SuccessView]:
    groups: dict[tuple[str, ...], dict[Outcome, int]] = {}
    for one in counts:
        outcomes = groups.setdefault(tuple(getattr(one, name) for name in by), {})
        outcomes[one.outcome] = outcomes.get(one.outcome, 0) + one.attempts
    return [
        SuccessView.model_validate(
            {
                **dict(zip(by, values, strict=True)),
                "attempts": sum(outcomes.values()),
                "outcomes": outcomes,
                "success_percent": _percent(
                    outcomes.get(Outcome.APPROVED, 0),
                    sum(outcomes.get(outcome, 0) for outcome in _DECIDED),
                ),
            }
        )
        for values, outcomes in sorted(groups.items())
    ]


def _percent(part: int, whole: int) -> float | None:
    return round(part * 100 / whole, 2) if whole else None


def _age(since: datetime, now: datetime) -> int:
    return max(0, int((now - since).total_seconds()))
