"""Every carrier that we can ship with: a new one is its adapter's file and a row here.

Light to import: an adapter is loaded when it is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from activities.shipping.carriers import Adapter


@dataclass(frozen=True, slots=True)
class CarrierRow:
    """One carrier. `url` is its public API; None for the sandbox's own, which `up` starts.

    `patience_s` is how long an answer is waited for.
    """

    name: str
    adapter: str
    url: str | None = None
    patience_s: float = 3.0

    @property
    def sandbox(self) -> bool:
        """Whether the sandbox alone plays this carrier."""
        return self.url is None

    def load(self) -> "type[Adapter]":
        """The adapter's class."""
        module, _, name = self.adapter.partition(":")
        found = import_module(f"activities.shipping.carriers.{module}")
        loaded: type[Adapter] = getattr(found, name)
        return loaded


CARRIERS: Final[Mapping[str, CarrierRow]] = {
    carrier.name: carrier
    for carrier in (
        CarrierRow("swift", "swift:Swift"),
        CarrierRow(
            "shiprocket", "shiprocket:Shiprocket", "https://apiv2.shiprocket.in", patience_s=8.0
        ),
        CarrierRow(
            "delhivery", "delhivery:Delhivery", "https://track.delhivery.com", patience_s=8.0
        ),
    )
}
