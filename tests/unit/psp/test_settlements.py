"""Settlement reports: the sandbox's own, read by both adapters, and what spoils them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from activities.payments.psp import PSP, AlphaPay, SettlementsUnavailable, psp_client
from activities.payments.psp.settlements import no_settlements
from domain.money import Money
from domain.payments import PaymentMethod
from domain.settlements import TERMS, LineKind, SettlementLine, business_day
from tests.sandbox.harness import API_KEY, SECRET, Sandbox
from tests.unit.psp.conftest import request_for

BOTH = pytest.mark.parametrize("name", ["alphapay", "betapay"])
PRICE = Money(2_499_00)
Psps = dict[str, PSP]
Servers = dict[str, Sandbox]


def today() -> date:
    return business_day(datetime.now(UTC))


async def lines_of(psp: PSP, ref: str, day: date | None = None) -> list[SettlementLine]:
    """The lines of a day about one of our references."""
    told = [line async for line in psp.settlements(day or today())]
    assert len({line.line_id for line in told}) == len(told)
    return [line for line in told if line.merchant_ref == ref]


async def captured(psp: PSP, ref: str, method: PaymentMethod = PaymentMethod.CARD) -> str:
    held = await psp.authorise(request_for(ref, method=method), key=f"{ref}-a")
    assert held.ref is not None
    await psp.capture(held.ref, PRICE, key=f"{ref}-c")
    return held.ref


async def distort(server: Sandbox, *discrepancies: dict[str, Any]) -> httpx.Response:
    async with server.client() as client:
        return await client.post(
            "/_sandbox/settlements", json={"discrepancies": list(discrepancies)}
        )


@BOTH
async def test_a_payment_and_its_refund(psps: Psps, name: str, ref: str, key: str) -> None:
    payment = await captured(psps[name], ref)
    refund = await psps[name].refund(payment, Money(499_00), key=key)
    paid, back = await lines_of(psps[name], ref)
    agreed = TERMS[name].fee(LineKind.PAYMENT, PaymentMethod.CARD, PRICE)
    assert (paid.kind, paid.gross, (paid.fee, paid.tax)) == (LineKind.PAYMENT, PRICE, agreed)
    assert paid.net == PRICE - paid.fee - paid.tax
    assert (paid.payment_ref, paid.return_ref, paid.on_hold) == (payment, "", False)
    assert (back.kind, back.gross, back.net) == (LineKind.REFUND, Money(-499_00), Money(-499_00))
    assert (back.payment_ref, back.return_ref, back.return_key) == (payment, refund.ref, key)
    assert {paid.settled_on, back.settled_on} == {today()}
    assert (paid.settlement_id, paid.utr) == (back.settlement_id, back.utr)
    assert paid.utr.startswith("UTR")
    assert abs(datetime.now(UTC) - paid.occurred_at) < timedelta(seconds=10)


@BOTH
@pytest.mark.parametrize("method", [PaymentMethod.NETBANKING, PaymentMethod.WALLET])
async def test_fees_are_those_of_the_contract(
    psps: Psps, name: str, method: PaymentMethod, ref: str
) -> None:
    await captured(psps[name], ref, method)
    (paid,) = await lines_of(psps[name], ref)
    assert (paid.fee, paid.tax) == TERMS[name].fee(LineKind.PAYMENT, method, PRICE)


@BOTH
async def test_upi_costs_nothing(psps: Psps, servers: Servers, name: str, ref: str) -> None:
    asked = await psps[name].authorise(
        request_for(ref, "success@upi", PaymentMethod.UPI_INTENT), key=ref
    )
    assert asked.ref is not None
    await servers[name].customer(asked.ref, "approve")
    await psps[name].capture(asked.ref, PRICE, key=f"{ref}-c")
    (paid,) = await lines_of(psps[name], ref)
    assert (paid.gross, paid.fee, paid.tax, paid.net) == (PRICE, Money(0), Money(0), PRICE)


@BOTH
async def test_what_is_only_held_is_not_settled(psps: Psps, name: str, ref: str) -> None:
    await psps[name].authorise(request_for(ref), key=ref)
    assert await lines_of(psps[name], ref) == []


async def test_a_lost_dispute(psps: Psps, servers: Servers, ref: str) -> None:
    await captured(psps["alphapay"], ref)
    async with servers["alphapay"].client() as client:
        opened = await client.post("/_sandbox/disputes", json={"merchant_ref": ref})
        dispute = opened.json()["id"]
        assert len(await lines_of(psps["alphapay"], ref)) == 1
        await client.post(f"/_sandbox/disputes/{dispute}", json={"outcome": "lost"})
    _, lost = await lines_of(psps["alphapay"], ref)
    agreed = TERMS["alphapay"].fee(LineKind.CHARGEBACK, PaymentMethod.CARD, lost.gross)
    assert (lost.kind, lost.gross, lost.return_ref) == (LineKind.CHARGEBACK, -PRICE, dispute)
    assert (lost.fee, lost.tax) == agreed == (Money(500_00), Money(90_00))


@BOTH
async def test_discrepancies(psps: Psps, servers: Servers, name: str, ref: str) -> None:
    await captured(psps[name], ref)
    (true,) = await lines_of(psps[name], ref)

    async def told(kind: str, amount: int = 0) -> list[SettlementLine]:
        answer = await distort(servers[name], {"kind": kind, "merchant_ref": ref, "amount": amount})
        assert answer.status_code == 200
        return await lines_of(psps[name], ref)

    assert await told("missing") == []
    (wrong,) = await told("wrong_amount", -100)
    assert (wrong.line_id, wrong.gross) == (true.line_id, PRICE - Money(100))
    (dear,) = await told("wrong_fee", 500)
    assert (dear.gross, dear.fee, dear.net) == (
        PRICE, true.fee + Money(500), true.net - Money(500),
    )  # fmt: skip
    (held,) = await told("on_hold")
    assert (held.on_hold, held.settlement_id, held.utr) == (True, "", "")
    first, second = await told("duplicate")
    assert (first, second.line_id) == (true, f"{true.line_id}_again")
    assert await told("late") == []
    (late,) = await lines_of(psps[name], ref, today() + timedelta(days=1))
    assert (late.line_id, late.settled_on) == (true.line_id, today() + timedelta(days=1))
    both = await told("extra", 700_00)
    assert [(line.payment_ref, line.gross) for line in both if line != true] == [
        (f"pay_extra_{ref}", Money(700_00))
    ]
    await distort(servers[name])
    assert await lines_of(psps[name], ref) == [true]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"kind": "odd", "merchant_ref": "x"}, "no kind 'odd'"),
        ({"kind": "missing"}, "has kind, merchant_ref, type and amount"),
        ({"kind": "extra", "merchant_ref": "x"}, "amount must be whole minor units, not 0"),
        ({"kind": "missing", "merchant_ref": "x", "type": "gift"}, "no type 'gift'"),
        ({"kind": "missing", "merchant_ref": ""}, "by its merchant_ref"),
    ],
)
async def test_discrepancies_that_cannot_be(
    servers: Servers, wanted: dict[str, Any], said: str
) -> None:
    answer = await distort(servers["alphapay"], wanted)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@BOTH
async def test_a_long_day_comes_in_pages(psps: Psps, servers: Servers, name: str, ref: str) -> None:
    extras = [{"kind": "extra", "merchant_ref": f"{ref}-{n}", "amount": 1 + n} for n in range(230)]
    await distort(servers[name], *extras)
    told = [line async for line in psps[name].settlements(today())]
    await distort(servers[name])
    ours = [line for line in told if line.merchant_ref.startswith(ref)]
    assert sorted(line.gross.paise for line in ours) == list(range(1, 231))
    assert len({line.line_id for line in told}) == len(told) >= 230


@BOTH
async def test_an_empty_day(psps: Psps, name: str) -> None:
    assert [line async for line in psps[name].settlements(date(2020, 1, 1))] == []


@BOTH
@pytest.mark.parametrize("fault", ["timeout_before", "http_500_before", "rate_limited"])
async def test_a_report_that_is_not_to_be_had_now(
    psps: Psps, servers: Servers, name: str, fault: str
) -> None:
    await servers[name].faults(rules=[{"operation": "settlements", "fault": fault, "times": 1}])
    with pytest.raises(SettlementsUnavailable) as refused:
        await lines_of(psps[name], "any")
    assert (refused.value.psp, refused.value.later) == (name, True)
    assert await lines_of(psps[name], "any") == []


async def test_a_key_that_is_wrong_does_not_mend_by_waiting(
    servers: Servers, client: httpx.AsyncClient
) -> None:
    stranger = AlphaPay(client, base_url=servers["alphapay"].url, api_key="no", secrets=[SECRET])
    with pytest.raises(SettlementsUnavailable, match="unauthenticated") as refused:
        await lines_of(stranger, "any")
    assert refused.value.later is False


@asynccontextmanager
async def _answering(body: bytes) -> AsyncIterator[AlphaPay]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, psp_client() as client:
        yield AlphaPay(client, base_url=url, api_key=API_KEY, secrets=[SECRET])


_LINE = (
    b'{"data": [{"id": "sl_1", "type": "payment", "payment": "p", "merchant_ref": "m",'
    b' "return": null, "return_ref": null, "gross": 100, "fee": 2, "tax": 0, "net": %d,'
    b' "currency": "INR", "created": 1763700000000, "settled_on": "2026-11-22",'
    b' "settlement": null, "utr": null, "on_hold": %s}], "next": null}'
)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"data": [{"id": "sl_1"}], "next": null}', "unreadable_report"),
        (b'{"rows": []}', "unreadable_report"),
        (_LINE % (97, b"false"), "is not net"),
    ],
)
async def test_a_line_that_cannot_be_read_is_not_left_out(body: bytes, said: str) -> None:
    async with _answering(body) as psp:
        with pytest.raises(SettlementsUnavailable, match=said) as refused:
            await lines_of(psp, "m")
    assert refused.value.later is False


async def test_the_same_line_when_it_adds_up() -> None:
    async with _answering(_LINE % (98, b"true")) as psp:
        (line,) = await lines_of(psp, "m")
    assert (line.net, line.on_hold, line.paid) == (Money(98), True, Money(0))


async def test_a_provider_without_a_report() -> None:
    with pytest.raises(SettlementsUnavailable, match="no_report_by_api"):
        [line async for line in no_settlements("somebody")]
