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
        part: {name: float(image[0, 0]) for name, image, _ in read_negatives([tmp_path], part)}
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


@pytest.mark.parametrize(
    ("picture", "dna"),
    [
        ("Channel1-03-A-03.tif", "Channel2-03-A-03.tif"),
        ("01_POS002_F.TIF", "01_POS002_D.TIF"),
        ("01_POS002_R.TIF", "01_POS002_D.TIF"),
        ("AS_09125_050116030001_D03f00d2.tif", "AS_09125_050116030001_D03f00d0.tif"),
    ],
)
def test_a_picture_brings_its_dna_channel_which_is_no_picture_of_its_own(tmp_path, picture, dna):
    cv2.imwrite(str(tmp_path / picture), np.full((8, 8), 3, np.uint8))
    cv2.imwrite(str(tmp_path / dna), np.full((8, 8), 9, np.uint8))
    ((name, image, other),) = [
        one for part in ("training", "test") for one in read_negatives([tmp_path], part)
    ]
    assert (name, image[0, 0], other[0, 0]) == (picture.rpartition(".")[0], 3, 9)


def test_a_picture_without_dna_has_none(tmp_path):
    cv2.imwrite(str(tmp_path / "AS_09047_O07f00d2.png"), np.full((8, 8), 3, np.uint8))
    read = [one for part in ("training", "test") for one in read_negatives([tmp_path], part)]
    assert [dna for _, _, dna in read] == [None]
