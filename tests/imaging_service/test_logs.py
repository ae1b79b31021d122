from __future__ import annotations

import json
import logging

from imaging_service.logs import REQUEST, RUN, JsonLines, without_keys


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
