"""Response tables in a terminal: a block per phenotype, each number beside its interval."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from typing import Any

    import polars as pl
    from rich.console import Console
    from rich.table import Table


def print_responses(table: pl.DataFrame) -> None:
    """Print the response table, one block per phenotype: a narrow terminal keeps its names."""
    from imaging_service.web.templating import number

    if table.is_empty():
        typer.echo("No responses: the plate map has no compound with doses.")
        return
    _print_blocks(
        ("line", "compound", "status", "EC50 (95 %)", "effect (95 %)"),
        {
            f"{name}, {rows['unit'][0]}": [
                (
                    r["line"],
                    r["compound"],
                    r["status"],
                    _ec50(r),
                    number(r["effect"]) + _between(r["effect_low"], r["effect_high"]),
                )
                for r in rows.iter_rows(named=True)
            ]
            for (name,), rows in table.group_by("phenotype", maintain_order=True)
        },
    )


def print_survival(hazards: pl.DataFrame) -> None:
    """Print what became of each compound's neurons in a film; nothing of a fixed assay."""
    from imaging_service.web.pages.films import survival_sentences

    for sentence in survival_sentences(hazards.to_dicts()):
        typer.echo(sentence)


def print_truth(table: pl.DataFrame) -> None:
    """Print responses beside the truth of the phantom plate."""
    from plate_maps.conditions import format_dose

    _print_blocks(
        ("line", "compound", "status", "EC50 (95 %)", "true EC50", "agrees"),
        {
            f"{name}, beside the truth": [
                (
                    r["line"],
                    r["compound"],
                    r["status"],
                    _ec50(r),
                    "flat" if r["true_ec50_molar"] is None else format_dose(r["true_ec50_molar"]),
                    "yes" if r["agrees"] else "NO",
                )
                for r in rows.iter_rows(named=True)
            ]
            for (name,), rows in table.group_by("phenotype", maintain_order=True)
        },
    )


def _print_blocks(names: tuple[str, ...], blocks: dict[str, list[tuple[str, ...]]]) -> None:
    """Tables under each other, with one width per column over all."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rows = [names, *(row for block in blocks.values() for row in block)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(names))]
    console = _console()
    for title, block in blocks.items():
        view = Table(box=box.SIMPLE_HEAD, title=Text(title, style="bold"), title_justify="left")
        for name, width in zip(names, widths, strict=True):
            # Numbers stand whole or on a line of their own; a long name may be broken.
            fits = sum(widths) + 3 * len(widths) <= console.width
            view.add_column(name, overflow="fold", min_width=width if fits else None)
        for row in block:
            add_row(view, *row)
        console.print(view)


def _ec50(row: dict[str, Any]) -> str:
    """The EC50 and its interval, with "–" for an open end."""
    from plate_maps.conditions import format_dose

    low, high = (row[f"ec50_{end}"] for end in ("low", "high"))
    interval = (
        "" if low is None and high is None else f" ({format_dose(low)} … {format_dose(high)})"
    )
    return format_dose(row["ec50_molar"]) + interval


def _between(low: float | None, high: float | None) -> str:
    from imaging_service.web.templating import number

    return "" if low is None and high is None else f" ({number(low)} … {number(high)})"


def add_row(table: Table, *cells: str) -> None:
    """Add cells as they are: a line called "iPS[3]" is not markup."""
    from rich.text import Text

    table.add_row(*(Text(cell) for cell in cells))


def _console() -> Console:
    from rich.console import Console

    # A table cut to 80 columns in a log file would lose its numbers.
    return Console(width=None if sys.stdout.isatty() else 150)
