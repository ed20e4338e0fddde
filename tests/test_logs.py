"""Logs hold ids, counts and codes; never a body, an address or a token."""

from __future__ import annotations

import ast
import asyncio
import gc
import io
import json
import logging
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from gateway.logs import configure
from gateway.masking import HIDDEN, is_safe_key, masked

BODY = "My pipe bursts, come to 5 Elm Street"
NUMBER = "+15550100001"
TOKEN = "0123456789abcdef0123456789abcdef"

ROOT = Path(__file__).parent.parent


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Give a stream that everything is logged to, and put the process's logging back afterwards."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions)
    showwarning = warnings.showwarning
    stream = io.StringIO()
    configure("INFO", json=True, stream=stream)
    yield stream
    root.handlers[:], level, logging.raiseExceptions = before
    root.setLevel(level)
    logging.getLogger("aiohttp.access").disabled = False
    warnings.showwarning = showwarning
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_holds_its_event_its_safe_values_and_what_is_bound(stream: io.StringIO) -> None:
    """A line is one JSON object with the event, the keys, the context, the level and an aware time."""
    with structlog.contextvars.bound_contextvars(delivery_id="0f9c0e0c-1111-2222-3333-123456789012"):
        structlog.get_logger("gateway.outbox").info("sent", attempt=2, wait_s=0.25, channel="sms")

    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "sent",
        "level": "info",
        "logger": "gateway.outbox",
        "attempt": 2,
        "wait_s": 0.25,
        "channel": "sms",
        "delivery_id": "0f9c0e0c-1111-2222-3333-123456789012",
    }


@pytest.mark.parametrize(
    "key", ["body", "text", "sender", "recipient", "user_name", "name", "subject", "sender_id", "auth_token", "request"]
)
def test_a_key_that_nobody_called_safe_is_hidden(stream: io.StringIO, key: str) -> None:
    """The value of an unknown key does not reach the log; the key does, so that its author notices."""
    structlog.get_logger().info("noticed", **{key: BODY})

    assert lines(stream)[0][key] == HIDDEN


@pytest.mark.parametrize(
    "value",
    [
        NUMBER,
        "whatsapp:+4915112345678",
        "call +44 20 7946 0958 now",
        "(555) 010-0001",
        "555-010-0001",
        "030 1234567",
        "15550100001",
        "jane.doe+list@example.co.uk",
        "Authorization: Bearer abc.def",
        "Basic dXNlcjpwYXNz",
        "Incorrect API key provided: sk-proj-abcdef123456",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "EAAGm0PX4ZCpsBAKZCZC0123456789",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        TOKEN,
        "postgresql://frontdesk:hunter2secret@db/frontdesk",
        "https://example.com/hook?token=abcdef",
    ],
)
def test_what_looks_like_an_address_or_a_secret_is_masked_under_any_key(stream: io.StringIO, value: str) -> None:
    """Phone numbers, e-mail addresses, tokens and passwords are masked in values and in events."""
    secret = value.split()[-1] if "Bearer" in value or "Basic" in value or "sk-" in value else value
    structlog.get_logger().info(f"saw {value}", reason=value, names=[value])

    assert secret not in stream.getvalue()
    assert "hunter2secret" not in stream.getvalue()
    assert HIDDEN in lines(stream)[0]["reason"]
    assert HIDDEN in lines(stream)[0]["names"][0]


@pytest.mark.parametrize(
    "value",
    [
        "SM0123456789abcdef0123456789abcdef",
        "0f9c0e0c-1111-2222-3333-123456789012",
        "2026-11-24T10:00:00.123456+00:00",
        "gpt-6-luna-2026-09-01",
        "http://127.0.0.1:8080/v1",
        "30007",
        "req_0123456789",
    ],
)
def test_ids_codes_and_times_are_not_masked(value: str) -> None:
    """What an operator searches for stays readable."""
    assert masked(value) == value


