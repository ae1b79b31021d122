"""Log lines: JSON for programs, each with the request or the run that it belongs to.

A terminal gets warnings and errors in words instead: who starts a service by hand looks for its
link, which a line per request and per step of a library would bury.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

# A key that a user pasted into an address, or that a library quotes; its id may be read.
_KEY = re.compile(r"\b(mns_[0-9a-f]{12}_|mnr_[0-9a-f]{10}_)[A-Za-z0-9_-]+")

REQUEST: ContextVar[str] = ContextVar("request", default="")
RUN: ContextVar[str] = ContextVar("run", default="")


class JsonLines(logging.Formatter):
    """Time, level, logger, message; request and run where there is one; the traceback of an error.

    A message may quote what was sent: its line breaks are escaped, so it cannot forge a line, and
    of an API key only the id is written.
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
        return without_keys(json.dumps(line, ensure_ascii=True))


class Words(logging.Formatter):
    """Time, level and message, for a person; the traceback of an error; no API key."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and under it the traceback where there is one."""
        return without_keys(super().format(record))


def without_keys(text: str) -> str:
    """The text with the ids of API keys in place of the keys."""
    return _KEY.sub(r"\1…", text)


def configure() -> None:
    """Let every logger of this process write such lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    watched = sys.stderr.isatty()
    handler.setFormatter(
        Words("%(asctime)s %(levelname)s: %(message)s", "%H:%M:%S") if watched else JsonLines()
    )
    level = logging.WARNING if watched else logging.INFO
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Their steps at each start, a hundred lines with a new database, tell an administrator nothing.
    for library in ("alembic.runtime.plugins", "dbos"):
        logging.getLogger(library).setLevel(logging.WARNING)
    # One line a request is written by the middleware, with its id and how long it took.
    logging.getLogger("uvicorn.access").disabled = True
