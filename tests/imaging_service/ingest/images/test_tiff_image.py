from __future__ import annotations

import numpy as np
import pytest
import tifffile

from imaging_service.errors import ImageError
from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.images.tiff_image import read_header, read_tiff, same_pixels, survey
from imaging_service.ingest.plan import Limits
from imaging_service.protocol import Acquisition
from tests.messages import says

PLANE = np.arange(48, dtype=np.uint16).reshape(6, 8)


def tiffs(folder, *names):
    for name in names:
        tifffile.imwrite(folder / name, PLANE)
    return folder


def damaged(path, how):
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) - 40])
    elif how == "header only":
        path.write_bytes(content[:6])
    elif how == "text":
        path.write_bytes(b"not a TIFF at all")
    elif how == "pages":
        tifffile.imwrite(path, np.stack([PLANE, PLANE]), photometric="minisblack")
    elif how == "colour":
        tifffile.imwrite(path, np.zeros((6, 8, 3), np.uint8), photometric="rgb")
    elif how == "gone":
        path.unlink()


@pytest.mark.parametrize("how", ["truncated", "header only", "text", "pages", "colour", "gone"])
def test_damaged_tiffs_are_image_errors_that_name_the_file(tmp_path, how):
    plan = plan_scan(tiffs(tmp_path, "p_B02_s1_w1.tif"), Acquisition())
    damaged(tmp_path / "p_B02_s1_w1.tif", how)
    with pytest.raises(ImageError, match=says("tiff_folder.file_named")):
        reader_named("tiff").read(plan, plan.images[0], Limits())


def test_declared_size_is_checked_before_memory_is_taken(tmp_path):
    plan = plan_scan(tiffs(tmp_path, "p_B02_s1_w1.tif"), Acquisition())
    with pytest.raises(ImageError, match=says("tiff_folder.not_a_camera_image")):
        reader_named("tiff").read(plan, plan.images[0], Limits(image_pixels=10))


def test_white_stored_as_0_is_turned_back(tmp_path):
    light = np.arange(256, dtype=np.uint16).reshape(16, 16)
    tifffile.imwrite(tmp_path / "a.tif", 65535 - light, photometric="miniswhite")
    assert (read_tiff(tmp_path / "a.tif", Limits()) == light).all()
    tifffile.imwrite(tmp_path / "b.tif", (255 - light).astype(np.uint8), photometric="miniswhite")
    assert (read_tiff(tmp_path / "b.tif", Limits()) == light).all()
    tifffile.imwrite(tmp_path / "c.tif", light.astype(np.float32), photometric="miniswhite")
    with pytest.raises(ImageError, match=says("tiff_image.white_is_zero")):
        read_tiff(tmp_path / "c.tif", Limits())


def test_a_palette_is_no_intensity(tmp_path):
    colours = np.zeros((3, 256), np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif", PLANE.astype(np.uint8), photometric="palette", colormap=colours
    )
    with pytest.raises(ImageError, match=says("tiff_image.palette")):
        read_tiff(tmp_path / "a.tif", Limits())
    assert read_header(tmp_path, "a.tif", Limits()).fault


@pytest.mark.parametrize(("step", "read"), [(257, True), (256, True), (-257, False), (128, False)])
def test_a_palette_of_linear_greys_is_the_intensity_itself(tmp_path, step, read):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    ramp = np.arange(256) * abs(step)
    greys = np.stack([ramp if step > 0 else ramp[::-1]] * 3).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="palette", colormap=greys)
    if read:
        assert (read_tiff(tmp_path / "a.tif", Limits()) == pixels).all()
        return
    with pytest.raises(ImageError, match=says("tiff_image.palette")):
        read_tiff(tmp_path / "a.tif", Limits())


def test_pages_are_chosen_by_number(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([PLANE, PLANE + 1]), photometric="minisblack")
    assert (read_tiff(tmp_path / "a.tif", Limits(), 2) == PLANE + 1).all()
    assert read_header(tmp_path, "a.tif", Limits()).pages == 2


@pytest.mark.parametrize(
    ("pixels", "shifted"),
    [
        (np.arange(256, dtype=np.uint16).reshape(16, 16) * 16 + 4096, True),
        (np.arange(256, dtype=np.uint16).reshape(16, 16) * 16 + 4097, False),
        (np.arange(256, dtype=np.uint16).reshape(16, 16) * 16, False),  # nothing over 12 bits
        (np.full((16, 16), 16000, np.uint16), None),  # one value says nothing
        (np.arange(256, dtype=np.uint8).reshape(16, 16), None),
    ],
)
def test_values_of_12_bits_that_were_shifted(tmp_path, pixels, shifted):
    for name, order in (("a.tif", "<"), ("b.tif", ">")):
        tifffile.imwrite(tmp_path / name, pixels, byteorder=order)
        assert read_header(tmp_path, name, Limits()).left_aligned is shifted


def test_copies_are_told_by_their_pixels_not_by_their_words(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PLANE, description="first")
    tifffile.imwrite(tmp_path / "b.tif", PLANE, description="second time point")
    tifffile.imwrite(tmp_path / "c.tif", PLANE + 1, description="first")
    headers = survey(tmp_path, ["a.tif", "b.tif", "c.tif"], Limits())
    assert headers["a.tif"].start == headers["b.tif"].start != headers["c.tif"].start
    assert same_pixels(tmp_path, "a.tif", "b.tif")
    assert not same_pixels(tmp_path, "a.tif", "c.tif")


def test_a_folder_called_like_an_image_is_none(tmp_path):
    (tmp_path / "x.tif").mkdir()
    tiffs(tmp_path, "p_B02_s1_w1.tif")
    assert [i.path for i in plan_scan(tmp_path, Acquisition()).images] == ["p_B02_s1_w1.tif"]