def test_a_number_is_hidden_where_it_may_be_a_phone_number(stream: io.StringIO) -> None:
    """An int is masked like a text, unless its key says what it counts."""
    structlog.get_logger().info("numbers", channel_id=15550100001, spool_bytes=15550100001)

    (line,) = lines(stream)
    assert (line["channel_id"], line["spool_bytes"]) == (HIDDEN, 15550100001)


def test_the_businesss_own_accounts_are_named(stream: io.StringIO) -> None:
    """An event for a page that nobody has configured is found by the page's id, which looks like a number."""
    structlog.get_logger().warning("event_for_no_channel", account_id="106540000000001", sender_id="106540000000001")
    [line] = lines(stream)

    assert (line["account_id"], line["sender_id"]) == ("106540000000001", HIDDEN)


def test_an_object_is_logged_as_its_type(stream: io.StringIO) -> None:
    """Neither a dict nor an object's own words get in."""
    structlog.get_logger().info("objects", status={"body": BODY}, reason=ValueError(BODY))

    (line,) = lines(stream)
    assert (line["status"], line["reason"]) == (HIDDEN, "<ValueError>")


def test_an_exception_is_told_without_its_message(stream: io.StringIO) -> None:
    """Type, cause and frames are logged; the messages, which quote values, are not."""
    try:
        try:
            int(BODY)
        except ValueError as error:
            raise LookupError(NUMBER) from error
    except LookupError:
        structlog.get_logger().exception("broke")

    told = lines(stream)[0]["exception"]
    assert told.startswith("LookupError\n")
    assert "caused by ValueError" in told
    assert "tests/test_logs.py" in told
    assert str(ROOT) not in told
    assert BODY not in stream.getvalue()
    assert NUMBER not in stream.getvalue()


def test_a_database_error_is_told_without_its_parameters(stream: io.StringIO) -> None:
    """SQLAlchemy's message holds the statement's parameters; the class, the driver's code and the frames are enough."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (body TEXT UNIQUE)"))
        connection.execute(text("INSERT INTO t VALUES (:body)"), {"body": BODY})
        try:
            connection.execute(text("INSERT INTO t VALUES (:body)"), {"body": BODY})
        except IntegrityError:
            structlog.get_logger().exception("refused")
    engine.dispose()

    told = lines(stream)[0]["exception"]
    assert "sqlalchemy.exc.IntegrityError" in told
    assert "sqlite_errorname=SQLITE_CONSTRAINT_UNIQUE" in told
    assert BODY not in stream.getvalue()


def test_a_message_that_names_only_code_is_kept(stream: io.StringIO) -> None:
    """A developer's mistake is told as Python says it."""
    try:
        None.missing  # type: ignore[attr-defined]  # noqa: B018
    except AttributeError:
        structlog.get_logger().exception("broke")

    assert "'NoneType' object has no attribute 'missing'" in lines(stream)[0]["exception"]


def test_each_member_of_a_group_is_told(stream: io.StringIO) -> None:
    """A TaskGroup's errors are not hidden behind the group."""
    structlog.get_logger().error("broke", exc_info=ExceptionGroup(BODY, [KeyError(BODY), OSError(111, BODY)]))

    told = lines(stream)[0]["exception"].splitlines()
    assert told == ["ExceptionGroup", "holding KeyError", "holding ConnectionRefusedError [errno=111]"]


def test_a_library_line_keeps_its_template_only(stream: io.StringIO) -> None:
    """What a library fills into its line is dropped, and its exception is told like ours."""
    try:
        int(BODY)
    except ValueError:
        logging.getLogger("some.library").exception("Error handling request from %s", NUMBER)

    (line,) = lines(stream)
    assert (line["event"], line["logger"]) == ("Error handling request from %s", "some.library")
    assert line["exception"].startswith("ValueError")
    assert BODY not in stream.getvalue()
    assert NUMBER not in stream.getvalue()


