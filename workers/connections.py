"""Open what a worker stands on, and close it again."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import GrpcCompression

from activities.payments.psp import PSP, psp_client
from activities.payments.registry import PROVIDERS
from db.payment_health import PaymentHealth
from db.session import Database
from workers.config import WorkerConfig

_REDIS_SECONDS = 1.0


async def temporal_client(config: WorkerConfig) -> Client:
    """Connect to Temporal; on one machine compressing messages only costs."""
    return await Client.connect(
        config.temporal_address,
        namespace=config.namespace,
        data_converter=pydantic_data_converter,
        grpc_compression=GrpcCompression.NONE,
    )


@asynccontextmanager
async def database(config: WorkerConfig, name: str, pool_size: int = 20) -> AsyncIterator[Database]:
    """A pool of database connections, shown in PostgreSQL under `name`."""
    opened = Database(config.postgres_url, pool_size=pool_size, application=name)
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def redis(config: WorkerConfig) -> AsyncIterator["Redis"]:
    """A client that gives up soon: nothing that it serves is the truth."""
    client = Redis.from_url(
        config.redis_url,
        decode_responses=True,
        socket_timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )
    try:
        yield client
    finally:
        await client.aclose()


def payment_health(config: WorkerConfig, client: "Redis") -> PaymentHealth | None:
    """The PSPs' live health, where routing goes by it."""
    return None if config.breaker is None else PaymentHealth(client, config.breaker)


@asynccontextmanager
async def providers(config: WorkerConfig) -> AsyncIterator[dict[str, PSP]]:
    """The configured PSPs by name."""
    async with AsyncExitStack() as stack:
        psps: dict[str, PSP] = {}
        for name, at in config.providers.items():
            # connections of their own: one that is slow must not take those of another
            client = await stack.enter_async_context(psp_client(read_timeout_s=at.patience_s))
            psps[name] = PROVIDERS[name].load()(
                client, base_url=at.url, api_key=at.key, secrets=at.webhook_secrets
            )
        yield psps
