from __future__ import annotations

import cProfile
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from imaging_service.errors import EngineError, PlateMapRefused, ProtocolError, ScanError
from imaging_service.ingest.losses import loss_of
from imaging_service.jobs.pixels.scan import stored_fields
from imaging_service.jobs.plan import identify, lay_out, plate_key, read_inputs
from imaging_service.jobs.records import RunFolder, RunRecord, WellTask, load
from imaging_service.protocol import parse_protocol
from plate_maps import Well
from tests.messages import says, states
from tests.vendor_scans import harmony, tiff_folder


@pytest.fixture
def inputs_with(small_inputs):
    """Inputs of the small scan under another protocol, map or scan."""

    def made(*, protocol=None, plate_map=None, scan=None):
        base = {
            "name": "p",
            "channels": {"dna": "1", "neurite": "2", "aggregate": "3"},
            "segmentation": {"engine": "classical"},
        }
        return read_inputs(
            scan or small_inputs.scan,
            plate_map or small_inputs.scan.parent / "map.csv",
            parse_protocol(base | (protocol or {}), "p"),
            None,
            "cpu",
        )

    return made


@pytest.mark.parametrize(
    ("protocol", "error", "sentence"),
    [
        (
            {"channels": {"dna": "1", "death": "dye"}},
            ProtocolError,
            says("plan.channel_name_not_in_scan"),
        ),
        (
            {"channels": {"dna": 9}},
            ProtocolError,
            says("plan.channel_number_not_in_scan", number=9),
        ),
        (
            {"channels": {"dna": 4}},
            ProtocolError,
            says("plan.channel_number_not_in_scan", number=4),
        ),
        (
            {"channels": {"dna": 0}},
            ProtocolError,
            says("plan.channel_number_not_in_scan", number=0),
        ),
        (
            {"channels": {"dna": "1", "neurite": 1}},
            ProtocolError,
            says("plan.channel_with_two_roles"),
        ),
        ({"acquisition": {"plate_wells": 6}}, PlateMapRefused, says("plan.map_outside_plate")),
        ({"acquisition": {"plate_wells": 95}}, ProtocolError, says("plan.no_such_plate")),
        ({"acquisition": {"time_point": 4}}, ProtocolError, says("plan.time_point_not_in_scan")),
        ({"segmentation": {"engine": "magic"}}, EngineError, says("engine.unknown")),
        (
            {"survival": {"definition": "rounding"}, "acquisition": {"frame_interval_h": 6}},
            ScanError,
            says("plan.too_few_time_points"),
        ),
    ],
)
def test_inputs_that_do_not_fit_are_refused_before_any_work(inputs_with, protocol, error, sentence):
    with pytest.raises(error, match=sentence):
        identify(inputs_with(protocol=protocol))


def test_the_scan_s_own_pixel_size_is_used_where_it_has_one(inputs_with):
    assert (
        identify(inputs_with(protocol={"acquisition": {"pixel_size_um": 0.655}}))[0].pixel_size_um
        == 0.65
    )


@pytest.mark.parametrize("size", [0.3, 0.657])
def test_the_protocol_s_pixel_size_overrides_the_scan_s_with_a_note(inputs_with, size):
    record, _ = identify(inputs_with(protocol={"acquisition": {"pixel_size_um": size}}))
    assert record.pixel_size_um == size
    assert any(
        states("plan.pixel_size_overridden", note, size=size, scan="0.65") for note in record.notes
    )


def test_the_record_says_where_the_pixel_size_comes_from(inputs_with):
    record, _ = identify(inputs_with())
    assert states("plan.pixel_size_of_the_scan", record.pixel_size_source)
    given = identify(inputs_with(protocol={"acquisition": {"pixel_size_um": 0.3}}))[0]
    assert states("plan.pixel_size_of_the_protocol", given.pixel_size_source)


def test_a_channel_that_no_number_needs_fails_no_well(inputs_with, small_inputs, tmp_path):
    scan = shutil.copytree(small_inputs.scan, tmp_path / "Small-1")
    shutil.copy(scan / "p_B02_s1_w1.tif", scan / "p_B02_s1_w4.tif")
    record, plan = identify(inputs_with(scan=scan, protocol={"channels": {"dna": 1, "neurite": 2}}))
    assert (record.channels, record.roles) == (("1", "2", "3"), ("dna", "neurite", None))
    assert {i.channel for i in plan.images} == {"1", "2", "3"}
    assert any(
        states("plan.channel_left_out", note, channel="4", lacking=11, of=12)
        for note in record.notes
    )
    needed = inputs_with(scan=scan, protocol={"channels": {"dna": 1, "death": 4}})
    assert identify(needed)[0].roles == ("dna", None, None, "death")


