"""What Razorpay tells unasked: downtimes, and the lines of a day's settlement."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from activities.payments.psp.port import SettlementsUnavailable
from activities.payments.psp.razorpay import Razorpay
from activities.payments.psp.razorpay_objects import read_downtime, read_settled
from domain.money import Money
from domain.payments import PaymentMethod
from domain.routing import Downtime, Severity
from domain.settlements import BadSettlementLine, LineKind, SettlementLine, business_day
from sandbox.razorpay_words import fee_of
from tests.razorpay.conftest import AMOUNT, Desk

M = PaymentMethod
AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
UPI = frozenset({M.UPI_INTENT, M.UPI_QR})


def down(**given: Any) -> dict[str, Any]:
    told = {"method": "netbanking", "begin": int(AT.timestamp()), "end": None, "severity": "high"}
    return {**told, "status": "started", "instrument": {"bank": "HDFC"}, **given}


@pytest.mark.parametrize(
    ("given", "methods", "bank", "severity"),
    [
        ({}, {M.NETBANKING}, "HDFC", Severity.HIGH),
        ({"method": "upi", "instrument": {}, "severity": "low"}, UPI, "", Severity.LOW),
        # one app that is down is not the method that is down
        ({"method": "upi", "instrument": {"psp": "google_pay"}}, UPI, "google_pay", Severity.HIGH),
        ({"method": "card", "instrument": {"network": "ALL"}}, {M.CARD}, "", Severity.HIGH),
        (
            {"method": "card", "instrument": {"issuer": "SBIN", "card_type": "credit"}},
            {M.CARD},
            "SBIN",
            Severity.HIGH,
        ),
        (
            {"method": "wallet", "instrument": None, "severity": "medium"},
            {M.WALLET},
            "",
            Severity.MEDIUM,
        ),
    ],
)
def test_what_is_down(
    given: dict[str, Any], methods: set[PaymentMethod], bank: str, severity: Severity
) -> None:
    assert read_downtime("razorpay", down(**given)) == Downtime(
        psp="razorpay", methods=frozenset(methods), bank=bank, begins=AT, severity=severity
    )


def test_what_is_over_and_what_we_do_not_offer_is_left_out() -> None:
    assert read_downtime("razorpay", down(status="resolved")) is None
    assert read_downtime("razorpay", down(method="emandate")) is None


async def test_the_feed(desk: Desk) -> None:
    begins = AT + timedelta(days=300)
    row = {"method": "card", "severity": "low", "bank": "SBIN"}
    times = {"begins": int(begins.timestamp()) * 1000, "ends": int(begins.timestamp() + 60) * 1000}
    async with desk.server.client() as client:
        await client.post("/_sandbox/downtimes", json={"downtimes": [{**row, **times}]})
        told = await desk.psp.downtimes()
        await client.post("/_sandbox/downtimes", json={"downtimes": []})
    assert told == (
        Downtime(
            psp="razorpay",
            methods=frozenset({M.CARD}),
            bank="SBIN",
            begins=begins,
            ends=begins + timedelta(seconds=60),
            severity=Severity.LOW,
        ),
    )
    assert await desk.psp.downtimes() == ()


async def lines_of(psp: Razorpay, day: date, ref: str) -> list[SettlementLine]:
    return [one async for one in psp.settlements(day) if one.merchant_ref == ref]


async def test_the_lines_of_a_day(desk: Desk, ref: str, key: str) -> None:
    today = business_day(datetime.now(UTC))
    taken = await desk.taken(ref)
    refund = await desk.psp.refund(taken, Money(499_00), key=key)
    await desk.lapse(await desk.held(f"{ref}L"))
    paid, returned = await lines_of(desk.psp, today, ref)
    fee, tax = fee_of(AMOUNT.paise)
    assert (paid.kind, paid.line_id, paid.payment_ref) == (LineKind.PAYMENT, taken, taken)
    assert (paid.gross, paid.net) == (AMOUNT, Money(AMOUNT.paise - fee))
    assert (paid.fee, paid.tax) == (Money(49_98), Money(9_00))
    assert (paid.fee + paid.tax, paid.tax) == (Money(fee), Money(tax))
    assert (paid.settled_on, paid.on_hold, bool(paid.utr)) == (today, False, True)
    assert (returned.kind, returned.gross, returned.net) == (
        LineKind.REFUND,
        Money(-499_00),
        Money(-499_00),
    )
    assert (returned.payment_ref, returned.return_ref) == (taken, refund.ref)
    # What lapsed was never ours, and no day before today has any line.
    assert await lines_of(desk.psp, today, f"{ref}L") == []
    assert await lines_of(desk.psp, today - timedelta(days=1), ref) == []


async def test_a_long_day_comes_page_by_page(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, ref: str
) -> None:
    for n in range(3):
        await desk.taken(f"{ref}{n}")
    today = business_day(datetime.now(UTC))
    whole = [one.line_id async for one in desk.psp.settlements(today)]
    monkeypatch.setattr("activities.payments.psp.razorpay.LINES_A_PAGE", 2)
    paged = [one.line_id async for one in desk.psp.settlements(today)]
    assert paged == whole
    assert len(whole) == len(set(whole)) >= 3


async def test_a_report_that_is_not_to_be_had(desk: Desk, client: httpx.AsyncClient) -> None:
    stranger = Razorpay(client, base_url=desk.server.url, api_key="a:b", secrets=[])
    with pytest.raises(SettlementsUnavailable) as refused:
        [one async for one in stranger.settlements(date(2026, 11, 22))]
    assert refused.value.later is False


def settled(**given: Any) -> dict[str, Any]:
    line = {"entity_id": "adj_1", "type": "adjustment", "debit": 0, "credit": 0, "amount": 0}
    money = {"currency": "INR", "fee": 0, "tax": 0, "on_hold": False}
    return {**line, **money, "created_at": int(AT.timestamp()), **given}


@pytest.mark.parametrize(
    ("given", "kind", "gross"),
    [
        ({"debit": 500, "dispute_id": "disp_1"}, LineKind.CHARGEBACK, -500),
        ({"credit": 500, "dispute_id": "disp_1"}, LineKind.CHARGEBACK_REVERSAL, 500),
        ({"credit": 500}, LineKind.ADJUSTMENT, 500),
        ({"debit": 500, "type": "transfer"}, LineKind.ADJUSTMENT, -500),
    ],
)
def test_what_a_line_is_about(given: dict[str, Any], kind: LineKind, gross: int) -> None:
    line = read_settled("razorpay", settled(**given), AT.date())
    assert (line.kind, line.gross, line.net) == (kind, Money(gross), Money(gross))
    assert line.return_ref == given.get("dispute_id", "")
    assert (line.payment_ref, line.merchant_ref) == ("", "")


def test_a_line_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(BadSettlementLine):
        read_settled("razorpay", settled(type="payment", debit=500), AT.date())
