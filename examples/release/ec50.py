"""Compute an EC50 from the wells of a release bundle, with pandas, scipy and zarr alone.

    python ec50.py BUNDLE

Takes the first line × compound × phenotype with a curve in tables/responses.tsv, fits its wells
anew, and opens one image with its labels. Nothing of this service is imported.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from scipy.optimize import curve_fit


def hill(log_dose, top, log_ec50, slope):
    """Percent of vehicle; 100 without compound."""
    return 100 + (top - 100) / (1 + 10 ** (slope * (log_ec50 - log_dose)))


bundle = Path(sys.argv[1])
responses = pd.read_csv(bundle / "tables" / "responses.tsv", sep="\t")
columns = pd.read_csv(bundle / "dictionaries" / "columns.tsv", sep="\t")
percent = set(columns.query("table == 'well' and compared_as == 'percent'")["column"])
row = responses[(responses.curve_status == "ok") & responses.phenotype.isin(percent)].iloc[0]

wells = pd.read_csv(bundle / "wells.tsv", sep="\t")
wells = wells[(wells.status == "done") & (wells.line == row.line)]
vehicle = wells[wells.control == "vehicle"].groupby("plate")[row.phenotype].mean()
treated = wells[(wells.control == "none") & (wells["compound"] == row["compound"])]
means = treated.groupby(["plate", "dose_molar"])[row.phenotype].mean().reset_index()
means["percent"] = 100 * means[row.phenotype] / means["plate"].map(vehicle)
(top, log_ec50, slope), _ = curve_fit(
    hill, np.log10(means.dose_molar), means.percent, p0=(means.percent.iloc[-1], -6, 1)
)

stores = sorted(bundle.glob("plates/*/plate.zarr"))
image, labels = [], []
if stores:
    well = zarr.open_group(stores[0], mode="r").attrs["ome"]["plate"]["wells"][0]["path"]
    image = list(zarr.open_array(stores[0] / well / "0" / "0", mode="r").shape)
    masks = zarr.open_group(stores[0].parent / "labels.zarr" / well / "0" / "labels", mode="r")
    labels = masks.attrs["ome"]["labels"]
print(
    json.dumps(
        {
            "line": row.line,
            "compound": row["compound"],
            "phenotype": row.phenotype,
            "ec50_molar": 10**log_ec50,
            "image_shape": image,
            "labels": labels,
        }
    )
)
