"""Orders: placing, reading and cancelling them."""

from __future__ import annotations

import re
from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from api.checkout import PLACE_CODES, cancel, instrument_of, order_to_place, place
from api.idempotency import Answer, asked, once
from api.identity import CallerDep, ReadLimit
from api.order_views import order_view, payment_view, summary_view, unopened_view
from api.problems import SIGNED_IN, WITH_BODY, Problem, problems
from api.schemas.base import ULID_PATTERN, Listed
from api.schemas.orders import (
    CancelAnswer,
    CancelBody,
    OrderAnswer,
    OrderBody,
    OrderSummaryView,
    OrderView,
    PaymentView,
)
from api.services import Services, ServicesDep
from api.tokens import Caller
from db.errors import NotFound
from db.repositories import edge, orders, payments
from workflows.contracts.ids import checkout_id

router = APIRouter(prefix="/v1/orders", tags=["orders"])

_ROUTE = "POST /v1/orders"
_ULID = re.compile(ULID_PATTERN)
_WAITS = {"description": "The order waits: on its customer, on an agent, or on the engine."}

# read from the request itself, so that a missing or odd key has codes of its own
KeyHeader = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="16 to 128 printable characters; one an order."),
]


def location_of(order_id: str) -> str:
    """Where an order can be followed."""
    return f"/v1/orders/{order_id}"


@router.post(
    "",
    status_code=201,
    response_model=OrderAnswer,
    responses=problems(
        *PLACE_CODES, *SIGNED_IN, *WITH_BODY, also={202: {"model": OrderAnswer, **_WAITS}}
    ),
)
async def place_order(
    body: OrderBody,
    request: Request,
    caller: CallerDep,
    services: ServicesDep,
    idempotency_key: KeyHeader = None,
) -> Response:
    """Place an order; the same key with the same body gets the same answer, however often."""
    limit = services.config.limits.orders
    await services.limiter.take("orders", limit, caller.user_id, must_count=False)

    async def work(order_id: str) -> Answer:
        saved = await instrument_of(services, caller.user_id, body.payment)
        order = order_to_place(services, order_id, caller.user_id, body, saved)
        return await place(services, order, request.state.request_id)

    return await once(services, asked(request, caller.user_id, _ROUTE, body), location_of, work)


@router.get("", dependencies=[ReadLimit], responses=problems("BAD_CURSOR", *SIGNED_IN))
async def list_orders(
    caller: CallerDep,
    services: ServicesDep,
    cursor: Annotated[str | None, Query(max_length=512)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Listed[OrderSummaryView]:
    """The caller's own orders, newest first."""
    async with services.database.reading() as session:
        page = await orders.list_of(session, caller.user_id, after=cursor, limit=limit)
    return Listed(items=[summary_view(order) for order in page.items], next=page.next)


@router.get(
    "/{order_id}",
    dependencies=[ReadLimit],
    responses=problems("ORDER_NOT_FOUND", *SIGNED_IN),
)
async def get_order(order_id: str, caller: CallerDep, services: ServicesDep) -> OrderView:
    """An order in full; somebody else's does not exist."""
    return await _seen(services, order_id, caller)


@router.get(
    "/{order_id}/payment",
    dependencies=[ReadLimit],
    responses=problems("ORDER_NOT_FOUND", "PAYMENT_NOT_FOUND", *SIGNED_IN),
)
async def get_payment(order_id: str, caller: CallerDep, services: ServicesDep) -> PaymentView:
    """How an order's payment stands, and what the customer has to do."""
    order = await _seen(services, order_id, caller)
    if order.payment is None:
        raise Problem("PAYMENT_NOT_FOUND")
    return order.payment


@router.post(
    "/{order_id}/cancel",
    response_model=CancelAnswer,
    responses=problems(
        "ORDER_NOT_FOUND",
        "ORDER_TOO_LATE_TO_CANCEL",
        "ORDER_ENDED",
        *SIGNED_IN,
        *WITH_BODY,
        also={202: {"model": CancelAnswer, "description": "It is being cancelled."}},
    ),
)
async def cancel_order(
    order_id: str,
    caller: CallerDep,
    services: ServicesDep,
    body: CancelBody | None = None,
) -> Response:
    """Cancel an order that is not paid yet; everything done for it is undone."""
    limit = services.config.limits.orders
    await services.limiter.take("cancel", limit, caller.user_id, must_count=False)
    await _seen(services, order_id, caller)
    reason = body.reason if body else ""
    status, answer = await cancel(services, order_id, caller.user_id, reason)
    content = orjson.dumps(answer.model_dump(mode="json"))
    return Response(content, status, media_type="application/json")


async def _seen(services: Services, order_id: str, caller: Caller) -> OrderView:
    """An order that the caller may see; raises Problem ORDER_NOT_FOUND for any other."""
    if not _ULID.fullmatch(order_id):
        raise Problem("ORDER_NOT_FOUND")
    owner = None if caller.staff else caller.user_id
    async with services.database.reading() as session:
        try:
            order = await orders.get(session, order_id, user_id=owner)
        except NotFound:
            waiting = await edge.unopened(
                session,
                user_id=caller.user_id,
                order_id=order_id,
                saga_id=checkout_id(order_id),
            )
            if waiting is None:
                raise Problem("ORDER_NOT_FOUND") from None
            return unopened_view(waiting)
        payment = await payments.of_order(session, order_id)
        attempts = await payments.attempts_of(session, order_id) if payment else ()
    return order_view(order, payment_view(payment, attempts) if payment else None)
