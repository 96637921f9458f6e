"""From a payment to its route: the rules, what the PSPs can do, and how they are doing."""

from __future__ import annotations

from collections.abc import Mapping

from activities.payments.health import LiveHealth
from activities.payments.psp import PSP, Operation
from domain.routing import RouteRequest, RoutingRules, plan
from workflows.contracts.payments import PayOrder, RouteStop


class Router:
    """Plans routes over the configured PSPs."""

    def __init__(
        self, psps: Mapping[str, PSP], rules: RoutingRules, health: LiveHealth | None = None
    ) -> None:
        self._psps = psps
        self._rules = rules
        self._health = health or LiveHealth()

    async def route(self, request: PayOrder) -> list[RouteStop]:
        """The PSPs to ask in turn, each with its reason; none where no PSP has the method."""
        offers = {
            name: psp.caps.methods
            for name, psp in self._psps.items()
            # a token is worth nothing at any other PSP
            if request.bound_to in ("", name)
        }
        asked = RouteRequest(
            order_id=request.order_id,
            method=request.method,
            amount_paise=request.amount_paise,
            bin=request.bin,
            bank=request.bank,
        )
        # of all who have the method, as what is read is kept for the payments after this one
        able = [name for name, psp in self._psps.items() if request.method in psp.caps.methods]
        live = await self._health.view(request.method, able)
        return [
            self._stop(stop.psp, stop.reason) for stop in plan(self._rules, asked, offers, live)
        ]

    def _stop(self, name: str, reason: str) -> RouteStop:
        caps = self._psps[name].caps
        return RouteStop(
            psp=name,
            resend=Operation.AUTHORISE in caps.keyed,
            late=caps.late_success is not None,
            reason=reason,
        )
