"""What a scan holds and how its images look: `scan.html`, one self-contained file, and in short."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from imaging_service.store.arrival import Arrival
from imaging_service.web.templating import environment
from phenotypes.columns.status_words import status_words
from phenotypes.columns.statuses import ImageStatus

# Images that are not ok, as the page lists them; the table has all.
_LISTED = 200
# Wells that a sentence names.
_NAMED = 12


@dataclass(frozen=True)
class ScanPage:
    """Content of the page: a survey as plain values, the two tables, PNG bytes by channel."""

    survey: Mapping[str, Any]
    images: pl.DataFrame
    channels: pl.DataFrame
    pictures: Mapping[str, bytes]


@dataclass(frozen=True)
class ScanFindings:
    """A scan in short, for the pages of its run.

    `reason` says why there is nothing to show, and is empty otherwise. `channels` are rows of the
    table of channels, `names` the channels in the order of their pictures.
    """

    headline: str = ""
    sentences: tuple[str, ...] = ()
    channels: tuple[Mapping[str, Any], ...] = ()
    names: tuple[str, ...] = ()
    reason: str = ""


def scan_findings(arrival: Arrival | str, channels: Sequence[str]) -> ScanFindings:
    """Say how the images of a run looked before anything was segmented.

    Parameters
    ----------
    arrival
        The tables, or why there are none.
    channels
        Those of the run, in the order of the scan.
    """
    if isinstance(arrival, str):
        return ScanFindings(
            reason=f"The scan could not be looked at: {arrival}"
            if arrival
            else "This run was made before runs looked at their scans, or was stopped before."
        )
    images = arrival.images
    bad = images.filter(pl.col("status") != ImageStatus.OK)
    return ScanFindings(
        f"{len(images) - len(bad)} of {len(images)} images, one field per well, are as they should"
        " be.",
        tuple(
            _sentence(part, len(images.filter(pl.col("channel") == part["channel"][0])))
            for part in bad.partition_by("channel", "status", maintain_order=True)
        ),
        tuple(arrival.channels.to_dicts()),
        tuple(channels),
    )


def _sentence(part: pl.DataFrame, count: int) -> str:
    """Images of one channel and status.

    >>> _sentence(pl.DataFrame({"channel": ["DAPI"], "status": ["out_of_focus"], "well": ["B03"],
    ...                         "reason": ["focus slope -4"]}), 24)
    'channel DAPI: 1 of 24 images out of focus (B03), for example: focus slope -4'
    """
    wells = list(dict.fromkeys(part["well"]))
    status = part["status"][0]
    looks = "without cells" if status == ImageStatus.NO_CELLS else status_words(status)
    more = f" and {len(wells) - _NAMED} more" if len(wells) > _NAMED else ""
    return (
        f"channel {part['channel'][0]}: {len(part)} of {count} images"
        f" {looks} ({', '.join(wells[:_NAMED])}{more}), for example: {part['reason'][0]}"
    )


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
