"""The Temporal server with its UI, in one process over one SQLite file."""

import json
from collections.abc import Iterator
from typing import Final

from stack import probes
from stack.ports import LOOPBACK
from stack.process import Command
from stack.services.base import Service, Site
from stack.services.binaries import script

SEARCH_ATTRIBUTES: Final = ("SagaKind", "SagaState", "OrderId")
# The development server has one shard and polls it 20 times a second: up to 50 ms a step. Lists
# may be that late, and reading their tasks in batches is cheaper.
POLLS_PER_S: Final = {"transfer": 2000, "timer": 2000, "outbound": 2000, "visibility": 20}
# Finished tasks are dropped from memory at each acknowledgement. Until then every new one is
# compared with all of them, which was a fifth of the server's time with the default's 30 s.
ACKNOWLEDGE: Final = "1s"
# One process needs no sharing out: a poll that waits elsewhere is a task written to disk.
PARTITIONS: Final = 1
# Timers are read this much late, lest two servers' clocks differ; here there is one server.
TIMER_SHIFT: Final = "10ms"
# Garbage was a tenth of its time; half as often costs memory instead (0.5 GB under full load).
GARBAGE: Final = "200"


def address(port: int) -> str:
    """How our code reaches the embedded server."""
    return f"{LOOPBACK}:{port}"


def service(site: Site, port: int) -> Service:
    """The embedded server on this port; it makes the namespace of the settings."""
    home = site.home("temporal")
    ui_port = _ui_port(site)
    namespace = site.settings.temporal_namespace
    http_port = site.ports.for_part("temporal-http")
    options = {
        "--db-filename": str(home / "temporal.sqlite"),
        "--ip": LOOPBACK,
        "--port": str(port),
        "--ui-port": str(ui_port),
        "--http-port": str(http_port),
        "--metrics-port": str(site.ports.for_part("temporal-metrics")),
        "--namespace": namespace,
        "--log-level": "warn",
    }
    repeated = [
        *(("--sqlite-pragma", pragma) for pragma in ("journal_mode=WAL", "synchronous=NORMAL")),
        *(("--search-attribute", f"{name}=Keyword") for name in SEARCH_ATTRIBUTES),
        *(("--dynamic-config-value", f"{key}={value}") for key, value in _dynamic()),
    ]
    quiet = ("--disable-config-file", "--disable-config-env", "--ui-disable-news-fetch")
    arguments = [word for pair in (*options.items(), *repeated) for word in pair]
    attributes = f"/api/v1/namespaces/{namespace}/search-attributes"
    return Service(
        name="temporal",
        address=f"{address(port)}, UI http://{LOOPBACK}:{ui_port}",
        command=Command(
            argv=(str(script("temporal")), "server", "start-dev", *quiet, *arguments),
            env=site.foreign_environment(home)
            | {"TEMPORAL_VERSION_CHECK_DISABLED": "1", "GOGC": GARBAGE},
            cwd=home,
        ),
        port=http_port,
        probe=probes.http(
            f"http://{LOOPBACK}:{http_port}{attributes}", containing=SEARCH_ATTRIBUTES
        ),
    )


def _dynamic() -> Iterator[tuple[str, str]]:
    """The server's settings by name, as JSON values."""
    for queue, polls in POLLS_PER_S.items():
        yield f"history.{queue}ProcessorMaxPollRPS", json.dumps(polls)
        yield f"history.{queue}ProcessorUpdateAckInterval", json.dumps(ACKNOWLEDGE)
    yield "history.timerProcessorMaxTimeShift", json.dumps(TIMER_SHIFT)
    for side in ("Read", "Write"):
        yield f"matching.numTaskqueue{side}Partitions", json.dumps(PARTITIONS)


def _ui_port(site: Site) -> int:
    asked = site.settings.temporal_ui_port
    if asked is None:
        return site.ports.for_part("temporal-ui")
    remedy = "set SAGAKART_TEMPORAL_UI_PORT to another"
    return site.ports.fixed("temporal-ui", LOOPBACK, asked, remedy)
