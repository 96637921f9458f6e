"""Everything that any book says about one order, to be compared as a whole."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import httpx

from tests.integration.db import shop

if TYPE_CHECKING:
    from tests.integration.checkout.market import Market

PRICE = 599_00
SHELF = 5


@dataclass(frozen=True, kw_only=True)
class Books:
    """One order in our books and in the PSPs'; amounts in paise, as signed text where they move.

    `stock` is (on hand, reserved, shipped) of its SKU over all warehouses, `psps` each payment's
    status with what was authorised, captured and refunded, `sagas` how its own sagas stand.
    """

    order: str
    payment: str = ""
    attempts: tuple[str, ...] = ()
    refunds: tuple[str, ...] = ()
    ledger: tuple[str, ...] = ()
    reservation: str = ""
    stock: tuple[int, int, int] = (SHELF, 0, 0)
    psps: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    sagas: tuple[str, ...] = ()

    def but(self, **changes: Any) -> Books:
        """The same, with changes."""
        return replace(self, **changes)

    def differences(self, expected: Books) -> str:
        """What is there and what was expected, where they differ."""
        return "\n".join(
            f"{field.name}: {getattr(self, field.name)!r}, not {getattr(expected, field.name)!r}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(expected, field.name)
        )


_OPENED = "order.created"


def sold(psp: str, *, events: tuple[str, ...] = ()) -> Books:
    """An order of one piece that one PSP took the money for, at its first try."""
    return Books(
        order="CONFIRMED",
        payment=f"CAPTURED {PRICE}",
        attempts=(f"{psp} CAPTURED {PRICE}-0",),
        ledger=(f"CAPTURE psp:{psp} +{PRICE}",),
        reservation="COMMITTED",
        stock=(SHELF - 1, 0, 1),
        psps=(f"{psp} captured {PRICE}/{PRICE}/0",),
        events=(_OPENED, *events, "order.confirmed"),
        sagas=("checkout COMPLETED", "payment COMPLETED"),
    )


def unsold(order: str, *, events: tuple[str, ...] = ()) -> Books:
    """An order that was opened and reserved, and ended before any payment."""
    state = order.partition("/")[0].lower()
    return Books(
        order=order,
        reservation="RELEASED",
        events=(_OPENED, *events, f"order.{state}"),
        sagas=("checkout COMPENSATED",),
    )


def unpaid(
    order: str,
    *,
    payment: str,
    attempts: tuple[str, ...],
    psps: tuple[str, ...],
    events: tuple[str, ...] = (),
) -> Books:
    """An order that ended because its payment came to nothing: no money held, no stock held."""
    return unsold(order, events=events).but(
        payment=payment,
        attempts=attempts,
        psps=psps,
        sagas=("checkout COMPENSATED", "payment COMPENSATED"),
    )


_ORDER = """
    SELECT state || coalesce('/' || refusal_code, '') FROM orders WHERE id = :id
"""
_PAYMENT = "SELECT state || ' ' || amount_paise FROM payments WHERE order_id = :id"
_ATTEMPTS = """
    SELECT concat(psp, ' ', state, CASE WHEN captured_paise > 0
                  THEN concat(' ', captured_paise, '-', refunded_paise) END)
    FROM payment_attempts WHERE order_id = :id ORDER BY seq
"""
_REFUNDS = "SELECT concat(state, ' ', amount_paise) FROM refunds WHERE order_id = :id ORDER BY id"
# the order's own account is the other side of each
_LEDGER = """
    SELECT concat(kind, ' ', account, ' ', to_char(amount_paise, 'FMSG999999999'))
    FROM ledger_entries WHERE order_id = :id AND account NOT LIKE 'order:%' ORDER BY id
"""
_RESERVATION = "SELECT state FROM reservations WHERE order_id = :id"
_STOCK = """
    SELECT sum(on_hand)::bigint, sum(reserved)::bigint, sum(shipped)::bigint
    FROM stock_levels WHERE sku = :sku
"""
_EVENTS = "SELECT schema FROM outbox WHERE key = :id ORDER BY id"
_SAGAS = """
    SELECT kind || ' ' || state FROM sagas
    WHERE order_id = :id AND kind <> 'late-payment' ORDER BY kind, state
"""


async def read_books(market: Market, order_id: str, sku: str) -> Books:
    """Read all of them."""

    async def texts(statement: str) -> tuple[str, ...]:
        return tuple(str(row[0]) for row in await shop.rows(market.db, statement, id=order_id))

    stock = await shop.rows(market.db, _STOCK, sku=sku)
    return Books(
        order="".join(await texts(_ORDER)),
        payment="".join(await texts(_PAYMENT)),
        attempts=await texts(_ATTEMPTS),
        refunds=await texts(_REFUNDS),
        ledger=await texts(_LEDGER),
        reservation="".join(await texts(_RESERVATION)),
        stock=(stock[0][0], stock[0][1], stock[0][2]),
        psps=await _at_psps(market, order_id),
        events=await texts(_EVENTS),
        sagas=await texts(_SAGAS),
    )


async def _at_psps(market: Market, order_id: str) -> tuple[str, ...]:
    return tuple(
        [
            f"{psp} {row['status']} {row['authorised']}/{row['captured']}/{row['refunded']}"
            for psp in market.psps
            for row in await psp_rows(market, psp)
            if row["merchant_ref"].startswith(order_id)
        ]
    )


async def psp_rows(market: Market, psp: str) -> list[dict[str, Any]]:
    """Every payment in a PSP's own books."""
    async with httpx.AsyncClient(base_url=market.psps[psp].url, trust_env=False) as client:
        rows: list[dict[str, Any]] = (await client.get("/_sandbox/books")).json()["payments"]
    return rows
