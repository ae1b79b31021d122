"""Formats that bioio reads, with a plug-in of our own that is registered as any other is."""

from __future__ import annotations

import importlib
import json
import sys

import numpy as np
import pytest

from imaging_service.errors import ImageError, ScanError
from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.contract import PlateReaderContract
from imaging_service.ingest.formats import through_bioio
from imaging_service.ingest.formats.through_bioio import BioioReader
from imaging_service.ingest.plan import Limits
from imaging_service.protocol import Acquisition
from tests.messages import says, states

# A plug-in as bioio's documentation has it: a module with ReaderMetadata, and a Reader. Its files
# are JSON: scenes with a name and a first value, two channels and two planes each.
PLUG_IN = """
import json
import dask.array as da
import numpy as np
import xarray as xr
from bioio_base import reader, reader_metadata, types


class ReaderMetadata(reader_metadata.ReaderMetadata):
    @staticmethod
    def get_supported_extensions():
        return ["oir"]

    @staticmethod
    def get_reader():
        return Reader


class Reader(reader.Reader):
    _xarray_dask_data = None

    @classmethod
    def _is_supported_image(cls, fs, path, **kwargs):
        return path.endswith(".oir")

    def __init__(self, image, fs_kwargs=None, **kwargs):
        with open(image) as stream:
            self._described = json.load(stream)

    @property
    def scenes(self):
        return tuple(self._described["scenes"])

    @property
    def physical_pixel_sizes(self):
        um = self._described.get("um")
        return types.PhysicalPixelSizes(None, um, um)

    def _read_delayed(self):
        first = self._described["scenes"][self.current_scene]
        shape = (1, 2, 2, 6, 8)
        data = first + da.zeros(shape, dtype=np.uint16)
        data = data + 10 * np.arange(2, dtype=np.uint16).reshape(1, 2, 1, 1, 1)
        data = data + np.arange(2, dtype=np.uint16).reshape(1, 1, 2, 1, 1)
        names = self._described.get("channels", ["DAPI", "TUBB3"])
        return xr.DataArray(data.astype(np.uint16), dims=list("TCZYX"), coords={"C": names})

    def _read_immediate(self):
        return self._read_delayed().compute()
"""


@pytest.fixture(scope="module", autouse=True)
def plug_in(tmp_path_factory):
    """The plug-in as an installed distribution, with its entry point."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "drawn_bioio_reader.py").write_text(PLUG_IN)
    about = folder / "drawn_bioio_reader-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: drawn-bioio-reader\nVersion: 1.0\nRequires-Dist: bioio-base\n"
    )
    (about / "entry_points.txt").write_text(
        "[bioio.readers]\ndrawn-bioio-reader = drawn_bioio_reader\n"
    )
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(folder))
    sys.modules.pop("drawn_bioio_reader", None)


def export(folder, um=0.5, **files):
    """One file per keyword: names of scenes ► first values."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, scenes in files.items():
        (folder / f"{name}.oir").write_text(json.dumps({"scenes": scenes, "um": um}))
    return folder


class TestBioioKeepsTheContract(PlateReaderContract):
    reader = BioioReader()

    @pytest.fixture
    def scan(self, tmp_path_factory):
        return export(tmp_path_factory.mktemp("bioio"), p_B02={"Image:0": 1}, p_B03={"Image:0": 9})


@pytest.mark.parametrize(
    ("files", "pattern"),
    [
        ({"p_B02": {"Image:0": 100, "Image:1": 200}, "p_C11": {"Image:0": 300}}, "auto"),
        ({"plate": {"B02-1": 100, "B02-2": 200, "C11-1": 300}}, "auto"),
        (
            {"plate": {"P1 B2 f1": 100, "P1 B2 f2": 200, "P1 C11 f1": 300}},
            r".* (?P<well>[A-H]\d+) f(?P<field>\d+)",
        ),
    ],
)
def test_wells_come_from_the_names_of_scenes_or_files(tmp_path, files, pattern):
    plan = plan_scan(export(tmp_path, **files), Acquisition(file_pattern=pattern))
    assert (plan.reader, plan.channels, plan.pixel_size_um) == ("bioio", ("DAPI", "TUBB3"), 0.5)
    assert states("pixel_size.of_bioio", plan.pixel_size_source)
    first = {("B02", 1): 100, ("B02", 2): 200, ("C11", 1): 300}
    assert {(i.well.name, i.field) for i in plan.images} == set(first)
    assert len(plan.images) == 12
    for i in plan.images:
        plane = reader_named("bioio").read(plan, i, Limits())
        value = first[i.well.name, i.field] + 10 * plan.channels.index(i.channel) + i.z - 1
        assert (plane == value).all()
        assert plane.dtype == np.uint16


@pytest.mark.parametrize(
    ("files", "pattern", "sentence"),
    [
        ({"plate": {"Image:0": 1}}, "auto", says("bioio.no_well", words="none")),
        ({"plate": {"P1-B3": 1}}, "auto", says("bioio.no_well", words="B3, P1")),
        ({"p_B02": {"B03": 1}}, "auto", says("bioio.no_well", words="B2, B3")),
        ({"plate": {"P1": 1, "P2": 2}}, "auto", says("bioio.positions")),
        ({"plate": {"A0": 1}}, "auto", says("bioio.outside")),
        ({"plate": {"B02": 1}}, "incell", says("bioio.pattern")),
        ({"plate": {"B02": 1}}, r"x(?P<well>.*)", says("bioio.does_not_fit")),
        (
            {"plate": {"B02 a": 1, "B02 b": 2}},
            r"plate.oir/(?P<well>B0(?P<field>2))",
            says("bioio.second_image"),
        ),
    ],
)
def test_a_name_that_can_mean_two_things_is_asked_for(tmp_path, files, pattern, sentence):
    scan = export(tmp_path, **files)
    with pytest.raises(ScanError, match=sentence):
        plan_scan(scan, Acquisition(file_pattern=pattern))


def test_sizes_and_channels_must_agree(tmp_path):
    scan = export(tmp_path, p_B02={"Image:0": 1})
    export(tmp_path, um=1.0, p_B03={"Image:0": 1})
    with pytest.raises(ScanError, match=says("pixel_size.of_two_files")):
        plan_scan(scan, Acquisition())
    described = {"scenes": {"Image:0": 1}, "um": 0.5, "channels": ["DAPI", "MAP2"]}
    (tmp_path / "p_B03.oir").write_text(json.dumps(described))
    with pytest.raises(ScanError, match=says("ome_tiff.channels")):
        plan_scan(scan, Acquisition())


def test_no_size_is_asked_for_and_damage_is_named(tmp_path):
    plan = plan_scan(export(tmp_path, um=None, p_B02={"Image:0": 1}), Acquisition())
    assert plan.pixel_size_um is None
    (tmp_path / "p_B02.oir").write_text("{")
    with pytest.raises(ImageError, match=says("bioio.damaged")):
        reader_named("bioio").read(plan, plan.images[0], Limits())
    with pytest.raises(ScanError, match=says("bioio.damaged")):
        plan_scan(tmp_path, Acquisition())


def test_a_format_without_its_plug_in_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "p_B02.czi").write_bytes(b"ZISRAWFILE")
    with pytest.raises(ScanError, match=says("bioio.no_plug_in")):
        plan_scan(tmp_path, Acquisition())

    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(through_bioio, "import_module", absent)
    with pytest.raises(ScanError, match=says("bioio.not_installed")):
        plan_scan(tmp_path, Acquisition())
