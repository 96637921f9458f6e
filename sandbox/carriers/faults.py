"""Faults of carriers: the kinds and shares of the PSPs', for a carrier's own operations."""

from typing import Final

from sandbox.psp.books import Books
from sandbox.psp.faults import LEFT_ALONE_EVERY, NO_FAULT, BadFaults, Faults, Rule, chance
from sandbox.psp.profiles import CAPTURE, EDGE_FAULTS, FIND, PROFILES, WEBHOOK, WEBHOOK_FAULTS

BOOK, ASSIGN, PICKUP, CANCEL, NDR = "book", "assign", "pickup", "cancel", "ndr"
LOOK_UP, TRACK, SERVICEABLE, RESERVE, ACTION = "find", "track", "serviceable", "reserve", "action"
STALE = "stale_listing"
WRITES: Final = (BOOK, ASSIGN, PICKUP, CANCEL, NDR, RESERVE)
READS: Final = (LOOK_UP, TRACK, SERVICEABLE, ACTION)
OPERATIONS: Final = (*WRITES, *READS, WEBHOOK)
# Whose share of faults an operation has: a write is like a capture, a read like a look-up.
LIKE: Final = {
    **dict.fromkeys(WRITES, CAPTURE),
    **dict.fromkeys(READS, FIND),
    WEBHOOK: WEBHOOK,
}


def _allowed_for(operation: str) -> frozenset[str]:
    if operation == WEBHOOK:
        return WEBHOOK_FAULTS
    return EDGE_FAULTS if operation == LOOK_UP else EDGE_FAULTS - {STALE}


class CarrierFaults(Faults):
    """As the PSPs' faults; a rule's `merchant_ref` is the shipment's reference."""

    def __init__(self, books: Books) -> None:
        super().__init__(books, EDGE_FAULTS | WEBHOOK_FAULTS)

    def _by_profile(self, operation: str, merchant_ref: str, n: int) -> str:
        if n % LEFT_ALONE_EVERY == 0:
            return NO_FAULT
        drawn = chance(self.settings.seed, operation, merchant_ref, n) * 1000
        for like, fault, per_thousand in PROFILES[self.settings.profile]:
            if like != LIKE[operation]:
                continue
            drawn -= per_thousand
            if drawn < 0:
                return fault if fault in _allowed_for(operation) else NO_FAULT
        return NO_FAULT

    def _rule(self, wanted: object) -> Rule:
        if not isinstance(wanted, dict):
            raise BadFaults(f"a rule is an object, not {wanted!r}")
        try:
            rule = Rule(**wanted)
        except TypeError as error:
            raise BadFaults(
                f"rule {wanted!r}: a rule has operation, fault, times, merchant_ref"
            ) from error
        if rule.operation not in OPERATIONS:
            raise BadFaults(f"no operation {rule.operation!r}; there are {', '.join(OPERATIONS)}")
        allowed = sorted(_allowed_for(rule.operation))
        if rule.fault not in allowed:
            raise BadFaults(
                f"no fault {rule.fault!r} for {rule.operation}; there are {', '.join(allowed)}"
            )
        if type(rule.times) is not int or rule.times < 1:
            raise BadFaults(f"times must be a whole number from 1 up, not {rule.times!r}")
        return rule