def test_a_role_s_channel_that_is_announced_and_not_there_is_refused(
    inputs_with, small_inputs, tmp_path
):
    scan = shutil.copytree(small_inputs.scan, tmp_path / "Small-1")
    for path in scan.glob("*_w2.tif"):
        path.unlink()
    with pytest.raises(
        ScanError, match=says("plan.channel_without_image", channel=2, role="neurite")
    ):
        identify(inputs_with(scan=scan, protocol={"channels": {"dna": 1, "neurite": 2}}))
    # Without a role it is not needed, and the third channel is still the third.
    record, _ = identify(inputs_with(scan=scan, protocol={"channels": {"dna": 1, "neurite": 3}}))
    assert (record.channels, record.roles) == (("1", "3"), ("dna", "neurite"))


def test_an_index_without_any_image_is_refused(inputs_with, tmp_path):
    scan = harmony(5, tmp_path / "scan")
    for path in scan.rglob("*.tiff"):
        path.unlink()
    with pytest.raises(ScanError, match=says("plan.no_image", count=6)):
        identify(inputs_with(scan=scan, protocol={"channels": {"dna": 1}}))


@pytest.mark.parametrize("channel", [2, "2", "w2", "fitc"])
def test_channels_have_the_instrument_s_names_and_numbers(inputs_with, tmp_path, channel):
    scan = tiff_folder("imagexpress_exported", tmp_path / "scan")
    protocol = {"channels": {"dna": "DAPI", "neurite": channel}, "acquisition": {"time_point": 1}}
    record, _ = identify(inputs_with(scan=scan, protocol=protocol))
    assert (record.channels, record.roles) == (("DAPI", "FITC"), ("dna", "neurite"))


def test_a_field_that_is_lost_is_one_field_less_and_named(inputs_with, small_inputs, tmp_path):
    scan = shutil.copytree(small_inputs.scan, tmp_path / "Small-1")
    for channel in (1, 2, 3):
        (scan / f"p_B03_s2_w{channel}.tif").unlink()
    record, plan = identify(inputs_with(scan=scan))
    assert any(states("losses.field_lost", note, field=2, well="B03") for note in record.notes)
    folder = RunFolder(tmp_path / "run")
    lay_out(record, plan, folder)
    task = load(WellTask, folder.task("B03"))
    assert stored_fields(task.plan) == [1]
    assert states("losses.of_fields", loss_of(task.plan, Well(2, 3)), there=1, of=2)
    assert loss_of(load(WellTask, folder.task("B04")).plan, Well(2, 4)) == ""


def test_the_protocol_s_pixel_size_is_used_where_the_scan_has_none_and_else_it_is_refused(
    inputs_with, tmp_path
):
    scan = tmp_path / "scan"
    scan.mkdir()
    for channel in (1, 2, 3):
        tifffile.imwrite(scan / f"x_B02_s1_w{channel}.tif", np.ones((8, 8), np.uint16))
    with pytest.raises(ScanError, match=says("plan.no_pixel_size")):
        identify(inputs_with(scan=scan))
    given = inputs_with(scan=scan, protocol={"acquisition": {"pixel_size_um": 0.4}})
    assert identify(given)[0].pixel_size_um == 0.4


@pytest.mark.parametrize(
    ("channels", "roles"),
    [
        ({"dna": "1", "neurite": "2"}, ("dna", "neurite", None)),
        ({"dna": 1, "neurite": 2}, ("dna", "neurite", None)),
        ({"neurite": 1, "dna": 3}, ("neurite", None, "dna")),
    ],
)
def test_channels_get_their_roles_by_name_or_by_number_from_1(inputs_with, channels, roles):
    assert identify(inputs_with(protocol={"channels": channels}))[0].roles == roles


