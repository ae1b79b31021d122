from __future__ import annotations

import shutil

import numpy as np
import pytest

from imaging_service.client import RunFolder
from imaging_service.errors import NotFound, StoreError
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
