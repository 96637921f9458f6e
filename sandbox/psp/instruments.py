"""Magic instruments: what each test card or UPI address makes happen, as data."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What becomes of an authorisation."""

    APPROVE = "approve"
    ACTION = "action"  # the customer must approve
    AUTO = "auto"  # the customer approves by itself, soon
    PENDING = "pending"  # the bank takes its time, then approves
    DECLINE_SOFT = "decline_soft"
    DECLINE_HARD = "decline_hard"
    DECLINE_FRAUD = "decline_fraud"
    DECLINE_AUTH = "decline_auth"
    DECLINE_UPI = "decline_upi"  # the customer declines by itself, soon
    TECHNICAL = "technical"  # the bank does not answer; some PSPs authorise such a payment later


@dataclass(frozen=True, slots=True)
class Instrument:
    """What an instrument leads to, and the fault that its first authorisation meets."""

    outcome: Outcome
    fault: str | None = None
    every_call: bool = False


INSTRUMENTS: dict[str, Instrument] = {
    "tok_ok": Instrument(Outcome.APPROVE),
    "tok_3ds": Instrument(Outcome.ACTION),
    "tok_pending": Instrument(Outcome.PENDING),
    "tok_declined_funds": Instrument(Outcome.DECLINE_SOFT),
    "tok_declined_lost": Instrument(Outcome.DECLINE_HARD),
    "tok_fraud": Instrument(Outcome.DECLINE_FRAUD),
    "tok_auth_required": Instrument(Outcome.DECLINE_AUTH),
    "tok_technical": Instrument(Outcome.TECHNICAL),
    "tok_gateway_down": Instrument(Outcome.APPROVE, "gateway_down", every_call=True),
    "tok_timeout_before": Instrument(Outcome.APPROVE, "timeout_before"),
    "tok_timeout_after": Instrument(Outcome.APPROVE, "timeout_after"),
    "tok_slow": Instrument(Outcome.APPROVE, "slow"),
    "success@upi": Instrument(Outcome.ACTION),
    "auto@upi": Instrument(Outcome.AUTO),
    "declined@upi": Instrument(Outcome.DECLINE_UPI),
    "ignored@upi": Instrument(Outcome.ACTION),
}

METHODS = ("upi_intent", "upi_qr", "card", "netbanking", "wallet")
UPI_METHODS = frozenset({"upi_intent", "upi_qr"})


def challenged(outcome: Outcome) -> Outcome:
    """What a step-up makes of an outcome: the customer proves themselves before approval."""
    return Outcome.ACTION if outcome in (Outcome.APPROVE, Outcome.DECLINE_AUTH) else outcome