def test_wells_are_those_of_map_and_scan_and_what_is_left_out_is_said(inputs_with, tmp_path):
    record, _ = identify(inputs_with())
    assert record.wells == ("B02", "B03", "B04", "B05", "C02", "C03")
    assert list(record.skipped) == ["C04"]
    (tmp_path / "map.csv").write_text("well,line,control\nB02,L1,vehicle\nB03,L1,vehicle\n")
    record, _ = identify(inputs_with(plate_map=tmp_path / "map.csv"))
    assert record.wells == ("B02", "B03")
    assert states("plan.wells_not_in_map", record.notes[0], wells=4)
    assert "B04, B05, C02, C03" in record.notes[0]


def test_a_map_of_another_plate_is_refused(inputs_with, tmp_path):
    other = tmp_path / "map.csv"
    other.write_text("well,line,control\nA01,L1,vehicle\n")
    with pytest.raises(PlateMapRefused, match=says("plan.no_well_scanned")):
        identify(inputs_with(plate_map=other))


def test_the_run_s_id_is_of_everything_that_decides_numbers(inputs_with, small_inputs, tmp_path):
    scan = shutil.copytree(small_inputs.scan, tmp_path / "Small-1")
    record, _ = identify(inputs_with(scan=scan))
    assert record.run_id == identify(inputs_with())[0].run_id  # where it lies does not count
    pixels = tifffile.imread(scan / "p_B02_s1_w1.tif")
    pixels[0, 0] += 1
    size = {"axes": "YX", "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}
    tifffile.imwrite(scan / "p_B02_s1_w1.tif", pixels, ome=True, metadata=size)
    (tmp_path / "map.csv").write_text(
        (small_inputs.scan.parent / "map.csv").read_text().replace(",10,uM", ",20,uM")
    )
    others = [
        inputs_with(scan=scan),
        inputs_with(plate_map=tmp_path / "map.csv"),
        inputs_with(protocol={"measurement": {"ring_um": 2}}),
        replace(inputs_with(), engine="motornet"),
    ]
    ids = [identify(other)[0].run_id for other in others]
    assert len({record.run_id, *ids}) == 5


def test_every_source_file_is_hashed(laid_out):
    _, record, _ = laid_out
    assert len(record.source_files) == 6 * 2 * 3
    assert len(set(record.source_files.values())) == 36
    assert all(len(digest) == 64 for digest in record.source_files.values())


def test_a_well_s_task_holds_its_own_planes_only(laid_out):
    folder, record, _ = laid_out
    task = load(WellTask, folder.task("B05"))
    assert {i.well.name for i in task.plan.images} == {"B05"}
    assert len(task.plan.images) == 6
    assert (task.planes, task.times, task.roles, task.pixel_size_um) == (
        {"1": 1, "2": 1, "3": 1},
        (1,),
        record.roles,
        0.65,
    )


def test_a_well_takes_the_same_work_on_a_small_plate_and_on_a_large_one(laid_out, tmp_path):
    """Counted in calls of functions, since seconds depend on the machine."""
    _, record, plan = laid_out
    first = plan.wells[0]
    one = [image for image in plan.images if image.well == first]

    def calls(wells):
        many = [Well(r, c) for r in range(1, 17) for c in range(1, 25)][:wells]
        images = tuple(replace(image, well=well) for well in many for image in one)
        large = replace(record, wells=tuple(w.name for w in many))
        profile = cProfile.Profile()
        profile.runcall(
            lay_out, large, replace(plan, images=images), RunFolder(tmp_path / str(wells))
        )
        return sum(entry.callcount for entry in profile.getstats())

    assert calls(96) < 4.4 * calls(24)


def test_a_run_that_is_laid_out_goes_on_and_another_is_refused(small_inputs, tmp_path):
    folder = RunFolder(tmp_path / "run")
    record, plan = identify(small_inputs)
    first = lay_out(record, plan, folder)
    assert first.plate == (tmp_path / "run" / "plate.zarr").resolve()
    assert lay_out(record, plan, folder) == first == load(RunRecord, folder.record)
    with pytest.raises(ScanError, match=says("analyze.folder_of_another_run")):
        lay_out(replace(record, run_id="0" * 64), plan, folder)


@pytest.mark.parametrize(
    "change",
    [
        {"pixel_size_um": 0.5},
        {"roles": ("neurite", "dna", "aggregate")},
        {"plate_digest": "0" * 64},
    ],
)
def test_runs_share_a_plate_only_if_it_is_stored_the_same(laid_out, change):
    _, record, _ = laid_out
    assert plate_key(record) == plate_key(replace(record, run_id="0" * 64))
    assert plate_key(record) != plate_key(replace(record, **change))


def test_a_time_point_and_an_assay_that_is_followed_are_stored_apart(laid_out):
    _, record, _ = laid_out
    acquisition = record.inputs.protocol.acquisition.model_copy(update={"time_point": 1})
    inputs = replace(
        record.inputs,
        protocol=record.inputs.protocol.model_copy(update={"acquisition": acquisition}),
    )
    assert plate_key(record) != plate_key(replace(record, inputs=inputs))


def test_time_series_are_refused_until_one_point_is_named(tmp_path):
    scan = tiff_folder("imagexpress_exported", tmp_path / "scan")
    (tmp_path / "map.csv").write_text(
        "well,line,compound,dose,unit,control\nB02,L1,,,,vehicle\nB03,L1,x,1,uM,\n"
    )
    base = {"name": "p", "channels": {"dna": "1"}}
    with pytest.raises(ScanError, match=says("plan.film_without_survival")):
        identify(read_inputs(scan, tmp_path / "map.csv", parse_protocol(base, "p"), None, "auto"))
    one = parse_protocol(base | {"acquisition": {"time_point": 2}}, "p")
    assert identify(read_inputs(scan, tmp_path / "map.csv", one, None, "auto"))[0].wells == (
        "B02",
        "B03",
    )


def test_a_drawn_time_series_is_refused_until_one_point_is_named(inputs_with, tmp_path):
    scan = tmp_path / "scan"
    for time in (1, 2):
        (scan / f"TimePoint_{time}").mkdir(parents=True)
        for channel in (1, 2, 3):
            tifffile.imwrite(
                scan / f"TimePoint_{time}" / f"x_B02_s1_w{channel}.tif",
                np.full((8, 8), time, np.uint16),
            )
    size = {"pixel_size_um": 0.5}
    with pytest.raises(ScanError, match=says("plan.film_without_survival")):
        identify(inputs_with(scan=scan, protocol={"acquisition": size}))
    record, plan = identify(
        inputs_with(scan=scan, protocol={"acquisition": size | {"time_point": 2}})
    )
    folder = RunFolder(tmp_path / "run")
    lay_out(record, plan, folder)
    assert load(WellTask, folder.task("B02")).times == (2,)


def test_a_film_has_the_hours_of_its_instrument(tmp_path):
    """OME dates of unequal steps, against a protocol of 12 h; and another run of other hours."""
    dates = ("2024-01-10T08:00:00Z", "2024-01-10T18:00:00Z", "2024-01-14T08:00:00Z")
    for t, date in enumerate(dates, start=1):
        for channel in (1, 2):
            path = tmp_path / "scan" / f"TimePoint_{t}" / f"p_B02_s1_w{channel}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            metadata = {"axes": "YX", "AcquisitionDate": date}
            tifffile.imwrite(path, np.full((8, 8), t, np.uint16), ome=True, metadata=metadata)
    (tmp_path / "map.csv").write_text(
        "well,line,genotype,compound,dose,unit,control\nB02,L,,DMSO,0,uM,vehicle\n"
    )

    def identified(**more):
        protocol = parse_protocol(
            {
                "name": "p",
                "channels": {"neurite": "1", "death": "2"},
                "segmentation": {"engine": "classical"},
                "acquisition": {"pixel_size_um": 0.9, "frame_interval_h": 12.0},
                "survival": {"definition": "rounding"},
            }
            | more,
            "p",
        )
        scan, plate_map = tmp_path / "scan", tmp_path / "map.csv"
        return identify(read_inputs(scan, plate_map, protocol, None, "cpu"))

    record, plan = identified()
    assert record.hours == {"B02": (0.0, 10.0, 96.0)}
    assert any(
        states("hours.used", n, hours="0, 10, 96")
        and states("hours.of_the_interval", n, interval=12, hours="0, 12, 24")
        for n in record.notes
    )
    folder = RunFolder(tmp_path / "out")
    lay_out(record, plan, folder)
    assert load(WellTask, folder.task("B02")).hours == (0.0, 10.0, 96.0)
    assert load(RunRecord, folder.record).hours == record.hours
    slower = replace(record, hours={"B02": (0.0, 12.0, 24.0)})
    assert plate_key(slower) != plate_key(record)
