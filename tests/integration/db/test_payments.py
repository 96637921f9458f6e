"""Payments, attempts and refunds: one capture, totals that only grow, a ledger that balances."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.exc import DBAPIError

from db.errors import AlreadyRecorded, NotFound, constraint_of
from db.ids import new_ulid
from db.repositories import ledger, payments, refunds, risk
from db.repositories.ledger import LedgerLine
from db.repositories.payments import AttemptChange, NewAttempt, NewPayment, PaymentMoved
from db.repositories.refunds import NewRefund
from db.session import Database
from db.vocabulary import BlockKind, LedgerKind
from domain.errors import IllegalTransition
from domain.payments import FailureClass, PaymentMethod, PaymentState
from domain.refunds import RefundState
from tests.integration.db import shop

PRICE = 599_00


async def opened(db: Database, *, attempts: int = 1) -> str:
    """An order with a payment `p` and attempts `a1`, `a2` …; answers with the order's id."""
    order_id = await shop.placed(db)
    async with db.unit_of_work() as session:
        await payments.open_payment(session, _payment(order_id))
        for seq in range(1, attempts + 1):
            await payments.add_attempt(session, _attempt(order_id, seq))
    return order_id


def _payment(order_id: str, amount: int = PRICE) -> NewPayment:
    return NewPayment(id="p", order_id=order_id, method=PaymentMethod.CARD, amount_paise=amount)


def _attempt(order_id: str, seq: int) -> NewAttempt:
    return NewAttempt(
        id=f"a{seq}",
        payment_id="p",
        order_id=order_id,
        seq=seq,
        psp="alphapay" if seq % 2 else "betapay",
        amount_paise=PRICE,
        merchant_ref=f"m{seq}",
        reason="first on the route" if seq == 1 else "alphapay was down",
    )


async def change(db: Database, attempt_id: str, change: AttemptChange) -> PaymentMoved:
    async with db.unit_of_work() as session:
        return await payments.change_attempt(session, attempt_id, change)


async def test_a_payment_is_opened_once(shop_db: Database) -> None:
    order_id = await opened(shop_db)
    async with shop_db.unit_of_work() as session:
        again = await payments.open_payment(session, _payment(order_id))
        assert (again.id, again.state, again.version) == ("p", PaymentState.CREATED, 1)
        with pytest.raises(AlreadyRecorded, match="59900 paise"):
            await payments.open_payment(session, _payment(order_id, PRICE + 1))
        assert await payments.of_order(session, order_id) == again
        assert await payments.of_order(session, "another") is None


async def test_a_payment_moves_by_its_table(shop_db: Database) -> None:
    await opened(shop_db)
    async with shop_db.unit_of_work() as session:
        moved = await payments.transition(session, "p", PaymentState.AUTHORISED)
        again = await payments.transition(session, "p", PaymentState.AUTHORISED)
        with pytest.raises(IllegalTransition):
            await payments.transition(session, "p", PaymentState.CREATED)
        with pytest.raises(NotFound):
            await payments.transition(session, "q", PaymentState.AUTHORISED)
        stored = await payments.get(session, "p")
    assert moved == PaymentMoved(PaymentState.CREATED, changed=True)
    assert again == PaymentMoved(PaymentState.AUTHORISED, changed=False)
    assert (stored.state, stored.version) == (PaymentState.AUTHORISED, 2)


