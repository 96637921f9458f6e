"""Refunds: what is asked back, and how it stands. Amounts in paise."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.schemas.base import Line, Paise, Told
from api.schemas.cards import CardFree
from domain.refunds import RefundKind, RefundState


class RefundBody(CardFree):
    """What goes back; without an amount all that is left of what was taken."""

    amount_paise: Annotated[int, Field(ge=1, lt=10**15, examples=[19900])] | None = None
    reason: Annotated[Line, Field(examples=["one of two arrived broken"])]


class RefundAnswerView(Told):
    """How a refund stands: PENDING is promised and on its way."""

    refund_id: str
    order_id: str
    amount_paise: Paise
    state: RefundState


class RefundView(Told):
    """A refund in a list."""

    refund_id: str
    amount_paise: Paise
    state: RefundState
    kind: RefundKind
    reason: str
    created_at: datetime
    updated_at: datetime
