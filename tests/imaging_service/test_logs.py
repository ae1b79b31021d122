from __future__ import annotations

import io
import json
import logging
import re

import pytest

from imaging_service.logs import REQUEST, RUN, JsonLines, configure, without_keys


def line(message, *arguments, error=None, **more):
    record = logging.LogRecord("a", logging.INFO, "f", 1, message, arguments, error)
    record.__dict__.update(more)
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_line_has_its_request_and_its_run():
    made = line("%s", "x")
    assert (made["level"], made["message"], "request" in made) == ("info", "x", False)
    tokens = REQUEST.set("r1"), RUN.set("3f0c")
    made = line("x", more={"ms": 1.5})
    assert (made["request"], made["run"], made["ms"]) == ("r1", "3f0c", 1.5)
    REQUEST.reset(tokens[0])
    RUN.reset(tokens[1])


def test_what_was_sent_cannot_forge_a_line():
    assert line("a\nb\r{\u2028}")["message"] == "a\nb\r{\u2028}"


def test_an_error_has_its_traceback():
    try:
        raise ValueError("x")
    except ValueError as error:
        made = line("x", error=(type(error), error, error.__traceback__))
    assert made["error"].endswith("ValueError: x")


def test_of_a_key_only_the_id_is_written():
    secret = 43 * "s"
    record = logging.LogRecord(
        "x", logging.INFO, "f", 1, f"GET /runs/mns_0123456789ab_{secret}", (), None
    )
    record.more = {"path": f"/runs/mns_0123456789ab_{secret}"}
    line = JsonLines().format(record)
    assert secret not in line
    assert line.count("mns_0123456789ab_") == 2
    assert without_keys(f"mnr_0123456789_{secret}") == "mnr_0123456789_…"


@pytest.fixture
def loggers():
    """Handlers and levels as they were, after the test."""
    root = logging.getLogger()
    named = [logging.getLogger(n) for n in ("alembic.runtime.plugins", "dbos", "uvicorn.access")]
    before = root.handlers[:], root.level, [(n.level, n.disabled) for n in named]
    yield
    root.handlers[:], root.level = before[0], before[1]
    for logger, (level, disabled) in zip(named, before[2], strict=True):
        logger.setLevel(level)
        logger.disabled = disabled


def written(monkeypatch, *, terminal: bool) -> list[str]:
    """Lines that a process writes of a request, of libraries' steps, and of what went wrong."""
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    monkeypatch.setattr("sys.stderr", stream)
    configure()
    logging.getLogger("alembic.runtime.plugins").info("setup plugin")
    logging.getLogger("dbos").info("Applying migration 1")
    logging.getLogger("alembic.runtime.migration").info("Running upgrade 0001 -> 0002")
    logging.getLogger("imaging_service.requests").info("GET / 200")
    logging.getLogger("dbos").warning("database away, key mns_0123456789ab_%s", 43 * "s")
    return stream.getvalue().splitlines()


def test_a_terminal_gets_what_went_wrong_in_words(monkeypatch, loggers):
    (line,) = written(monkeypatch, terminal=True)
    assert re.fullmatch(
        "[0-9]{2}:[0-9]{2}:[0-9]{2} WARNING: database away, key mns_0123456789ab_…", line
    )


def test_programs_get_every_request_and_upgrade_and_no_step_of_a_library(monkeypatch, loggers):
    lines = [json.loads(line) for line in written(monkeypatch, terminal=False)]
    assert [(line["level"], line["message"][:12]) for line in lines] == [
        ("info", "Running upgr"),
        ("info", "GET / 200"),
        ("warning", "database awa"),
    ]
