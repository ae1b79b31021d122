"""The widget in napari's own viewer."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QInputDialog

from imaging_service.errors import StoreError
from imaging_service.jobs.plan import read_inputs
from imaging_service.protocol import parse_protocol
from imaging_service.review.local import LocalRun
from segmentation.phantoms.films import Film, render_film
from segmentation.phantoms.render import Optics
from tests.imaging_service.conftest import analyse_here
from tests.messages import says, states
from tests.napari_plugin.cursor import point_at

LAYERS = [
    "dna (1)",
    "neurite (2)",
    "aggregate (3)",
    "nuclei",
    "somas",
    "neurites",
    "puncta",
    "neurite graph",
]


def test_the_manifest_is_valid():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_distribution("motor-neuron-imaging-service")
    manifest.validate_imports()
    assert [w.display_name for w in manifest.contributions.widgets] == ["Review a run"]


@pytest.fixture(scope="module")
def film_run(tmp_path_factory):
    """Two wells of a film of four time points."""
    root = tmp_path_factory.mktemp("film")
    for well in ("B02", "B03"):
        film = Film(frames=4, interval_h=12.0, neurons_per_mm2=200)
        for t, field in enumerate(
            render_film(film, Optics(shape=(300, 300), pixel_size_um=0.9), int(well[1:])), start=1
        ):
            (root / "Film" / f"TimePoint_{t}").mkdir(parents=True, exist_ok=True)
            for c in range(2):
                tifffile.imwrite(
                    root / "Film" / f"TimePoint_{t}" / f"Film_{well}_s1_w{c + 1}.tif",
                    field.pixels[c],
                )
    (root / "map.csv").write_text(
        "well,line,genotype,compound,dose,unit,control\nB02,L,SOD1,DMSO,0,uM,vehicle\nB03,L,SOD1,x,1,uM,\n"
    )
    protocol = parse_protocol(
        {
            "name": "live",
            "channels": {"neurite": "1", "death": "2"},
            "segmentation": {"engine": "classical"},
            "acquisition": {"pixel_size_um": 0.9, "frame_interval_h": 12.0},
            "survival": {"definition": "reporter_loss"},
            "response": {"phenotypes": ["rmst_h"]},
        },
        "p",
    )
    analyse_here(read_inputs(root / "Film", root / "map.csv", protocol, None, "auto"), root / "out")
    return root / "out"


def test_moving_through_a_film_shows_each_time_point_and_writes_nothing(
    review, film_run, tmp_path, monkeypatch
):
    viewer, widget, press = review
    run = shutil.copytree(film_run, tmp_path / "film", ignore=shutil.ignore_patterns("*.lock"))
    widget.open(run)
    log = widget.session.run.review
    assert (widget.session.frame, viewer.dims.current_step[0]) == (1, 0)
    labels = {f: LocalRun(run).read_field("B02", 1, f).labels["somas"] for f in range(1, 5)}
    for frame in (3, 2, 4, 1, 3):
        viewer.dims.set_current_step(0, frame - 1)
        assert widget.session.shown.frame == frame
        assert np.array_equal(viewer.layers["somas"].data, labels[frame])
    press("N")
    assert (widget.session.well, widget.session.frame, viewer.dims.current_step[0]) == ("B03", 3, 2)
    press("P")
    assert (log.corrected(), log.revision()) == ([], 1)
    label = int(labels[3].max())
    point_at(viewer, "somas", label)
    press("D")
    assert log.corrected_frames("B02", 1) == [3]
    viewer.dims.set_current_step(0, 0)
    assert np.array_equal(viewer.layers["somas"].data, labels[1])
    viewer.layers["somas"].data[:4, :4] = 300
    viewer.dims.set_current_step(0, 1)  # what was painted is saved where it was painted
    assert (LocalRun(run).read_field("B02", 1, 1).labels["somas"] == 300).sum() == 16
    assert np.array_equal(LocalRun(run).read_field("B02", 1, 2).labels["somas"], labels[2])
    tracked = next(
        r for r in widget.session.run.cells("B02", 1) if r["frame"] == 2 and r["track"] is not None
    )
    point_at(viewer, "somas", tracked["label"])
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("two cells", True))
    press("T")
    assert widget.message.text() == f"track {tracked['track']} rejected"
    assert ("B02", 1, tracked["track"]) in log.standing()


def test_it_opens_steps_and_reports(review, run, tmp_path):
    viewer, widget, _ = review
    widget.open(tmp_path)
    assert states("run.no_run_json", widget.message.text())
    widget.open(run)
    assert [layer.name for layer in viewer.layers] == LAYERS
    assert viewer.layers.selection.active.name == "nuclei"  # D, M and X work at once
    assert widget.wells.count() == 24
    before = viewer.layers["nuclei"].data.copy()
    viewer.layers[0].contrast_limits = (100, 200)
    widget.next_button.click()
    assert not np.array_equal(before, viewer.layers["nuclei"].data)
    assert tuple(viewer.layers[0].contrast_limits) == (100, 200)
    assert len(viewer.layers) == len(LAYERS)
    assert states("session.number_of_field", widget.caption.text(), number=2, of=2)
    widget.previous_button.click()
    assert states("session.number_of_field", widget.caption.text(), number=1, of=2)


def test_keys_judge_and_correct(review, run, monkeypatch):
    viewer, widget, press = review
    widget.open(run)
    label = int(viewer.layers["nuclei"].data.max())
    point_at(viewer, "nuclei", label)
    press("D")
    assert not (viewer.layers["nuclei"].data == label).any()
    assert states("session.label_version", widget.caption.text(), version=2)
    press("Z")
    assert (viewer.layers["nuclei"].data == label).any()
    viewer.layers["nuclei"].data[:2, :2] = 400
    press("S")
    assert widget.session.run.review.head(widget.session.well, 1) == 4
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("out of focus", True))
    press("R")
    author, well = widget.session.author, widget.session.well
    assert states("review.rejected_by", widget.caption.text(), author=author, reason="out of focus")
    press("A")
    assert widget.session.number == 2
    assert widget.session.run.review.standing()[well, 1, None].accepted


def test_the_plate_and_the_curve_follow_the_well(review, run):
    _, widget, press = review
    widget.open(run)
    assert len(widget.plate.spots.data) == 24
    well = next(
        w for w in widget.session.wells[3:] if widget.session.table.rows[w]["control"] == "none"
    )
    point = next(p for p in widget.plate.spots.points() if p.data() == well)
    widget.plate.spots.sigClicked.emit(widget.plate.spots, [point], None)
    assert widget.session.well == well
    assert well in widget.caption.text()
    marked = [i for i in widget.curve.getPlotItem().listDataItems() if i.opts["symbolSize"] == 12]
    assert len(marked[0].xData) == 1
    press("A")
    state = {m.well: m.state for m in widget.session.plate()}
    assert state[well] == "begun"
    widget.blinded.setChecked(True)
    assert widget.plate.isHidden()
    assert widget.curve.isHidden()
    assert "SOD1" not in widget.caption.text()
    assert "blinded" in widget.caption.text()


def test_the_tables_follow_on_request(review, run, qtbot):
    viewer, widget, press = review
    widget.open(run)
    well, before = (
        widget.session.well,
        widget.session.table.rows[widget.session.well]["nuclei_count"],
    )
    point_at(viewer, "nuclei", int(viewer.layers["nuclei"].data.max()))
    press("D")
    with qtbot.waitSignal(widget.followed, timeout=60_000) as said:
        press("U")
    assert said.args == [""]
    assert int(widget.session.table.rows[well]["nuclei_count"]) == int(before) - 1
    assert states("widget.tables_up_to_date", widget.message.text())


def test_a_field_that_cannot_be_read_leaves_the_reviewer_where_they_are(review, run, monkeypatch):
    """Else what is done to the field on the screen would be done to one that nobody saw."""
    viewer, widget, press = review
    widget.open(run)
    true_read = LocalRun.read_field

    def read(self, well, number, *more):
        if number == 2:
            raise StoreError("field 2 is damaged")
        return true_read(self, well, number, *more)

    monkeypatch.setattr(LocalRun, "read_field", read)
    widget.session._ahead.want([])
    well, log = widget.session.well, widget.session.run.review
    press("N")
    assert widget.message.text() == "field 2 is damaged"
    assert (widget.session.well, widget.session.number) == (well, 1)
    point_at(viewer, "nuclei", int(viewer.layers["nuclei"].data.max()))
    press("D")
    assert (len(log.history(well, 1)), len(log.history(well, 2))) == (1, 0)
    press("A")
    assert (well, 1, None) in log.standing()
    assert (well, 2, None) not in log.standing()
    widget.session.go_to(widget.session.wells[3])
    with pytest.raises(ValueError, match=says("session.field_not_shown")):
        widget.session.undo()


def test_closing_the_dock_saves_what_was_painted(review, run):
    viewer, widget, press = review
    widget.open(run)
    well = widget.session.well
    press("W")
    layer = viewer.layers["nuclei"]
    number = layer.selected_label
    layer.paint((10, 10), number)
    viewer.window._qt_window.show()
    viewer.window.remove_dock_widget(next(iter(viewer.window._wrapped_dock_widgets.values())))
    assert (LocalRun(run).read_field(well, 1).labels["nuclei"] == number).any()


def test_a_rejected_well_is_said_and_taken_back(review, run, monkeypatch):
    _, widget, press = review
    widget.open(run)
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("bubble", True))
    press("Shift+R")
    author = widget.session.author
    assert states("session.well_rejected", widget.caption.text(), author=author, reason="bubble")
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: (" ", True))
    press("R")
    assert states("session.rejection_without_reason", widget.message.text())
    press("Shift+A")
    assert states("session.well_accepted", widget.caption.text())
    widget.apart.setChecked(True)
    reading = widget.session.run.reading
    assert states("session.reading", widget.progress.text(), reading=reading)
    assert "accepted" not in widget.caption.text()


def test_before_a_run_is_open_keys_do_nothing(review):
    viewer, widget, press = review
    for key in ("A", "R", "T", "N", "P", "Q", "U", "G", "O", "D", "M", "X", "W", "S", "Z", "C"):
        press(key)
        assert (len(viewer.layers), widget.message.text()) == (0, ""), key
    assert states("panel.no_run", widget.caption.text())


def test_a_track_is_rejected_only_where_the_cursor_is_on_a_cell(review, run):
    viewer, widget, press = review
    widget.open(run)
    nuclei = viewer.layers["nuclei"]
    viewer.cursor.position = tuple(nuclei.data_to_world(np.argwhere(nuclei.data == 0)[0]))
    press("T")
    assert states("widget.no_object", widget.message.text(), what="nuclei")


def test_a_run_without_a_queue_says_how_to_make_one(review, run):
    _, widget, press = review
    widget.open(run)
    (run / "review" / "queue.csv").unlink()
    press("Q")
    assert states("widget.no_queue", widget.message.text())
