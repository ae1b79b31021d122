from __future__ import annotations

import numpy as np
import pytest

from segmentation.engines.motornet.augment import _stripe, augment
from segmentation.engines.motornet.dynamics import FLOW_SCALE, objects
from segmentation.engines.motornet.samples import flows_of


@pytest.fixture(scope="module")
def sample():
    """One tall ellipse off the centre, so that no symmetry of the square maps it to itself."""
    yy, xx = np.mgrid[:96, :96]
    nucleus = (((yy - 30) / 20) ** 2 + ((xx - 60) / 9) ** 2 <= 1).astype(np.int32)
    flows = flows_of(nucleus)
    image = np.zeros((3, 96, 96), np.float16)
    image[0] = nucleus
    image[1] = 0.5 * nucleus
    image[2] = nucleus
    return {
        "image": image,
        "truth": nucleus.astype(np.uint8),
        "flows": np.concatenate([flows, flows]),
        "known": np.ones(4, bool),
        "present": np.ones(3, bool),
    }


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_flows_turn_with_the_picture(sample):
    """Whatever symmetry was drawn, following the flows gives back the object where the turned mask
    has it.
    """
    orientations = set()
    for seed in range(48):
        _, wanted, flows, _, _ = augment(sample, np.random.default_rng(seed), 96)
        inside = wanted[0, ::2, ::2] > 0
        found = objects(FLOW_SCALE * flows[:2], inside)
        assert found.max() == 1
        assert (found[inside] == 1).mean() > 0.97
        y, x = np.argwhere(inside).mean(axis=0)
        orientations.add((round(y), round(x)))
    assert len(orientations) == 8


def test_the_same_generator_gives_the_same_sample(sample):
    first = augment(sample, np.random.default_rng(7), 64)
    again = augment(sample, np.random.default_rng(7), 64)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].shape == (3, 64, 64)
    assert first[2].shape == (4, 32, 32)


def test_what_cannot_be_seen_is_not_to_be_learnt(sample):
    seen = set()
    for seed in range(200):
        image, _, _, known, _ = augment(sample, np.random.default_rng(seed), 32)
        present = image.any(axis=(1, 2))
        seen.add(tuple(known))
        assert known.any()
        for probability, channel in enumerate((0, 1, 1, 2)):
            # A plane may be black by chance of the crop; a known one is never of an absent channel.
            if known[probability]:
                assert present[channel] or not sample["truth"].all()
    assert (1, 1, 1, 1) in seen
    assert (0, 1, 1, 0) in seen
    assert (1, 0, 0, 0) in seen


def test_a_photograph_of_nuclei_teaches_nuclei_only(sample):
    alone = sample | {
        "known": np.array([True, False, False, False]),
        "present": np.array([True, False, False]),
    }
    image, _, _, known, _ = augment(alone, np.random.default_rng(0), 96)
    assert known.tolist() == [1, 0, 0, 0]
    assert not image[1:].any()


def test_what_is_unsure_turns_with_the_picture(sample):
    marked = sample | {"truth": sample["truth"] | (sample["truth"] << 4)}
    for seed in range(16):
        _, wanted, _, _, sure = augment(marked, np.random.default_rng(seed), 96)
        assert np.array_equal(sure, 1 - wanted[0])


def test_without_a_mark_all_is_sure(sample):
    _, _, _, _, sure = augment(sample, np.random.default_rng(0), 64)
    assert sure.shape == (64, 64)
    assert sure.min() == 1


def test_some_pictures_have_a_stripe_of_the_camera():
    """Along a whole row or column, at the rim; or a step across the picture."""
    striped = 0
    for seed in range(400):
        image = _stripe(np.zeros((64, 64), np.float32), np.random.default_rng(seed))
        if image.any():
            striped += 1
            rows, columns = np.ptp(image, axis=1).max(), np.ptp(image, axis=0).max()
            assert min(rows, columns) < 1e-6
    assert 0.05 < striped / 400 < 0.15
