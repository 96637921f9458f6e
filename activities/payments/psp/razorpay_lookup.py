"""What Razorpay knows: payments by its reference or by ours, their refunds, customers."""

from __future__ import annotations

import asyncio

from activities.payments.psp.dialect import MALFORMED
from activities.payments.psp.http import UNREADABLE, Answer, JsonObject, PSPHttp, Trouble
from activities.payments.psp.razorpay_errors import failure_of
from activities.payments.psp.razorpay_objects import Seen, read_link, read_order, read_payment
from domain.payments import FailureClass

LINK = "plink_"
MOST_ROWS = "100"
# How Razorpay words an id that it does not know. It deletes none, so a reference that it gave us
# is another account's, or the other mode's: "not found" would read as proof that nothing was paid.
_NOT_OURS = frozenset({"input_validation_failed", "record_not_found"})


class Unanswered(Exception):
    """A look-up that brought no answer to build on; caught by the adapter."""

    def __init__(self, failure: Trouble) -> None:
        super().__init__(failure.code)
        self.failure = failure


def failure_in(answer: Answer | Trouble) -> Trouble | None:
    """Why a call did not do what was asked; None where it did."""
    if isinstance(answer, Trouble):
        return answer
    return None if answer.ok else failure_of(answer)


def rows(answer: Answer | Trouble, items: str) -> list[JsonObject]:
    """The rows of a listing; raises Unanswered."""
    body = _body(answer)
    found = body.get(items)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Unanswered(UNREADABLE)
    return found


class Lookup:
    """Reads, each from scratch; every method raises Unanswered."""

    def __init__(self, http: PSPHttp) -> None:
        self._http = http

    async def seen(self, ref: str) -> Seen:
        """What Razorpay's own reference stands for: a link with its payments, or a payment."""
        path = "payment_links" if ref.startswith(LINK) else "payments"
        shown = _known(await self._http.get(f"/v1/{path}/{ref}"))
        try:
            if not ref.startswith(LINK):
                return Seen(read_payment(shown), shown["id"])
            orders = await self._orders(shown["reference_id"], shown.get("order_id"))
            return read_link(shown, [one for tries in orders for one in tries])
        except MALFORMED as error:
            raise Unanswered(UNREADABLE) from error

    async def listed(self, merchant_ref: str) -> list[Seen]:
        """All there is under our reference, whichever way it was paid."""
        asked = {"reference_id": merchant_ref, "count": MOST_ROWS}
        answer, orders = await asyncio.gather(
            self._http.get("/v1/payment_links", asked), self._orders(merchant_ref)
        )
        try:
            links = [
                link
                for link in rows(answer, "payment_links")
                if link["reference_id"] == merchant_ref
            ]
            if links:
                # A link's order carries the link's reference as its receipt.
                tries = [one for payments in orders for one in payments]
                return [read_link(link, tries) for link in links]
            seen = (read_order(merchant_ref, payments) for payments in orders)
            return [one for one in seen if one is not None]
        except MALFORMED as error:
            raise Unanswered(UNREADABLE) from error

    async def _orders(self, receipt: str, known: str | None = None) -> list[list[JsonObject]]:
        """The payments of each order with our receipt, and of one more that is known by its id."""
        answer = await self._http.get("/v1/orders", {"receipt": receipt, "count": MOST_ROWS})
        # The filter is "contains": the first attempt's receipt is contained in the tenth's.
        ids = [one["id"] for one in rows(answer, "items") if one.get("receipt") == receipt]
        if known is not None and known not in ids:
            ids.append(known)
        return [rows(await self._http.get(f"/v1/orders/{id_}/payments"), "items") for id_ in ids]

    async def refund(self, payment_id: str, receipt: str) -> JsonObject | None:
        """The refund of a payment under a receipt, or nothing."""
        answer = await self._http.get(f"/v1/payments/{payment_id}/refunds", {"count": MOST_ROWS})
        found = (one for one in rows(answer, "items") if one.get("receipt") == receipt)
        return next(found, None)

    async def customer(self, customer_id: str) -> JsonObject:
        """A customer that Razorpay keeps for us."""
        return _body(await self._http.get(f"/v1/customers/{customer_id}"))


def _body(answer: Answer | Trouble) -> JsonObject:
    failure = failure_in(answer)
    if failure is not None or isinstance(answer, Trouble):
        raise Unanswered(failure or UNREADABLE)
    return answer.body


def _known(answer: Answer | Trouble) -> JsonObject:
    failure = failure_in(answer)
    if failure is not None and failure.code in _NOT_OURS:
        raise Unanswered(Trouble(FailureClass.CONFIG, "payment_of_another_account"))
    return _body(answer)
