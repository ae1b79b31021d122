"""Measured wells against the drawn truth: slope, bias, limits of agreement, attribution.

    python -m benchmarks.masks.against_truth --out bench-output [--engine motornet]

Wells of five densities, three fields of 768² at 0.5 µm each, in which length, ratio, puncta and
pyknosis vary. Writes `agreement.svg` (Bland–Altman, one panel per phenotype) and `attribution.svg`
(per-neuron length by density: where crossings break attribution).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl
import vl_convert

from phenotypes.cells.measure import measure, with_well
from phenotypes.cells.neurites import AttributionSettings, per_soma, trace
from phenotypes.plates.calls import mark_pyknotic
from phenotypes.plates.wells import well_table
from segmentation import load
from segmentation.phantoms.render import Culture, Optics, render

DENSITIES = (20, 50, 100, 200, 400)
WELLS, FIELDS = 6, 3
OPTICS = Optics(shape=(768, 768), pixel_size_um=0.5, psf_sigma_um=0.35)
COMPARED = {
    "live_count": "live neurons per well",
    "neurite_length_total": "neurite length per well (mm)",
    "nc_log2_aggregate": "log2 N:C, mean",
    "puncta_per_neuron": "puncta a neuron",
    "pyknotic_fraction": "pyknotic fraction",
}


def culture(density: int, n: int) -> Culture:
    """Cultures that differ in length, ratio, number of puncta and share of pyknotic nuclei."""
    rng = np.random.default_rng([density, n])
    return Culture(
        neurons_per_mm2=density * rng.uniform(0.7, 1.3),
        glia_per_mm2=30,
        pyknotic_per_mm2=density * rng.uniform(0.05, 0.4),
        neurite_length_um=rng.uniform(90, 260),
        nc_log2=rng.uniform(-0.5, 1.8),
        puncta_per_neuron=rng.uniform(0.3, 4),
        puncta_snr=12,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("bench-output"))
    parser.add_argument("--engine", default="motornet")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    engine = load(arguments.engine, device="cpu")
    engine = engine.calibrate(
        [render(culture(100, 90 + i), OPTICS, 900 + i).field for i in range(4)]
    )
    cells, fields, truths, single = [], [], [], []
    for density in DENSITIES:
        for n in range(WELLS):
            well = f"{density}-{n}"
            parts = []
            for number in range(1, FIELDS + 1):
                phantom = render(
                    culture(density, n), OPTICS, np.random.SeedSequence([density, n, number])
                )
                segmentation = engine.segment(phantom.field)
                measured = with_well(measure(phantom.field, segmentation), well, number)
                cells.append(measured.cells)
                fields.append(measured.field)
                parts.append(phantom.truth)
                single += per_neuron(density, phantom.truth, segmentation.labels)
            truths.append(of_well(well, density, parts))
    every, by_field = pl.concat(cells), pl.concat(fields)
    conditions = pl.DataFrame(
        [
            {
                "well": t["well"],
                "line": "L",
                "genotype": "",
                "compound": "",
                "dose_molar": 0.0,
                "control": "vehicle",
                "batch": "",
            }
            for t in truths
        ]
    )
    table = well_table(
        mark_pyknotic(every, conditions),
        by_field,
        conditions,
        dict.fromkeys(conditions["well"], ("done", "")),
    )
    both = table.join(pl.DataFrame(truths), on="well", suffix="_true", how="inner").with_columns(
        pl.col("neurite_length_total", "neurite_length_total_true") / 1000
    )
    report(both)
    attribution = report_single(pl.DataFrame(single))
    draw(arguments.out, both, attribution)


def of_well(well: str, density: int, parts: list) -> dict[str, object]:
    """What was drawn, by the definitions of the well table.

    Nuclei that the field's edge hides do not count.
    """
    live = pyknotic = intact = 0
    length, ratios, puncta = 0.0, [], 0
    for truth in parts:
        seen = np.bincount(truth.nuclei.ravel(), minlength=len(truth.neuron) + 1)[1:] > 0
        live += int((truth.neuron & seen).sum())
        pyknotic += int((truth.pyknotic & seen).sum())
        intact += int((~truth.pyknotic & seen).sum())
        length += float(sum(truth.neurite_length_um))
        ratios += truth.nc_log2[truth.neuron & seen].tolist()
        inside = ((truth.puncta_yx >= 0) & (truth.puncta_yx < truth.nuclei.shape)).all(axis=1)
        puncta += int(inside.sum())
    return {
        "well": well,
        "density": density,
        "live_count": live,
        "neurite_length_total": length,
        "nc_log2_aggregate": float(np.mean(ratios)),
        "puncta_per_neuron": puncta / max(live, 1),
        "pyknotic_fraction": pyknotic / (pyknotic + intact),
    }


def per_neuron(density: int, truth, labels) -> list[dict[str, float]]:
    """Length attributed to each neuron beside the drawn one, gate or no gate."""
    somas = labels["somas"]
    n = int(max(somas.max(), labels["nuclei"].max()))
    traced = trace(labels["neurites"] > 0, somas, OPTICS.pixel_size_um)
    length = per_soma(traced, somas, n, OPTICS.pixel_size_um)["neurite_length_um"]
    drawn = (
        np.bincount(truth.neurite_nucleus, truth.neurite_length_um, len(truth.neuron) + 1)
        if truth.neurite_nucleus
        else np.zeros(1)
    )
    rows = []
    for i in np.flatnonzero(truth.neuron) + 1:
        over = somas[truth.nuclei == i]
        over = over[over > 0]
        if len(over):
            rows.append(
                {
                    "density": density,
                    "conflict": traced.conflict_fraction,
                    "drawn": float(drawn[i]),
                    "measured": float(length[np.bincount(over).argmax() - 1]),
                }
            )
    return rows


def report(both: pl.DataFrame) -> None:
    print(
        f"{'a well':28} {'density':>8} {'wells':>6} {'slope':>7} {'bias':>8}"
        f" {'95 % limits of agreement':>26} {'mean drawn':>11}"
    )
    for name, title in COMPARED.items():
        for density in (*DENSITIES, None):
            part = both if density is None else both.filter(pl.col("density") == density)
            part = part.drop_nulls([name])
            if len(part) < 3:
                print(f"{title:28} {density or 'all':>8} {len(part):6}   withheld: too few cells")
                continue
            true, measured = (
                part[f"{name}_true"].to_numpy().astype(float),
                part[name].to_numpy().astype(float),
            )
            difference = measured - true
            slope = float(np.polyfit(true, measured, 1)[0])
            half_width = 1.96 * difference.std(ddof=1)
            print(
                f"{title:28} {density or 'all':>8} {len(part):6} {slope:7.3f}"
                f" {difference.mean():8.3f} {difference.mean() - half_width:12.3f} …"
                f" {difference.mean() + half_width:<11.3f} {true.mean():11.3f}"
            )


def report_single(single: pl.DataFrame) -> pl.DataFrame:
    rows = []
    for part in single.partition_by("density", maintain_order=True):
        drawn, measured = part["drawn"].to_numpy(), part["measured"].to_numpy()
        rows.append(
            {
                "density": part["density"][0],
                "conflict": part["conflict"].mean(),
                "refused": (part["conflict"] > AttributionSettings().max_conflict).mean(),
                "correlation": float(np.corrcoef(drawn, measured)[0, 1]),
                "error": float(np.median(np.abs(measured - drawn) / np.maximum(drawn, 20))),
                "passed_correlation": (
                    float(
                        np.corrcoef(
                            *part.filter(pl.col("conflict") <= AttributionSettings().max_conflict)
                            .select("drawn", "measured")
                            .to_numpy()
                            .T
                        )[0, 1]
                    )
                    if (part["conflict"] <= AttributionSettings().max_conflict).sum() > 10
                    else None
                ),
            }
        )
    table = pl.DataFrame(rows)
    print("\nlength of single neurons by density (neurons per mm²)")
    for r in table.iter_rows(named=True):
        passed = "–" if r["passed_correlation"] is None else f"{r['passed_correlation']:.3f}"
        print(
            f"  {r['density']:4}  conflict {r['conflict']:.2f}, refused for {r['refused']:.0%} of"
            f" neurons; correlation with the drawn length {r['correlation']:.3f} (where not refused"
            f" {passed}), median error {r['error']:.0%}"
        )
    return table


def draw(out: Path, both: pl.DataFrame, attribution: pl.DataFrame) -> None:
    panels = []
    for name, title in COMPARED.items():
        part = both.drop_nulls([name])
        values = [
            {"mean": (t + m) / 2, "difference": m - t, "density": str(d)}
            for t, m, d in part.select(f"{name}_true", name, "density").iter_rows()
        ]
        difference = np.array([v["difference"] for v in values])
        lines = [
            {"at": float(difference.mean() + k * 1.96 * difference.std(ddof=1))} for k in (-1, 0, 1)
        ]
        panels.append(
            {
                "title": title,
                "width": 220,
                "height": 170,
                "layer": [
                    {
                        "data": {"values": lines},
                        "mark": {"type": "rule", "strokeDash": [4, 3], "color": "#888"},
                        "encoding": {"y": {"field": "at", "type": "quantitative"}},
                    },
                    {
                        "data": {"values": values},
                        "mark": {"type": "point", "filled": True, "size": 45, "opacity": 0.85},
                        "encoding": {
                            "x": {
                                "field": "mean",
                                "type": "quantitative",
                                "title": "(measured + drawn) / 2",
                                "scale": {"zero": False},
                            },
                            "y": {
                                "field": "difference",
                                "type": "quantitative",
                                "title": "measured − drawn",
                            },
                            "color": {
                                "field": "density",
                                "type": "ordinal",
                                "sort": [str(d) for d in DENSITIES],
                                "title": "neurons per mm²",
                                "scale": {"scheme": "viridis"},
                            },
                        },
                    },
                ],
            }
        )
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "concat": panels,
        "columns": 3,
        "background": "white",
    }
    (out / "agreement.svg").write_text(vl_convert.vegalite_to_svg(json.dumps(spec)))
    long = [
        {"density": r["density"], "what": w, "value": r[k]}
        for r in attribution.iter_rows(named=True)
        for k, w in (
            ("conflict", "conflict fraction"),
            ("refused", "neurons refused"),
            ("correlation", "correlation with the drawn length"),
        )
    ]
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"values": long},
        "width": 380,
        "height": 230,
        "background": "white",
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {
                "field": "density",
                "type": "quantitative",
                "title": "neurons per mm²",
                "scale": {"type": "log"},
            },
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": None,
                "scale": {"domain": [0, 1]},
            },
            "color": {"field": "what", "type": "nominal", "title": None},
        },
    }
    (out / "attribution.svg").write_text(vl_convert.vegalite_to_svg(json.dumps(spec)))
    for name in ("agreement", "attribution"):
        (out / f"{name}.png").write_bytes(
            vl_convert.svg_to_png((out / f"{name}.svg").read_text(), scale=1.5)
        )


if __name__ == "__main__":
    main()
