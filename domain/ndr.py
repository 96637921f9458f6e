"""A delivery attempt that failed (NDR): why, what the customer may choose, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType

from domain.shipping import ShippingError

MAX_ATTEMPTS = 3
MAX_DEFERRAL = timedelta(days=6)
SUNDAY = 6


class NdrReason(StrEnum):
    """Why a parcel was not handed over."""

    CUSTOMER_ABSENT = "CUSTOMER_ABSENT"
    PHONE_UNREACHABLE = "PHONE_UNREACHABLE"
    ADDRESS_INCOMPLETE = "ADDRESS_INCOMPLETE"
    CUSTOMER_MOVED = "CUSTOMER_MOVED"
    OTHER_DAY_ASKED = "OTHER_DAY_ASKED"
    CASH_NOT_READY = "CASH_NOT_READY"
    OTP_NOT_GIVEN = "OTP_NOT_GIVEN"
    ENTRY_REFUSED = "ENTRY_REFUSED"
    REFUSED = "REFUSED"
    OUT_OF_AREA = "OUT_OF_AREA"
    NOT_TRIED = "NOT_TRIED"
    OTHER = "OTHER"


class NdrChoice(StrEnum):
    """What a customer may answer."""

    OTHER_DAY = "OTHER_DAY"
    CORRECTED_ADDRESS = "CORRECTED_ADDRESS"
    CANCEL = "CANCEL"


class NextStep(StrEnum):
    """What follows a failed attempt: ask the customer, try again, or send it back (RTO)."""

    ASK = "ASK"
    REATTEMPT = "REATTEMPT"
    RTO = "RTO"


@dataclass(frozen=True, slots=True)
class NdrRule:
    """What may be offered after a failure, and what follows when nobody answers in time."""

    offers: frozenset[NdrChoice]
    unanswered: NextStep


_DAY, _ADDRESS, _CANCEL = NdrChoice.OTHER_DAY, NdrChoice.CORRECTED_ADDRESS, NdrChoice.CANCEL
_ALL = NdrRule(frozenset(NdrChoice), NextStep.REATTEMPT)
_TIMING = NdrRule(frozenset({_DAY, _CANCEL}), NextStep.REATTEMPT)
_R = NdrReason

RULES: Mapping[NdrReason, NdrRule] = MappingProxyType(
    {
        _R.CUSTOMER_ABSENT: _ALL,
        _R.PHONE_UNREACHABLE: _ALL,
        # the same address would fail again, so silence sends the parcel back
        _R.ADDRESS_INCOMPLETE: NdrRule(frozenset({_ADDRESS, _CANCEL}), NextStep.RTO),
        _R.CUSTOMER_MOVED: NdrRule(frozenset({_ADDRESS, _CANCEL}), NextStep.RTO),
        _R.OUT_OF_AREA: NdrRule(frozenset({_ADDRESS, _CANCEL}), NextStep.RTO),
        _R.OTHER_DAY_ASKED: _TIMING,
        _R.CASH_NOT_READY: _TIMING,
        _R.OTP_NOT_GIVEN: _TIMING,
        _R.ENTRY_REFUSED: _ALL,
        # a courier's word alone: the customer may say that it was not so
        _R.REFUSED: NdrRule(frozenset({_DAY, _CANCEL}), NextStep.RTO),
        _R.NOT_TRIED: _TIMING,
        _R.OTHER: _ALL,
    }
)

# words that carriers write, casefolded; the first found decides, so the telling ones come first
WORDS: tuple[tuple[str, NdrReason], ...] = (
    ("otp", _R.OTP_NOT_GIVEN),
    ("cash", _R.CASH_NOT_READY),
    ("cod not", _R.CASH_NOT_READY),
    ("amount not", _R.CASH_NOT_READY),
    ("entry", _R.ENTRY_REFUSED),
    ("restricted", _R.ENTRY_REFUSED),
    ("refus", _R.REFUSED),
    ("reject", _R.REFUSED),
    ("shifted", _R.CUSTOMER_MOVED),
    ("moved", _R.CUSTOMER_MOVED),
    ("out of delivery area", _R.OUT_OF_AREA),
    ("not serviceable", _R.OUT_OF_AREA),
    ("address", _R.ADDRESS_INCOMPLETE),
    ("landmark", _R.ADDRESS_INCOMPLETE),
    ("not attempted", _R.NOT_TRIED),
    ("vehicle", _R.NOT_TRIED),
    ("weather", _R.NOT_TRIED),
    ("reschedul", _R.OTHER_DAY_ASKED),
    ("future", _R.OTHER_DAY_ASKED),
    ("later", _R.OTHER_DAY_ASKED),
    ("defer", _R.OTHER_DAY_ASKED),
    ("not reachable", _R.PHONE_UNREACHABLE),
    ("unreachable", _R.PHONE_UNREACHABLE),
    ("not contactable", _R.PHONE_UNREACHABLE),
    ("phone", _R.PHONE_UNREACHABLE),
    ("not available", _R.CUSTOMER_ABSENT),
    ("unavailable", _R.CUSTOMER_ABSENT),
    ("absent", _R.CUSTOMER_ABSENT),
    ("closed", _R.CUSTOMER_ABSENT),
    ("locked", _R.CUSTOMER_ABSENT),
)


def reason_of(text: str) -> NdrReason:
    """The reason behind a carrier's words, or behind our own name of it; OTHER where unknown."""
    if text in NdrReason.__members__:
        return NdrReason(text)
    said = text.casefold()
    return next((reason for word, reason in WORDS if word in said), NdrReason.OTHER)


