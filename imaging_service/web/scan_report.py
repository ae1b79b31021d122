"""`scan.html`: what a scan holds and how its images look, in one self-contained file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from imaging_service.web.templating import environment
from phenotypes.columns.statuses import ImageStatus

# Images that are not ok, as the page lists them; the table has all.
_LISTED = 200


@dataclass(frozen=True)
class ScanPage:
    """Content of the page: a survey as plain values, the two tables, PNG bytes by channel."""

    survey: Mapping[str, Any]
    images: pl.DataFrame
    channels: pl.DataFrame
    pictures: Mapping[str, bytes]


def render_scan(page: ScanPage) -> str:
    """The page as HTML. Same content, same bytes."""
    remarked = page.images.filter(pl.col("status") != ImageStatus.OK)
    return (
        environment()
        .get_template("scan.html")
        .render(
            survey=page.survey,
            channels=page.channels.to_dicts(),
            remarked=remarked.head(_LISTED).to_dicts(),
            unlisted=max(0, len(remarked) - _LISTED),
            counts={s: int((page.images["status"] == s).sum()) for s in ImageStatus},
            pictures=[
                (name, base64.b64encode(png).decode()) for name, png in page.pictures.items()
            ],
        )
    )
