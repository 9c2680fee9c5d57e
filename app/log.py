"""Logs: JSON on standard error, or for people; never a secret, a token or a person's text.

Rooster's own code logs by ``structlog.get_logger()`` with a constant event name and values: run,
synchronization and event ids. What libraries log by ``logging`` comes out in the same shape.
"""

import logging
import re
import sys
from datetime import datetime
from types import TracebackType
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from app.errors import RoosterError

__all__ = ["LogFormat", "LogLevel", "configure_logging"]

LogFormat = Literal["json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

PRIVATE = frozenset(
    {
        "apitoken",
        "authorization",
        "body",
        "categories",
        "certificate",
        "cookie",
        "description",
        "dsn",
        "location",
        "password",
        "secret",
        "subject",
        "summary",
        "text",
        "title",
        "token",
        "url",
    }
)
"""Words that make the value of a name private: ``client_secret`` and ``apiToken`` are, ``tokens`` is not."""

TALKATIVE = (
    "aiohttp",
    "exchangelib",
    "google",
    "googleapiclient",
    "httplib2",
    "msal",
    "requests_ntlm",
    "urllib3",
)
"""Libraries that log requests and answers, bodies included, below WARNING."""

MAX_FRAMES = 20


def _json(value: object) -> str:
    """What JSON has no form for: moments as in RFC 3339, anything else as Python shows it."""
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def configure_logging(
    format: LogFormat = "json", level: LogLevel = "info", stream: TextIO | None = None
) -> None:
    """Send all logs to ``stream`` (standard error). May be called again, and then holds alone."""
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        describe_exception,
        mask_private,
    ]
    renderer: Processor = structlog.processors.JSONRenderer(default=_json)
    if format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def mask_private(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace every value whose name says that it is private, at any depth."""
    return {name: _masked(name, value) for name, value in event.items()}


def _masked(name: str, value: object) -> object:
    if value is not None and not PRIVATE.isdisjoint(_words(name)):
        return "***"
    if isinstance(value, dict):
        return {key: _masked(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked("", item) for item in value]
    return value


def _words(name: str) -> set[str]:
    """The words of a name, and the name as one: ``apiToken`` is api, token, apitoken."""
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return {*(part.lower() for part in parts), name.lower()}


def describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put the exception's type and place in the place of its traceback.

    The messages of most exceptions quote what they stumbled over, so only those of our own are shown.
    """
    exc_info = event.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    elif isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    if exc_info and exc_info[1] is not None:
        event["exception"] = _chain(exc_info)
    return event


def _chain(exc_info: ExcInfo) -> str:
    error: BaseException | None = exc_info[1]
    described = []
    while error is not None:
        name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        message = f": {error.message}" if isinstance(error, RoosterError) else ""
        described.append(f"{name}{message} at {_frames(error.__traceback__)}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " | caused by ".join(described)


def _frames(traceback: TracebackType | None) -> str:
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_qualname}")
        traceback = traceback.tb_next
    return " > ".join(frames[-MAX_FRAMES:]) or "nowhere"
