from __future__ import annotations

import pytest

from imaging_service.errors import Cancelled, Unavailable
from imaging_service.web.undrawn import drawn_or_why
from tests.messages import states


def raising(error):
    def draw():
        raise error

    return draw


def test_a_report_that_can_be_drawn_is_that_report():
    assert drawn_or_why("P", lambda: "<p>α</p>") == "<p>α</p>".encode()


def test_a_fault_of_drawing_is_logged_and_stands_in_the_report_s_place(caplog):
    page = drawn_or_why("P<1>", raising(TypeError("no <float>"))).decode()
    assert "<h1>P&lt;1&gt;</h1>" in page
    assert states("undrawn.why", page, why="TypeError: no &lt;float&gt;")
    (record,) = caplog.records
    assert (record.levelname, record.exc_info[0]) == ("ERROR", TypeError)


@pytest.mark.parametrize(
    "error", [OSError(28, "full"), MemoryError(), Unavailable("away"), Cancelled("stopped")]
)
def test_a_fault_of_the_machine_is_raised(error):
    with pytest.raises(type(error)):
        drawn_or_why("P", raising(error))
