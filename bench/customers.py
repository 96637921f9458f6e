"""People at the edge who buy, and keep on buying."""

import asyncio
from collections import Counter, deque
from contextlib import AsyncExitStack
from typing import Any, Final

import orjson
from temporalio.client import Client

from bench.client import Connection
from bench.errors import CannotMeasure
from bench.load import Load, Once, closed_loop
from bench.shop import Shop
from workflows.contracts.ids import checkout_id

_KEPT: Final = 20
_PATIENCE_S: Final = 120.0


class Customers:
    """Keeps the last confirmed orders, and counts the answers that confirmed none."""

    def __init__(self, url: str, shop: Shop, client: Client) -> None:
        self._url = url
        self._shop = shop
        self._client = client
        self.order_ids: deque[str] = deque(maxlen=_KEPT)
        self.unsold: Counter[str] = Counter()

    async def buy(self, at_once: int, seconds: float) -> Load:
        """So many at once, each on a connection of their own; raises CannotMeasure."""
        async with AsyncExitStack() as stack:
            connections = [
                await stack.enter_async_context(Connection(self._url)) for _ in range(at_once)
            ]
            return await closed_loop([self._buyer(one) for one in connections], seconds)

    def _buyer(self, connection: Connection) -> Once:
        async def once() -> bool:
            order = self._shop.next_order()
            status, body = await connection.post("/v1/orders", order.headers, order.body)
            told = _read(body)
            if status == 202:
                # "Not yet" is no end: what is measured lasts until the order is confirmed.
                told = await self._ended(told["order_id"])
            confirmed = told.get("state") == "CONFIRMED"
            if confirmed:
                self.order_ids.append(told["order_id"])
            else:
                self.unsold[f"{status} {told.get('code') or told.get('state')}"] += 1
            return confirmed

        return once

    async def _ended(self, order_id: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                told: dict[str, Any] = await self._client.get_workflow_handle(
                    checkout_id(order_id)
                ).result()
                return told
        except TimeoutError:
            raise CannotMeasure(
                f"order {order_id} was answered 202 and has not ended in {_PATIENCE_S:.0f} s"
            ) from None


def _read(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {"code": "without JSON"}
    return told if isinstance(told, dict) else {}
