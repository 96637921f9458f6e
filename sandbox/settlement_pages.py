"""Pages of a settlement report, in alphapay's words and in betapay's."""

from typing import Any

from sandbox.psp.settlements import PAGE, Line, Settlements, epoch_s


def alphapay_page(settlements: Settlements, lines: list[Line], after: str | None) -> dict[str, Any]:
    """The lines after the one named; `next` is the last line's id while there are more."""
    ids = [line.id for line in lines]
    start = ids.index(after) + 1 if after in ids else 0
    shown = lines[start : start + PAGE]
    return {
        "data": [_alphapay_line(settlements, line) for line in shown],
        "next": shown[-1].id if len(lines) > start + PAGE else None,
    }


def betapay_page(settlements: Settlements, lines: list[Line], skip: int) -> dict[str, Any]:
    """The lines after the first `skip`; an empty page is the end."""
    items = [_betapay_line(settlements, line) for line in lines[skip : skip + PAGE]]
    return {"entity": "collection", "count": len(items), "items": items}


def _alphapay_line(settlements: Settlements, line: Line) -> dict[str, Any]:
    settlement, utr = settlements.transfer(line)
    return {
        "id": line.id,
        "type": line.type,
        "payment": line.payment,
        "merchant_ref": line.merchant_ref,
        "return": line.ref or None,
        "return_ref": line.key or None,
        "gross": line.gross,
        "fee": line.fee,
        "tax": line.tax,
        "net": line.net,
        "currency": line.currency,
        "created": line.at,
        "settled_on": str(line.day),
        "settlement": settlement or None,
        "utr": utr or None,
        "on_hold": line.on_hold,
    }


def _betapay_line(settlements: Settlements, line: Line) -> dict[str, Any]:
    settlement, utr = settlements.transfer(line)
    return {
        "id": line.id,
        "entity": "settlement.line",
        "type": line.type,
        "payment_id": line.payment,
        "receipt": line.merchant_ref,
        "refund_id": line.ref or None,
        "refund_receipt": line.key or None,
        "credit": max(line.net, 0),
        "debit": max(-line.net, 0),
        # the fee is told with its tax in it
        "fee": line.fee + line.tax,
        "tax": line.tax,
        "currency": line.currency,
        "created_at": line.at // 1000,
        "settled_at": epoch_s(line.day),
        "settlement_id": settlement or None,
        "settlement_utr": utr or None,
        "on_hold": line.on_hold,
    }
