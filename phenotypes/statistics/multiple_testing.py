"""False discovery rate: q values within declared families.

Benjamini & Hochberg, J. R. Stat. Soc. B 57:289, 1995.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy import stats


def with_q_values(table: pl.DataFrame, family: Sequence[str] = (), *, of: str = "") -> pl.DataFrame:
    """Add `q_value` from `p_value`, within each combination of the columns `family`.

    `of` is put before both names: "moderated_" adds `moderated_q_value` from `moderated_p_value`.


    Rows without p do not count as tests.
    """
    p = table[f"{of}p_value"].cast(pl.Float64).to_numpy()
    keys = table.select(family).rows() if family else [()] * len(table)
    q = np.full(len(table), np.nan)
    for key in dict.fromkeys(keys):
        members = [i for i, other in enumerate(keys) if other == key and not np.isnan(p[i])]
        if members:
            q[members] = stats.false_discovery_control(p[members])
    return table.with_columns(pl.Series(f"{of}q_value", q, dtype=pl.Float64).fill_nan(None))
