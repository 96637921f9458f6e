"""The data folder: its lock, its secrets, its ports and its logs."""

import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from stack.errors import FolderInUse, StackError
from stack.folder import LOG_BYTES, DataFolder, Holder, complaint, last_line
from stack.ports import LOOPBACK, PREFERRED, Ports, is_free
from stack.settings import SECRETS

HOLDING = """
import sys, time
from pathlib import Path
from stack.folder import DataFolder
with DataFolder(Path(sys.argv[1])).locked() as announce:
    announce("http://127.0.0.1:8765")
    print("held", flush=True)
    time.sleep(60)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_held_by_one_process_at_a_time(folder: DataFolder) -> None:
    assert folder.holder() is None
    command = (sys.executable, "-c", HOLDING, str(folder.path))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert folder.holder() == Holder(other.pid, "http://127.0.0.1:8765")
        with pytest.raises(FolderInUse) as raised, folder.locked():
            pytest.fail("the folder was held twice")
        assert str(raised.value) == (
            f"the data folder {folder.path} is in use by process {other.pid} "
            f"(http://127.0.0.1:8765); stop it with: ./sagakart down --data {folder.path}"
        )
        other.kill()
    # A holder that was killed left its words in the file and nothing else.
    assert folder.holder() is None
    with folder.locked():
        pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError) as raised:
        DataFolder(tmp_path / "file").create()
    assert str(raised.value) == (
        f"the data folder {tmp_path / 'file'} cannot be used: File exists; "
        "choose another with --data DIR"
    )


def test_secrets_are_made_once_and_kept_private(folder: DataFolder) -> None:
    first = folder.generated_secrets()
    assert set(first) == {*SECRETS, "postgres_password"}
    assert len(set(first.values())) == len(first)
    assert min(map(len, first.values())) >= 48
    assert folder.generated_secrets() == first
    assert mode(folder.path / "secrets.json") == 0o600


def test_two_folders_share_no_secret(tmp_path: Path) -> None:
    made = [DataFolder(tmp_path / name) for name in ("one", "two")]
    for each in made:
        each.create()
    one, two = (set(each.generated_secrets().values()) for each in made)
    assert one.isdisjoint(two)


def test_a_spoilt_file_of_ours_is_named(folder: DataFolder) -> None:
    spoilt = folder.path / "secrets.json"
    spoilt.write_text("{")
    with pytest.raises(StackError) as raised:
        folder.generated_secrets()
    assert str(raised.value).startswith(f"{spoilt} cannot be read")


def test_an_overgrown_log_is_set_aside(folder: DataFolder) -> None:
    log = folder.log_of("api")
    for age in ("oldest", "older", "newer"):
        log.write_text(age.ljust(LOG_BYTES + 1))
        assert folder.rotate_log("api") == log
        assert not log.exists()
    kept = {path.name: path.read_text().strip() for path in folder.logs.iterdir()}
    assert kept == {"api.log.1": "newer", "api.log.2": "older"}


def test_a_short_log_is_kept(folder: DataFolder) -> None:
    log = folder.log_of("api")
    log.write_text("a line\n")
    assert folder.rotate_log("api").read_text() == "a line\n"


def test_the_line_that_complains_is_found(folder: DataFolder) -> None:
    log = folder.log_of("api")
    assert last_line(log) == complaint(log) == "it said nothing"
    log.write_text("starting\npanic: address already in use\n  at main.go:18\n\n")
    assert last_line(log) == "at main.go:18"
    assert complaint(log) == "panic: address already in use"


def test_ports_are_chosen_once(folder: DataFolder) -> None:
    first = Ports.of(folder.ports, usual=False)
    chosen = {name: first.for_part(name) for name in PREFERRED}
    assert len(set(chosen.values())) == len(chosen)
    again = Ports.of(folder.ports, usual=False)
    assert {name: again.for_part(name) for name in PREFERRED} == chosen


def test_the_usual_port_gives_way_to_its_neighbour(folder: DataFolder) -> None:
    ports = Ports.of(folder.ports, usual=True)
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(PREFERRED, "postgres", port)
            chosen = ports.for_part("postgres")
    assert port < chosen < port + 50


def test_a_kept_port_that_is_taken_is_named_with_its_part(folder: DataFolder) -> None:
    port = Ports.of(folder.ports, usual=False).for_part("valkey")
    with (
        socket.create_server((LOOPBACK, port)),
        pytest.raises(StackError) as raised,
    ):
        Ports.of(folder.ports, usual=False).for_part("valkey")
    assert str(raised.value) == (
        f"port {port} (valkey) is taken by another program; stop that program, "
        f"or remove {folder.ports} to have other ports chosen"
    )


def test_a_port_asked_for_by_number_is_that_port_or_an_error(folder: DataFolder) -> None:
    ports = Ports.of(folder.ports, usual=True)
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        assert not is_free(LOOPBACK, port)
        with pytest.raises(StackError) as raised:
            ports.fixed("api", LOOPBACK, port, "choose another with --port N")
    assert str(raised.value) == f"port {port} (api) is taken; choose another with --port N"
    assert is_free(LOOPBACK, ports.fixed("api", LOOPBACK, 0, ""))


def test_a_host_that_is_not_this_machine_is_an_error() -> None:
    with pytest.raises(StackError, match=r"cannot listen on 192\.0\.2\.1:8000"):
        is_free("192.0.2.1", 8000)
