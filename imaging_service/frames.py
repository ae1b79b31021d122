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
    query: list[tuple[str, str | int | float | bool | None]] = [
        ("format", "arrow"),
        ("labels", labels),
        *(("where", condition) for condition in where),
    ]
    if columns:
        query.append(("columns", ",".join(columns)))

    def ask() -> pl.DataFrame:
        answer = client.ask("GET", f"/runs/{run}/tables/{table}", params=query)
        return pl.read_ipc_stream(io.BytesIO(answer.content))

    for pause in _PAUSES_S:
        try:
            return ask()
        except ServiceRefused as error:
            if error.status not in _PASSING:
                raise
        time.sleep(pause)
    return ask()
