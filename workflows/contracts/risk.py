"""Scoring the risk of an order."""

from datetime import timedelta

from domain.payments import PaymentMethod
from domain.risk import RiskDecision
from saga import activity_ref
from workflows.contracts.base import Contract


class ScoreRisk(Contract):
    """Whose order it is, from where, for how much (paise) and how it will be paid."""

    order_id: str
    user_id: str
    device_id: str
    pincode: str
    amount_paise: int
    method: PaymentMethod


class RiskScored(Contract):
    """The decision with its reasons, in words for an agent."""

    decision: RiskDecision
    score: int
    reasons: list[str]


SCORE = activity_ref(
    "risk.score",
    ScoreRisk,
    RiskScored,
    local=True,
    start_to_close=timedelta(seconds=3),
    schedule_to_close=timedelta(seconds=60),
)
