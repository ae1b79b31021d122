from __future__ import annotations

import numpy as np
import pytest

from segmentation import Field
from segmentation.phantoms.render import Culture, Optics, render
from segmentation.scoring.second_opinion import nuclei_agreement


@pytest.fixture(scope="module")
def phantom():
    return render(Culture(), Optics(shape=(400, 400), pixel_size_um=0.5), 3)


def test_engines_agree_on_plain_nuclei_and_part_where_one_errs(phantom):
    truth = phantom.truth.nuclei
    agreed = nuclei_agreement(phantom.field, truth)
    assert agreed > 0.9
    labels = [i for i in np.unique(truth) if i]
    half = np.where(np.isin(truth, labels[::2]), truth, 0)
    assert nuclei_agreement(phantom.field, half) == pytest.approx(2 * 0.5 / 1.5, abs=0.1)
    assert nuclei_agreement(phantom.field, np.zeros_like(truth)) == 0


def test_a_number_that_no_pixel_carries_is_not_a_nucleus(phantom):
    truth = phantom.truth.nuclei
    gaps = np.where(truth > 0, 3 * truth, 0)
    assert nuclei_agreement(phantom.field, gaps) == nuclei_agreement(phantom.field, truth)


def test_no_label_image_is_sorted(phantom, monkeypatch):
    """Sorting costs seconds per large field where counting costs hundredths."""
    sorted_sizes = []
    unique = np.unique

    def counted(values, *args, **kwargs):
        sorted_sizes.append(np.size(values))
        return unique(values, *args, **kwargs)

    monkeypatch.setattr(np, "unique", counted)
    nuclei_agreement(phantom.field, phantom.truth.nuclei)
    assert max(sorted_sizes) <= np.count_nonzero(phantom.truth.nuclei)


def test_an_empty_field_has_no_second_opinion():
    noise = np.random.default_rng(0).normal(200, 5, (1, 300, 300))
    empty = np.zeros((300, 300), np.int32)
    assert nuclei_agreement(Field(noise, ("dna",), 0.5), empty) is None
    assert nuclei_agreement(Field(noise, ("neurite",), 0.5), empty) is None
