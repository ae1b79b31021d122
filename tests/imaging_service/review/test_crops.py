"""Rectangles of labels: where they lie, how they travel, what is refused."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest

from imaging_service.review.crops import Crop, pack, shifted, unpack, with_crops
from imaging_service.schemas import Region
from tests.messages import says


def crop(value, y=2, x=3, frame=1):
    return [Crop("nuclei", y, x, np.full((4, 5), value, np.int32), frame)]


def test_a_region_is_the_rectangle_that_the_labels_fill():
    one = crop(7, frame=3)[0]
    assert one.region == Region(compartment="nuclei", frame=3, y=2, x=3, height=4, width=5)
    assert one.place == (slice(2, 6), slice(3, 8))


def test_the_last_crop_of_a_time_point_wins_and_the_base_is_not_written_to():
    base = {"nuclei": np.zeros((9, 10), np.int32), "somas": np.ones((9, 10), np.int32)}
    laid = with_crops(base, [*crop(7), *crop(9, 3, 3), *crop(5, frame=2)])
    expected = np.zeros((9, 10), np.int32)
    expected[2:6, 3:8] = 7
    expected[3:7, 3:8] = 9
    assert laid["nuclei"].tolist() == expected.tolist()
    assert laid["somas"] is base["somas"]
    assert not base["nuclei"].any()
    assert (with_crops(base, crop(5, frame=2), frame=2)["nuclei"] == 5).sum() == 20


@pytest.mark.parametrize(
    ("window", "y", "x", "rows", "columns"),
    [
        ((0, 0, (9, 9)), 2, 3, (0, 4), (0, 5)),
        ((3, 5, (9, 9)), 0, 0, (1, 4), (2, 5)),
        ((0, 0, (4, 6)), 2, 3, (0, 2), (0, 3)),
        ((5, 7, (1, 1)), 0, 0, (3, 4), (4, 5)),
    ],
)
def test_the_part_of_a_crop_in_a_window_is_in_the_windows_pixels(window, y, x, rows, columns):
    whole = Crop("nuclei", 2, 3, np.arange(20, dtype=np.int32).reshape(4, 5), 4)
    part = shifted(whole, *window)
    assert (part.compartment, part.frame, part.y, part.x) == ("nuclei", 4, y, x)
    assert part.labels.tolist() == whole.labels[slice(*rows), slice(*columns)].tolist()


@pytest.mark.parametrize("window", [(6, 3, (4, 4)), (0, 0, (2, 9)), (2, 8, (4, 4)), (0, 0, (9, 3))])
def test_a_crop_beside_a_window_has_no_part_in_it(window):
    assert shifted(crop(7)[0], *window) is None


def test_crops_travel_whole_or_not_at_all():
    crops = [*crop(7), *crop(9, 0, 0, frame=3)]
    meta, read = unpack(
        pack({"regions": [c.region.model_dump() for c in crops]}, crops),
        lambda m: [Region(**r) for r in m["regions"]],
    )
    assert meta["regions"][1]["frame"] == 3
    assert [(c.compartment, c.y, c.x, c.frame, c.labels.tolist()) for c in read] == [
        (c.compartment, c.y, c.x, c.frame, c.labels.tolist()) for c in crops
    ]
    whole = pack([crops[0].region.model_dump()], crops[:1])
    for damaged in (whole[:50], b"", b"nothing"):
        with pytest.raises(ValueError, match=says("crops.not_an_archive")):
            unpack(damaged, lambda m: [Region(**r) for r in m])
    wrong = crops[0].region.model_copy(update={"height": 9})
    with pytest.raises(ValueError, match=says("crops.pixels_of_another_type")):
        unpack(whole, lambda _: [wrong])


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_with_any_byte_changed_is_refused_or_read(method):
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(pack([], []))) as whole, zipfile.ZipFile(stream, "w") as out:
        for entry in whole.infolist():
            out.writestr(entry.filename, whole.read(entry), method)
    content = stream.getvalue()
    ends = set()
    for place in range(len(content)):
        changed = content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]
        try:
            unpack(changed, lambda _: [])
            ends.add("read")
        except ValueError:
            ends.add("refused")
    # Dates and attributes do not matter; all else does, and no error but this one comes.
    assert ends == {"read", "refused"}


def test_a_few_bytes_that_claim_gigabytes_are_refused_before_they_are_believed():
    def bomb(shape, body=b""):
        stream = io.BytesIO()
        region = Region(compartment="nuclei", y=0, x=0, height=shape[0], width=shape[1])
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            meta = np.frombuffer(json.dumps([region.model_dump()]).encode(), np.uint8)
            for name, array in (("meta", meta), ("crop_0", None)):
                with archive.open(f"{name}.npy", "w") as part:
                    if array is not None:
                        np.lib.format.write_array(part, array)
                    else:
                        np.lib.format.write_array_header_1_0(
                            part, {"descr": "<i4", "fortran_order": False, "shape": shape}
                        )
                        part.write(body)
        return stream.getvalue()

    def read(content):
        return unpack(content, lambda meta: [Region(**r) for r in meta])

    assert len(read(bomb((2, 2), bytes(16)))[1]) == 1
    with pytest.raises(ValueError, match=says("crops.too_many_pixels")):
        read(bomb((100_000, 100_000)))
    with pytest.raises(ValueError, match=says("crops.truncated")):
        read(bomb((10_000, 10_000), bytes(100)))
    # 50 kB that inflate to 50 MB: only the region's 16 bytes are read
    huge = bomb((2, 2), bytes(50_000_000))
    assert len(huge) < 100_000
    tracemalloc.start()
    read(huge)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
