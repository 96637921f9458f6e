"""What a carrier remits of the cash from the door: its lines are the settlement, and book it."""

from collections.abc import Iterable
from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncSession

from activities.payments import cash
from activities.payments.books import move_payment
from activities.payments.cash import CashNotDue
from db.repositories import payments
from domain.payments import PaymentState
from domain.reconciliation import Finding
from domain.settlements import CARRIER, LineKind, SettlementLine


async def collected(session: AsyncSession, provider: str, lines: Iterable[SettlementLine]) -> None:
    """What a carrier remits it has collected, though nobody told us; `merchant_ref` is the order.

    Cash that was not due, or another amount, is left for the comparison to find.
    """
    for line in lines:
        if line.kind is LineKind.PAYMENT and not line.on_hold:
            with suppress(CashNotDue):
                carrier = provider.removeprefix(CARRIER)
                await cash.collected(session, line.merchant_ref, carrier, line.gross.paise)


async def remitted(session: AsyncSession, findings: Iterable[Finding]) -> None:
    """Bring the payments whose cash has reached our bank to their end."""
    for finding in findings:
        if not finding.lines or not finding.movements or finding.facts.unsettled:
            continue
        for one in finding.movements:
            payment = await payments.of_order(session, one.merchant_ref)
            if payment is not None:
                await move_payment(session, payment.id, PaymentState.COD_REMITTED)
