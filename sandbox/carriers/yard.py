"""What a carrier does with parcels, whatever it calls it: one place for all carriers' deeds."""

from collections.abc import Callable, Iterable
from typing import Final

from sandbox.carriers import journeys
from sandbox.carriers.books import Parcel, ParcelBooks, Scan
from sandbox.carriers.journeys import BEFORE_PICKUP, ENDED, RETURNING, Draw, Planned, Step
from sandbox.psp.books import now_ms
from sandbox.psp.faults import Faults, chance

# what a merchant may ask for after a failed delivery
AGAIN, DEFER, EDIT, RETURN = "again", "defer", "edit", "return"
MOST_DAYS: Final = 6
PICKUP_AFTER_DAYS = 0.1  # until the pickup that was asked for is in the courier's list


class Refused(Exception):
    """Something that cannot be done with a parcel as it is now; `code` is the yard's own word."""

    def __init__(self, code: str, parcel: Parcel | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.parcel = parcel


class Yard:
    """Parcels and their deeds; `tell` hears of every scan. Inside `books.transaction()`."""

    def __init__(
        self,
        parcels: ParcelBooks,
        faults: Faults,
        tell: Callable[[Parcel, Scan], None],
        resolution_ms: int,
    ) -> None:
        self.parcels = parcels
        self._faults = faults
        self._tell = tell
        self._resolution_ms = resolution_ms

    def say(self, parcel: Parcel, step: Step, reason: str | None = None) -> Parcel:
        """Scan a parcel now.

        No two scans of a parcel share a time as the carrier writes it: days that last seconds would
        otherwise put an attempt and its failure, which are hours apart, into one.
        """
        before = self.parcels.scans(parcel.id)
        at = now_ms() // self._resolution_ms * self._resolution_ms
        if before:
            at = max(at, before[-1].at + self._resolution_ms)
        now = self.parcels.scan(parcel.id, at, step, reason)
        self._tell(now, Scan(at=at, step=step, reason=reason))
        return now

    def book(
        self,
        merchant_ref: str,
        *,
        awb: str | None,
        reverse: bool,
        collect: int,
        value: int,
        fingerprint: str,
        site: str = "",
    ) -> Parcel:
        """Take a parcel; one with an AWB begins its life."""
        parcel = self.parcels.add(
            merchant_ref,
            awb=awb,
            reverse=reverse,
            collect=collect,
            value=value,
            fingerprint=fingerprint,
            site=site,
        )
        return self.begin(parcel) if awb else parcel

    def begin(self, parcel: Parcel) -> Parcel:
        """Say that a parcel is booked; a reverse one is fetched without being asked again."""
        if not parcel.reverse:
            return self.say(parcel, Step.BOOKED)
        self._set_out(parcel, journeys.reverse)
        return self.say(parcel, Step.RVP_SCHEDULED)

    def pickup(self, parcel: Parcel) -> bool:
        """Have a parcel fetched; false where that was asked before."""
        if parcel.state is Step.CANCELLED:
            raise Refused("cancelled", parcel)
        if parcel.reverse or not self.parcels.ask_pickup(parcel.id):
            return False
        cod = parcel.collect > 0
        self._set_out(parcel, lambda draw: journeys.forward(draw, cod=cod))
        self.say(parcel, Step.PICKUP_SCHEDULED)
        return True

    def _set_out(self, parcel: Parcel, drawn: Callable[[Draw], list[Planned]]) -> None:
        steps = self.parcels.lifecycle(parcel.merchant_ref)
        if steps is None:
            plan = drawn(self._draw(parcel))
            steps = [(PICKUP_AFTER_DAYS + days, step, why) for days, step, why in plan]
        self.parcels.plan(parcel.id, now_ms(), steps)

    def _draw(self, parcel: Parcel) -> Draw:
        seed, ref = self._faults.settings.seed, parcel.merchant_ref
        return lambda question: chance(seed, "journey", ref, question)

    def cancel(self, parcel: Parcel) -> Parcel:
        """Call a parcel off; refused once it was fetched."""
        if parcel.state is Step.CANCELLED:
            return parcel
        if parcel.state not in BEFORE_PICKUP:
            raise Refused("picked_up", parcel)
        self.parcels.plan(parcel.id, 0, ())
        return self.say(parcel, Step.CANCELLED) if parcel.awb else self._forget(parcel)

    def _forget(self, parcel: Parcel) -> Parcel:
        return self.parcels.scan(parcel.id, now_ms(), Step.CANCELLED, None)

    def turn_back(self, parcel: Parcel) -> Parcel:
        """Send a parcel back that was fetched already; one on its way back stays so."""
        if parcel.state in ENDED:
            raise Refused("ended", parcel)
        if parcel.state not in RETURNING:
            self.parcels.plan(parcel.id, now_ms(), journeys.back(0.1))
        return parcel

    def after_ndr(self, parcel: Parcel, act: str, days: float = 1.0) -> Parcel:
        """Do what the customer chose after a failed delivery; a given lifecycle stays as it is."""
        if parcel.state is not Step.UNDELIVERED:
            raise Refused("not_undelivered", parcel)
        if act == RETURN:
            return self.turn_back(parcel)
        if not 0 < days <= MOST_DAYS:
            raise Refused("too_far_ahead", parcel)
        if self.parcels.lifecycle(parcel.merchant_ref) is None:
            self.parcels.plan(parcel.id, now_ms(), self._again(parcel, act, days))
        return parcel

    def _again(self, parcel: Parcel, act: str, days: float) -> Iterable[Planned]:
        said = self.parcels.scans(parcel.id)
        made = sum(1 for scan in said if scan.step is Step.UNDELIVERED)
        if act == EDIT:
            return journeys.attempts(self._draw(parcel), days, fails=0, made=made)
        return journeys.again(self._draw(parcel), days, made=made)

    def on_clock(self, now: int) -> None:
        """Everything that was due by now."""
        for one in self.parcels.due_actions(now):
            self.parcels.settle_action(one.id, self._outcome(one.awb, one.act, one.days))
        for parcel, step, reason in self.parcels.take_due(now):
            self.say(parcel, step, reason)

    def _outcome(self, awb: str, act: str, days: float) -> str:
        parcel = self.parcels.parcel(awb)
        if parcel is None:
            return "no_such_parcel"
        try:
            self.after_ndr(parcel, act, days)
        except Refused as refused:
            return refused.code
        return "done"
