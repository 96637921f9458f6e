"""The command line as people use it, on the smallest real server."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from stack.ports import LOOPBACK, Ports

ROOT = Path(__file__).parents[2]


class Stack:
    """`./sagakart` on a data folder of the test's own."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def command(self, name: str, *arguments: str) -> tuple[str, ...]:
        return (sys.executable, "-P", "-m", "stack", name, *arguments, "--data", str(self.data))

    def environment(self) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("SAGAKART_")}
        return kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(name, *arguments),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return found

    def start(self) -> dict[str, Any]:
        run = self.run("up", "--detach", "--only", "valkey")
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout.splitlines()[-1] == "ready"
        return self.status()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path / "data folder")
    # Random ports: other stacks may be running on the usual ones.
    made.data.mkdir()
    Ports.of(made.data / "ports.json", usual=False).for_part("valkey")
    yield made
    assert made.run("down").returncode == 0


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_up_status_logs_down(stack: Stack) -> None:
    found = stack.start()
    (valkey,) = found["parts"]
    assert (found["running"], found["ready"]) == (True, True)
    assert (valkey["name"], valkey["state"], valkey["restarts"]) == ("valkey", "healthy", 0)
    text = stack.run("status").stdout.splitlines()
    assert text[0] == f"ready http://127.0.0.1:8000, process {found['pid']}"
    assert text[1].split()[:3] == ["valkey", "healthy", str(valkey["pid"])]
    assert "Ready to accept connections" in stack.run("logs", "valkey").stdout
    assert len(stack.run("logs", "valkey", "-n", "2").stdout.splitlines()) == 2

    down = stack.run("down")
    assert (down.returncode, down.stdout) == (0, "stopped\n")
    assert gone(found["pid"])
    assert gone(valkey["pid"])
    assert stack.run("status").returncode == 3
    assert stack.status() == {"running": False, "data": str(stack.data)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_each_signal_stops_everything(stack: Stack, number: signal.Signals) -> None:
    found = stack.start()
    os.kill(found["pid"], number)
    assert gone(found["pid"])
    assert not psutil.pid_exists(found["parts"][0]["pid"])
    assert stack.run("logs", "up", "-n", "1").stdout == "stopped\n"


def test_a_killed_part_is_restarted_and_a_killed_stack_started_over(stack: Stack) -> None:
    found = stack.start()
    os.kill(found["parts"][0]["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while (restarted := stack.status()["parts"][0])["restarts"] == 0 or not restarted["pid"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert restarted["pid"] != found["parts"][0]["pid"]

    os.kill(found["pid"], signal.SIGKILL)
    again = stack.start()
    assert again["pid"] != found["pid"]
    assert gone(restarted["pid"])
    assert again["parts"][0]["state"] == "healthy"


def only_line(run: subprocess.CompletedProcess[str]) -> str:
    assert run.returncode == 2
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    return line


def test_a_second_up_on_the_folder_is_one_line(stack: Stack) -> None:
    pid = stack.start()["pid"]
    line = only_line(stack.run("up", "--only", "valkey"))
    assert line == (
        f"sagakart: the data folder {stack.data} is in use by process {pid} "
        f"(http://127.0.0.1:8000); stop it with: ./sagakart down --data {stack.data}"
    )
    assert stack.status()["pid"] == pid


def test_a_taken_api_port_is_one_line(stack: Stack) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        line = only_line(stack.run("up", "--port", str(port)))
    assert line == (
        f"sagakart: port {port} (api) is taken; "
        "stop the program that has it, or choose another with --port N"
    )
    assert not (stack.data / "valkey").exists()  # nothing was begun


def test_other_mistakes_are_one_line_each(stack: Stack, tmp_path: Path) -> None:
    assert only_line(stack.run("up", "--only", "redis")).startswith(
        "sagakart: there is no part 'redis'; there are: postgres, valkey, "
    )
    assert only_line(stack.run("logs", "redis")).startswith("sagakart: there is no log of 'redis'")
    (tmp_path / "file").touch()
    spoilt = Stack(tmp_path / "file")
    assert only_line(spoilt.run("up")).endswith("File exists; choose another with --data DIR")


def test_a_detached_start_that_fails_says_why(stack: Stack) -> None:
    run = stack.run("up", "--detach", "--only", "redis")
    assert run.returncode == 2
    assert run.stderr.startswith("sagakart: there is no part 'redis'")


def test_down_without_a_stack_is_no_error(stack: Stack) -> None:
    run = stack.run("down")
    assert (run.returncode, run.stdout) == (0, f"nothing runs in {stack.data}\n")


def test_help_names_every_command_and_loads_none() -> None:
    source = "import sys; from stack.cli import app; app(['--help'], standalone_mode=False); "
    source += "print(sorted({'temporalio', 'sqlalchemy', 'fastapi'} & set(sys.modules)))"
    run = subprocess.run((sys.executable, "-c", source), capture_output=True, text=True, check=True)
    for name in ("up", "down", "status", "logs", "serve", "test", "demo", "check", "bench"):
        assert f" {name} " in run.stdout
    assert run.stdout.splitlines()[-1] == "[]"
