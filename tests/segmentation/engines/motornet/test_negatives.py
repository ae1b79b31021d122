from __future__ import annotations

import cv2
import numpy as np
import pytest

from segmentation.engines.motornet.negatives import part_of, read_negatives


def test_fields_of_one_well_are_in_one_part():
    for well in range(1, 19):
        parts = {part_of(f"AS_09047_050428030001_O{well:02}f{f:02}d2.TIF") for f in range(3)}
        assert len(parts) == 1
    assert part_of("Channel1-03-A-03.tif") == part_of("Channel2-03-A-03.tif")


def test_a_fifth_of_the_wells_is_kept_for_testing():
    parts = [part_of(f"Channel1-01-{row}-{c:02}.tif") for row in "ABCDEFGH" for c in range(1, 13)]
    assert 0.1 < parts.count("test") / len(parts) < 0.3


def test_pictures_are_read_in_name_order_by_part(tmp_path):
    names = [f"picture{n}" for n in range(12)]
    for n, name in enumerate(names):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((8, 8), n, np.uint8))
    (tmp_path / "README.md").write_text("no picture")
    read = {
        part: {name: float(image[0, 0]) for name, image in read_negatives([tmp_path], part)}
        for part in ("training", "test")
    }
    assert not set(read["training"]) & set(read["test"])
    assert read["training"] | read["test"] == {name: float(n) for n, name in enumerate(names)}


def test_a_folder_without_pictures_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        list(read_negatives([tmp_path], "training"))


def test_a_broken_picture_is_named(tmp_path):
    names = [n for n in (f"broken{i}.png" for i in range(20)) if part_of(n) == "training"]
    (tmp_path / names[0]).write_bytes(b"no png")
    with pytest.raises(FileNotFoundError, match=names[0]):
        list(read_negatives([tmp_path], "training"))
