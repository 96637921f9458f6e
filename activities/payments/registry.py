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
    """One PSP. `url` is its public API; None for the sandbox's own, which `up` starts.

    `patience_s` is how long an answer is waited for: banks behind a real PSP take seconds, and
    a call and its connection must fit into the activity's ten.
    """

    name: str
    adapter: str
    url: str | None = None
    patience_s: float = 3.0

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
        Provider("gammapay", "gammapay:GammaPay"),
        Provider("razorpay", "razorpay:Razorpay", "https://api.razorpay.com", patience_s=8.0),
        Provider("stripe", "stripe:Stripe", "https://api.stripe.com", patience_s=8.0),
    )
}
SANDBOX: Final = tuple(name for name, provider in PROVIDERS.items() if provider.sandbox)
