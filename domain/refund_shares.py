"""What goes back for each piece of an order: its exact share of what was paid.

The payment is divided once, over lines and then pieces, and a return takes the next pieces of its
line. So any series of returns, in any order, refunds each piece once, and all pieces together are
the payment, to the paisa; the same holds for the taxable value and each head of tax.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from domain.errors import DomainError
from domain.gst import TaxedAmount
from domain.money import Money, total
from domain.pricing import PriceBreakdown
from domain.returns import Fault

SHIPPING = -1  # the line number of the delivery fee


class RefundShareError(DomainError):
    """Amounts that do not add up, or pieces that were not sold or came back before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Money that goes back: `refund = taxable + cgst + sgst + igst + round_off`.

    `refund` is the customer's and never negative; the rest are the amounts of the credit note,
    where `round_off` is the part of the order's rounding to the rupee.
    """

    refund: Money
    taxable: Money
    cgst: Money
    sgst: Money
    igst: Money
    round_off: Money

    def __add__(self, other: Share) -> Share:
        return Share(
            refund=self.refund + other.refund,
            taxable=self.taxable + other.taxable,
            cgst=self.cgst + other.cgst,
            sgst=self.sgst + other.sgst,
            igst=self.igst + other.igst,
            round_off=self.round_off + other.round_off,
        )


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line as it was invoiced: pieces, and what is paid for all of them with its taxes."""

    qty: int
    taxed: TaxedAmount


@dataclass(frozen=True, slots=True)
class ShippingRule:
    """When the delivery fee goes back: for such faults, and only with the last piece or not."""

    faults: frozenset[Fault]
    only_with_all: bool


SHIPPING_RULE = ShippingRule(faults=frozenset({Fault.OURS}), only_with_all=True)


@dataclass(frozen=True, slots=True)
class Back:
    """Pieces of a line (by its position) that come back, and whose fault it is."""

    line: int
    qty: int
    fault: Fault


@dataclass(frozen=True, slots=True)
class LineShare:
    """What goes back for some pieces of a line; the line SHIPPING is the delivery fee."""

    line: int
    qty: int
    share: Share


@dataclass(frozen=True, slots=True)
class PaidShares:
    """A payment divided: a share for each piece of each line, and one for the delivery fee."""

    pieces: tuple[tuple[Share, ...], ...]
    shipping: Share

    @property
    def paid(self) -> Money:
        """The payment."""
        currency = self.shipping.refund.currency
        goods = total((piece.refund for line in self.pieces for piece in line), currency)
        return goods + self.shipping.refund

    def refund(
        self, asked: Sequence[Back], before: Iterable[Back] = (), rule: ShippingRule = SHIPPING_RULE
    ) -> tuple[LineShare, ...]:
        """What goes back for `asked`, after all of `before` came back; lines in their order.

        The fee comes last, once the rule grants it. Raises RefundShareError UNKNOWN_LINE,
        QUANTITY_OUT_OF_RANGE or MORE_THAN_SOLD.
        """
        earlier = tuple(before)
        taken = self._count(earlier)
        wanted = self._count(asked)
        shares = []
        for line, qty in sorted(wanted.items()):
            first = taken[line]
            self._check_left(line, first + qty)
            shares.append(LineShare(line, qty, _sum(self.pieces[line][first : first + qty])))
        if self._grants_fee((*earlier, *asked), rule) and not self._grants_fee(earlier, rule):
            shares.append(LineShare(SHIPPING, 1, self.shipping))
        return tuple(shares)

    def _grants_fee(self, all_back: Sequence[Back], rule: ShippingRule) -> bool:
        fee = self.shipping
        if (fee.refund.is_zero and fee.round_off.is_zero) or not all_back:
            return False
        if any(back.fault not in rule.faults for back in all_back):
            return False
        count = self._count(all_back)
        whole = all(count[line] == len(pieces) for line, pieces in enumerate(self.pieces))
        return whole or not rule.only_with_all

    def _count(self, backs: Iterable[Back]) -> Counter[int]:
        count: Counter[int] = Counter()
        for back in backs:
            if not 0 <= back.line < len(self.pieces):
                raise RefundShareError(
                    "UNKNOWN_LINE", f"line {back.line}: the order has {len(self.pieces)} lines"
                )
            if back.qty < 1:
                raise RefundShareError(
                    "QUANTITY_OUT_OF_RANGE",
                    f"{back.qty} pieces of line {back.line}: a quantity is at least 1",
                )
            count[back.line] += back.qty
        return count

    def _check_left(self, line: int, after: int) -> None:
        sold = len(self.pieces[line])
        if after > sold:
            raise RefundShareError(
                "MORE_THAN_SOLD",
                f"{after} pieces of line {line} would have come back, and {sold} were sold",
            )


