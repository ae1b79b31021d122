"""What stands in a report's place when it cannot be drawn: its tables are written all the same."""

from __future__ import annotations

import logging
from collections.abc import Callable

from imaging_service.errors import Cancelled, MachineError
from imaging_service.web.templating import environment

_log = logging.getLogger(__name__)


def drawn_or_why(title: str, draw: Callable[[], str]) -> bytes:
    """The report that `draw` gives as UTF-8 HTML, or a page that says why there is none.

    Tables that took a night must not be lost to a fault of their picture: such a fault is logged
    and shown in the report's place. Raises OSError, MemoryError, MachineError and Cancelled as they
    come: they are the machine's, and the report is drawn when it is well again.
    """
    try:
        return draw().encode()
    except (OSError, MemoryError, MachineError, Cancelled):
        raise
    except Exception as error:  # noqa: BLE001 - see below
        # A fault in drawing can be of any kind, and the numbers do not depend on it.
        _log.exception("the report of %s could not be drawn", title)
        why = f"{type(error).__name__}: {error}"
        return environment().get_template("undrawn.html").render(title=title, why=why).encode()
