"""A plate on a real S3 server is the plate on the disk: by its run, its tables and its faults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from imaging_service.errors import ImageError, ScanError, Unavailable
from imaging_service.incoming.s3 import place, store_of
from imaging_service.inspection.survey import survey
from imaging_service.jobs.pixels.scan import read_stack
from imaging_service.jobs.plan import identify, lay_out
from imaging_service.jobs.records import RunFolder, RunInputs, RunRecord, WellTask, load
from imaging_service.jobs.summary import TABLES
from imaging_service.protocol import Acquisition
from tests.imaging_service.conftest import analyse_here
from tests.messages import says
from tests.s3 import SECRET_KEY, Bucket

PLATE = "lab/plate 1.ome.zarr"


@pytest.fixture(scope="module")
def stored(small_run) -> Path:
    """The small plate as OME-Zarr on the disk."""
    return small_run / "plate.zarr"


@dataclass
class OnS3:
    """The small plate in a bucket."""

    bucket: Bucket
    inputs: RunInputs

    def chunk(self, well: str) -> str:
        """Name of an object with pixels of a well's first field."""
        names = self.bucket.names(f"{PLATE}/{well[0]}/{int(well[1:])}/0/0")
        return next(name for name in names if not name.endswith(".json"))

    def task(self, folder: Path, well: str) -> WellTask:
        run = RunFolder(folder)
        lay_out(*identify(self.inputs), run)
        return load(WellTask, run.task(well))


@pytest.fixture
def on_s3(bucket, stored, small_inputs) -> OnS3:
    return OnS3(bucket, replace(small_inputs, scan=place(bucket.copy(stored, PLATE))))


def test_it_is_surveyed_as_on_the_disk(on_s3, stored):
    here, there = survey(stored).plain(), survey(str(on_s3.inputs.scan)).plain()
    assert there.pop("scan") == on_s3.bucket.address(PLATE)
    assert here.pop("scan") == str(stored)
    assert there == here


@pytest.mark.slow
def test_it_is_the_same_run_with_the_same_tables(on_s3, stored, small_inputs, tmp_path):
    analyse_here(on_s3.inputs, tmp_path / "there")
    analyse_here(replace(small_inputs, scan=stored), tmp_path / "here")
    here, there = (load(RunRecord, RunFolder(tmp_path / n).record) for n in ("here", "there"))
    assert there.run_id == here.run_id
    assert there.source_files == here.source_files
    assert (len(there.source_versions), len(here.source_versions)) == (12, 0)
    for name in TABLES:
        mine, others = (tmp_path / n / f"{name}.parquet" for n in ("there", "here"))
        assert mine.read_bytes() == others.read_bytes(), name
    written = [p for p in (tmp_path / "there").rglob("*") if p.is_file()]
    assert not [p for p in written if SECRET_KEY.encode() in p.read_bytes()]


def test_a_plate_on_s3_is_named_by_its_address_in_the_run_s_record(on_s3, tmp_path):
    task = on_s3.task(tmp_path / "run", "B02")
    assert str(task.plan.root) == on_s3.bucket.address(PLATE)
    record = load(RunRecord, RunFolder(tmp_path / "run").record)
    assert str(record.inputs.scan) == on_s3.bucket.address(PLATE)
    assert list(task.versions) == ["B/2/0/0", "B/2/1/0"]


def test_an_object_that_is_written_over_is_refused(on_s3, tmp_path):
    task = on_s3.task(tmp_path / "run", "B02")
    name, other = on_s3.chunk("B02"), on_s3.chunk("B03")
    content = on_s3.bucket.read(name)
    on_s3.bucket.write(name, on_s3.bucket.read(other))
    with pytest.raises(ImageError, match=says("scan.changed", file="B/2/0/0")):
        read_stack(task, 1, 1)
    on_s3.bucket.delete(name)
    with pytest.raises(ImageError, match=says("scan.changed", file="B/2/0/0")):
        read_stack(task, 1, 1)
    on_s3.bucket.write(name, content)
    assert read_stack(task, 1, 1).pixels.shape == (3, 160, 160)


def test_the_content_decides_where_a_copy_has_another_etag(on_s3, tmp_path):
    task = on_s3.task(tmp_path / "run", "B02")
    copied = replace(task, versions=dict.fromkeys(task.versions, "of another upload"))
    assert (read_stack(copied, 1, 1).pixels == read_stack(task, 1, 1).pixels).all()
    on_s3.bucket.write(on_s3.chunk("B02"), on_s3.bucket.read(on_s3.chunk("B03")))
    with pytest.raises(ImageError, match=says("scan.changed", file="B/2/0/0")):
        read_stack(copied, 1, 1)


