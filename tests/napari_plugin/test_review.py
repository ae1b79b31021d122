from __future__ import annotations

import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from imaging_service.cli import app
from imaging_service.client import RunFolder
from imaging_service.errors import NotFound, ReviewConflict, StoreError
from napari_plugin.layers import field_layers, get_reader
from napari_plugin.session import ReviewSession


@pytest.fixture
def session(analysed):
    return ReviewSession.open(analysed)


def test_stepping_through_fields_and_wells(session):
    first = session.wells[0]
    assert (session.well, session.number) == (first, 1)
    assert not session.previous()
    assert session.next()
    assert (session.well, session.number) == (first, 2)
    assert session.next()
    assert (session.well, session.number) == (session.wells[1], 1)
    assert session.previous()
    assert (session.well, session.number) == (first, 2)
    steps = 0
    while session.next():
        steps += 1
    assert steps == 2 * len(session.wells) - 2


def test_a_caption_says_what_the_well_is(session):
    session.go_to(session.wells[3])
    caption = session.caption()
    row = next(r for r in session.run.wells() if r["well"] == session.wells[3])
    assert row["line"] in caption
    assert "live_density" in caption
    assert "(vehicle " in caption


def test_wells_without_result_say_why(session):
    with pytest.raises(ValueError, match="not in this run"):
        session.go_to("A01")


def test_layers_hold_pixels_and_labels_in_micrometres(session):
    image = session.image()
    layers = field_layers(image)
    kinds = [kind for _, _, kind in layers]
    assert kinds == ["image"] * 3 + ["labels"] * 4
    assert all(settings["scale"] == (0.65, 0.65) for _, settings, _ in layers)
    assert layers[0][0].shape == layers[3][0].shape == (320, 320)
    assert [settings["name"] for _, settings, _ in layers[3:]] == ["nuclei", "somas", "neurites", "puncta"]


def test_the_reader_takes_run_folders_only(analysed, tmp_path):
    assert get_reader(str(tmp_path)) is None
    assert get_reader([str(analysed)]) is None
    layers = get_reader(str(analysed))(str(analysed))
    assert len(layers) == 7


