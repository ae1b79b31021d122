"""Potency shifts between lines of a fitted screen: `potencies` (.parquet, .csv) in its folder."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import polars as pl

from imaging_service.errors import ScreenError
from imaging_service.screens.folder import read_screen_table
from imaging_service.store.tables import read_table, write_table
from phenotypes.screens.across.potencies import potency_table


def potencies(
    screen: str | PathLike[str], reference: str = "", out: str | PathLike[str] | None = None
) -> pl.DataFrame:
    """Compare the potency of each compound between lines, and write the table to `out`, or there.

    `reference` is a line that all others are compared with; without one, each disease line is
    compared with its isogenic control. Raises ScreenError where the screen was not fitted, has no
    isogenic pair, or does not know the line.
    """
    screen = Path(screen)
    responses = read_screen_table(screen, "responses")
    lines = responses["line"].unique(maintain_order=True).to_list()
    if reference:
        if reference not in lines:
            raise ScreenError(
                f"screen {screen} has no line {reference!r}; choose one of {', '.join(lines)}"
            )
        pairs = [(line, reference) for line in lines if line != reference]
    else:
        pairs = (
            responses.filter(pl.col("isogenic").is_not_null())
            .select("line", "isogenic")
            .unique(maintain_order=True)
            .rows()
        )
        if not pairs:
            raise ScreenError(
                f"the registry of screen {screen} names no isogenic pair among its lines; name a"
                " line to compare with: --reference LINE"
            )
    table = potency_table(responses, read_table(screen / "batches.parquet", ScreenError), pairs)
    write_table(table, (screen if out is None else Path(out)) / "potencies")
    return table
