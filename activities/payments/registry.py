"""Every PSP that we can pay through: a new one is its adapter's file and a row here.

Light to import: an adapter is loaded when it is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from activities.payments.psp import Adapter


@dataclass(frozen=True, slots=True)
class Provider:
    """One PSP. `url` is its public API; None for the sandbox's own, which `up` starts."""

    name: str
    adapter: str
    url: str | None = None

    @property
    def sandbox(self) -> bool:
        """Whether the sandbox plays this PSP."""
        return self.url is None

    def load(self) -> "type[Adapter]":
        """The adapter's class."""
        module, _, name = self.adapter.partition(":")
        loaded: type[Adapter] = getattr(import_module(f"activities.payments.psp.{module}"), name)
        return loaded


PROVIDERS: Final[Mapping[str, Provider]] = {
    provider.name: provider
    for provider in (
        Provider("alphapay", "alphapay:AlphaPay"),
        Provider("betapay", "betapay:BetaPay"),
    )
}
SANDBOX: Final = tuple(name for name, provider in PROVIDERS.items() if provider.sandbox)
