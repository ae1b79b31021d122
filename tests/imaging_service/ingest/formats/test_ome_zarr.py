from __future__ import annotations

import shutil

import numpy as np
import pytest
import zarr

from imaging_service.errors import ImageError, ScanError
from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.contract import PlateReaderContract
from imaging_service.ingest.formats.ome_zarr import OmeZarrReader
from imaging_service.ingest.plan import Limits
from imaging_service.protocol import Acquisition
from imaging_service.store import plates
from plate_maps import plate_format
from tests.messages import says, states

PLANE = np.arange(48, dtype=np.uint16).reshape(6, 8)


class TestOmeZarrKeepsTheContract(PlateReaderContract):
    reader = OmeZarrReader()

    @pytest.fixture
    def scan(self, tmp_path_factory):
        root = tmp_path_factory.mktemp("z") / "plate.zarr"
        plates.begin_plate(root)
        plates.write_well(
            root / "B" / "3", [np.stack([PLANE, PLANE + 1])], ["a", "b"], ["dna", None], 0.5
        )
        plates.finish_plate(root, "p", plate_format(96))
        return root


def test_our_own_plates_are_scans_again(tmp_path):
    root = tmp_path / "plate.zarr"
    plates.begin_plate(root)
    plates.write_well(
        root / "B" / "3", [np.stack([PLANE, PLANE + 1])], ["w1", "w2"], ["dna", None], 0.5
    )
    plates.finish_plate(root, "p", plate_format(96))
    plan = plan_scan(root, Acquisition())
    assert plan.format == plate_format(96)
    assert plan.channels == ("dna (w1)", "w2")
    assert plan.pixel_size_um == 0.5
    assert (reader_named("ome-zarr").read(plan, plan.images[1], Limits()) == PLANE + 1).all()
    assert zarr.open_group(root, mode="r").attrs["ome"]["version"] == "0.5"


@pytest.fixture
def foreign(tmp_path):
    """A plate of version 0.4 by another writer, its pixels in nanometres: `write(**axes and
    scale)`.
    """

    def write(
        *, unit="nanometer", scale=(1.0, 1.0, 650.0, 650.0), axes="czyx", more=None, pixels=None
    ):
        root = zarr.open_group(tmp_path / "p.zarr", mode="w", zarr_format=2)
        root.attrs["plate"] = {
            "name": "F",
            "rows": [{"name": "B"}],
            "columns": [{"name": "3"}],
            "wells": [{"path": "B/3"}],
        }
        root.create_group("B/3").attrs["well"] = {"images": [{"path": "0"}]}
        image = root.create_group("B/3/0")
        kinds = {"t": "time", "c": "channel"}
        multiscale = {
            "axes": [
                {
                    "name": a,
                    "type": kinds.get(a, "space"),
                    **({"unit": unit} if unit and a in "yx" else {}),
                }
                for a in axes
            ],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [{"type": "scale", "scale": list(scale)}],
                }
            ],
        } | (more or {})
        image.attrs["multiscales"] = [multiscale]
        stack = (
            np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5) + 1
            if pixels is None
            else pixels
        )
        array = image.create_array(
            "0",
            shape=stack.shape,
            dtype=stack.dtype,
            chunks=(1,) * (stack.ndim - 2) + stack.shape[-2:],
        )
        array[...] = stack
        return tmp_path / "p.zarr", stack

    return write


def test_planes_of_a_stack_are_told_by_channel_and_depth(foreign):
    root, stack = foreign()
    plan = plan_scan(root, Acquisition())
    assert plan.pixel_size_um == pytest.approx(0.65)
    assert len(plan.images) == 6
    for i in plan.images:
        assert (
            reader_named("ome-zarr").read(plan, i, Limits()) == stack[int(i.channel) - 1, i.z - 1]
        ).all()
        assert i.time == 1


def test_time_is_not_depth(foreign):
    root, stack = foreign(axes="tcyx")
    plan = plan_scan(root, Acquisition())
    assert {(i.time, i.channel, i.z) for i in plan.images} == {
        (t, c, 1) for t in (1, 2) for c in ("1", "2", "3")
    }
    for i in plan.images:
        assert (
            reader_named("ome-zarr").read(plan, i, Limits())
            == stack[i.time - 1, int(i.channel) - 1]
        ).all()


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ({"unit": "micrometer", "scale": (1.0, 1.0, 0.5, 0.5)}, 0.5),
        ({"unit": "millimeter", "scale": (1.0, 1.0, 5e-4, 5e-4)}, 0.5),
        ({"unit": None}, None),
        (
            {
                "more": {
                    "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0, 2.0, 2.0]}]
                }
            },
            1.3,
        ),
    ],
)
def test_the_pixel_size_is_in_micrometres_and_of_all_scales(foreign, written, size):
    assert plan_scan(foreign(**written)[0], Acquisition()).pixel_size_um == (
        None if size is None else pytest.approx(size)
    )


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({"scale": (1.0, 1.0, 650.0, 700.0)}, says("pixel_size.not_square")),
        ({"scale": (1.0, 1.0, 0.0, 0.0)}, says("pixel_size.not_a_number")),
        ({"scale": (1.0, 1.0, float("nan"), 650.0)}, says("pixel_size.not_a_number")),
        ({"axes": "czxy"}, says("ome_zarr.no_well_with_images")),
        ({"axes": "zyx"}, says("ome_zarr.no_well_with_images")),
        ({"scale": (650.0, 650.0)}, says("ome_zarr.no_well_with_images")),
        ({"scale": (1.0, 1.0, "wide", "wide")}, says("ome_zarr.no_well_with_images")),
    ],
)
def test_pixels_that_are_no_square_grid_are_not_read(foreign, written, sentence):
    with pytest.raises(ScanError, match=sentence):
        plan_scan(foreign(**written)[0], Acquisition())


