"""An order as invoicing sees it: its lines with who supplies them, and its recipient."""

from typing import Any

from db.repositories.orders import OrderItemRecord, OrderRecord
from domain.gst import SHIPPING_SAC
from domain.invoicing import DELIVERY_LINE, Line, Pieces, Recipient, Sold
from domain.money import Money, total
from domain.refund_shares import shares_of_record


def sold_lines(order: OrderRecord, *, platform_id: str) -> tuple[Sold, ...]:
    """The order's items by their sellers, and the delivery, if paid, by the platform."""
    pieces = pieces_of(order)

    def sold(supplier_id: str, line: Line) -> Sold:
        rounded = (piece.round_off for piece in pieces[line.line_no])
        return Sold(supplier_id, line, total(rounded, order.currency))

    items = tuple(sold(item.seller_id, _item(item, order.currency)) for item in order.items)
    fee = Money(order.price_breakdown["shipping_paise"], order.currency)
    return items if fee.is_zero else (*items, sold(platform_id, _delivery(order, fee)))


def pieces_of(order: OrderRecord) -> Pieces:
    """What was paid for each piece, as refunds divide it: a credit note is what is refunded."""
    paid = shares_of_record(order.price_breakdown)
    return {DELIVERY_LINE: (paid.shipping,), **dict(enumerate(paid.pieces, start=1))}


def recipient_of(order: OrderRecord) -> Recipient:
    """Who gets it, as the address was when the order was placed."""
    at: dict[str, Any] = order.address_snapshot
    lines = (at.get("line1"), at.get("line2"), f"{at.get('city') or ''} {at['pincode']}".strip())
    return Recipient(
        name=at.get("name") or "",
        address=tuple(line for line in lines if line),
        state_code=at.get("state_code") or "",
    )


def _item(item: OrderItemRecord, currency: str) -> Line:
    return Line(
        line_no=item.line_no,
        sku=item.sku,
        description=item.title,
        hsn=item.hsn,
        qty=item.qty,
        gross=Money(item.unit_price_paise, currency) * item.qty,
        taxable=Money(item.taxable_paise, currency),
        cgst=Money(item.cgst_paise, currency),
        sgst=Money(item.sgst_paise, currency),
        igst=Money(item.igst_paise, currency),
        rate_bp=item.gst_rate_bp,
    )


def _delivery(order: OrderRecord, fee: Money) -> Line:
    tax = order.price_breakdown["shipping_tax"]
    return Line(
        line_no=DELIVERY_LINE,
        sku="DELIVERY",
        description="Delivery of the order",
        hsn=SHIPPING_SAC,
        qty=1,
        gross=fee,
        taxable=Money(tax["taxable_paise"], order.currency),
        cgst=Money(tax["cgst_paise"], order.currency),
        sgst=Money(tax["sgst_paise"], order.currency),
        igst=Money(tax["igst_paise"], order.currency),
        rate_bp=tax["gst_rate_bp"],
        unit="OTH",
    )
