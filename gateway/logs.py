"""Logs that hold ids, counts, names and codes, and nothing that a customer wrote or that opens a door."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway.masking import HIDDEN, is_amount, is_ours, is_safe_key, masked, shortened
from gateway.tracebacks import describe, place

log = structlog.get_logger(__name__)

QUIET = (
    "aioimaplib",
    "aiohttp",
    "alembic",
    "asyncio",
    "httpcore2",
    "httpx2",
    "openai",
    "sqlalchemy",
    "twilio",
    "urllib3",
)
"""Libraries that are heard from WARNING on: below, some log whole requests and mails."""

_OURS = frozenset({"event", "exception", "_record", "_from_structlog"})


def configure(level: str = "INFO", json: bool | None = None, stream: TextIO | None = None) -> None:
    """Send every log line, of ours and of libraries, through the same processors to a stream, stderr by default.

    ``json`` None writes JSON lines except on a terminal.
    """
    stream = stream or sys.stderr
    as_json = not stream.isatty() if json is None else json
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(as_json=as_json, colors=stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.raiseExceptions = False  # a broken log call would be told on stderr with all its arguments
    logging.getLogger("aiohttp.access").disabled = True  # it writes addresses and whole targets
    warnings.showwarning = tell_warning
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *_both(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
    )


def tell_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Log where a Python warning arose, without its words: pydantic's quote the value that they are about."""
    log.warning("python_warning", kind=category.__name__, path=f"{place(filename)}:{lineno}")


def _both() -> list[Processor]:
    """Return what our own lines and the libraries' go through alike; what is added to a masked line needs no mask."""
    return [
        describe_exception,
        mask,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _formatter(*, as_json: bool, colors: bool) -> logging.Formatter:
    renderer: Processor = (
        structlog.processors.JSONRenderer(default=_type_name, ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=colors)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[take_template, *_both()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        use_get_message=False,  # a template that does not fit its arguments would be told on stderr, arguments and all
    )


def take_template(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Keep of a library's line its template: what it fills in, and asyncio's second line, may be a customer's text."""
    record: logging.LogRecord = event_dict["_record"]
    template = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    event_dict["event"] = template.partition("\n")[0]
    return event_dict


def describe_exception(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Replace an exception by its types, codes and frames."""
    exc_info = event_dict.pop("exc_info", None)
    error = exc_info if isinstance(exc_info, BaseException) else None
    if isinstance(exc_info, tuple):
        error = exc_info[1]
    elif exc_info and error is None:
        error = sys.exc_info()[1]
    if error is not None:
        event_dict["exception"] = describe(error)
    return event_dict


def mask(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Hide what is under a key that nobody called safe, and what looks like an address or a secret under any key."""
    event_dict["event"] = shortened(masked(str(event_dict.get("event", ""))))
    for key in event_dict.keys() - _OURS:
        event_dict[key] = _value(key, event_dict[key])
    return event_dict


def _value(key: str, value: Any) -> Any:
    if not is_safe_key(key):
        return HIDDEN
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if is_amount(key) or masked(str(value)) == str(value) else HIDDEN
    if isinstance(value, str):
        return shortened(value if is_ours(key) else masked(value))
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(key, item) for item in value]
    return HIDDEN if isinstance(value, MutableMapping) else _type_name(value)


def _type_name(value: Any) -> str:
    return f"<{type(value).__name__}>"
