"""The real servers: what they hold outlives any of them being killed."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from pymongo import AsyncMongoClient
from redis.asyncio import Redis
from temporalio.client import Client

from db import migrate
from stack.errors import StackError
from stack.process import Child
from stack.services.pgdata import clear_the_way
from stack.services.postgres import url as postgres_url
from stack.settings import Settings
from stack.supervisor import Supervisor, running
from tests.stack.conftest import until

PARTS = ("postgres", "valkey", "mongo", "temporal")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    data = tmp_path_factory.mktemp("servers") / "data"
    return Settings(_env_file=None, data_dir=data, port=0)


@pytest.fixture
async def stack(settings: Settings) -> AsyncIterator[Supervisor]:
    async with running(settings, parts=PARTS) as started:
        yield started


def dsn(stack: Supervisor) -> str:
    return str(stack.settings.postgres_url).replace("+asyncpg", "")


async def write(stack: Supervisor, note: str) -> None:
    connection = await asyncpg.connect(dsn(stack))
    await connection.execute("CREATE TABLE IF NOT EXISTS notes (text text)")
    await connection.execute("INSERT INTO notes VALUES ($1)", note)
    await connection.close()
    async with Redis.from_url(str(stack.settings.redis_url)) as redis:
        await redis.rpush("notes", note)
        await redis.waitaof(1, 0, 5000)
    async with AsyncMongoClient[dict[str, str]](stack.settings.mongo_url) as mongo:
        await mongo["notes"]["notes"].insert_one({"_id": note})
    client = await Client.connect(str(stack.settings.temporal_address))
    await client.start_workflow("Nobody", id=note, task_queue="nobody")


async def read(stack: Supervisor) -> list[list[str]]:
    connection = await asyncpg.connect(dsn(stack))
    rows = [row["text"] for row in await connection.fetch("SELECT text FROM notes")]
    await connection.close()
    async with Redis.from_url(str(stack.settings.redis_url), decode_responses=True) as redis:
        cached = await redis.lrange("notes", 0, -1)
    async with AsyncMongoClient[dict[str, str]](stack.settings.mongo_url) as mongo:
        documents = [found["_id"] async for found in mongo["notes"]["notes"].find()]
    client = await Client.connect(str(stack.settings.temporal_address))
    for note in rows:
        await client.get_workflow_handle(note).describe()
    return [sorted(rows), sorted(cached), sorted(documents)]


async def test_what_was_written_outlives_every_server(stack: Supervisor) -> None:
    await write(stack, "first")
    pids = [stack.kill(part) for part in PARTS]
    for part in PARTS:
        await stack.healthy(part)
    assert not {stack.parts[part].pid for part in PARTS} & {*pids, None}
    assert await read(stack) == [["first"]] * 3


async def test_what_was_written_outlives_the_stack(settings: Settings) -> None:
    async with running(settings, parts=PARTS) as stack:
        await write(stack, "second")
        before = stack.settings.as_environment()
    async with running(settings, parts=PARTS) as stack:
        after = stack.settings.as_environment()
        assert after | {"SAGAKART_PORT": ""} == before | {"SAGAKART_PORT": ""}
        assert await read(stack) == [["first", "second"]] * 3


async def test_postgres_starts_over_an_old_process_id_that_a_stranger_has(
    settings: Settings,
) -> None:
    data = settings.data_dir / "postgres" / "data"
    async with running(settings, parts=("postgres",)) as stack:
        pid = stack.parts["postgres"].pid
        assert pid is not None
        record = (data / "postmaster.pid").read_text()
    lines = record.splitlines()
    (data / "postmaster.pid").write_text("\n".join([str(os.getppid()), *lines[1:], ""]))
    async with running(settings, parts=("postgres",)) as stack:
        assert stack.parts["postgres"].restarts == 0
        os.kill(os.getppid(), 0)  # and the stranger still lives


async def test_no_session_outlives_a_killed_postgres(settings: Settings) -> None:
    async with running(settings, parts=("postgres",)) as stack:
        connection = await asyncpg.connect(dsn(stack))
        stack.kill("postgres")
        await stack.healthy("postgres")
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await connection.fetch("SELECT 1")
        connection.terminate()


async def test_postgres_ends_a_server_that_nobody_recorded(
    settings: Settings, tmp_path: Path
) -> None:
    async with running(settings, parts=("postgres",)) as stack:
        service = stack.parts["postgres"].service
    assert service.command is not None
    old = await Child.start(service.command, log=tmp_path / "log", record=tmp_path / "record")
    waited = asyncio.create_task(old.wait())
    pid_file = settings.data_dir / "postgres" / "data" / "postmaster.pid"
    await until(lambda: pid_file.exists() and "ready" in pid_file.read_text())
    await clear_the_way(pid_file.parent)
    assert await waited == 0  # asked to end, not killed
    assert not pid_file.exists()


async def test_other_people_cannot_read_the_database(stack: Supervisor) -> None:
    port = stack.parts["postgres"].service.port
    assert port is not None
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_url(port, "wrong").replace("+asyncpg", ""))
    assert (stack.folder.path / "postgres" / "data").stat().st_mode & 0o077 == 0


async def test_a_schema_of_a_later_release_is_one_line(
    settings: Settings, stack: Supervisor
) -> None:
    url = str(stack.settings.postgres_url)
    connected = settings.model_copy(
        update={"postgres_url": url, "data_dir": settings.data_dir.parent / "other"}
    )
    async with running(connected, parts=("migrate",)) as other:
        assert other.parts["migrate"].state == "done"
        assert other.parts["postgres"].pid is None
    assert await migrate.current(url) == migrate.head()
    connection = await asyncpg.connect(dsn(stack))
    await connection.execute("UPDATE alembic_version SET version_num = '9999_later'")
    await connection.close()
    with pytest.raises(StackError) as raised:
        async with running(connected, parts=("migrate",)):
            pytest.fail("it started on a schema that it does not know")
    assert "9999_later" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


def test_nothing_is_left_open_to_others(settings: Settings) -> None:
    folder = settings.data_dir
    strangers = {path.name for path in folder.iterdir() if path.stat().st_mode & 0o004}
    assert strangers <= {".gitignore", "lock"}
    assert Path(folder / "secrets.json").stat().st_mode & 0o077 == 0