def test_a_library_line_that_does_not_fit_its_arguments_leaks_nothing(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """The logging module's own complaint about a broken call does not reach stderr."""
    logging.getLogger("some.library").warning("count %d", BODY)

    assert lines(stream)[0]["event"] == "count %d"
    assert capsys.readouterr().err == ""


async def test_a_lost_task_is_told_without_its_result(stream: io.StringIO) -> None:
    """asyncio's line about an exception that nobody retrieved quotes the exception; ours does not."""

    async def fail() -> None:
        raise ValueError(BODY)

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()

    (line,) = lines(stream)
    assert line["event"] == "Task exception was never retrieved"
    assert BODY not in stream.getvalue()


def test_chatty_libraries_are_quiet(stream: io.StringIO) -> None:
    """Access lines and the SDKs' whole requests are not logged, whatever the level."""
    configure("DEBUG", json=True, stream=stream)
    logging.getLogger("aiohttp.access").warning("GET /")
    for name in ("twilio.http_client", "openai._base_client", "alembic.runtime.migration"):
        logging.getLogger(name).info("request")

    assert stream.getvalue() == ""


@pytest.mark.parametrize(("stream_type", "starts"), [(Terminal, "\x1b["), (io.StringIO, "{")])
def test_a_terminal_gets_words_and_a_pipe_gets_json(
    stream: io.StringIO, stream_type: type[io.StringIO], starts: str
) -> None:
    """The form follows the stream where nothing else is asked for, and masks alike."""
    written = stream_type()
    configure("INFO", stream=written)
    structlog.get_logger().warning("noticed", body=BODY, attempt=1)

    assert written.getvalue().startswith(starts)
    assert BODY not in written.getvalue()


def test_a_level_silences_what_is_below(stream: io.StringIO) -> None:
    """Below the level nothing is written."""
    configure("WARNING", json=True, stream=stream)
    structlog.get_logger().info("noticed")

    assert stream.getvalue() == ""


def test_every_key_that_our_code_logs_is_known_as_safe() -> None:
    """A log call in the sources uses no key whose value would be hidden."""
    used = {
        keyword.arg
        for package in ("channels", "gateway")
        for source in (ROOT / package).rglob("*.py")
        if not source.name.startswith("test_")
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Call) and _is_log_call(node.func)
        for keyword in node.keywords
        if keyword.arg not in (None, "exc_info")
    }

    assert sorted(key for key in used if not is_safe_key(str(key))) == []


def _is_log_call(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute):
        return False
    if function.attr in {"bound_contextvars", "bind_contextvars"}:
        return True
    return isinstance(function.value, ast.Name) and function.value.id == "log"


def test_a_warning_is_a_line_without_its_words(stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    """Python's warnings come as lines like all others: what kind, and where, but not what they quote."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"unexpected value: {BODY} {NUMBER}", UserWarning, stacklevel=1)
    [line] = lines(stream)

    assert (line["event"], line["kind"], line["level"]) == ("python_warning", "UserWarning", "warning")
    assert "tests/test_logs.py:" in line["path"]
    assert "Elm" not in stream.getvalue()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("unit", ["a@", "a.", "+1 ", "0 1", "://a:", "1.", "eyJaaaaaaaa."])
def test_a_long_text_is_masked_in_no_time(unit: str) -> None:
    """A stranger who gets a text of a megabyte logged does not stop the process while it is searched."""
    started = time.perf_counter()
    masked(unit * (1_000_000 // len(unit)))

    assert time.perf_counter() - started < 0.5


def test_a_long_text_is_cut_between_words() -> None:
    """The cut does not leave half a secret, which would look like none."""
    text = f"{'word ' * 394}postgresql://owner:hunter2hunter2@db/frontdesk {'word ' * 400}"
    glued = f"{'a' * 1990}sk-0123456789abcdef"

    assert "hunt" not in masked(text)
    assert masked(text).startswith("word word")
    assert masked(glued) == HIDDEN
