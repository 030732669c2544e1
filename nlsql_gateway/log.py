"""The structlog chain: one line an event on standard error, the libraries' loggers included.

No statement text, parameter, row or secret is ever logged; those belong to the audit log alone. Libraries that would
log them are silenced here by name.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog

SILENCED = {
    "sqlglot": logging.CRITICAL + 1,  # logs the whole statement at WARNING when it falls back to exp.Command
    "httpx": logging.WARNING,  # logs each URL at INFO
    "httpcore": logging.WARNING,
    "asyncio": logging.WARNING,
}
"""Logger name -> the lowest level that passes."""

_REDACTED = ("password", "secret", "token", "api_key", "sql", "text", "parameters")


def configure(level: Literal["debug", "info", "warning", "error"], style: Literal["json", "console"]) -> None:
    """Send structlog's and the standard library's events to standard error, as JSON lines or for a person to read."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
    ]
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # the default shows local variables: statements, secrets
        )
    )
    last: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if style == "json":
        last.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*last, render]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, lowest in SILENCED.items():
        logging.getLogger(name).setLevel(lowest)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of one module; ``name`` is the module's ``__name__``."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound


def _redact(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for key in _REDACTED:
        if key in event:
            event[key] = "(redacted)"
    return event
