"""What every contract shares."""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """A value that crosses a process boundary: frozen, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Nothing(Contract):
    """The input of an activity that needs none."""


# A step that is one short database transaction. The budget outlasts a database's restart.
TRANSACTION: dict[str, Any] = {
    "local": True,
    "start_to_close": timedelta(seconds=5),
    "schedule_to_close": timedelta(seconds=90),
}
