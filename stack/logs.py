"""Structured logs: one JSON object a line, without anything that must not be read in a log."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

HIDDEN: Final = "[hidden]"
SENSITIVE: Final = frozenset(
    {
        "address",
        "authorization",
        "card",
        "card_number",
        "cookie",
        "cvv",
        "email",
        "instrument",
        "password",
        "phone",
        "secret",
        "signature",
        "token",
    }
)
NOISY: Final = ("httpx", "httpcore", "uvicorn.access")


def configure(level: str, process: str) -> None:
    """Sends what this process logs, through structlog or the standard library, to its output."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    structlog.contextvars.bind_contextvars(process=process)


def hide(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces the values of sensitive keys, at any depth."""
    for key, value in event.items():
        event[key] = _hidden(key, value)
    return event


def _hidden(key: str, value: Any) -> Any:
    if key.lower() in SENSITIVE:
        return HIDDEN
    if isinstance(value, dict):
        return {inner: _hidden(str(inner), kept) for inner, kept in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hidden("", kept) for kept in value]
    return value