@dataclass(frozen=True, slots=True, kw_only=True)
class NdrDecision:
    """What follows a failed attempt, and why in words.

    `offers` are the choices to ask for with ASK; `on` is the day of a REATTEMPT (None: the next
    that the carrier has); `correct_address` says that the new address has to be sent with it.
    """

    step: NextStep
    why: str
    offers: frozenset[NdrChoice] = frozenset()
    on: date | None = None
    correct_address: bool = False


def days_to_choose(failed_on: date) -> tuple[date, ...]:
    """The Indian days on which another attempt may be asked for, the first one first."""
    days = (failed_on + timedelta(days=n) for n in range(1, MAX_DEFERRAL.days + 1))
    return tuple(day for day in days if day.weekday() != SUNDAY)


def next_after_ndr(
    reason: NdrReason,
    attempts: int,
    *,
    failed_on: date,
    choice: NdrChoice | None = None,
    other_day: date | None = None,
    answer_overdue: bool = False,
) -> NdrDecision:
    """What follows the failed attempt number `attempts` (1, 2, …) of an Indian day.

    Without a choice the customer is asked; once the answer is overdue the rule of the reason
    decides. Raises ShippingError CHOICE_NOT_OFFERED or DAY_NOT_POSSIBLE, naming what is possible.
    """
    if attempts >= MAX_ATTEMPTS:
        return _decision(NextStep.RTO, f"attempt {attempts} of {MAX_ATTEMPTS} failed ({reason})")
    rule = RULES[reason]
    if choice is None:
        if not answer_overdue:
            return _decision(NextStep.ASK, f"attempt {attempts} failed ({reason})", rule.offers)
        return _decision(rule.unanswered, f"nobody answered after {reason}")
    if choice not in rule.offers:
        offered = ", ".join(sorted(rule.offers))
        raise ShippingError(
            "CHOICE_NOT_OFFERED", f"{choice} is not offered after {reason}: choose {offered}"
        )
    if choice is NdrChoice.CANCEL:
        return _decision(NextStep.RTO, "the customer does not want it any more")
    if choice is NdrChoice.CORRECTED_ADDRESS:
        why = "the customer corrected the address"
        return NdrDecision(step=NextStep.REATTEMPT, why=why, correct_address=True)
    on = _possible_day(other_day, failed_on)
    return NdrDecision(step=NextStep.REATTEMPT, why=f"the customer asked for {on}", on=on)


def _decision(step: NextStep, why: str, offers: frozenset[NdrChoice] = frozenset()) -> NdrDecision:
    return NdrDecision(step=step, why=why, offers=offers)


def _possible_day(day: date | None, failed_on: date) -> date:
    possible = days_to_choose(failed_on)
    if day is None or day not in possible:
        raise ShippingError(
            "DAY_NOT_POSSIBLE",
            f"{day or 'no day'} cannot be chosen: take a day from {possible[0]} to "
            f"{possible[-1]} that is no Sunday",
        )
    return day
