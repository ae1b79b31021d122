"""Do the queue's scores tell worse fields from better ones?

    python -m benchmarks.review_queue ../shared/data/nuclei_dsb2018

On annotated nuclei that the engine was not trained on. For each image: the engine's F1 against the
annotation, its F1 against the classical engine (the second opinion), and the 10th percentile of its
own probability. Spearman's correlation with the first, and the area under the curve for the worst
fifth of images.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from segmentation import Field, load
from segmentation.engines.motornet.nuclei import nuclei_pixel_size, read_nuclei
from segmentation.scoring.accuracy import object_counts
from segmentation.scoring.second_opinion import nuclei_agreement


def main() -> None:
    engine = load("motornet", device="cpu")
    rows = []
    for part in ("test", "validation"):
        for _, image, truth in read_nuclei(Path(sys.argv[1]), part):
            grey = image.mean(-1) if image.ndim == 3 else image
            field = Field(grey[None], ("dna",), nuclei_pixel_size(truth))
            segmentation = engine.segment(field)
            nuclei, sure = segmentation.labels["nuclei"], segmentation.confidence["nuclei"]
            counts = object_counts(truth, nuclei, (0.5, 0.75))
            agreed = nuclei_agreement(field, nuclei)
            least = float(np.nanpercentile(sure, 10)) if len(sure) else np.nan
            rows.append(
                (counts[0.5].f1, counts[0.75].f1, np.nan if agreed is None else agreed, least)
            )
    table = np.array(rows)
    table = table[np.isfinite(table).all(axis=1)]
    worst = table[:, 0] < np.percentile(table[:, 0], 20)
    print(
        f"{len(table)} images; true F1@0.5 of the worst fifth under"
        f" {np.percentile(table[:, 0], 20):.2f}, median {np.median(table[:, 0]):.2f}"
    )
    for name, values in (("second engine", table[:, 2]), ("own probability", table[:, 3])):
        r = [spearmanr(table[:, k], values).statistic for k in (0, 1)]
        print(
            f"{name:16} correlation with F1@0.5 {r[0]:.2f}, @0.75 {r[1]:.2f}; worst fifth: area"
            f" {roc_auc_score(worst, -values):.2f}"
        )


if __name__ == "__main__":
    main()
