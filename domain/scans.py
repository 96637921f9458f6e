"""What a carrier's scans add up to, whatever order they came in and however often.

A carrier tells the same thing twice, late, in any order, and against itself. Scans are ordered by
their own time and then by rank, never by arrival; what may not follow is kept for review.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from domain.ndr import NdrReason, reason_of
from domain.shipping import (
    RANK,
    RTO_STATES,
    START,
    Direction,
    ShipmentState,
    ShippingError,
    may_follow,
)

_S = ShipmentState
# what a parcel on its way back to the origin may still tell
_HOMEWARD = RTO_STATES | {_S.LOST, _S.DAMAGED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One event of a parcel, by the carrier's own clock (`at`, aware).

    `carrier_status_id` is the carrier's name of the status, in one space for each carrier;
    `status` is what it means to us, UNMAPPED while nobody said. `reason` is the carrier's words.
    Raises ShippingError TIME_NOT_AWARE or AWB_MISSING.
    """

    awb: str
    status: ShipmentState
    at: datetime
    carrier_status_id: str
    location: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.at.utcoffset() is None:
            raise ShippingError("TIME_NOT_AWARE", f"scan at {self.at}: it needs a time zone")
        if not self.awb:
            raise ShippingError("AWB_MISSING", f"scan {self.carrier_status_id!r} names no parcel")

    @property
    def identity(self) -> tuple[str, str, datetime]:
        """Scans that share it are one scan."""
        return self.awb, self.carrier_status_id, self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentView:
    """Where a parcel is by all its scans.

    `attempts` counts failed deliveries, with a reason each; NDR scans with nothing between them
    tell of one attempt. `last_scan_at` is None before the first scan; `since` is the moment of
    the scan that led to `state`. `unmapped` and `contradictions` (scans that may not follow what
    was known) are for people to look at.
    """

    state: ShipmentState
    since: datetime | None = None
    attempts: int = 0
    last_scan_at: datetime | None = None
    ndr_reasons: tuple[NdrReason, ...] = ()
    unmapped: tuple[Scan, ...] = ()
    contradictions: tuple[Scan, ...] = ()


def in_order(scans: Iterable[Scan]) -> tuple[Scan, ...]:
    """Each scan once, by its own time, then rank; a function of the set, not of the arrivals."""
    best: dict[tuple[str, str, datetime], Scan] = {}
    for scan in scans:
        known = best.get(scan.identity)
        if known is None or _fullness(scan) > _fullness(known):
            best[scan.identity] = scan
    return tuple(sorted(best.values(), key=_position))


def fold(scans: Iterable[Scan], direction: Direction = Direction.FORWARD) -> ShipmentView:
    """The view of one parcel's scans: the same for any order and any repetition of them.

    Raises ShippingError MIXED_PARCELS when they name more than one parcel.
    """
    ordered = in_order(scans)
    awbs = sorted({scan.awb for scan in ordered})
    if len(awbs) > 1:
        raise ShippingError("MIXED_PARCELS", f"scans of {' and '.join(awbs)}: fold each alone")
    walk = _Walk(START[direction], direction)
    for scan in ordered:
        walk.take(scan)
    return ShipmentView(
        state=walk.state,
        since=walk.since,
        attempts=len(walk.reasons),
        last_scan_at=ordered[-1].at if ordered else None,
        ndr_reasons=tuple(walk.reasons),
        unmapped=tuple(walk.unmapped),
        contradictions=tuple(walk.contradictions),
    )


def _fullness(scan: Scan) -> tuple[bool, int, bool, str, str, str]:
    """Of two tellings of one scan the one that says more; then any, but always the same."""
    return (
        scan.status is not _S.UNMAPPED,
        RANK[scan.status],
        bool(scan.reason),
        scan.reason,
        scan.location,
        # the same moment may be written in two time zones
        scan.at.isoformat(),
    )


def _position(scan: Scan) -> tuple[datetime, int, str, str]:
    return scan.at, RANK[scan.status], scan.carrier_status_id, scan.awb


@dataclass(slots=True)
class _Walk:
    """A parcel's way through its ordered scans."""

    state: ShipmentState
    direction: Direction
    since: datetime | None = None
    turned: bool = False
    reasons: list[NdrReason] = field(default_factory=list)
    unmapped: list[Scan] = field(default_factory=list)
    contradictions: list[Scan] = field(default_factory=list)

    def take(self, scan: Scan) -> None:
        """Go where the scan leads, or keep it for review."""
        if scan.status is _S.UNMAPPED:
            self.unmapped.append(scan)
        elif scan.status is self.state:
            self._again(scan)
        elif self._may_go_to(scan.status):
            self._go(scan)
        else:
            self.contradictions.append(scan)

    def _may_go_to(self, status: ShipmentState) -> bool:
        # a parcel lost on its way back and found again is still on its way back
        if self.turned and status not in _HOMEWARD:
            return False
        return may_follow(self.state, status, self.direction)

    def _go(self, scan: Scan) -> None:
        self.state, self.since = scan.status, scan.at
        self.turned = self.turned or scan.status in RTO_STATES
        if scan.status is _S.NDR:
            self.reasons.append(reason_of(scan.reason))

    def _again(self, scan: Scan) -> None:
        if self.since is None:
            self.since = scan.at
        if scan.status is _S.NDR and self.reasons[-1] is NdrReason.OTHER:
            # two scans in a row are one attempt; the second may name what the first did not
            self.reasons[-1] = reason_of(scan.reason)
