"""Tables of a service's run as data frames, typed as the service has them."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from typing import Literal

import polars as pl

from imaging_service.client import Client, ServiceRefused

# Reading changes nothing, so it may be tried again where no answer came, or the service was busy.
_PAUSES_S = (0.5, 2.0, 8.0)
_PASSING = (None, 502, 503, 504)

Table = Literal["wells", "responses", "cells", "fields", "quality", "checks", "tracks", "hazards"]
ScreenTable = Literal["responses", "doses", "compounds", "windows", "vehicles", "hazards"]
Query = list[tuple[str, str | int | float | bool | None]]


def read_table(
    client: Client,
    run: str,
    table: Table,
    *,
    where: Sequence[str] = (),
    columns: Sequence[str] = (),
    labels: Literal["newest", "engine"] = "newest",
) -> pl.DataFrame:
    """A table of a finished run.

    Parameters
    ----------
    run
        The run's id or the beginning of one.
    where
        Conditions such as `"line==SOD1-07"` or `"area_um2>=40"`; all must hold.
    columns
        Names of columns; all if not given.
    labels
        "newest" as reviewers left them, "engine" before any review.

    Returns
    -------
    One row per well, response, cell …; columns as in `docs/columns.md`. The service selects, so
    only what is asked for travels.

    Raises
    ------
    ServiceRefused
        With the service's own explanation; an answer that does not come is asked for three times
        more.

    Examples
    --------
    With a client of a service::

        cells = read_table(client, "3f0c9d2a41b7", "cells", where=["well==B03"])
    """
    query: Query = [
        ("format", "arrow"),
        ("labels", labels),
        *(("where", condition) for condition in where),
    ]
    if columns:
        query.append(("columns", ",".join(columns)))
    return _read(client, f"/runs/{run}/tables/{table}", query)


def read_screen_table(
    client: Client,
    screen: str,
    table: ScreenTable,
    *,
    where: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> pl.DataFrame:
    """A table of a screen that the service fitted, as `read_table` reads one of a run.

    One row per line × compound × phenotype in `responses`; `screen` is the screen's id, and the
    client's project that of the screen.

    Examples
    --------
    With a client of a service::

        hits = read_screen_table(client, "5b0e9d2a41b7c3d0", "responses", where=["hit==true"])
    """
    query: Query = [("format", "arrow"), *(("where", condition) for condition in where)]
    if columns:
        query.append(("columns", ",".join(columns)))
    return _read(client, f"{client.screens_path(screen)}/tables/{table}", query)


def _read(client: Client, path: str, query: Query) -> pl.DataFrame:
    def ask() -> pl.DataFrame:
        return pl.read_ipc_stream(io.BytesIO(client.ask("GET", path, params=query).content))

    for pause in _PAUSES_S:
        try:
            return ask()
        except ServiceRefused as error:
            if error.status not in _PASSING:
                raise
        time.sleep(pause)
    return ask()
