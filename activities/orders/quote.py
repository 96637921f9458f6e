"""Price what a customer asked for, from the catalogue as it is now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.repositories import catalogue
from db.repositories.catalogue import SaleLine
from domain.money import Money
from domain.pricing import Coupon, PriceBreakdown, PriceLine, price_order
from saga import StepFailed
from workflows.contracts.orders import OpenOrder, OrderLine


@dataclass(frozen=True, slots=True)
class Quote:
    """A priced basket and the listing that each of its lines was priced from."""

    breakdown: PriceBreakdown
    listing_ids: tuple[str, ...]


async def quote(
    session: AsyncSession, order: OpenOrder, *, delivery_state: str, at: datetime
) -> Quote:
    """Price an order for delivery to a state (GST code).

    Raises StepFailed with UNKNOWN_SKU, NOT_SOLD_BY_SELLER or COUPON_UNKNOWN, PricingError.
    """
    on_sale = await catalogue.for_sale(session, sorted({line.sku for line in order.lines}))
    chosen = [_listing_for(line, on_sale) for line in order.lines]
    breakdown = price_order(
        [_price_line(line, sale) for line, sale in zip(order.lines, chosen, strict=True)],
        await _coupon(session, order.coupon_code),
        delivery_state,
        at,
    )
    return Quote(breakdown, tuple(sale.listing_id for sale in chosen))


def _listing_for(line: OrderLine, on_sale: Sequence[SaleLine]) -> SaleLine:
    of_sku = [sale for sale in on_sale if sale.sku == line.sku]
    if not of_sku:
        raise StepFailed("UNKNOWN_SKU", f"nothing is sold under the SKU {line.sku!r}")
    of_seller = [sale for sale in of_sku if line.seller_id in ("", sale.seller_id)]
    if not of_seller:
        raise StepFailed(
            "NOT_SOLD_BY_SELLER", f"seller {line.seller_id!r} does not sell {line.sku!r}"
        )
    return of_seller[0]


def _price_line(line: OrderLine, sale: SaleLine) -> PriceLine:
    return PriceLine(
        sku=sale.sku,
        title=sale.title,
        qty=line.qty,
        mrp=Money(sale.mrp_paise),
        unit_price=Money(sale.price_paise),
        tax_class=sale.tax_class,
        hsn=sale.hsn,
        seller_id=sale.seller_id,
        seller_state=sale.seller_state,
    )


async def _coupon(session: AsyncSession, code: str) -> Coupon | None:
    if not code:
        return None
    coupon = await catalogue.coupon(session, code)
    if coupon is None:
        raise StepFailed("COUPON_UNKNOWN", f"there is no coupon {code!r}: check or remove it")
    return coupon
