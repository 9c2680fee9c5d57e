"""CONTRACT §8: JSON logs with ids, and never a secret, a token or an event's title."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from app.errors import RoosterError
from app.log import LogFormat, LogLevel, configure_logging

SECRET = "hunter2"


class Log(io.StringIO):
    def start(self, format: LogFormat = "json", level: LogLevel = "info") -> None:
        configure_logging(format, level, self)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in ("exchangelib", "urllib3")}
    log = Log()
    log.start()
    yield log
    root.handlers = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def test_a_line_is_json_with_level_time_and_the_ids_given(log: Log) -> None:
    structlog.get_logger("app.sync").info("pushed", synchronization=7, run=3)
    (line,) = log.lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "pushed", "level": "info", "logger": "app.sync", "synchronization": 7, "run": 3}


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "apiToken",
        "password",
        "client_secret",
        "Authorization",
        "access_token",
        "title",
        "description",
    ],
)
def test_private_values_are_masked_at_any_depth(log: Log, name: str) -> None:
    logger = structlog.get_logger()
    logger.info("direct", **{name: SECRET})
    logger.info("nested", request={"headers": [{name: SECRET}]})
    assert SECRET not in log.getvalue()
    assert log.lines()[0][name] == "***"


def test_names_that_only_look_private_are_shown(log: Log) -> None:
    structlog.get_logger().info("counted", tokens=3, subtitle="x", untitled=1)
    (line,) = log.lines()
    assert (line["tokens"], line["subtitle"], line["untitled"]) == (3, "x", 1)


def test_an_exception_is_told_by_type_and_place_and_not_by_what_it_quotes(log: Log) -> None:
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise RoosterError("code", "Our own sentence.") from error
    except RoosterError:
        structlog.get_logger().exception("failed")
        logging.getLogger("library").exception("failed")
    assert SECRET not in log.getvalue()
    for line in log.lines():
        assert "RoosterError: Our own sentence." in line["exception"]
        assert "caused by ValueError at " in line["exception"]
        assert "test_log.py:" in line["exception"]


def test_libraries_come_out_in_the_same_shape(log: Log) -> None:
    logging.getLogger("some.library").warning("slow: %s ms", 12)
    (line,) = log.lines()
    assert (line["event"], line["level"], line["logger"]) == ("slow: 12 ms", "warning", "some.library")


@pytest.mark.parametrize("name", ["exchangelib.protocol", "urllib3.connectionpool", "msal.application"])
def test_what_libraries_log_of_requests_stays_out_even_when_debugging(log: Log, name: str) -> None:
    log.start(level="debug")
    logging.getLogger(name).info("request body: %s", SECRET)
    logging.getLogger(name).debug("request body: %s", SECRET)
    assert log.getvalue() == ""


def test_the_level_holds(log: Log) -> None:
    log.start(level="error")
    structlog.get_logger().warning("unimportant")
    structlog.get_logger().error("important")
    assert [line["event"] for line in log.lines()] == ["important"]


def test_warnings_of_python_are_logged(log: Log) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old ways", stacklevel=1)
        logging.captureWarnings(False)
    assert "old ways" in log.lines()[0]["event"]


def test_the_console_format_is_for_people(log: Log) -> None:
    log.start("console")
    structlog.get_logger().info("pushed", synchronization=7, title=SECRET)
    assert "pushed" in log.getvalue()
    assert "synchronization=7" in log.getvalue()
    assert SECRET not in log.getvalue()


def test_moments_are_written_as_in_rfc_3339(log: Log) -> None:
    log.start()
    structlog.get_logger("app").info("mailbox_run", due_at=datetime(2026, 9, 1, 8, tzinfo=UTC))
    assert log.lines()[-1]["due_at"] == "2026-09-01T08:00:00+00:00"
