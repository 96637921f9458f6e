"""The relay process: events out of the outbox, webhooks out of the inbox."""

import asyncio
from contextlib import AsyncExitStack

from db import relay
from db.bus import RedisStreamsBus
from workers import connections
from workers.config import Lifetime, WorkerConfig
from workers.inbox import Deliverer


async def run_relay(config: WorkerConfig, life: Lifetime) -> None:
    """Publish events and deliver webhooks until told to stop."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(connections.database(config, "relay", 5))
        redis = await stack.enter_async_context(connections.redis(config))
        client = await connections.temporal_client(config)
        deliverer = Deliverer(database, client, config.timings)
        async with asyncio.TaskGroup() as group:
            group.create_task(relay.run(database, RedisStreamsBus(redis), life.stop))
            group.create_task(deliverer.run(life.stop))
            life.ready()
