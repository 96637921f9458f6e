"""The webhook queue: written in the deed's own transaction, delivered until answered with 2xx."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from sandbox.psp.books import Books, now_ms
from sandbox.psp.faults import Faults, chance, within
from sandbox.psp.profiles import WEBHOOK

ATTEMPTS = 24  # with the back-off below, about two minutes
BACK_OFF_MS = (200, 400, 800, 1600, 3200, 6000)
TIMEOUT_S = 5.0
SIDE_BY_SIDE = 8
REORDERED_MS = (300, 900)
EARLY_WAIT_MS = 2000
BATCH = 100
LONGEST_SLEEP_S = 60.0

log = logging.getLogger("sandbox.webhooks")

# (body, time in epoch seconds, event id, secret) -> the PSP's headers
Sign = Callable[[bytes, int, str, str], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where webhooks go, and the secret that they are signed with."""

    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One pending delivery of one event."""

    id: int
    event_id: str
    body: bytes
    forged: bool
    attempts: int


class Webhooks:
    """Queues events in the books and sends them; without a target nothing is queued."""

    def __init__(
        self,
        books: Books,
        faults: Faults,
        target: Target | None,
        sign: Sign,
        spread_ms: tuple[int, int],
    ) -> None:
        self._books = books
        self._faults = faults
        self._target = target
        self._sign = sign
        self._spread_ms = spread_ms
        self._woken = asyncio.Event()
        self._early: list[int] = []
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)
        self._sending: set[int] = set()
        self._slots = asyncio.Semaphore(SIDE_BY_SIDE)

    def queue(self, event_id: str, body: bytes, merchant_ref: str, forgery: bytes) -> None:
        """Queue one event inside the transaction of what it tells; `forgery` is a false twin."""
        if self._target is None:
            return
        now, fault = now_ms(), self._faults.decide(WEBHOOK, merchant_ref, None)
        due = now + within(self._spread_ms, event_id, "spread")
        if fault == "lost":
            return
        if fault == "late":
            due = now + within(self._faults.settings.webhook_late_ms, event_id, "late")
        elif fault == "reordered":
            due = now + within(REORDERED_MS, event_id, "reordered")
        elif fault == "forged":
            self._insert(f"forged_{event_id}", forgery, now, forged=True)
        elif fault == "doubled":
            self._insert(event_id, body, due + 40, forged=False)
        if fault == "early":
            # deliver_early() sends it; this time counts only if the process dies before that.
            due = now + EARLY_WAIT_MS
        queued = self._insert(event_id, body, due, forged=False)
        if fault == "early":
            self._early.append(queued)
        self._woken.set()

    def _insert(self, event_id: str, body: bytes, due: int, *, forged: bool) -> int:
        row = self._books.db.execute(
            "INSERT INTO webhooks (event_id, body, forged, due) VALUES (?, ?, ?, ?) RETURNING id",
            (event_id, body, forged, due),
        ).fetchone()
        return int(row[0])

    def pending(self) -> int:
        """How many deliveries are still to be made."""
        row = self._books.db.execute("SELECT count(*) FROM webhooks WHERE state = 'pending'")
        return int(row.fetchone()[0])

    async def deliver_early(self) -> None:
        """Deliver what must arrive before the answer of the call that caused it."""
        early, self._early = self._early, []
        for delivery in [one for id_ in early for one in self._claim("id = ?", id_)]:
            try:
                await asyncio.wait_for(self._send(delivery), EARLY_WAIT_MS / 1000)
            except TimeoutError:
                self._woken.set()  # it is due again, as any other

    async def run(self) -> None:
        """Deliver what is due until cancelled; a restart goes on where this one stopped."""
        async with asyncio.TaskGroup() as group:
            while self._target is not None:
                self._woken.clear()
                now = now_ms()
                due = self._claim(f"due <= ? ORDER BY due LIMIT {BATCH}", now)
                for delivery in due:
                    await self._slots.acquire()
                    group.create_task(self._send_in_slot(delivery))
                if len(due) < BATCH:
                    await self._sleep_until_due_after(now)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _sleep_until_due_after(self, now: int) -> None:
        row = self._books.db.execute(
            "SELECT due FROM webhooks WHERE state = 'pending' AND due > ? ORDER BY due LIMIT 1",
            (now,),
        ).fetchone()
        wait = LONGEST_SLEEP_S if row is None else max(0.0, (row[0] - now_ms()) / 1000)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), wait)

    def _claim(self, where: str, value: int) -> list[Delivery]:
        """Pending deliveries that nobody is sending, now ours: whoever claims one sends it."""
        rows = self._books.db.execute(
            f"SELECT * FROM webhooks WHERE state = 'pending' AND {where}",  # noqa: S608
            (value,),
        ).fetchall()
        free = [row for row in rows if row["id"] not in self._sending]
        self._sending.update(row["id"] for row in free)
        return [
            Delivery(row["id"], row["event_id"], row["body"], bool(row["forged"]), row["attempts"])
            for row in free
        ]

    async def _send_in_slot(self, delivery: Delivery) -> None:
        try:
            await self._send(delivery)
        finally:
            self._slots.release()

    async def _send(self, delivery: Delivery) -> None:
        try:
            answer = await self._post(delivery)
            # A forged one is sent once: a forger gets no retries, whatever the answer.
            self._settle(delivery, accepted=delivery.forged or 200 <= answer < 300)
        finally:
            self._sending.discard(delivery.id)

    async def _post(self, delivery: Delivery) -> int:
        target = self._target
        if target is None:
            return 0
        secret = "a forger's guess" if delivery.forged else target.secret
        signed = self._sign(delivery.body, now_ms() // 1000, delivery.event_id, secret)
        headers = {"content-type": "application/json", **signed}
        try:
            answer = await self._client.post(target.url, content=delivery.body, headers=headers)
        except httpx.HTTPError as error:
            log.debug("webhook %s not delivered: %r", delivery.event_id, error)
            return 0
        return answer.status_code

    def _settle(self, delivery: Delivery, *, accepted: bool) -> None:
        attempts = delivery.attempts + 1
        state = "done" if accepted else "given_up" if attempts >= ATTEMPTS else "pending"
        if state == "given_up":
            log.warning("webhook %s given up after %d attempts", delivery.event_id, attempts)
        wait = BACK_OFF_MS[min(attempts, len(BACK_OFF_MS)) - 1]
        jitter = int(chance(delivery.event_id, attempts) * wait / 4)
        self._books.db.execute(
            "UPDATE webhooks SET state = ?, attempts = ?, due = ? WHERE id = ?",
            (state, attempts, now_ms() + wait + jitter, delivery.id),
        )
        if state == "pending":
            self._woken.set()
