"""What the rules refuse.

DomainError(code, message)
├── InvalidMoney          an amount, currency, weight or rate that money arithmetic cannot take
├── CurrencyMismatch      two currencies in one sum or comparison
├── IllegalTransition     a state that may not follow the present one
├── InvalidPincode        not an Indian PIN code, or one of no known sub-region
├── PricingError          an order that cannot be priced as asked
├── SourcingError         an order that cannot be sourced as asked
├── BadSettlementLine     a settlement line that contradicts itself (in domain.settlements)
├── BadSettlementFile     a file that is no settlement report (in domain.settlement_file)
├── ShippingError         what the rules of shipping cannot take (in domain.shipping)
├── ReturnRefused         a return that the terms do not allow (in domain.returns)
├── RefundShareError      pieces or amounts that were never sold (in domain.refund_shares)
├── SecondPersonNeeded    one person cannot write off what they asked for (in domain.cases)
└── WebhookError          a webhook that is not signed, or cannot be read (in domain.webhooks)
"""

from __future__ import annotations


class DomainError(ValueError):
    """A refusal with a stable `code` for machines and a sentence for people."""

    # Exception.__new__ keeps the constructor's own arguments as `args`, so every
    # subclass survives pickling; calling super().__init__ would overwrite them.
    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class InvalidMoney(DomainError):
    """An amount, currency, weight or rate that money arithmetic cannot take."""

    def __init__(self, message: str) -> None:
        super().__init__("INVALID_MONEY", message)


class CurrencyMismatch(DomainError):
    """Two currencies met in one sum or comparison."""

    def __init__(self, left: str, right: str) -> None:
        super().__init__(
            "CURRENCY_MISMATCH",
            f"{left} and {right} cannot be combined: convert one of them first",
        )


class IllegalTransition(DomainError):
    """A state that may not follow the present one; `old` and `new` are the states' values."""

    def __init__(self, kind: str, old: str, new: str, allowed: tuple[str, ...]) -> None:
        follows = ", ".join(allowed) if allowed else "nothing, it is final"
        super().__init__(
            "ILLEGAL_TRANSITION",
            f"{kind} cannot go from {old} to {new}: what may follow {old} is {follows}",
        )
        self.old = old
        self.new = new


class InvalidPincode(DomainError):
    """Not an Indian PIN code, or one of no known sub-region."""

    def __init__(self, message: str) -> None:
        super().__init__("INVALID_PINCODE", message)


class PricingError(DomainError):
    """An order that cannot be priced as asked."""


class SourcingError(DomainError):
    """An order that cannot be sourced as asked."""
