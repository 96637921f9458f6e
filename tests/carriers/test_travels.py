"""Parcels left to themselves under heavy webhook faults: what we fold is what the carrier knows."""

from __future__ import annotations

import asyncio
import time

from domain.scans import Scan, fold
from domain.shipping import ShipmentState
from domain.webhooks import BadSignature
from tests.carriers.conftest import DAY_MS, Subject

S = ShipmentState
PARCELS = 25
SHORT_DAY_MS = 30
ENDS = {
    "delivered": S.DELIVERED,
    "rto_delivered": S.RTO_DELIVERED,
    "lost": S.LOST,
    "damaged": S.DAMAGED,
}


async def _time(subject: Subject, day_ms: int) -> None:
    async with subject.server.client() as client:
        answer = await client.post("/_sandbox/time", json={"day_ms": day_ms})
    assert answer.json() == {"day_ms": day_ms}


async def _at_rest(subject: Subject) -> None:
    """Once nothing is planned and every webhook was delivered."""
    deadline = time.monotonic() + 60
    async with subject.server.client() as client:
        while (await client.post("/_sandbox/quiesce")).json()["pending"]:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


def _told(subject: Subject, ref: str) -> list[Scan]:
    """What the webhooks told of a parcel, as they came; forgeries are refused."""
    told = []
    for one in subject.shop.about(ref):
        try:
            told += subject.read(one)
        except BadSignature:
            continue
    return told


async def test_however_scans_come_they_add_up_to_the_carrier_s_books(
    subject: Subject, ref: str
) -> None:
    refs = [f"{ref}-{n:02}" for n in range(PARCELS)]
    rules = [
        {"operation": "webhook", "merchant_ref": one, "fault": fault}
        for one in refs
        for fault in ("doubled", "reordered", "lost", "forged", "late", "early", "doubled")
    ]
    await subject.server.faults(rules=rules, seed=5, webhook_late_ms=[100, 300])
    await _time(subject, SHORT_DAY_MS)
    try:
        for one in refs:
            await subject.asked(await subject.booked(one, cash=100_00), one)
        await _at_rest(subject)
    finally:
        await _time(subject, DAY_MS)
    for one in refs:
        (row,) = await subject.books(one)
        shown = (await subject.carrier.track(row["awb"])).scans
        told = _told(subject, one)
        view = fold(shown)
        coarser = subject.name == "delhivery" and row["state"] == "damaged"
        assert view.state is (S.LOST if coarser else ENDS[row["state"]])
        assert view.attempts == row["steps"].count("undelivered")
        assert (view.unmapped, view.contradictions) == ((), ())
        # A lost webhook is made up for by asking; what came twice or late changes nothing.
        assert fold([*told, *shown, *reversed(told)]) == view
        assert {scan.identity for scan in told} <= {scan.identity for scan in shown}
        assert len(told) > len({scan.identity for scan in told})