async def test_an_attempt_keeps_what_the_psp_said(shop_db: Database) -> None:
    order_id = await opened(shop_db)
    action = {"kind": "redirect", "url": "https://psp.example/3ds"}
    said = AttemptChange(state=PaymentState.ACTION_REQUIRED, psp_ref="pay_1", next_action=action)
    assert await change(shop_db, "a1", said) == PaymentMoved(PaymentState.CREATED, changed=True)
    failed = AttemptChange(
        state=PaymentState.FAILED,
        failure_class=FailureClass.DECLINED_SOFT,
        failure_code="insufficient_funds",
    )
    await change(shop_db, "a1", failed)

    async with shop_db.reading() as session:
        attempt = await payments.get_attempt(session, "a1")
        assert await payments.attempts_of(session, order_id) == (attempt,)
        by_ours = await payments.attempt_by_ref(session, "alphapay", merchant_ref="m1")
        by_theirs = await payments.attempt_by_ref(session, "alphapay", psp_ref="pay_1")
        elsewhere = await payments.attempt_by_ref(
            session, "betapay", merchant_ref="m1", psp_ref="pay_1"
        )
    assert (attempt.state, attempt.psp_ref) == (PaymentState.FAILED, "pay_1")
    assert attempt.failure_class is FailureClass.DECLINED_SOFT
    assert (attempt.failure_code, attempt.next_action) == ("insufficient_funds", action)
    assert (attempt.seq, attempt.psp, attempt.reason) == (1, "alphapay", "first on the route")
    assert by_ours == by_theirs == attempt
    assert elsewhere is None


async def test_a_replayed_attempt_is_found(shop_db: Database) -> None:
    order_id = await opened(shop_db)
    await change(shop_db, "a1", AttemptChange(state=PaymentState.PENDING, psp_ref="pay_1"))
    async with shop_db.unit_of_work() as session:
        again = await payments.add_attempt(session, _attempt(order_id, 1))
    assert (again.state, again.psp_ref) == (PaymentState.PENDING, "pay_1")


async def test_late_answers_take_nothing_back(shop_db: Database) -> None:
    await opened(shop_db)
    captured = AttemptChange(state=PaymentState.CAPTURED, captured_paise=PRICE)
    await change(shop_db, "a1", AttemptChange(state=PaymentState.FAILED))
    assert (await change(shop_db, "a1", captured)).before is PaymentState.FAILED
    older = AttemptChange(state=PaymentState.CAPTURED, captured_paise=0)
    assert await change(shop_db, "a1", older) == PaymentMoved(PaymentState.CAPTURED, changed=False)
    with pytest.raises(IllegalTransition):
        await change(shop_db, "a1", AttemptChange(state=PaymentState.FAILED))
    async with shop_db.reading() as session:
        attempt = await payments.get_attempt(session, "a1")
    assert (attempt.state, attempt.captured_paise) == (PaymentState.CAPTURED, PRICE)


async def test_only_one_attempt_captures(shop_db: Database) -> None:
    await opened(shop_db, attempts=8)

    async def capture(seq: int) -> str | None:
        try:
            captured = AttemptChange(state=PaymentState.CAPTURED, captured_paise=PRICE)
            await change(shop_db, f"a{seq}", captured)
        except DBAPIError as refusal:
            return constraint_of(refusal)
        return None

    answers = await asyncio.gather(*(capture(seq) for seq in range(1, 9)))
    assert answers.count(None) == 1
    assert answers.count("uq_one_capture_per_payment") == 7
    captured = "SELECT count(*), sum(captured_paise)::bigint FROM payment_attempts"
    assert await shop.rows(shop_db, f"{captured} WHERE captured_paise > 0") == [(1, PRICE)]


async def test_a_refund_is_stored_once_and_done_is_final(shop_db: Database) -> None:
    order_id = await opened(shop_db)
    await change(shop_db, "a1", AttemptChange(state=PaymentState.CAPTURED, captured_paise=PRICE))
    refund = NewRefund(
        id=new_ulid(), refund_key="r", attempt_id="a1", order_id=order_id, amount_paise=100,
        reason="returned",
    )  # fmt: skip
    async with shop_db.unit_of_work() as session:
        first = await refunds.add(session, refund)
        assert await refunds.add(session, refund) == first
        assert first.state is RefundState.PENDING
        done = RefundState.DONE
        assert await refunds.settle(session, "r", done, psp_refund_ref="rf_1") is True
        assert await refunds.settle(session, "r", RefundState.FAILED) is False
        other = NewRefund(
            id=new_ulid(), refund_key="r", attempt_id="a1", order_id=order_id, amount_paise=200,
            reason="returned",
        )  # fmt: skip
        with pytest.raises(AlreadyRecorded, match="100 paise"):
            await refunds.add(session, other)
    async with shop_db.reading() as session:
        (stored,) = await refunds.of_order(session, order_id)
    assert (stored.state, stored.psp_refund_ref, stored.amount_paise) == (done, "rf_1", 100)


