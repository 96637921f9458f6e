"""Cash on delivery at the door: what was due is with the carrier.

Its remittance to us is a settlement, and booked as one (activities/reconciliation).
"""

from sqlalchemy.ext.asyncio import AsyncSession

from activities.payments.books import move_payment, moved
from db.repositories import ledger, payments
from db.repositories.ledger import COD_DUE, carrier_account
from db.vocabulary import LedgerKind
from domain.errors import DomainError
from domain.payments import PaymentState


class CashNotDue(DomainError):
    """Cash was told of for an order that owes none, or of another amount than it owes."""

    def __init__(self, order_id: str, message: str) -> None:
        super().__init__("CASH_NOT_DUE", message)
        self.order_id = order_id


async def collected(session: AsyncSession, order_id: str, carrier: str, paise: int) -> bool:
    """Book that a carrier has an order's cash; False when that was booked before.

    Raises CashNotDue.
    """
    payment = await payments.of_order(session, order_id)
    if payment is None or payment.state not in (
        PaymentState.COD_DUE,
        PaymentState.COD_COLLECTED,
        PaymentState.COD_REMITTED,
    ):
        raise CashNotDue(order_id, f"order {order_id} owes no cash")
    if paise != payment.amount_paise:
        raise CashNotDue(
            order_id, f"{paise} paise were collected, and {payment.amount_paise} are due"
        )
    posted = await ledger.post(
        session,
        f"cod-collected:{order_id}",
        moved(carrier_account(carrier), COD_DUE, paise),
        kind=LedgerKind.COD_COLLECTED,
        order_id=order_id,
        payment_id=payment.id,
    )
    await move_payment(session, payment.id, PaymentState.COD_COLLECTED)
    return posted
