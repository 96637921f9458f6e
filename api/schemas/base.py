"""What every schema of the edge shares."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

T = TypeVar("T")

ULID_PATTERN = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"


class Asked(BaseModel):
    """A request's body: no unknown fields, no values of another type."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Told(BaseModel):
    """An answer's body, made from a record."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Listed(Told, Generic[T]):
    """A page of a list; `next` is the cursor of the page after it."""

    items: list[T]
    next: str | None = None


def _printable(text: str) -> str:
    # PostgreSQL refuses NUL, and terminals obey the others
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise ValueError("must not have control characters")
    return text


Plain = AfterValidator(_printable)
UlidText = Annotated[str, StringConstraints(pattern=ULID_PATTERN)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), Plain]
SkuText = Annotated[str, StringConstraints(min_length=1, max_length=80), Plain]
PincodeText = Annotated[str, Field(max_length=16, examples=["560001"]), Plain]
Phone = Annotated[str, Field(pattern=r"^\+?[1-9][0-9]{9,14}$", examples=["+919876543210"])]
Paise = Annotated[int, Field(description="An amount in paise, a hundredth of a rupee.")]
