"""What payment providers tell us: verified, stored once, answered, and then passed on."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any, Final

import structlog
from fastapi import APIRouter, Request
from sqlalchemy.ext.asyncio import AsyncSession

from api.engine import EngineError
from api.identity import address_of
from api.problems import Problem, problems
from api.schemas.base import ULID_PATTERN
from api.services import Services, ServicesDep
from db.repositories import inbox, payments
from db.repositories.inbox import NewWebhook
from db.vocabulary import Trust
from domain.news import DISPUTES, REFUNDS, is_news
from domain.payments import PaymentState
from domain.webhooks import BadSignature, PaymentEvent, StaleSignature, UnreadableEvent
from workflows.contracts.payments import PSPEvent

log = structlog.get_logger("api")

router = APIRouter(prefix="/v1/payments", tags=["webhooks"])

_ULID: Final = re.compile(ULID_PATTERN)
# States in which we have asked the PSP something and wait for its answer.
_UNDER_WAY: Final = (PaymentState.CREATED, PaymentState.AUTHORISED, PaymentState.VOIDING)


@router.post(
    "/webhook/{provider}",
    responses=problems(
        "PROVIDER_NOT_FOUND",
        "SIGNATURE_INVALID",
        "SIGNATURE_STALE",
        "EVENT_UNREADABLE",
        "BODY_TOO_LARGE",
    ),
)
async def receive(provider: str, request: Request, services: ServicesDep) -> dict[str, str]:
    """Take a provider's event; one that came before is answered alike, and changes nothing."""
    limit = services.config.limits.webhooks
    await services.limiter.take("webhooks", limit, address_of(request), must_count=False)
    events = _verified(services, provider, await request.body(), dict(request.headers))
    rows = [_row(event) for event in events]
    async with services.database.unit_of_work() as session:
        received = [await inbox.receive(session, row) for row in rows]
        waited_for = [
            seen.new and await _is_waited_for(session, seen.id, event)
            for event, seen in zip(events, received, strict=True)
        ]
    for event, row, seen, now in zip(events, rows, received, waited_for, strict=True):
        if now and row.order_id is not None:
            services.in_background(_deliver(services, seen.id, row.order_id, event))
    return {"status": "received" if any(seen.new for seen in received) else "duplicate"}


async def _is_waited_for(session: AsyncSession, row_id: str, event: PaymentEvent) -> bool:
    """Whether somebody has to hear of an event at once.

    What the books know already is delivered herewith. While a call to the PSP is under way its
    own answer brings the news; the relay looks at the event again once that has had its time.
    """
    if event.kind in DISPUTES | REFUNDS:
        return False  # for the relay: nobody waits at the edge for these
    attempt = await payments.attempt_by_ref(
        session, event.provider, merchant_ref=event.merchant_ref, psp_ref=event.ref
    )
    if attempt is None:
        return True
    told = (event.captured, event.refunded)
    known = (attempt.captured_paise, attempt.refunded_paise)
    if not is_news(event.kind, told=told, state=attempt.state, known=known):
        await inbox.mark_delivered(session, row_id, order_id=attempt.order_id)
        return False
    return attempt.state not in _UNDER_WAY


def _verified(
    services: Services, provider: str, raw: bytes, headers: dict[str, str]
) -> list[PaymentEvent]:
    read = services.config.webhooks.get(provider)
    if read is None:
        raise Problem("PROVIDER_NOT_FOUND")
    try:
        events = read(raw, headers, services.clock())
    except BadSignature as error:
        # the reason helps whoever sets up a provider; a forger is not told
        log.warning("webhook refused", provider=provider, reason=error.reason)
        stale = isinstance(error, StaleSignature)
        raise Problem("SIGNATURE_STALE" if stale else "SIGNATURE_INVALID") from error
    except (UnreadableEvent, RecursionError) as error:
        log.error("webhook unreadable", provider=provider, reason=str(error)[:200])
        raise Problem("EVENT_UNREADABLE") from error
    if any("\0" in text for event in events for text in _texts(event)):
        raise Problem("EVENT_UNREADABLE")
    return events


def _row(event: PaymentEvent) -> NewWebhook:
    """What is kept of an event: its own fields only, so no card data, whatever the body had."""
    payload: dict[str, Any] = asdict(event)
    return NewWebhook(
        provider=event.provider,
        event_id=event.event_id,
        occurred_at=event.occurred_at,
        trust=Trust(event.trust.value),
        kind=event.kind.value,
        payment_ref=event.merchant_ref,
        order_id=_order_of(event.merchant_ref),
        payload=payload,
    )


def _order_of(merchant_ref: str) -> str | None:
    """The order in an attempt's id, `<order id>-<seq>`."""
    order_id = merchant_ref.rpartition("-")[0]
    return order_id if _ULID.fullmatch(order_id) else None


def _texts(event: PaymentEvent) -> list[str]:
    return [value for value in asdict(event).values() if isinstance(value, str)]


async def _deliver(services: Services, row_id: str, order_id: str, event: PaymentEvent) -> None:
    """Try once, at once; what fails here is delivered from the inbox by the relay."""
    try:
        told = PSPEvent(attempt_id=event.merchant_ref, kind=event.kind.value)
        await services.engine.tell_payment(order_id, told)
        async with services.database.unit_of_work() as session:
            await inbox.mark_delivered(session, row_id)
    except EngineError as error:
        log.info("webhook left in the inbox", webhook=row_id, reason=type(error).__name__)
    except Exception as error:
        log.warning("webhook left in the inbox", webhook=row_id, reason=type(error).__name__)
