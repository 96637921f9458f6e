"""One process of ours: what `serve ROLE` runs, in the stack and in containers."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import uvloop

from stack.errors import StackError
from stack.logs import configure
from stack.settings import Settings

BEAT_S: Final = 3.0


class Life:
    """A process's beginning and end: it says when it is well, and is told when to stop."""

    def __init__(self, sign: Path | None) -> None:
        self.stop = asyncio.Event()
        self._sign = sign
        self._beating: asyncio.Task[None] | None = None

    def ready(self) -> None:
        """To be called once the work can be done; the sign of life is given from then on."""
        if self._sign is not None and self._beating is None:
            self._beating = asyncio.create_task(_beat(self._sign.touch))


async def _beat(give_sign: Callable[[], None]) -> None:
    # From the event loop on purpose: when that is stuck, the sign grows old.
    while True:
        give_sign()
        await asyncio.sleep(BEAT_S)


async def migrate(settings: Settings, _: Life) -> None:
    """Brings the database to this release's schema; refuses one that a later release wrote."""
    from db.errors import SchemaError
    from db.migrate import upgrade

    try:
        await upgrade(settings.needed("postgres_url"))
    except SchemaError as error:
        raise StackError(str(error)) from None


async def seed(settings: Settings, _: Life) -> None:
    """Loads our own small catalogue; does nothing where it is loaded."""
    from db.session import Database
    from stack.catalogue import seed as load_seed

    database = Database(settings.needed("postgres_url"))
    try:
        await load_seed(database)
    finally:
        await database.close()


async def workflows(settings: Settings, life: Life) -> None:
    """Runs the sagas."""
    from stack.wiring import worker_config
    from workers.main import run_workflows

    await run_workflows(worker_config(settings), life)


async def activities(settings: Settings, life: Life) -> None:
    """Does what the sagas ask of the outside."""
    from stack.wiring import worker_config
    from workers.main import run_activities

    await run_activities(worker_config(settings), life)


async def relay(settings: Settings, life: Life) -> None:
    """Carries events from the outbox to the streams, and webhooks to their sagas."""
    from stack.wiring import worker_config
    from workers.relay import run_relay

    await run_relay(worker_config(settings), life)


async def api(settings: Settings, life: Life) -> None:
    """Answers HTTP until it is told to stop."""
    import uvicorn

    from api.app import create_app
    from stack.wiring import api_config

    server = uvicorn.Server(
        uvicorn.Config(
            create_app(api_config(settings)),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
    )
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(life.stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving
    stopping.cancel()


Role = Callable[[Settings, Life], Awaitable[None]]


ROLES: Final[Mapping[str, Role]] = {
    role.__name__: role for role in (migrate, seed, workflows, activities, relay, api)
}


def serve(role: str, settings: Settings, sign: Path | None) -> None:
    """Runs the process until it is done or a signal stops it; raises StackError."""
    if role not in ROLES:
        raise StackError(f"there is no process {role!r}; there are: {', '.join(ROLES)}")
    configure(settings.log_level, role)
    uvloop.run(_live(ROLES[role], settings, sign))


async def _live(role: Role, settings: Settings, sign: Path | None) -> None:
    life = Life(sign)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, life.stop.set)
    await role(settings, life)
