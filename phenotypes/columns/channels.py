"""Which columns rest on which channel: what is withheld where a channel cannot be read."""

from __future__ import annotations

from phenotypes.columns.dictionary import Level, columns

_LEVELS = ("soma_mean", "nucleus_mean", "nucleus_sum", "cytoplasm_mean")
# Beginnings of the names of columns that are spots or rims of a role's channel.
_PARTS = {
    "aggregate": ("puncta_", "manders_"),
    "granule": ("granule_", "manders_"),
    "envelope": ("rim_",),
}
_NEURITES = (
    "neurite_",
    "length_ratio_",
    "attribution_",
    "primary_",
    "branch_",
    "max_process",
    "mean_process",
    "sholl_",
    "confluence",
)


def levels_of(role: str) -> list[str]:
    """Columns of the cell table that are mean or summed intensities of a role's channel.

    Examples
    --------
    >>> from phenotypes.columns.channels import levels_of
    >>> levels_of("dna")
    ['soma_mean_dna', 'nucleus_mean_dna', 'nucleus_sum_dna', 'cytoplasm_mean_dna']
    """
    return [f"{name}_{role}" for name in _LEVELS]


def details_of(role: str) -> list[str]:
    """Columns of the cell table that are ratios, spots or rims of a role's channel.

    Examples
    --------
    >>> from phenotypes.columns.channels import details_of
    >>> details_of("envelope")
    ['nc_log2_envelope', 'rim_log2_envelope', 'rim_cv_envelope']
    """
    parts = _PARTS.get(role, ())
    return [
        name
        for name in columns("cell")
        if name == f"nc_log2_{role}" or (parts and name.startswith(parts))
    ]


def neurites_of(level: Level) -> list[str]:
    """Columns of the cell or field table that rest on the neurites.

    Examples
    --------
    >>> from phenotypes.columns.channels import neurites_of
    >>> neurites_of("field")[:2]
    ['confluence', 'neurite_length_um']
    """
    return [name for name in columns(level) if name.startswith(_NEURITES)]