def _sale(order_id: str, amount: int = PRICE, psp: str = "alphapay") -> list[LedgerLine]:
    return [
        LedgerLine(ledger.psp_account(psp), amount),
        LedgerLine(ledger.order_account(order_id), -amount),
    ]


async def post(
    db: Database,
    key: str,
    lines: list[LedgerLine],
    order_id: str,
    kind: LedgerKind = LedgerKind.CAPTURE,
) -> bool:
    async with db.unit_of_work() as session:
        return await ledger.post(session, key, lines, kind=kind, order_id=order_id)


async def test_a_movement_is_posted_once(shop_db: Database) -> None:
    assert await post(shop_db, "t", _sale("o"), "o") is True
    assert await post(shop_db, "t", _sale("o"), "o") is False
    with pytest.raises(AlreadyRecorded, match="'t' is already recorded with other lines"):
        await post(shop_db, "t", _sale("o", PRICE - 1), "o")
    with pytest.raises(ValueError, match="out of balance by 1 paise"):
        await post(shop_db, "u", [*_sale("o"), LedgerLine("cod:due", 1)], "o")
    async with shop_db.reading() as session:
        lines = await ledger.of_order(session, "o")
    assert [(line.account, line.amount_paise, line.kind) for line in lines] == [
        ("psp:alphapay", PRICE, LedgerKind.CAPTURE),
        ("order:o", -PRICE, LedgerKind.CAPTURE),
    ]


async def test_a_second_capture_of_an_order_is_refused_but_a_late_one_is_booked(
    shop_db: Database,
) -> None:
    await post(shop_db, "t1", _sale("o"), "o")
    with pytest.raises(DBAPIError) as refusal:
        await post(shop_db, "t2", _sale("o", psp="betapay"), "o")
    assert constraint_of(refusal.value) == "uq_one_capture_per_order"

    late, refund = LedgerKind.LATE_CAPTURE, LedgerKind.REFUND
    assert await post(shop_db, "t3", _sale("o", psp="betapay"), "o", late) is True
    assert await post(shop_db, "t4", _sale("o", -PRICE, psp="betapay"), "o", refund) is True
    balances = "SELECT account, sum(amount_paise)::bigint FROM ledger_entries GROUP BY account"
    assert dict(await shop.rows(shop_db, balances)) == {
        "psp:alphapay": PRICE,
        "psp:betapay": 0,
        "order:o": -PRICE,
    }


