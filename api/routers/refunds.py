"""Refunds that a person asks for: promised within the request, paid by a saga of their own."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.codes import REFUND_CODES, code_of
from api.engine import EngineUnreachable, SagaEnded
from api.idempotency import Answer, asked, once
from api.identity import CallerDep, ReadLimit, StaffDep
from api.problems import SIGNED_IN, WITH_BODY, Problem, problems
from api.routers.orders import KeyHeader
from api.schemas.base import ULID_PATTERN, Listed
from api.schemas.refunds import RefundAnswerView, RefundBody, RefundView
from api.services import Services, ServicesDep
from db.errors import NotFound
from db.repositories import orders, refunds
from domain.refunds import RefundState
from workflows.contracts.refunds import RefundAnswer, RequestRefund

router = APIRouter(prefix="/v1/orders/{order_id}/refunds", tags=["refunds"])

_ROUTE: Final = "POST /v1/orders/{order_id}/refunds"
_ULID: Final = re.compile(ULID_PATTERN)
_PENDING: Final = {"model": RefundAnswerView, "description": "It is promised, and on its way."}


@router.post(
    "",
    status_code=201,
    response_model=RefundAnswerView,
    responses=problems(
        *REFUND_CODES,
        "ORDER_NOT_FOUND",
        "FORBIDDEN",
        "IDEMPOTENCY_KEY_MISSING",
        "IDEMPOTENCY_KEY_INVALID",
        "IDEMPOTENCY_KEY_REUSED",
        "ORDER_IN_FLIGHT",
        "CARD_NUMBER_REFUSED",
        *SIGNED_IN,
        *WITH_BODY,
        also={202: _PENDING},
    ),
)
async def refund_order(
    order_id: str,
    body: RefundBody,
    request: Request,
    caller: StaffDep,
    services: ServicesDep,
    idempotency_key: KeyHeader = None,
) -> Response:
    """Give money back to whoever paid; the same key with the same body is the same refund."""
    await _seen(services, order_id, None)
    # the order is part of what was asked: one key cannot mean two orders
    route = f"{_ROUTE} {order_id}"

    async def work(refund: str) -> Answer:
        wanted = RequestRefund(
            refund_id=refund,
            order_id=order_id,
            amount_paise=body.amount_paise,
            reason=body.reason,
            requested_by=caller.user_id,
            timings=services.config.refunds,
        )
        return _answer(await _refund(services, wanted), request.state.request_id)

    def location(_: str) -> str:
        return f"/v1/orders/{order_id}/refunds"

    return await once(services, asked(request, caller.user_id, route, body), location, work)


@router.get("", dependencies=[ReadLimit], responses=problems("ORDER_NOT_FOUND", *SIGNED_IN))
async def list_refunds(
    order_id: str, caller: CallerDep, services: ServicesDep
) -> Listed[RefundView]:
    """What went back, or goes back, of an order; oldest first."""
    await _seen(services, order_id, None if caller.staff else caller.user_id)
    async with services.database.reading() as session:
        found = await refunds.of_order(session, order_id)
    return Listed(
        items=[
            RefundView(
                refund_id=one.id,
                amount_paise=one.amount_paise,
                state=one.state,
                kind=one.kind,
                reason=one.reason,
                created_at=one.created_at,
                updated_at=one.updated_at,
            )
            for one in found
        ]
    )


async def _refund(services: Services, wanted: RequestRefund) -> RefundAnswer:
    try:
        try:
            told = await services.engine.refund(wanted, services.config.answer_within)
        except SagaEnded:
            told = await services.engine.refunded(wanted.refund_id)
    except EngineUnreachable as error:
        raise Problem("TEMPORARILY_UNAVAILABLE", order_id=wanted.order_id) from error
    # Not told in time: the saga runs, and is seen in the list once it has set the money aside.
    return told or RefundAnswer(
        refund_id=wanted.refund_id,
        order_id=wanted.order_id,
        amount_paise=wanted.amount_paise or 0,
        state=RefundState.PENDING,
    )


def _answer(told: RefundAnswer, request_id: str) -> Answer:
    if told.code:
        code = told.code if told.code in REFUND_CODES else "REFUND_NOT_POSSIBLE"
        problem = Problem(code, told.message or code_of(code).sentence, order_id=told.order_id)
        return Answer(code_of(code).status, problem.body(request_id))
    view = RefundAnswerView.model_validate(told)
    status = 201 if told.state is RefundState.DONE else 202
    return Answer(status, view.model_dump(mode="json"))


async def _seen(services: Services, order_id: str, owner: str | None) -> None:
    if not _ULID.fullmatch(order_id):
        raise Problem("ORDER_NOT_FOUND")
    try:
        async with services.database.reading() as session:
            await orders.get(session, order_id, user_id=owner)
    except NotFound as error:
        raise Problem("ORDER_NOT_FOUND") from error
