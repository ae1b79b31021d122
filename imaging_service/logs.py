"""Log lines as JSON, one a line, each with the request or the run that it belongs to."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

REQUEST: ContextVar[str] = ContextVar("request", default="")
RUN: ContextVar[str] = ContextVar("run", default="")


class JsonLines(logging.Formatter):
    """Time, level, logger, message; request and run where there is one; the traceback of an error.

    A message may quote what was sent: its line breaks are escaped, so it cannot forge a line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        ids = {"request": REQUEST.get(), "run": RUN.get()}
        line |= {name: value for name, value in ids.items() if value}
        line |= getattr(record, "more", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


def configure() -> None:
    """Let every logger of this process write such lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # One line a request is written by the middleware, with its id and how long it took.
    logging.getLogger("uvicorn.access").disabled = True
