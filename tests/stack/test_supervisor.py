"""Starting, watching, restarting and stopping parts, with small programs in their place."""

import asyncio
import os
import signal
import socket
import time

import psutil  # type: ignore[import-untyped]
import pytest

from stack import probes
from stack.errors import PartFailed, StackError
from stack.folder import DataFolder, read_json
from stack.part import BackOff, PartState
from stack.ports import LOOPBACK
from stack.services import Service, Tier
from tests.stack.conftest import Ended, MakeServer, program, supervise, until


async def test_a_part_starts_after_those_it_needs(folder: DataFolder, server: MakeServer) -> None:
    stack, said = supervise(
        folder, server("api", needs=("store",)), server("store", needs=()), server("other")
    )
    await stack.start()
    try:
        assert [part.state for part in stack.parts.values()] == [PartState.HEALTHY] * 3
        names = [line.split()[0] for line in said]
        assert names.index("store") < names.index("api")
        port = stack.parts["store"].service.port
        assert any(line.startswith(f"store        127.0.0.1:{port} ") for line in said)
        assert stack.describe()["ready"] is True
        assert read_json(folder.state) == stack.describe()
    finally:
        await stack.stop()


async def test_the_edge_stops_first_and_the_servers_last(
    folder: DataFolder, server: MakeServer, ended: Ended
) -> None:
    stack, _ = supervise(
        folder,
        server("store", tier=Tier.SERVER),
        server("api", tier=Tier.EDGE),
        server("worker", tier=Tier.WORKER),
    )
    await stack.start()
    pids = [part.pid for part in stack.parts.values()]
    await stack.stop()
    assert ended.names() == ["api", "worker", "store"]
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert list(folder.run.iterdir()) == []
    assert not folder.state.exists()


async def test_a_part_that_will_not_end_is_ended(
    folder: DataFolder, server: MakeServer, ended: Ended
) -> None:
    stack, _ = supervise(folder, server("store", stubborn=True, grace_s=0.3))
    await stack.start()
    pid = stack.parts["store"].pid
    began = time.monotonic()
    await stack.stop()
    assert 0.3 <= time.monotonic() - began < 3
    assert ended.names() == ["store"]  # it was asked before it was ended
    assert not psutil.pid_exists(pid)


async def test_a_second_signal_does_not_wait(folder: DataFolder, server: MakeServer) -> None:
    stack, _ = supervise(folder, server("store", stubborn=True, grace_s=60.0))
    await stack.start()
    stack.hurry.set()
    began = time.monotonic()
    await stack.stop()
    assert time.monotonic() - began < 3


async def test_a_killed_part_comes_back_and_its_fellows_stay(
    folder: DataFolder, server: MakeServer
) -> None:
    stack, said = supervise(folder, server("store"), server("api", needs=("store",)))
    await stack.start()
    try:
        api = stack.parts["api"].pid
        killed = stack.kill("store")
        await until(lambda: said[-1].startswith("store is back"))
        assert said[-2] == "store was ended by SIGKILL; starting it again in 0.2 s"
        assert stack.parts["store"].pid not in {killed, None}
        assert stack.parts["store"].restarts == 1
        assert stack.parts["api"].pid == api
        assert stack.parts["api"].restarts == 0
    finally:
        await stack.stop()


async def test_no_part_is_killed_by_a_wrong_name(folder: DataFolder, server: MakeServer) -> None:
    stack, _ = supervise(folder, server("store"))
    await stack.start()
    try:
        with pytest.raises(StackError) as raised:
            stack.kill("stor")
        assert str(raised.value) == "there is no part 'stor'; there are: store"
        assert stack.parts["store"].state is PartState.HEALTHY
    finally:
        await stack.stop()


async def test_a_part_that_cannot_start_is_tried_and_given_up(
    folder: DataFolder, server: MakeServer, ended: Ended
) -> None:
    count = "import sys; open(sys.argv[1], 'a').write('x'); sys.exit('fatal: no such thing')"
    tries = folder.path / "tries"
    broken = Service(
        name="broken",
        address="",
        command=program(folder, count, str(tries)),
        probe=probes.tcp(LOOPBACK, 9),
    )
    stack, said = supervise(folder, server("store"), broken)
    with pytest.raises(PartFailed) as raised:
        await stack.start()
    store = stack.parts["store"].pid
    await stack.stop()
    assert str(raised.value) == (
        f"broken ended with exit status 1: fatal: no such thing (see {folder.log_of('broken')})"
    )
    assert tries.read_text() == "xxxx"
    waits = [line.rpartition(" in ")[2] for line in said if line.startswith("broken")]
    assert waits == ["0.2 s", "0.4 s", "0.8 s"]
    assert ended.names() == ["store"]
    assert store is None or not psutil.pid_exists(store)