_LINE = (
    "INSERT INTO ledger_entries (entry_key, txn_key, account, amount_paise, currency, order_id,"
    " kind) VALUES "
)


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (_LINE + "('x', 't', 'cod:due', 1, 'INR', 'o', 'COD_DUE')", "ledger_entries_balanced"),
        (
            _LINE + "('x', 'n', 'cod:due', 5, 'INR', 'o', 'COD_DUE'),"
            " ('y', 'n', 'order:o', -5, 'USD', 'o', 'COD_DUE')",
            "ledger_entries_balanced",
        ),
        (_LINE + "('x', 'n', 'cod:due', 0, 'INR', 'o', 'COD_DUE')", "ck_ledger_entries_amount"),
        (_LINE + "('x', 'n', 'bank', 1, 'INR', 'o', 'COD_DUE')", "ck_ledger_entries_account"),
        (_LINE + "('x', 'n', 'cod:due', 1, 'INR', 'o', 'GIFT')", "ck_ledger_entries_kind"),
        (_LINE + "('t/1', 'n', 'cod:due', 1, 'INR', 'o', 'COD_DUE')",
         "uq_ledger_entries_entry_key"),
        ("UPDATE ledger_entries SET amount_paise = 1", "ledger_entries_append_only"),
        ("DELETE FROM ledger_entries", "ledger_entries_append_only"),
        ("TRUNCATE ledger_entries", "ledger_entries_append_only"),
        ("UPDATE payments SET amount_paise = 0", "ck_payments_amount"),
        ("UPDATE payments SET state = 'GONE'", "ck_payments_state"),
        (("INSERT INTO payments SELECT 'p2', order_id, method, amount_paise, currency, state"
         " FROM payments"), "uq_payments_order_id"),
        ("UPDATE payment_attempts SET captured_paise = amount_paise + 1",
         "ck_payment_attempts_money"),
        ("UPDATE payment_attempts SET refunded_paise = 1", "ck_payment_attempts_money"),
        ("UPDATE payment_attempts SET failure_class = 'BAD'",
         "ck_payment_attempts_failure_class"),
        ("UPDATE payment_attempts SET merchant_ref = 'm1'", "uq_payment_attempts_merchant_ref"),
        ("UPDATE payment_attempts SET psp = 'betapay', psp_ref = 'x'",
         "uq_payment_attempts_psp_ref"),
        ("UPDATE payment_attempts SET seq = 1", "uq_payment_attempts_payment_id_seq"),
    ],
)  # fmt: skip
async def test_the_database_refuses(shop_db: Database, statement: str, constraint: str) -> None:
    await opened(shop_db, attempts=2)
    await post(shop_db, "t", _sale("o"), "o")
    books = "SELECT entry_key, amount_paise FROM ledger_entries ORDER BY id"
    attempts = (
        "SELECT id, seq, psp, captured_paise, refunded_paise FROM payment_attempts ORDER BY 1"
    )
    with pytest.raises(DBAPIError) as refusal:
        await shop.run(shop_db, statement)
    assert constraint_of(refusal.value) == constraint
    assert await shop.rows(shop_db, books) == [("t/1", PRICE), ("t/2", -PRICE)]
    assert await shop.rows(shop_db, attempts) == [
        ("a1", 1, "alphapay", 0, 0),
        ("a2", 2, "betapay", 0, 0),
    ]


async def test_history_counts_cash_refused_at_the_door(shop_db: Database) -> None:
    refused, kept, prepaid = [await shop.placed(shop_db) for _ in range(3)]
    for order_id, method, state in (
        (refused, "COD", "VOIDED"),
        (kept, "COD", "COD_COLLECTED"),
        (prepaid, "CARD", "VOIDED"),
    ):
        await shop.run(
            shop_db,
            "UPDATE orders SET state = 'RETURNED', confirmed_at = now(), payment_method = :method"
            " WHERE id = :id",
            id=order_id,
            method=method,
        )
        await shop.run(
            shop_db,
            "INSERT INTO payments (id, order_id, method, amount_paise, currency, state)"
            " VALUES (:id, :id, :method, 100, 'INR', :state)",
            id=order_id,
            method=method,
            state=state,
        )
    async with shop_db.unit_of_work() as session:
        assert await risk.block(session, BlockKind.PINCODE, "560001", "chargebacks") is True
        assert await risk.block(session, BlockKind.PINCODE, "560001", "again") is False
        await risk.block(session, BlockKind.DEVICE, "asha", "a device that is named like a user")
        found = await risk.history(session, user_id="asha", device_id="d", pincode="560001")
        assert (found.cod_refusals, found.blocked) == (1, ("pincode",))
        assert await risk.unblock(session, BlockKind.PINCODE, "560001") is True
        found = await risk.history(session, user_id="asha", device_id="asha", pincode="560001")
        assert found.blocked == ("device",)
        with pytest.raises(NotFound):
            await risk.history(session, user_id="nobody", device_id="d", pincode="560001")
