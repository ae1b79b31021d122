"""The dock's parts: their order, their words, and that the picture keeps its keys."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_plugin.panel import ReviewPanel
from napari_plugin.views.plate import COLOURS
from tests.messages import states


@pytest.fixture
def panel(qtbot):
    panel = ReviewPanel()
    qtbot.addWidget(panel)
    panel.show()
    return panel


def test_the_parts_go_from_what_to_open_down_to_what_the_well_is(panel):
    for label in (panel.progress, panel.message):
        label.setText("text")
    panel.layout().activate()
    rows = [
        [panel.open_button, panel.connect_button],
        [panel.apart],
        [panel.plate],
        [panel.legend],
        [panel.wells, panel.previous_button, panel.next_button, panel.urgent_button],
        [panel.blinded],
        [panel.phenotype],
        [panel.curve],
        [panel.progress],
        [panel.message],
        [panel.caption],
    ]
    for row in rows:
        assert [p.x() for p in row] == sorted(p.x() for p in row)
    middles = [[p.y() + p.height() / 2 for p in row] for row in rows]
    for above, below in pairwise(middles):
        assert max(above) < min(below)


def test_before_a_run_is_open_the_panel_says_so_and_chooses_nothing(panel):
    assert states("panel.no_run", panel.caption.text())
    assert (panel.progress.text(), panel.message.text()) == ("", "")
    assert (panel.wells.count(), panel.phenotype.count()) == (0, 0)
    assert not panel.apart.isChecked()
    assert not panel.blinded.isChecked()


def test_buttons_name_their_keys(panel):
    keys = [
        re.search(r"\((.)\)", button.text()).group(1)
        for button in (panel.previous_button, panel.next_button, panel.urgent_button)
    ]
    assert keys == ["P", "N", "Q"]


def test_the_legend_names_every_state_in_its_colour(panel):
    shown = re.findall(
        r"color:(#[0-9a-f]{6});[^>]*>&nbsp;■&nbsp;</span>&nbsp;(\w+)", panel.legend.text()
    )
    assert {state: colour for colour, state in shown} == COLOURS


@pytest.mark.parametrize("name", ["wells", "phenotype"])
def test_keys_and_the_wheel_choose_no_other_well_or_phenotype(panel, name):
    box = getattr(panel, name)
    box.addItems(["first", "second", "third"])
    assert box.focusPolicy() == Qt.FocusPolicy.NoFocus
    middle = QPointF(box.rect().center())
    wheel = QWheelEvent(
        middle,
        QPointF(box.mapToGlobal(middle.toPoint())),
        QPoint(0, -120),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(box, wheel)
    assert box.currentText() == "first"
    assert not wheel.isAccepted()  # it goes on to what is below


def test_long_words_are_wrapped_and_do_not_widen_the_dock(panel):
    for label in (panel.caption, panel.progress, panel.message):
        label.setText("a reason of many words " * 40)
    panel.adjustSize()
    assert panel.width() <= 460
    assert panel.minimumSizeHint().width() <= 460