async def test_a_process_that_says_what_is_wrong_is_tried_once(folder: DataFolder) -> None:
    tries = folder.path / "tries"
    refuse = (
        "import sys; open(sys.argv[1], 'a').write('x'); "
        "print('sagakart: the schema is from a later release', file=sys.stderr); sys.exit(2)"
    )
    migrate = Service(
        name="migrate", address="", command=program(folder, refuse, str(tries)), once=True
    )
    stack, _ = supervise(folder, migrate)
    with pytest.raises(StackError) as raised:
        await stack.start()
    await stack.stop()
    assert str(raised.value) == "the schema is from a later release"
    assert raised.value.exit_code == 2
    assert tries.read_text() == "x"


async def test_one_time_work_is_done_once_and_leaves_its_mark(
    folder: DataFolder, server: MakeServer
) -> None:
    mark = folder.path / "seeded"
    tries = folder.path / "tries"
    work = program(folder, "import sys; open(sys.argv[1], 'a').write('x')", str(tries))
    seed = Service(name="seed", address="done", command=work, once=True, mark=mark)
    stack, _ = supervise(folder, seed, server("api", needs=("seed",)))
    await stack.start()
    await stack.stop()
    assert tries.read_text() == "x"
    assert mark.exists()


async def test_a_part_that_is_never_well_is_given_up(
    folder: DataFolder, server: MakeServer
) -> None:
    closed = probes.tcp(LOOPBACK, 9)
    stack, _ = supervise(folder, server("store", probe=closed, start_timeout_s=0.5))
    with pytest.raises(PartFailed, match=r"^store is not well after 0 s: store listens"):
        await stack.start()
    await stack.stop()


async def test_another_program_on_the_port_is_not_taken_for_the_part(
    folder: DataFolder, server: MakeServer
) -> None:
    service = server("store")
    assert service.port is not None
    with socket.create_server((LOOPBACK, service.port)):
        stack, said = supervise(folder, service)
        with pytest.raises(PartFailed, match="Address already in use"):
            await stack.start()
        await stack.stop()
    assert not any(line.startswith("store        ") for line in said)


async def test_what_runs_elsewhere_is_looked_at_and_left_alone(
    folder: DataFolder, server: MakeServer
) -> None:
    with socket.create_server((LOOPBACK, 0)) as elsewhere:
        port = elsewhere.getsockname()[1]
        db = Service(name="postgres", address="db", command=None, probe=probes.tcp(LOOPBACK, port))
        stack, _ = supervise(folder, db, server("api", needs=("postgres",)))
        await stack.start()
        assert stack.parts["postgres"].pid is None
        assert stack.describe()["parts"][0]["embedded"] is False
        await stack.stop()
        elsewhere.settimeout(1)
        elsewhere.accept()[0].close()


async def test_what_does_not_answer_elsewhere_is_named(folder: DataFolder) -> None:
    closed = probes.tcp(LOOPBACK, 9)
    db = Service(name="postgres", address="db:9", command=None, probe=closed, start_timeout_s=0.2)
    stack, _ = supervise(folder, db)
    with pytest.raises(PartFailed, match=r"^postgres at db:9 does not answer$"):
        await stack.start()
    await stack.stop()


async def test_starting_can_be_broken_off_without_leaving_a_process(
    folder: DataFolder, server: MakeServer
) -> None:
    slow = server("store", probe=probes.tcp(LOOPBACK, 9))
    stack, _ = supervise(folder, slow)
    starting = asyncio.create_task(stack.start())
    await until(lambda: stack.parts["store"].pid)
    pid = stack.parts["store"].pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await stack.stop()
    assert pid is not None
    assert not psutil.pid_exists(pid)


async def test_a_running_part_is_on_record(folder: DataFolder, server: MakeServer) -> None:
    stack, _ = supervise(folder, server("store"))
    await stack.start()
    record = read_json(folder.run / "store.json")
    assert record["pid"] == stack.parts["store"].pid
    assert record["signal"] == signal.SIGTERM
    assert os.getpgid(record["pid"]) == record["pid"]  # out of reach of the terminal's Ctrl-C
    await stack.stop()


def test_waits_grow_for_what_cannot_start() -> None:
    backoff = BackOff()
    waits = [backoff.after(None) for _ in range(8)]
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_waits_stay_short_for_what_was_well() -> None:
    backoff = BackOff()
    assert [backoff.after(2.0) for _ in range(5)] == [0.2, 0.4, 0.8, 1.0, 1.0]


def test_thirty_healthy_seconds_forgive_everything() -> None:
    backoff = BackOff()
    for _ in range(8):
        backoff.after(None)
    assert backoff.after(29.9) == 1.0
    assert backoff.after(30.0) == 0.2
