"""Whether genes explain how donors differ: a permutation of donors over genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from phenotypes.columns.statuses import AssociationStatus
from phenotypes.statistics.meta_analysis import MIN_STUDIES
from phenotypes.statistics.permutation import permutation_p
from plate_maps.check import confounded

Row = dict[str, object]
Real = NDArray[np.float64]
ALPHA = 0.05


@lru_cache(maxsize=1024)
def lines_apart(cells: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """What is confounded where lines fall into groups that share no batch; empty if they do not.

    `cells` are (line, batch). Compounds of a screen share a few such patterns.
    """
    pairs = pl.DataFrame(cells, schema=["line", "batch"], orient="row")
    return tuple(confounded(pairs, "line", by=["batch"]))


def association(
    cells: tuple[tuple[str, str], ...],
    effects: Mapping[str, float],
    donors: Mapping[str, str],
    genes: Mapping[str, str],
    differ_p: object,
) -> Row:
    """Test whether donors of different genes differ, or say why that cannot be tested.

    Parameters
    ----------
    cells
        (line, batch) that have an effect.
    effects
        Donor ► effect, freed of the batches it was seen in: donors seen in other batches would not
        be exchangeable.
    donors, genes
        Line ► donor, line ► gene.
    differ_p
        P of donors being alike; genes are compared only where they are not.
    """
    lines = dict.fromkeys(line for line, _ in cells)
    gene_of = {donors.get(n, n): genes[n] for n in lines if genes.get(n)}
    sizes = {gene: sum(1 for g in gene_of.values() if g == gene) for gene in set(gene_of.values())}
    kept = [d for d in gene_of if sizes[gene_of[d]] >= MIN_STUDIES]
    if len({gene_of[d] for d in kept}) < 2:
        return {"association_status": AssociationStatus.TOO_FEW_DONORS}
    of_genes = tuple(sorted({(genes[n], b) for n, b in cells if genes.get(n)}))
    if lines_apart(cells) or lines_apart(of_genes):
        return {"association_status": AssociationStatus.CONFOUNDED_WITH_BATCH}
    if not isinstance(differ_p, float) or differ_p >= ALPHA:
        return {"association_status": AssociationStatus.HOMOGENEOUS}
    values = np.array([effects[d] for d in kept])
    return {
        "association_status": AssociationStatus.OK,
        "association_p": genes_differ_p(values, [gene_of[d] for d in kept]),
    }


def genes_differ_p(values: Real, groups: Sequence[str], *, seed: int = 0) -> float:
    """Permutation p of a difference between groups of donors (sum of squares between groups)."""
    _, group_index = np.unique(groups, return_inverse=True)
    member = np.eye(group_index.max() + 1)[group_index]

    def between(v: Real) -> Real:
        return np.asarray(((v @ member) ** 2 / member.sum(axis=0)).sum(axis=-1))

    return permutation_p(values, between, seed=seed)
