"""`./sagakart account grant EMAIL ROLE`: who may work as support, seller or admin."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from db.errors import NotFound
from db.repositories import users
from db.session import Database
from db.vocabulary import Role
from stack.errors import StackError
from stack.reach import database_of
from stack.settings import Settings, load

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def account() -> None:
    """The accounts of people who use SagaKart."""


@app.command()
def grant(
    email: Annotated[
        str, typer.Argument(help="The e-mail address that the account signed up with.")
    ],
    role: Annotated[Role, typer.Argument(help="What the account may be from its next login on.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="The data folder; .sagakart if not set.")
    ] = None,
) -> None:
    """Give an account a role. Nobody can do this over HTTP: it takes access to this machine."""
    asyncio.run(_grant(load(data_dir=data), email, role))
    print(f"{email} is {role} from the next login on")


async def _grant(settings: Settings, email: str, role: Role) -> None:
    async with database_of(settings) as url:
        db = Database(url, pool_size=1, application="sagakart account")
        try:
            async with db.unit_of_work() as session:
                await users.grant(session, email, role)
        except NotFound:
            raise StackError(
                f"nobody signed up as {email!r}; sign up first with POST /v1/users"
            ) from None
        finally:
            await db.close()
