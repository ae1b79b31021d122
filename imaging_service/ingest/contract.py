"""Tests that every PlateReader passes.

The author of a plug-in subclasses `PlateReaderContract` in a test module.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from imaging_service.errors import ImageError, ScanError
from imaging_service.ingest.plan import Limits, PlatePlan
from imaging_service.ingest.readers import PlateReader
from imaging_service.protocol import Acquisition


class PlateReaderContract:
    """Tests of one reader; subclasses set `reader` and `acquisition`.

    They also give a fixture `scan`: a folder that the reader understands.
    """

    reader: PlateReader
    acquisition = Acquisition()

    def plan(self, scan: Path) -> PlatePlan:
        """The reader's plan of the scan."""
        return self.reader.plan(scan, Limits(), self.acquisition)

    def test_sniff_knows_its_own(self, scan: Path, tmp_path: Path) -> None:
        """Sure of its own folder, not of an empty one."""
        assert 0 < self.reader.sniff(scan) <= 1
        assert self.reader.sniff(tmp_path) == 0

    def test_plan_is_repeatable_sorted_and_inside_the_scan(self, scan: Path) -> None:
        """Same plan twice; planes sorted and unique; every file exists under the scan."""
        plan = self.plan(scan)
        assert plan == self.plan(scan)
        assert plan.images
        assert list(plan.images) == sorted(set(plan.images))
        assert {i.channel for i in plan.images} <= set(plan.channels)
        for path in plan.files():
            assert (scan / path).resolve().is_relative_to(scan.resolve())
            assert (scan / path).exists()

    def test_read_gives_one_plane(self, scan: Path) -> None:
        """(Y, X), the same each time."""
        plan = self.plan(scan)
        plane = self.reader.read(plan, plan.images[0], Limits())
        assert plane.ndim == 2
        assert plane.size > 0
        assert (plane == self.reader.read(plan, plan.images[0], Limits())).all()

    def test_exposure_times_are_seconds_or_unknown(self, scan: Path) -> None:
        """A number for every plane of the scan, or for none."""
        plan = self.plan(scan)
        times = [self.reader.exposed_s(plan, image) for image in plan.images]
        assert all(t is None for t in times) or all(isinstance(t, float) and t > 0 for t in times)
        assert {self.reader.local_clock(plan, image) for image in plan.images} <= {True, False}

    def test_a_lost_file_is_an_image_error_that_names_it(self, scan: Path) -> None:
        """Never zeros, never another exception."""
        plan = self.plan(scan)
        lost = replace(plan.images[0], path="no/such/image.tiff")
        try:
            self.reader.read(plan, lost, Limits())
        except ImageError as error:
            assert "image.tiff" in str(error)
        else:
            raise AssertionError("reading a file that is not there raised nothing")

    def test_an_empty_folder_is_a_scan_error(self, tmp_path: Path) -> None:
        """The error names the empty folder."""
        try:
            self.plan(tmp_path)
        except ScanError as error:
            assert str(tmp_path) in str(error)
        else:
            raise AssertionError("planning an empty folder raised nothing")