def divide_payment(lines: Sequence[SoldLine], shipping: TaxedAmount, payment: Money) -> PaidShares:
    """Divide what was paid for an order over its pieces and the delivery fee.

    The rounding to the rupee goes to lines and fee in proportion to what they cost. Raises
    RefundShareError EMPTY_ORDER, QUANTITY_OUT_OF_RANGE or PAYMENT_NOT_THE_ORDERS (the payment is
    not that of these lines, rounded to the rupee).
    """
    if not lines:
        raise RefundShareError("EMPTY_ORDER", "the order has no lines: nothing to divide")
    amounts = [line.taxed.inclusive for line in lines] + [shipping.inclusive]
    exact = total(amounts, payment.currency)
    if payment != exact.rounded_to_rupee():
        raise RefundShareError(
            "PAYMENT_NOT_THE_ORDERS",
            f"{payment} was paid, and lines and delivery come to {exact.rounded_to_rupee()}",
        )
    # an order that a coupon pays for wholly has nothing to divide
    shares = amounts if exact.is_zero else payment.allocate([amount.paise for amount in amounts])
    *goods, fee = shares
    pieces = tuple(
        _pieces(line.taxed, line.qty, share) for line, share in zip(lines, goods, strict=True)
    )
    return PaidShares(pieces, _pieces(shipping, 1, fee)[0])


def shares_of(breakdown: PriceBreakdown) -> PaidShares:
    """The shares of an order from its price breakdown."""
    lines = [SoldLine(priced.line.qty, priced.taxed) for priced in breakdown.lines]
    return divide_payment(lines, breakdown.shipping, breakdown.total)


def shares_of_record(record: Mapping[str, Any]) -> PaidShares:
    """The same from a stored breakdown (`PriceBreakdown.to_json`); KeyError if it lacks any."""
    currency = record["currency"]
    lines = [
        SoldLine(line["qty"], _taxed(line, line["total_paise"], currency))
        for line in record["lines"]
    ]
    shipping = _taxed(record["shipping_tax"], record["shipping_paise"], currency)
    return divide_payment(lines, shipping, Money(record["total_paise"], currency))


def _taxed(part: Mapping[str, int], inclusive: int, currency: str) -> TaxedAmount:
    return TaxedAmount(
        inclusive=Money(inclusive, currency),
        taxable=Money(part["taxable_paise"], currency),
        cgst=Money(part["cgst_paise"], currency),
        sgst=Money(part["sgst_paise"], currency),
        igst=Money(part["igst_paise"], currency),
        rate_bp=part["gst_rate_bp"],
    )


def _pieces(taxed: TaxedAmount, qty: int, paid: Money) -> tuple[Share, ...]:
    """A share for each piece, whose sums are exactly `paid` and each amount of `taxed`."""
    if qty < 1:
        raise RefundShareError(
            "QUANTITY_OUT_OF_RANGE", f"a line of {qty} pieces: a quantity is at least 1"
        )
    refunds, invoiced = _steps(paid, qty), _steps(taxed.inclusive, qty)
    shares, taxable_left, tax_left = [], taxed.taxable, taxed.tax
    for refund, amount in zip(refunds, invoiced, strict=True):
        # a share of what is left is never more than is left, and the last is all of it
        taxable, tax = _shared(amount, (taxable_left, tax_left))
        before = _heads(taxed, taxed.tax - tax_left)
        taxable_left, tax_left = taxable_left - taxable, tax_left - tax
        after = _heads(taxed, taxed.tax - tax_left)
        igst, sgst, cgst = (now - then for now, then in zip(after, before, strict=True))
        shares.append(
            Share(
                refund=refund,
                taxable=taxable,
                cgst=cgst,
                sgst=sgst,
                igst=igst,
                round_off=refund - amount,
            )
        )
    return tuple(shares)


def _steps(amount: Money, qty: int) -> list[Money]:
    """`amount` in `qty` steps, such that the first k are k/qty of it to the nearest paisa."""
    reached = [amount.allocate((k, qty - k))[0] for k in range(qty + 1)]
    return [after - before for before, after in pairwise(reached)]


def _heads(taxed: TaxedAmount, tax: Money) -> tuple[Money, ...]:
    """So much of the tax as IGST, SGST and CGST; an odd paisa is SGST, as on the invoice."""
    return _shared(tax, (taxed.igst, taxed.sgst, taxed.cgst))


def _shared(amount: Money, weights: Sequence[Money]) -> tuple[Money, ...]:
    """`amount` in proportion; nothing is shared without weights."""
    if amount.is_zero:
        return tuple(amount for _ in weights)
    return amount.allocate([weight.paise for weight in weights])


def _sum(shares: Sequence[Share]) -> Share:
    first, *others = shares
    for other in others:
        first += other
    return first