def test_a_moved_folder_still_opens_and_a_damaged_one_says_so(analysed, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(analysed, moved)
    run = RunFolder(moved)
    well = ReviewSession(run).wells[0]
    assert np.array_equal(run.read_field(well, 1).pixels, RunFolder(analysed).read_field(well, 1).pixels)
    shutil.rmtree(moved / "labels.zarr" / well[0])
    with pytest.raises(StoreError, match="was not analysed, or the store is incomplete"):
        run.read_field(well, 1)
    with pytest.raises(NotFound, match=r"has no run\.json"):
        RunFolder(tmp_path)


@pytest.fixture
def own(analysed, tmp_path):
    """A session on a copy of the run, so that it may be written to."""
    folder = shutil.copytree(analysed, tmp_path / "own", ignore=shutil.ignore_patterns("*.lock"))
    session = ReviewSession.open(folder)
    session.author = "ann"
    return session


def cells(image):
    return [int(i) for i in np.unique(image.labels["nuclei"]) if i]


def test_erasing_and_undoing_are_versions(own):
    image = own.image()
    label = cells(image)[0]
    version = own.erase(image, "nuclei", label)
    assert (version.version, version.parent, version.author) == (2, 1, "ann")
    now = own.image()
    assert (now.label_version, label in cells(now)) == (2, False)
    assert not (now.labels["somas"] == label).any()
    height, width = version.region["nuclei"][2:]
    assert height * width < image.labels["nuclei"].size / 10  # only the rectangle that changed is kept
    own.undo()
    assert np.array_equal(own.image().labels["nuclei"], image.labels["nuclei"])
    assert own.image().label_version == 3
    assert own.said() == "label version 3"
    assert own.erase(own.image(), "nuclei", 9999) is None


def test_cells_are_merged_and_split_with_their_somas(own):
    image = own.image()
    first, second = cells(image)[:2]
    area = {n: (image.labels["nuclei"] == n).sum() for n in (first, second)}
    own.merge(image, first, second)
    merged = own.image()
    assert (merged.labels["nuclei"] == first).sum() == area[first] + area[second]
    points = [tuple(np.argwhere(image.labels["nuclei"] == n).mean(axis=0)) for n in (first, second)]
    own.split(merged, first, points)
    parts = own.image()
    assert len(cells(parts)) == len(cells(image))
    assert (parts.labels["nuclei"] > 0).sum() == (image.labels["nuclei"] > 0).sum()
    with pytest.raises(ValueError, match="two points or more inside nucleus"):
        own.split(parts, first, [(0.0, 0.0), (1.0, 1.0)])


def test_painting_is_saved_and_a_stale_field_is_refused(own):
    shown = own.image()
    painted = {"nuclei": shown.labels["nuclei"].copy()}
    painted["nuclei"][:3, :4] = 500
    assert own.save(shown, {"nuclei": shown.labels["nuclei"]}) is None
    assert own.save(shown, painted, "missed").region["nuclei"] == (0, 0, 3, 4)
    with pytest.raises(ReviewConflict, match="is not the newest any more"):
        own.erase(shown, "nuclei", cells(shown)[0])


def test_verdicts_stand_beside_the_field(own):
    own.reject("bubble")
    assert own.said() == "rejected: bubble"
    own.accept()
    assert own.said() == "accepted"
    with pytest.raises(ValueError, match="a rejection needs a reason"):
        own.reject("  ")
    own.reject("contaminated", whole=True)
    own.next()
    assert own.said() == "rejected: contaminated"


def test_the_queue_leads_from_one_urgent_field_to_the_next(own):
    assert not own.next_ranked()
    said = CliRunner().invoke(app, ["review", "queue", str(own.run.root), "--most", "3"])
    assert said.exit_code == 0, said.output
    ranked = own.run.queue()
    assert len(ranked) == 48
    seen = []
    for _ in range(3):
        assert own.next_ranked()
        seen.append((own.well, own.number))
        own.accept()
    assert seen == ranked[:3]
    own.blinded = True
    assert own.caption() == f"field {own.number} of 2 (blinded)"


def test_the_tables_follow(own):
    """Rejecting a field and erasing a cell, then `review apply`: what the reviewer did is what the next reader reads."""
    root, well = own.run.root, own.well
    before = {r["well"]: r for r in own.run.wells()}
    own.erase(own.image(), "nuclei", cells(own.image())[0])
    own.go_to(own.wells[1])
    own.reject("bubble")
    done = CliRunner().invoke(app, ["review", "apply", str(root)])
    assert done.exit_code == 0, done.output
    assert f"corrected fields: {well} field 1" in done.output
    after = {r["well"]: r for r in ReviewSession.open(root).run.wells()}
    assert int(after[well]["nuclei_count"]) == int(before[well]["nuclei_count"]) - 1
    assert after[own.well]["n_valid_fields"] == "1"
    said = CliRunner().invoke(app, ["review", "history", str(root)]).output
    assert f"ann: {well} field 1 version 2 of 1 (nuclei" in said
    assert "erased nuclei" in said
    assert f"ann: {own.well} field 1 rejected bubble" in said


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestInNapari:
    """With napari itself, on Qt's offscreen platform. npe2 uses deprecated parts of pydantic when it is imported."""

    def test_the_manifest_is_valid(self):
        from npe2 import PluginManifest

        manifest = PluginManifest.from_distribution("motor-neuron-imaging-service")
        manifest.validate_imports()
        assert [w.display_name for w in manifest.contributions.widgets] == ["Review a run"]

    def test_the_widget_opens_steps_and_reports(self, analysed, tmp_path):
        from napari.components import ViewerModel
        from qtpy.QtWidgets import QApplication

        from napari_plugin.review import ReviewWidget

        application = QApplication.instance() or QApplication([])
        viewer = ViewerModel()
        widget = ReviewWidget(viewer)
        widget.open(tmp_path)
        assert "no run.json" in widget.caption.text()
        widget.open(analysed)
        assert [layer.name for layer in viewer.layers][3:] == ["nuclei", "somas", "neurites", "puncta"]
        assert widget.wells.count() == 24
        before = viewer.layers["nuclei"].data.copy()
        viewer.layers[0].contrast_limits = (100, 200)
        widget.next_button.click()
        assert not np.array_equal(before, viewer.layers["nuclei"].data)
        assert tuple(viewer.layers[0].contrast_limits) == (100, 200)
        assert len(viewer.layers) == 7
        assert "field 2 of 2" in widget.caption.text()
        widget.previous_button.click()
        assert "field 1 of 2" in widget.caption.text()
        widget.close()
        del application

    def test_keys_judge_and_correct(self, own, monkeypatch):
        from napari.components import ViewerModel
        from qtpy.QtWidgets import QApplication, QInputDialog

        from napari_plugin.review import ReviewWidget

        application = QApplication.instance() or QApplication([])
        viewer = ViewerModel()
        widget = ReviewWidget(viewer)
        widget.open(own.run.root)
        nuclei = viewer.layers["nuclei"]
        label = int(nuclei.data.max())
        y, x = np.argwhere(nuclei.data == label)[0]
        viewer.layers.selection.active = nuclei
        viewer.cursor.position = tuple(nuclei.data_to_world((y, x)))

        def press(key):
            # As napari does it: the selected layer's keys come before the viewer's.
            keymap = viewer.layers.selection.active.keymap
            keymap[next(k for k in keymap if str(k) == key)](viewer)

        press("D")
        assert not (viewer.layers["nuclei"].data == label).any()
        assert "label version 2" in widget.caption.text()
        press("Z")
        assert (viewer.layers["nuclei"].data == label).any()
        viewer.layers["nuclei"].data[:2, :2] = 400
        press("S")
        assert widget.session.run.review.head(widget.session.well, 1) == 4
        monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("out of focus", True))
        press("R")
        assert "rejected: out of focus" in widget.caption.text()
        well = widget.session.well
        press("A")
        assert widget.session.number == 2
        assert widget.session.run.review.standing()[well, 1, None].accepted
        widget.close()
        del application
