from __future__ import annotations

import numpy as np
import pytest

from phenotypes.screens.across.genes import association, genes_differ_p

LINES = [f"{gene}{i}" for gene in "SF" for i in range(4)]
GENES = {n: {"S": "SOD1", "F": "FUS"}[n[0]] for n in LINES}
CELLS = tuple((line, f"b{b}") for line in LINES for b in range(3))
EFFECTS = dict(zip(LINES, [1.0, 1.1, 0.9, 1.05, 0.0, 0.1, -0.1, 0.05], strict=True))


def test_permutation_p_of_four_against_four():
    values = np.array([1.0, 1.1, 0.9, 1.05, 0.0, 0.1, -0.1, 0.05])
    groups = ["a"] * 4 + ["b"] * 4
    # exact: the two extreme ones of 70 splits
    assert genes_differ_p(values, groups) == pytest.approx(2 / 70, abs=1e-12)
    assert genes_differ_p(np.random.default_rng(0).normal(size=8), groups) > 0.05


def test_genes_are_compared_where_donors_differ_and_batches_are_shared():
    row = association(CELLS, EFFECTS, {}, GENES, 0.001)
    assert row["association_status"] == "ok"
    assert row["association_p"] == pytest.approx(2 / 70)
    assert association(CELLS, EFFECTS, {}, GENES, 0.3) == {"association_status": "homogeneous"}
    apart = tuple((line, line[0] + batch) for line, batch in CELLS)
    assert association(apart, EFFECTS, {}, GENES, 0.001) == {
        "association_status": "confounded_with_batch"
    }
    three = {n: g for n, g in GENES.items() if n not in ("F2", "F3")}
    assert association(CELLS, EFFECTS, {}, three, 0.001) == {"association_status": "too_few_donors"}


def test_lines_of_one_person_are_one_donor():
    donors = {"F0": "P", "F1": "P", "F2": "P", "F3": "Q"}
    effects = EFFECTS | {"P": 0.0, "Q": 0.1}
    assert association(CELLS, effects, donors, GENES, 0.001) == {
        "association_status": "too_few_donors"
    }
