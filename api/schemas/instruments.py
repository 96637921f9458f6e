"""Saved ways to pay. A card's number never comes here: a PSP's form turns it into a token."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from api.schemas.base import Line, Told, UlidText
from api.schemas.cards import CardFree
from api.schemas.orders import Token
from domain.payments import PaymentMethod


class InstrumentBody(CardFree):
    """A token that a PSP's own form returned, and what may be shown of what is behind it."""

    method: Annotated[PaymentMethod, Field(strict=False)]
    psp: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,30}$")]
    token: Annotated[Token, Field(min_length=1, examples=["tok_ok"])]
    label: Annotated[Line, Field(max_length=60, examples=["Visa ending 4242"])]
    bin: Annotated[str, StringConstraints(pattern=r"^[0-9]{6,8}$")] | None = None
    bank: Annotated[Line, Field(max_length=40, examples=["HDFC"])] | None = None
    expires_on: Annotated[date, Field(strict=False)] | None = None


class InstrumentView(Told):
    """A saved way to pay; the token itself is not shown again."""

    instrument_id: UlidText
    method: PaymentMethod
    psp: str
    label: str
    bank: str | None
    expires_on: date | None
    created_at: datetime


class Instruments(Told):
    """All of a customer's saved ways to pay."""

    items: list[InstrumentView]
