from __future__ import annotations

import numpy as np
import pytest

from segmentation.filters.tiling import TILE, OutOfDeviceMemory, TileRunner, tiles
from tests.messages import says


def local_mean(images):
    """A stand-in for a network: it sees two pixels around, and answers at full and at half
    resolution.
    """
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
    n = images.shape[2:]
    full = sum(padded[:, :, i : i + n[0], j : j + n[1]] for i in range(5) for j in range(5)) / 25
    return full, full[:, :, ::2, ::2]


@pytest.mark.parametrize("shape", [(16, 16), (544, 544), (560, 2160), (2160, 1088), (1600, 1616)])
def test_every_pixel_is_answered_for_once_and_far_from_the_tiles_rim(shape):
    tile, made = tiles(shape)
    count = np.zeros(shape, int)
    for one in made:
        count[one.target] += 1
        for axis in (0, 1):
            start, stop = one.inner[axis].start, one.inner[axis].stop
            assert one.corner[axis] >= 0
            assert one.corner[axis] + tile[axis] <= shape[axis]
            # The halo may be missing only where the field ends.
            assert start >= 48 or one.target[axis].start == 0
            assert tile[axis] - stop >= 48 or one.target[axis].stop == shape[axis]
    assert (count == 1).all()


@pytest.mark.parametrize(
    ("side", "count", "share"),
    [
        (512, 1, 1.0),
        (1024, 1, 1.0),
        (1152, 1, 1.0),
        (1168, 4, 1.21),
        (2048, 4, 1.1),
        (2160, 4, 1.11),
    ],
)
def test_tiles_are_fitted_to_the_field(side, count, share):
    """Of as few as their largest edge allows, the smallest: what is read twice costs as much as
    what is new.
    """
    (height, width), made = tiles((side, side))
    assert len(made) == count
    assert count * height * width <= share * side**2
    assert max(height, width) <= TILE
    assert all(n % 16 == 0 for n in (height, width, *(y for t in made for y in t.corner)))


@pytest.mark.parametrize("length", range(16, 4000, 112))
def test_no_field_is_computed_half_as_much_again(length):
    (height, _), made = tiles((length, 640))
    assert height <= TILE
    assert len(made) * height <= 1.2 * length


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_tiles_give_what_the_whole_field_gives_for_any_batch(batch):
    rng = np.random.default_rng(0)
    fields = [
        rng.random((2, h, w)).astype(np.float32)
        for h, w in ((300, 413), (300, 413), (90, 40), (128, 128))
    ]
    runner = TileRunner(local_mean, batch, 16, size=128, halo=16)
    for planes, (full, half) in zip(fields, runner.run(fields), strict=True):
        expected = local_mean(planes[None])[0][0]
        inner = np.s_[:, :-2, :-2]  # the last pixels see the padding
        assert np.array_equal(full[inner], expected[inner])
        assert half.shape == (2, -(-planes.shape[1] // 2), -(-planes.shape[2] // 2))
        assert np.array_equal(
            half[:, :-1, :-1], full[:, ::2, ::2][:, : half.shape[1] - 1, : half.shape[2] - 1]
        )


def test_tiles_of_several_fields_share_a_batch_and_no_batch_is_larger():
    sizes = []

    def network(images):
        sizes.append(len(images))
        return local_mean(images)

    fields = [np.zeros((1, 200, 200), np.float32)] * 3  # four tiles each
    assert len(list(TileRunner(network, 6, 16, size=128, halo=16).run(fields))) == 3
    assert sizes == [6, 6]


class Full(RuntimeError):
    pass


def limited(most):
    seen = []

    def network(images):
        seen.append(len(images))
        if len(images) > most:
            raise Full
        return local_mean(images)

    return network, seen


def test_out_of_memory_halves_the_batch_and_loses_nothing():
    network, seen = limited(2)
    fields = [np.random.default_rng(1).random((1, 300, 300)).astype(np.float32)]
    ((full, _),) = TileRunner(network, 8, 16, (Full,), size=128, halo=16).run(fields)
    assert seen[:3] == [8, 4, 2]
    assert max(seen[3:]) == 2
    assert np.array_equal(full[:, :-2, :-2], local_mean(fields[0][None])[0][0][:, :-2, :-2])


def test_out_of_memory_a_third_time_fails_with_a_reason():
    network, _ = limited(0)
    with pytest.raises(OutOfDeviceMemory, match=says("tiling.out_of_memory")) as caught:
        list(
            TileRunner(network, 8, 16, (Full,), size=128, halo=16).run(
                [np.zeros((1, 300, 300), np.float32)]
            )
        )
    # callers try again elsewhere and do not blame the well
    assert isinstance(caught.value, MemoryError)
