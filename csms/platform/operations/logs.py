"""P6: structured logs, as text for people or JSON for machines, without secrets."""

import logging
import sys
from typing import Any, Final

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from csms.config import Settings
from csms.platform.operations.redaction import redact, redacted_text

_NOT_OURS: Final = (
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
    "websockets",
    "apscheduler",
    "alembic",
    "httpx",
    "nats",
)
_EXEMPT: Final = frozenset({"event", "level", "timestamp", "logger", "exc_info", "exception", "stack_info"})
_OF_MANY_LINES: Final = frozenset({"exception", "stack_info"})


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The processor that takes secrets out of every line, also out of its text and its tracebacks."""
    for name, value in event.items():
        if name in _EXEMPT:
            event[name] = redacted_text(value) if isinstance(value, str) else value
        else:
            event[name] = redact(value, name)
    return event


def escape_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The processor that spells control characters out: no stranger's text forges a line or commands a terminal.

    A traceback keeps its lines; values that are no texts are written as Python spells them, which is safe by itself.
    """
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            kept = "\n" if name in _OF_MANY_LINES else ""
            event[name] = "".join(one if one.isprintable() or one in kept else ascii(one)[1:-1] for one in value)
    return event


def configure_logs(settings: Settings) -> None:
    """Set up structlog and the standard library's logging alike; lines go to standard error."""
    level = logging.getLevelName(settings.log_level.upper())
    shared = _shared()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(settings.log_format, shared))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _NOT_OURS:
        other = logging.getLogger(name)
        other.handlers, other.propagate = [], True
        other.setLevel(max(level, logging.WARNING))
    # It tells every second, with a traceback, that the database is away; whoever needs the database tells it too.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)
    # It warns each time when a job still waits for the network; one that hangs is told by csms/jobs.py.
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)


def formatter(kind: str, shared: list[Processor] | None = None) -> logging.Formatter:
    """How a line is written: `text` or `json`. Redaction comes last, when exceptions have become text."""
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if kind == "json":
        last += [structlog.processors.format_exc_info, redact_event, structlog.processors.JSONRenderer()]
    else:
        last += [
            structlog.processors.format_exc_info,
            redact_event,
            escape_event,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared or _shared(), processors=last)


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