def test_a_translation_alone_is_no_pixel_size(foreign):
    moved = {"type": "translation", "translation": [0.0, 0.0, 3.0, 4.0]}
    root, _ = foreign(unit="micrometer")
    image = zarr.open_group(root / "B/3/0")
    multiscale = image.attrs["multiscales"]
    multiscale[0]["datasets"][0]["coordinateTransformations"] = [moved]
    image.attrs["multiscales"] = multiscale
    assert plan_scan(root, Acquisition()).pixel_size_um is None


@pytest.fixture
def two_wells(tmp_path):
    """A plate of B03 and B04 with two fields each; values tell well and field."""
    root = tmp_path / "plate.zarr"
    plates.begin_plate(root)
    for column in (3, 4):
        fields = [PLANE[None] + 100 * column + 10 * f for f in (1, 2)]
        plates.write_well(root / "B" / str(column), fields, ["a"], ["dna"], 0.5)
    plates.finish_plate(root, "p", plate_format(96))
    return root


def rewritten(folder, change):
    """Change the attributes of a group of version 0.5."""
    group = zarr.open_group(folder, mode="a")
    ome = group.attrs["ome"]
    change(ome)
    group.attrs["ome"] = ome


def test_several_acquisitions_are_listed_and_one_is_asked_for(two_wells):
    def apart(ome):
        for n, image in enumerate(ome["well"]["images"]):
            image["acquisition"] = n

    for column in (3, 4):
        rewritten(two_wells / "B" / str(column), apart)
    with pytest.raises(ScanError, match=says("several.acquisitions", count=2, names="'0', '1'")):
        plan_scan(two_wells, Acquisition())
    plan = plan_scan(two_wells, Acquisition(measurement="1"))
    assert [(i.well.name, i.field) for i in plan.images] == [("B03", 1), ("B04", 1)]
    planes = [reader_named("ome-zarr").read(plan, i, Limits()) for i in plan.images]
    assert [(p - PLANE).max() for p in planes] == [320, 420]
    rewritten(two_wells, lambda o: o["plate"].update(acquisitions=[{"id": 0, "name": "day 1"}]))
    assert len(plan_scan(two_wells, Acquisition(measurement="day 1")).images) == 2
    with pytest.raises(
        ScanError, match=says("several.none_of_that_name", what="acquisition", wanted="2")
    ):
        plan_scan(two_wells, Acquisition(measurement="2"))


