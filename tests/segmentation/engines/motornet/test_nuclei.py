from __future__ import annotations

import cv2
import numpy as np
import pytest

from segmentation.engines.motornet.nuclei import nuclei_pixel_size, part_of, read_nuclei
from tests.messages import says


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("00000000aa", "test"),
        ("00000002", "test"),
        ("00000003", "validation"),
        ("00000004", "training"),
        ("00000013", "training"),
        ("00000014", "test"),
    ],
)
def test_the_first_eight_digits_of_the_name_say_the_part(name, part):
    assert part_of(name) == part


def test_of_twenty_images_three_test_and_one_validates():
    parts = [part_of(f"{i:08x}") for i in range(20)]
    assert (parts.count("test"), parts.count("validation"), parts.count("training")) == (3, 1, 16)


def test_the_median_nucleus_is_10_um_across():
    labels = np.zeros((60, 60), np.int32)
    # 100, 100 and 400 pixels; 3 and 4 are not there
    labels[:10, :10], labels[20:30, 20:30], labels[40:60, 40:60] = 1, 2, 5
    assert nuclei_pixel_size(labels) == pytest.approx(10 / np.sqrt(4 / np.pi * 100))
    assert nuclei_pixel_size(np.zeros((5, 5), np.int32)) == 0.65


def test_a_part_is_read_in_the_order_of_names(tmp_path):
    image, labels = np.arange(12, dtype=np.uint8).reshape(3, 4), np.eye(3, 4, dtype=np.uint16) * 700
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    names = ["00000015", "00000001", "00000003"]
    (tmp_path / "manifest.csv").write_text("id,height\n" + "".join(f"{n},3\n" for n in names))
    for name in names[:2]:
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), image)
        cv2.imwrite(str(tmp_path / "labels" / f"{name}.png"), labels)
    read = list(read_nuclei(tmp_path, "test"))
    assert [name for name, _, _ in read] == ["00000001", "00000015"]
    assert np.array_equal(read[0][1], image)
    assert np.array_equal(read[0][2], labels)
    assert (read[0][1].dtype, read[0][2].dtype) == (np.float32, np.int32)
    with pytest.raises(FileNotFoundError, match=says("motornet.sample_missing")):
        list(read_nuclei(tmp_path, "validation"))