def test_what_was_damaged_before_the_submission_is_the_plate_s_fault(on_s3, tmp_path):
    on_s3.bucket.delete(on_s3.chunk("B02"))
    flipped = bytearray(on_s3.bucket.read(on_s3.chunk("B03")))
    flipped[len(flipped) // 2] ^= 1
    on_s3.bucket.write(on_s3.chunk("B03"), bytes(flipped))
    for well, sentence in (
        ("B02", says("stores.chunks_missing")),
        ("B03", says("stores.chunk_damaged")),
    ):
        with pytest.raises(ImageError, match=sentence):
            read_stack(on_s3.task(tmp_path / well, well), 1, 1)


def test_a_bucket_or_a_field_that_is_gone_is_waited_for(on_s3, tmp_path, monkeypatch):
    task = on_s3.task(tmp_path / "run", "B02")
    names = on_s3.bucket.names(f"{PLATE}/B/2/0/0")
    content = {name: on_s3.bucket.read(name) for name in names}
    for name in names:
        on_s3.bucket.delete(name)
    with pytest.raises(Unavailable, match=says("away.file", path=task.plan.root / "B/2/0/0")):
        read_stack(task, 1, 1)
    for name in names:
        on_s3.bucket.write(name, content[name])
    read_stack(task, 1, 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store_of.cache_clear()
    with pytest.raises(Unavailable, match=says("s3.no_answer", where=task.plan.root / "B/2/0/0")):
        read_stack(task, 1, 1)
    store_of.cache_clear()


def test_a_bit_that_flips_in_metadata_or_on_the_way_to_the_digest_is_not_the_plate(
    on_s3, faulty_s3
):
    """A digit of the pixel size would change every area; a digest would be of another plate."""
    whole = identify(on_s3.inputs)[0]
    scan, chunk = on_s3.inputs.scan, on_s3.chunk("B05").removeprefix(f"{PLATE}/")
    for part, where in (("B/5/0/zarr.json", scan), (chunk, scan / chunk)):
        faulty_s3.set("flipped", f"GET .*/{part} ")
        with pytest.raises(Unavailable, match=says("s3.contradicts", where=where)):
            identify(on_s3.inputs)
        assert faulty_s3.faults > 0
    faulty_s3.well()
    assert identify(on_s3.inputs)[0].run_id == whole.run_id


@pytest.mark.parametrize("part", ["B/5/zarr.json", "B/5/1/zarr.json", "B/5/1/0/zarr.json"])
def test_a_well_or_field_that_is_not_handed_over_is_not_left_out(on_s3, faulty_s3, part):
    """Metadata that are not there would make it a plate of a field less."""
    whole = identify(on_s3.inputs)[0]
    faulty_s3.set("not there", f"GET .*/{part} ")
    where = f"{on_s3.inputs.scan}/{part}"
    with pytest.raises(Unavailable, match=says("s3.contradicts", where=where)):
        identify(on_s3.inputs)
    # Once only: it looks again, and plans the whole plate.
    faulty_s3.set("not there", f"GET .*/{part} ", times=1)
    assert identify(on_s3.inputs)[0].run_id == whole.run_id
    assert faulty_s3.faults == 1


@pytest.mark.parametrize(
    "fault", ["not there", "shortened", "other etag", "reset", "slow down", "flipped"]
)
def test_pixels_that_do_not_come_are_waited_for(on_s3, faulty_s3, tmp_path, fault):
    task = on_s3.task(tmp_path / "run", "B02")
    expected = read_stack(task, 1, 1).pixels
    faulty_s3.set(fault, f"GET .*{on_s3.chunk('B02').removeprefix(PLATE)} ")
    with pytest.raises(Unavailable):
        read_stack(task, 1, 1)
    assert faulty_s3.faults > 0
    faulty_s3.well()
    assert (read_stack(task, 1, 1).pixels == expected).all()


def test_what_is_no_plate_there_is_refused(bucket, small_inputs, tmp_path):
    bucket.copy(small_inputs.scan, "tiffs")
    for address, sentence in (
        (bucket.address("tiffs"), says("s3.no_plate")),
        (bucket.address("none"), says("readers.not_a_folder")),
    ):
        with pytest.raises(ScanError, match=sentence):
            survey(address)
    with pytest.raises(ScanError, match=says("s3.other_reader", where=bucket.address("tiffs"))):
        survey(bucket.address("tiffs"), Acquisition(reader="tiff"))
