"""Reach the database of a data folder, whether its stack is up or not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from db import migrate
from db.errors import SchemaError
from stack.errors import StackError
from stack.folder import DataFolder
from stack.ports import Ports
from stack.services import postgres
from stack.settings import Settings
from stack.supervisor import running


@asynccontextmanager
async def database_of(settings: Settings) -> AsyncIterator[str]:
    """The address of a database with this release's schema, started for us if it has to be."""
    folder = DataFolder(settings.data_dir)
    if settings.postgres_url is not None:
        yield await _current(settings.postgres_url)
    elif folder.holder() is not None:
        port = Ports.of(folder.ports, usual=True).kept.get("postgres")
        if port is None:
            raise StackError(
                f"the stack on {folder.path} is only starting; try again once it is ready"
            )
        yield await _current(postgres.url(port, folder.generated_secrets()["postgres_password"]))
    else:
        async with running(settings, parts=("migrate",), usual_ports=True) as stack:
            yield str(stack.settings.postgres_url)


async def _current(url: str) -> str:
    try:
        await migrate.upgrade(url)
    except SchemaError as error:
        raise StackError(str(error)) from None
    except OSError as error:
        raise StackError(f"the database does not answer: {error}") from None
    return url
