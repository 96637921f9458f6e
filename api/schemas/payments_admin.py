"""Payments as support and admins see them: decisions, routing, reports. Amounts in paise."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from api.schemas.base import Asked, Paise, Told
from db.vocabulary import LedgerKind
from domain.breaker import BreakerState
from domain.outcomes import Outcome
from domain.payments import Decision, FailureClass, PaymentMethod, PaymentState
from domain.refunds import DisputeState, RefundKind, RefundState
from domain.routing import Severity


class DecisionRowView(Told):
    """What a failure leads to; '*' is any. Of the rows that fit the most specific one decides."""

    psp: str
    operation: str
    failure: FailureClass
    code: str
    group: str
    decision: Decision


class DecisionsView(Told):
    """The decision table. `without_row` holds for a failure that no row speaks about."""

    rows: list[DecisionRowView]
    without_row: Decision
    without_row_means: str
    unknown: Decision
    unknown_means: str


class ConditionView(Told):
    """Which payments a rule is about; what is empty holds for all."""

    methods: list[PaymentMethod]
    min_paise: Paise
    max_paise: Paise | None
    bins: list[str]
    banks: list[str]


class RuleView(Told):
    """A rule: shares of the volume, or a fixed order. `not_configured` names PSPs it must skip."""

    name: str
    when: ConditionView
    shares: dict[str, int]
    order: list[str]
    not_configured: list[str]


class BreakerView(Told):
    """A breaker; `since` is null while it has never moved. `good` counts while half open."""

    state: BreakerState
    since: datetime | None
    good: int
    recent_results: int
    recent_technical: int


class MethodHealthView(Told):
    """How a PSP does with a method: `success_percent` is of `decided` in the rate's window."""

    method: PaymentMethod
    breaker: BreakerView
    success_percent: int | None
    decided: int
    declined: int
    technical: int


class DowntimeView(Told):
    """What a PSP says of itself; no methods means all, an empty bank any."""

    psp: str
    methods: list[PaymentMethod]
    bank: str
    begins: datetime
    ends: datetime | None
    severity: Severity
    now: bool


class RoutedPspView(Told):
    """A configured PSP; `health` has a row for each method, and none while nothing is known."""

    psp: str
    methods: list[PaymentMethod]
    health: list[MethodHealthView]


class PolicyView(Told):
    """When breakers move and what rates are worth; times in seconds."""

    window: int
    minimum: int
    open_at_percent: int
    pause: int
    closing_successes: int
    probe_percent: int
    rate_window: int
    rate_minimum: int
    trailing_points: int


class RoutingView(Told):
    """How payments are routed now. `health_known` is false while its store is away."""

    rules: list[RuleView]
    otherwise: str
    policy: PolicyView
    health_known: bool
    psps: list[RoutedPspView]
    downtimes: list[DowntimeView]


class SuccessView(Told):
    """Attempts of one kind. `success_percent` is of those approved, declined, failed or unknown."""

    psp: str | None = None
    method: PaymentMethod | None = None
    bank: str | None = None
    attempts: int
    outcomes: dict[Outcome, int]
    success_percent: float | None


class SuccessesView(Told):
    """Authorisation success, rolled up and in detail; bank '' is not known."""

    by_psp: list[SuccessView]
    by_method: list[SuccessView]
    by_bank: list[SuccessView]
    in_detail: list[SuccessView]


class FailoverView(Told):
    """Payments that went on to another PSP, and the sold orders that were paid there."""

    payments: int
    failed_over: int
    failed_over_percent: float | None
    saved_orders: int
    saved_paise: Paise


class RefundBacklogView(Told):
    """Refunds of one state that are not paid out, by age."""

    state: RefundState
    refunds: int
    paise: Paise
    oldest_seconds: int
    under_an_hour: int
    under_a_day: int
    under_a_week: int
    older: int


class UnknownAttemptView(Told):
    """An attempt of which nobody knows yet whether money moved."""

    attempt_id: str
    order_id: str
    psp: str
    state: PaymentState
    amount_paise: Paise
    since: datetime
    age_seconds: int


class UnknownsView(Told):
    """All that are open, and the oldest hundred of them."""

    open: int
    oldest_seconds: int | None
    oldest: list[UnknownAttemptView]


class LateCapturesView(Told):
    """Money that came for attempts that were over, and what of it went back."""

    attempts: int
    paise: Paise
    returned_attempts: int
    returned_paise: Paise


class SummaryView(Told):
    """Payments opened in a range of time; refunds and unknown outcomes as they are now."""

    since: datetime
    until: datetime
    success: SuccessesView
    failover: FailoverView
    late_captures: LateCapturesView
    refund_backlog: list[RefundBacklogView]
    unknown: UnknownsView


class AttemptView(Told):
    """One PSP asked once, and `reason`: why this one."""

    attempt_id: str
    seq: int
    psp: str
    bank: str | None
    state: PaymentState
    reason: str | None
    amount_paise: Paise
    captured_paise: Paise
    refunded_paise: Paise
    charged_back_paise: Paise
    psp_ref: str | None
    failure_class: FailureClass | None
    failure_code: str | None
    created_at: datetime
    updated_at: datetime


class PaidBackView(Told):
    """A refund, paid or on its way."""

    refund_id: str
    attempt_id: str
    amount_paise: Paise
    state: RefundState
    kind: RefundKind
    reason: str
    requested_by: str | None
    psp_refund_ref: str | None
    created_at: datetime
    updated_at: datetime


class LedgerLineView(Told):
    """One side of a movement: a debit is positive."""

    txn_key: str
    account: str
    amount_paise: Paise
    currency: str
    kind: LedgerKind
    attempt_id: str | None
    at: datetime


class DisputeView(Told):
    """What a customer's bank was asked, and decided."""

    psp: str
    psp_dispute_ref: str
    attempt_id: str
    amount_paise: Paise
    state: DisputeState
    reason: str | None
    opened_at: datetime
    closed_at: datetime | None


class PaymentFileView(Told):
    """Everything about one order's payment."""

    order_id: str
    payment_id: str
    method: PaymentMethod
    state: PaymentState
    amount_paise: Paise
    currency: str
    created_at: datetime
    updated_at: datetime
    attempts: list[AttemptView]
    refunds: list[PaidBackView]
    disputes: list[DisputeView]
    ledger: list[LedgerLineView]


class CashLimitsView(Told):
    """Limits of cash on delivery, in paise; where no prefix fits the usual one holds."""

    usual_paise: Paise
    by_prefix: dict[str, Paise]


class CashLimitBody(Asked):
    """A limit for all PIN codes that begin with `prefix`; '' is everywhere else."""

    prefix: Annotated[str, StringConstraints(pattern=r"^([1-9][0-9]{0,5})?$")]
    max_paise: Annotated[int, Field(ge=0, lt=10**12)]