@pytest.mark.parametrize("how", ["cut short", "scale", "codec", "no metadata"])
def test_one_field_that_cannot_be_read_fails_its_well_only(two_wells, how):
    field = two_wells / "B" / "3" / "1"
    if how == "cut short":
        text = (field / "zarr.json").read_text()
        (field / "zarr.json").write_text(text[: len(text) // 2])
    elif how == "scale":
        rewritten(field, lambda ome: ome["multiscales"][0]["datasets"][0].pop("path"))
    elif how == "codec":
        text = (field / "0" / "zarr.json").read_text()
        (field / "0" / "zarr.json").write_text(text.replace('"sharding_indexed"', '"unheard_of"'))
    else:
        rewritten(field, lambda ome: ome.pop("multiscales"))
    plan = plan_scan(two_wells, Acquisition())
    assert [(i.well.name, i.field) for i in plan.broken] == [("B03", 2)]
    assert "B/3/1" in plan.broken[0].reason
    assert plan.lost_fields() == {}
    assert any(
        f.wells == plan.broken[0].well or plan.broken[0].well in f.wells for f in plan.findings
    )
    assert [(i.well.name, i.field) for i in plan.images] == [("B03", 1), ("B04", 1), ("B04", 2)]


def test_a_field_that_is_named_and_not_there_is_lost(two_wells):
    shutil.rmtree(two_wells / "B" / "4" / "1")
    plan = plan_scan(two_wells, Acquisition())
    assert [(w.name, f) for w, f in plan.lost_fields()] == [("B04", 2)]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("backend", ["anndata", "csv"])
@pytest.mark.filterwarnings("ignore")
def test_a_tile_that_no_field_covers_needs_no_chunk(tmp_path, version, backend):
    """The mosaic of three fields as ngio and Fractal write it: 2 × 2 tiles, one not covered."""
    from ngio import ImageInWellPath, Roi, create_empty_plate, create_ome_zarr_from_array
    from ngio.tables import RoiTable

    root = tmp_path / "m.zarr"
    create_empty_plate(
        root,
        name="m",
        images=[ImageInWellPath(row="B", column="3", path="0")],
        ngff_version=version,
    )
    whole = np.zeros((2, 1, 32, 32), np.uint16)
    whole[:, 0, :16, :16], whole[:, 0, 16:, :16], whole[:, 0, :16, 16:] = 5, 6, 7
    image = create_ome_zarr_from_array(
        str(root / "B/03/0"),
        whole,
        pixelsize=0.5,
        axes_names=["c", "z", "y", "x"],
        levels=1,
        chunks=(1, 1, 16, 16),
        ngff_version=version,
        overwrite=True,
    )
    plan = plan_scan(root, Acquisition())
    with pytest.raises(ImageError, match=says("stores.chunks_counted", there=6, of=8)):
        reader_named("ome-zarr").read(plan, plan.images[0], Limits())
    places = [(0, 0), (0, 8), (8, 0)]
    fields = [
        Roi.from_values(name=f"FOV_{n}", slices={"x": (x, 8), "y": (y, 8), "z": (0, 1)})
        for n, (x, y) in enumerate(places)
    ]
    image.add_table("FOV_ROI_table", RoiTable(rois=fields), backend=backend)
    for i in plan.images:
        assert (reader_named("ome-zarr").read(plan, i, Limits()) == whole[0, 0]).all()
    # A chunk of a field is pixels that are lost.
    chunk = next(p for p in sorted((root / "B/03/0/0").rglob("*")) if p.is_file() and p.name == "0")
    chunk.unlink()
    with pytest.raises(ImageError, match=says("stores.chunks_counted", there=5, of=8)):
        reader_named("ome-zarr").read(plan, plan.images[0], Limits())


def test_a_lost_chunk_is_an_image_error_and_no_zeros(foreign):
    root, _ = foreign()
    plan = plan_scan(root, Acquisition())
    next(
        p
        for p in sorted((root / "B" / "3" / "0" / "0").rglob("*"))
        if p.is_file() and not p.name.startswith(".")
    ).unlink()
    with pytest.raises(ImageError, match=says("stores.chunks_counted", there=5, of=6)):
        reader_named("ome-zarr").read(plan, plan.images[0], Limits())


@pytest.mark.parametrize(
    ("hours", "read"),
    [
        ((0.0, 6.0, 12.0), {1: 0.0, 2: 6.0, 3: 12.0}),
        ((0.0, 10.0, 96.0), {1: 0.0, 2: 10.0, 3: 96.0}),
        ((), {}),
    ],
)
def test_the_time_axis_has_hours_where_it_says_so(tmp_path, hours, read):
    film = np.zeros((3, 1, 40, 40), np.uint16)
    for name in ("B/3", "B/4"):
        plates.write_well(tmp_path / "p" / name, iter([film]), ["1"], ["dna"], 0.5, hours)
    plates.finish_plate(tmp_path / "p", "p", plate_format(96))
    assert plan_scan(tmp_path / "p", Acquisition()).hours == read


def test_a_foreign_axis_in_seconds_and_fields_that_differ(tmp_path):
    film = np.zeros((3, 1, 40, 40), np.uint16)
    for name, step in (("B/3", 2.0), ("B/4", 4.0)):
        hours = (0.0, step, 2 * step)
        plates.write_well(tmp_path / "p" / name, iter([film]), ["1"], ["dna"], 0.5, hours)
    plates.finish_plate(tmp_path / "p", "p", plate_format(96))
    plan = plan_scan(tmp_path / "p", Acquisition())
    assert plan.hours == {}
    assert states("ome_zarr.time_axes_differ", plan.notes[-1], axes=2)
    group = zarr.open_group(tmp_path / "p/B/3/0")
    ome = group.attrs["ome"]
    ome["multiscales"][0]["axes"][0]["unit"] = "second"
    ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"][0] = 14400.0
    group.attrs["ome"] = ome
    group.attrs["motor_neuron"] = {"roles": ["dna"]}
    assert plan_scan(tmp_path / "p", Acquisition()).hours == {1: 0.0, 2: 4.0, 3: 8.0}


def test_a_plate_whose_own_metadata_are_cut_short_is_refused_by_name(two_wells):
    text = (two_wells / "zarr.json").read_text()
    (two_wells / "zarr.json").write_text(text[: len(text) // 2])
    with pytest.raises(ScanError, match=says("ome_zarr.not_readable")):
        plan_scan(two_wells, Acquisition())
