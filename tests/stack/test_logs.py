"""What our processes write into their logs."""

import json
import subprocess
import sys

SPEAKING = """
import logging, structlog
from stack.logs import configure
configure("info", "api")
log = structlog.get_logger()
log.info("signed_up", user="u1", password="hunter2", detail={"card": "4111", "sku": "A-1"})
log.debug("not at this level")
logging.getLogger("elsewhere").warning("from %s", "a library")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
"""


def test_a_line_is_an_object_without_secrets() -> None:
    run = subprocess.run(
        (sys.executable, "-c", SPEAKING), capture_output=True, text=True, check=True
    )
    assert run.stderr == ""
    signed_up, library, failed = (json.loads(line) for line in run.stdout.splitlines())
    assert signed_up.pop("timestamp").endswith("Z")
    assert signed_up == {
        "event": "signed_up",
        "level": "info",
        "process": "api",
        "user": "u1",
        "password": "[hidden]",
        "detail": {"card": "[hidden]", "sku": "A-1"},
    }
    assert (library["event"], library["level"]) == ("from a library", "warning")
    assert "ZeroDivisionError: division by zero" in failed["exception"]
