"""Payments at alphapay that our books know, and settlement lines about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from activities.reconciliation.compare import Compared, compare
from db.ids import new_ulid
from db.repositories import cases as cases_
from db.repositories import ledger, payments, refunds, settlements
from db.repositories.cases import CaseFilter, CaseRecord
from db.repositories.ledger import LedgerLine, order_account, psp_account
from db.repositories.payments import AttemptChange, NewAttempt, NewPayment
from db.repositories.refunds import NewRefund
from db.repositories.settlements import Stored
from db.session import Database
from db.vocabulary import LedgerKind
from domain.money import Money
from domain.payments import PaymentMethod, PaymentState
from domain.refunds import RefundState
from domain.settlements import LineKind, SettlementLine, business_day
from tests.integration.db import shop

PSP = "alphapay"
PRICE = shop.PRICES[shop.SHIRT]
# alphapay's contract for cards: 2 %, and GST on that
FEE, TAX = 11_98, 2_16
NET = PRICE - FEE - TAX
TODAY = business_day(datetime.now(UTC))
# when nothing of today's may still be pending
LATER = TODAY + timedelta(days=4)
# what stands in the ledger once one payment is settled as agreed
SETTLED = {f"bank:{PSP}": NET, f"fee:{PSP}": FEE, f"tax:{PSP}": TAX}


@dataclass(frozen=True, slots=True)
class Paid:
    """A captured payment of one order."""

    order_id: str
    payment_id: str

    @property
    def attempt_id(self) -> str:
        return f"{self.order_id}-1"

    @property
    def ref(self) -> str:
        return f"pay_{self.order_id}"

    @property
    def key(self) -> str:
        """Its capture in the ledger."""
        return f"capture:{self.attempt_id}"

    def line(self, line_id: str = "", **changes: Any) -> SettlementLine:
        """The line that settles it, as agreed; amounts in paise."""
        return line(
            line_id or f"sl_{self.order_id}",
            **{"payment_ref": self.ref, "merchant_ref": self.attempt_id, **changes},
        )


def line(
    line_id: str,
    *,
    gross: int = PRICE,
    fee: int = FEE,
    tax: int = TAX,
    kind: LineKind = LineKind.PAYMENT,
    currency: str = "INR",
    settled_on: date = TODAY,
    provider: str = PSP,
    **also: Any,
) -> SettlementLine:
    return SettlementLine(
        provider=provider,
        line_id=line_id,
        kind=kind,
        gross=Money(gross, currency),
        fee=Money(fee, currency),
        tax=Money(tax, currency),
        net=Money(gross - fee - tax, currency),
        occurred_at=datetime(2026, 5, 4, tzinfo=UTC),
        settled_on=settled_on,
        **also,
    )


async def paid(db: Database, *, psp: str = PSP) -> Paid:
    """An order by card, captured."""
    order_id = await shop.placed(db)
    made = Paid(order_id, new_ulid())
    async with db.unit_of_work() as session:
        await payments.open_payment(
            session,
            NewPayment(
                id=made.payment_id, order_id=order_id, method=PaymentMethod.CARD,
                amount_paise=PRICE,
            ),
        )  # fmt: skip
        await payments.add_attempt(
            session,
            NewAttempt(
                id=made.attempt_id, payment_id=made.payment_id, order_id=order_id, seq=1, psp=psp,
                amount_paise=PRICE, merchant_ref=made.attempt_id,
            ),
        )  # fmt: skip
        await payments.change_attempt(
            session,
            made.attempt_id,
            AttemptChange(state=PaymentState.CAPTURED, psp_ref=made.ref, captured_paise=PRICE),
        )
        await _post(session, made, psp, made.key, PRICE, LedgerKind.CAPTURE)
    return made


async def refunded(db: Database, made: Paid, key: str, paise: int, ref: str | None = None) -> None:
    """Give some of it back, by the ledger and the refunds' table."""
    async with db.unit_of_work() as session:
        await refunds.add(
            session,
            NewRefund(
                id=new_ulid(), refund_key=key, attempt_id=made.attempt_id,
                order_id=made.order_id, amount_paise=paise, reason="asked",
            ),
        )  # fmt: skip
        await refunds.settle(session, key, RefundState.DONE, psp_refund_ref=ref)
        await _post(session, made, PSP, f"refund:{key}", -paise, LedgerKind.REFUND)


async def _post(session: Any, made: Paid, psp: str, key: str, paise: int, kind: LedgerKind) -> None:
    await ledger.post(
        session,
        key,
        (LedgerLine(psp_account(psp), paise), LedgerLine(order_account(made.order_id), -paise)),
        kind=kind,
        order_id=made.order_id,
        payment_id=made.payment_id,
        attempt_id=made.attempt_id,
    )


async def stored(db: Database, *lines: SettlementLine, provider: str = PSP) -> Stored:
    async with db.unit_of_work() as session:
        return await settlements.store(session, provider, lines)


async def compared(db: Database, day: date = TODAY, provider: str = PSP) -> Compared:
    async with db.unit_of_work() as session:
        return await compare(session, provider, day)


async def balances(db: Database) -> dict[str, int]:
    """Every account but those of orders, in paise."""
    told = "SELECT account, sum(amount_paise)::bigint FROM ledger_entries GROUP BY account"
    return {
        account: paise
        for account, paise in await shop.rows(db, told)
        if not account.startswith("order:") and paise
    }


async def cases(db: Database) -> dict[str, tuple[str, str, int]]:
    """By subject: outcome, state and difference in paise."""
    told = "SELECT subject, outcome, state, difference_paise FROM reconciliation_cases"
    return {subject: tuple(rest) for subject, *rest in await shop.rows(db, told)}  # type: ignore[misc]


async def story(db: Database, subject: str) -> list[tuple[str, str]]:
    """What happened to the case of a subject: who, and what kind of event."""
    told = """SELECT actor, event.kind FROM reconciliation_case_events AS event
              JOIN reconciliation_cases AS known ON known.id = event.case_id
              WHERE known.subject = :subject ORDER BY event.id"""
    return [(actor, kind) for actor, kind in await shop.rows(db, told, subject=subject)]


async def only_case(db: Database) -> CaseRecord:
    """The one case there is."""
    async with db.reading() as session:
        page = await cases_.list_cases(session, CaseFilter())
    (case,) = page.items
    return case
