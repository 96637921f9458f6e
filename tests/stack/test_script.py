"""`./sagakart`, the script: what it makes, and what it says when it cannot."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "cat", "dirname", "env", "grep", "mkdir", "readlink", "rm", "sha256sum", "tail")
# In place of our package: tells that it was reached, and with what.
REACHED = "import sys; print('reached', sys.argv[1:], sys.prefix != sys.base_prefix)"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose locks ask for no packages, so that nothing is fetched."""
    made = tmp_path / "a clone"
    (made / "stack").mkdir(parents=True)
    shutil.copy(ROOT / "sagakart", made)
    (made / "stack" / "__init__.py").touch()
    (made / "stack" / "__main__.py").write_text(REACHED)
    (made / "requirements.lock").write_text("# nothing\n")
    (made / "requirements-dev.lock").write_text("# nothing more\n")
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with the tools that the script needs and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    return folder


def python(folder: Path, name: str, body: str = f'exec "{sys.executable}" "$@"') -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)


def start(clone: Path, path: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (str(clone / "sagakart"), *arguments),
        env={"PATH": str(path)} | environment,
        cwd=path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(clone: Path, path: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    with start(clone, path, *arguments, **environment) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def refusal(clone: Path, path: Path) -> str:
    code, out, err = run(clone, path, "up")
    assert (code, out) == (2, "")
    return err


def test_the_environment_is_made_once(clone: Path, path: Path) -> None:
    python(path, "python3.12")
    code, out, err = run(clone, path, "status", "--data", "a folder")
    assert (code, out) == (0, "reached ['status', '--data', 'a folder'] True\n")
    version = ".".join(map(str, sys.version_info[:3]))
    made, installing, installed = err.splitlines()
    assert made == f"sagakart: making .venv with python3.12 ({version})"
    assert installing == "sagakart: installing the packages of requirements.lock"
    assert installed.startswith("sagakart: installed in ")

    began = time.monotonic()
    assert run(clone, path, "up") == (0, "reached ['up'] True\n", "")
    assert time.monotonic() - began < 1.0

    # `test` needs more, and what it needs contains the rest.
    assert "packages of requirements-dev.lock" in run(clone, path, "test")[2]
    assert run(clone, path, "lint")[2] == run(clone, path, "up")[2] == ""

    (clone / "requirements.lock").write_text("# another nothing\n")
    assert "packages of requirements.lock" in run(clone, path, "up")[2]


def test_an_interrupted_installation_is_started_afresh_once(clone: Path, path: Path) -> None:
    python(path, "python3")
    process = start(clone, path, "up")
    unfinished = clone / ".venv" / ".sagakart-unfinished"
    deadline = time.monotonic() + 20
    while not unfinished.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert unfinished.exists()
    both = [start(clone, path, "up") for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [out for out, _ in said] == ["reached ['up'] True\n"] * 2
    spoken = "".join(err for _, err in said)
    assert spoken.count("an earlier installation was interrupted; starting afresh") == 1
    assert spoken.count("installed in") == 1
    assert not unfinished.exists()


def test_no_python_at_all(clone: Path, path: Path) -> None:
    assert refusal(clone, path) == (
        "sagakart: Python 3.11 or newer is needed, and no python3 was found; "
        "install one from your system's packages or python.org\n"
    )
    assert not (clone / ".venv").exists()


def test_a_python_that_is_too_old_is_named(clone: Path, path: Path) -> None:
    python(path, "python3", 'case "$2" in *exit*) exit 1;; *) echo 3.9.2;; esac')
    assert refusal(clone, path) == (
        "sagakart: Python 3.11 or newer is needed, and python3 is 3.9.2; "
        "install a newer one beside it\n"
    )


def test_a_name_that_leads_nowhere_is_passed_over(clone: Path, path: Path) -> None:
    """Version managers put names on the PATH whose Python is not chosen."""
    python(path, "python3.13", "echo not installed >&2; exit 127")
    python(path, "python3")
    code, out, err = run(clone, path, "up")
    assert (code, out) == (0, "reached ['up'] True\n")
    assert "making .venv with python3 (" in err


def test_a_python_without_venv_is_named(clone: Path, path: Path) -> None:
    body = f'case "$2" in *ensurepip*) exit 1;; *) exec "{sys.executable}" "$@";; esac'
    python(path, "python3", body)
    version = ".".join(map(str, sys.version_info[:3]))
    assert refusal(clone, path) == (
        f"sagakart: python3 ({version}) lacks the modules venv and ensurepip; "
        "install them (Debian, Ubuntu: apt install python3-venv)\n"
    )


def test_a_network_that_is_down_is_one_line(clone: Path, path: Path) -> None:
    python(path, "python3")
    (clone / "requirements.lock").write_text(f"idna==3.10 --hash=sha256:{'0' * 64}\n")
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}
    code, out, err = run(clone, path, "up", **nowhere)
    assert (code, out) == (2, "")
    last = err.splitlines()[-1]
    assert last.startswith("sagakart: the packages cannot be fetched; is the network up?")
    assert "No matching distribution found for idna==3.10" in last
    assert len(err.splitlines()) == 3


def test_an_incomplete_clone_is_named(clone: Path, path: Path) -> None:
    python(path, "python3")
    (clone / "requirements.lock").unlink()
    lock = clone / "requirements.lock"
    assert refusal(clone, path) == f"sagakart: {lock} is missing; this clone is incomplete\n"
