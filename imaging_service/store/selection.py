"""Choose rows of a stored table: conditions, order, columns and a page, without reading the rest.

A condition is `column`, a comparison and a value without spaces around it: `line==SOD1-07`,
`soma_area_um2>=80`, `ec50_molar!=null`. All conditions must hold; a value that is absent passes
none but `==null`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaging_service.errors import SelectionRefused, StoreError, damaged

if TYPE_CHECKING:
    import polars as pl

MOST_CONDITIONS, MOST_ORDERS, LONGEST = 10, 3, 200
_CONDITION = re.compile(r"([A-Za-z][A-Za-z0-9_]*)(==|!=|<=|>=|<|>)(.*)", re.DOTALL)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Selection:
    """What is wanted of a table.

    `where` are conditions, `sort` columns (`-column`: largest first), `columns` those that are
    given (empty: all). Rows that are equal, and rows without a value, which come last, keep the
    table's order.
    """

    where: Sequence[str] = ()
    sort: Sequence[str] = ()
    columns: Sequence[str] = ()

    def rows(self, path: Path, first: int = 0, count: int | None = None) -> pl.DataFrame:
        """Rows `first` to `first + count` of what is selected of a Parquet file.

        Raises SelectionRefused for what the table cannot be asked, StoreError for a damaged file.

        Examples
        --------
        >>> import polars as pl
        >>> from imaging_service.store.selection import Selection
        >>> table = pl.DataFrame({"well": ["B02", "B03"], "n_nuclei": [10, 12]})
        >>> table.write_parquet("wells.parquet")
        >>> Selection(where=["n_nuclei>10"]).rows(Path("wells.parquet"))["well"].to_list()
        ['B03']
        """
        import polars as pl

        if len(self.where) > MOST_CONDITIONS or len(self.sort) > MOST_ORDERS:
            raise SelectionRefused(
                f"there are at most {MOST_CONDITIONS} conditions and {MOST_ORDERS} columns to sort"
                " by; read the whole table as Parquet for more"
            )
        with damaged(StoreError, str(path)):
            table = pl.scan_parquet(path)
            types = dict(table.collect_schema())
        names = [name.removeprefix("-") for name in self.sort]
        for name in (*names, *self.columns):
            _known(name, types)
        conditions = [_condition(text, types) for text in self.where]
        if conditions:
            table = table.filter(*conditions)
        if names:
            descending = [name.startswith("-") for name in self.sort]
            table = table.sort(names, descending=descending, nulls_last=True, maintain_order=True)
        if self.columns:
            table = table.select(self.columns)
        with damaged(StoreError, str(path)):
            return table.slice(first, count).collect()


def _known(name: str, types: dict[str, Any]) -> None:
    if name not in types:
        raise SelectionRefused(
            f"the table has no column {name[:LONGEST]!r}; its columns are {', '.join(types)}"
        )


def _condition(text: str, types: dict[str, Any]) -> pl.Expr:
    import polars as pl

    parts = _CONDITION.fullmatch(text)
    if parts is None or len(text) > LONGEST:
        raise SelectionRefused(
            f"{text[:LONGEST]!r} is not a condition of at most {LONGEST} characters such as"
            " line==SOD1-07, soma_area_um2>=80 or ec50_molar!=null"
        )
    name, sign, value = parts.groups()
    _known(name, types)
    # NaN counts as an absent value in every comparison; polars takes NaN for the largest.
    column = pl.col(name).fill_nan(None) if types[name].is_float() else pl.col(name)
    if value == "null":
        if sign not in ("==", "!="):
            raise SelectionRefused(f"{text!r}: null is equal (==) or not (!=), not more or less")
        return column.is_null() if sign == "==" else column.is_not_null()
    expression: pl.Expr = _COMPARE[sign](column, _typed(text, value, types[name]))
    return expression


def _typed(text: str, value: str, kind: Any) -> str | bool | float:
    """The value as the column has it; numbers compare as numbers, and never as text."""
    import polars as pl

    if kind == pl.Boolean:
        if value not in ("true", "false"):
            raise SelectionRefused(f"{text!r}: the column is true or false")
        return value == "true"
    if kind.is_numeric():
        try:
            return float(value)
        except ValueError:
            raise SelectionRefused(
                f"{text!r}: the column is of numbers, {value!r} is not a number"
            ) from None
    if kind != pl.String:
        raise SelectionRefused(f"{text!r}: a column of lists is not compared")
    return value
