"""White and dark images of a CellVoyager become profiles of the light."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tifffile

from imaging_service.ingest import plan_scan
from imaging_service.ingest.images.scan_files import scan_files
from imaging_service.ingest.optics.shading import ShadingImage, shading_profiles
from imaging_service.ingest.plan import FindingKind, Limits, plan_digest
from imaging_service.protocol import Acquisition
from tests.imaging_service.ingest.formats.test_cellvoyager import export, record
from tests.messages import says, states

SHAPE = (96, 128)
DARK = 100.0


def bowl(shape):
    """Light that falls off to the lower right corner, with mean 1."""
    y, x = (np.linspace(-1, 1, n) for n in shape)
    light = 1.4 - 0.35 * (x[None, :] - 0.2) ** 2 - 0.3 * (y[:, None] + 0.3) ** 2
    return light / light.mean()


def white(shape=SHAPE, level=4000.0, noise=20.0):
    rng = np.random.default_rng(1)
    return (DARK + level * bowl(shape) + rng.normal(0, noise, shape)).astype(np.uint16)


def read(folder, image, dark=True, name="SC_1.tif", shape=SHAPE):
    if image is not None:
        tifffile.imwrite(folder / "SC_1.tif", image)
    if dark:
        size = SHAPE if image is None else image.shape
        tifffile.imwrite(folder / "DC_DCAM#2_CAM4.tif", np.full(size, DARK, np.uint16))
    named = {"DAPI": ShadingImage(name, "4")}
    return shading_profiles(scan_files(folder, Limits()), "", named, shape, Limits())


@pytest.mark.parametrize("binned", [1, 2])
def test_a_white_image_less_the_dark_one_is_the_light(tmp_path, binned):
    profiles, findings = read(tmp_path, white(tuple(binned * n for n in SHAPE)))
    assert findings == ()
    light = profiles["DAPI"].relative(SHAPE)
    assert np.abs(light / bowl(SHAPE) - 1).max() < 0.02
    # The dark level counts: with it in the light the profile would be flatter.
    flatter, _ = read(tmp_path, white(level=300.0, noise=1.0), dark=True)
    assert np.abs(flatter["DAPI"].relative(SHAPE) / bowl(SHAPE) - 1).max() < 0.02


@pytest.mark.parametrize(
    ("image", "name", "why"),
    [
        (np.zeros(SHAPE, np.uint16), "SC_1.tif", says("shading.blank", channel="DAPI")),
        (white((100, 100)), "SC_1.tif", says("shading.pixels", channel="DAPI")),
        (None, "SC_1.tif", says("shading.absent", channel="DAPI")),
        (white(), "../SC_1.tif", says("shading.absent", channel="DAPI")),
        (np.indices(SHAPE).sum(axis=0).astype(np.uint16) % 2 * 900 + 200, "SC_1.tif", None),
        (
            np.where(np.indices(SHAPE)[1] < 40, 4000, 400).astype(np.uint16),
            "SC_1.tif",
            says("shading.rough", channel="DAPI"),
        ),
    ],
)
def test_what_is_no_white_image_is_named_and_not_used(tmp_path, image, name, why):
    profiles, findings = read(tmp_path, image, name=name)
    if why is None:  # a pattern finer than the profile is averaged out
        assert np.abs(profiles["DAPI"].relative(SHAPE) - 1).max() < 0.01
        return
    assert profiles == {}
    (finding,) = findings
    assert finding.kind == FindingKind.LEFT_OUT
    assert re.search(why, finding.message)


def test_the_measurement_s_detail_names_the_white_image_of_a_channel(tmp_path):
    export(
        tmp_path, record(), shading='bts:CameraNumber="4" bts:ShadingCorrectionSource="SC_1.tif"'
    )
    plain = plan_scan(tmp_path, Acquisition())
    assert plain.flat_fields == {}
    assert any(states("shading.absent", f.message, channel="1") for f in plain.findings)
    tifffile.imwrite(tmp_path / "SC_1.tif", white((16, 16), noise=0.0))
    lit = plan_scan(tmp_path, Acquisition())
    assert lit.flat_fields["1"].relative((16, 16))[0, 0] < 0.95
    assert plan_digest(lit) != plan_digest(plain)
    assert plan_digest(lit) == plan_digest(plan_scan(tmp_path, Acquisition()))
