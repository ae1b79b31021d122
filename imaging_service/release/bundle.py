"""Write a bundle: contents, forms, validators, search, manifest, ledger, in this order.

The bundle takes its place only when everything held: until then it is a scratch folder, and after
any refusal it is gone. The ledger's entry is written first, since a bundle that no ledger knows
would escape the rule on differences; an entry without a bundle only makes the rule stricter.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from imaging_service.errors import ReleaseRefused
from imaging_service.files import staged, write_bytes
from imaging_service.release.contents.dictionaries import bundle_columns, models_dictionary
from imaging_service.release.contents.manifest import write_manifest
from imaging_service.release.contents.plates import ReleasedPlate, write_plate
from imaging_service.release.contents.tables import ReleasedTables, withheld, write_tables
from imaging_service.release.forms.amp_als import amp_als, no_target_term
from imaging_service.release.forms.bia import bia_crate, file_list
from imaging_service.release.forms.crate import ro_crate
from imaging_service.release.forms.facts import BundleFacts
from imaging_service.release.forms.idr import idr_processed, idr_study
from imaging_service.release.forms.mihcsme import mihcsme
from imaging_service.release.forms.rembi import mifa, rembi
from imaging_service.release.forms.validators import Validation, validate, validation_json
from imaging_service.release.gate.ledger import Entry, RowCode, append
from imaging_service.release.gate.people import LADDER, K
from imaging_service.release.material import (
    Material,
    examine,
    refuse_old_secret,
    refuse_withdrawn_wells,
)
from imaging_service.release.scan.search import Hit, SecretSearch, search_bundle
from imaging_service.web.charts import page_script

_REMOVED = (
    "names of lines, donors, batches, plates, clones and runs: keyed hashes of this release",
    "operators, lots, banks, paths, file names, plate barcodes, notes of protocols",
    "public names of lines (hPSCreg, Cellosaurus): they lead to registries of persons",
    "HGVS, zygosity and repeat class as columns of their own, karyotype, STR profile, edit",
    "compound vendor lots and stocks; names behind blinded codes",
    "whether a mean over donors holds when one batch is left out",
)
_README = """# {title}

{description}

Licence: {licence}. Data use codes of each line (DUO) stand in `lines.tsv`, column consent.

| file | holds |
|---|---|
| `lines.tsv`, `donors.tsv`, `batches.tsv`, `compounds.tsv`, `plates.tsv` | who and what |
| `plate_map.tsv` | what is in each well |
| `wells.tsv` | one row per well, also those that were left out, with the reason |
| `tables/` | responses, doses, means over donors, windows, vehicles, hazards: TSV and Parquet |
| `plates/PLATE/` | wells, cells, fields, tracks (Parquet), images and labels (OME-Zarr 0.5) |
| `dictionaries/` | meaning and unit of each column of each file; engine, parameters and versions |
| `forms/` | the same facts for REMBI, MIFA, BioImage Archive, MIHCSME, IDR, AMP ALS |
| `deidentification.json` | what was removed or generalised, and how many donors share each class |
| `validation.json` | which validator accepted which file; the others were not checked |
| `report.html` | the results with pictures |
| `manifest-sha256.txt` | `sha256sum --check manifest-sha256.txt` |

Doses are in mol/L. Ids are of this release only. A plate's dates moved by a secret number of days.
An empty cell is a number that is not known; why stands in `status` and `reason` of its row. A
`conformsTo` names the version in which a file is written; whether it holds stands in
`validation.json`. The forms of the BioImage Archive and of IDR were not checked: they have no
validator.

## From wells to an EC50

Wells with status `done` count, no others. A well's response is 100 × its value over the mean of the
vehicle wells (`control` is `vehicle`) of the same line on the same plate; for columns that
`dictionaries/columns.tsv` compares as a difference, it is the value less that mean. Responses are
averaged over the wells of a plate at a dose, and over the plates of a batch. The curve is

    response = base + span / (1 + (EC50 / dose) ^ hill)

by least squares, vehicle at dose 0, each mean weighted by its number of wells, with a base for each
batch. `e0` is the mean of the bases, `emax` the curve at the highest dose (not its plateau). With
one base for all batches, in this folder:

```python
import numpy as np
import pandas as pd
from scipy.optimize import curve_fit

columns = pd.read_csv("dictionaries/columns.tsv", sep="\t")
percent = columns[(columns.table == "well") & (columns.compared_as == "percent")].column
responses = pd.read_csv("tables/responses.tsv", sep="\t")
row = responses[(responses.curve_status == "ok") & responses.phenotype.isin(percent)].iloc[0]

wells = pd.read_csv("wells.tsv", sep="\t")
wells = wells[(wells.status == "done") & (wells.line == row.line)].dropna(subset=row.phenotype)
vehicle = wells[wells.control == "vehicle"].assign(dose_molar=0.0)
treated = wells[(wells.control == "none") & (wells["compound"] == row["compound"])]
both = pd.concat([vehicle[vehicle.plate.isin(treated.plate)], treated])
mean = vehicle.groupby("plate")[row.phenotype].mean()
both["response"] = 100 * both[row.phenotype] / both.plate.map(mean)

plates = both.groupby(["plate", "batch", "dose_molar"], dropna=False).response
points = plates.agg(["mean", "size"]).groupby(["batch", "dose_molar"], dropna=False)
points = points.agg({{"mean": "mean", "size": "sum"}}).reset_index()


def hill(dose, base, span, log_ec50, log_hill):
    with np.errstate(divide="ignore", over="ignore"):
        return base + span / (1 + (10.0**log_ec50 / dose) ** np.exp(log_hill))


span = points["mean"][points.dose_molar.idxmax()] - 100
start = (100, span, np.log10(treated.dose_molar).mean(), 0.0)
weights = 1 / np.sqrt(points["size"])
fit, _ = curve_fit(hill, points.dose_molar, points["mean"], start, weights, maxfev=10_000)
print(row.line, row["compound"], row.phenotype)
print("EC50 here", 10 ** fit[2], "mol/L; in tables/responses.tsv", row.ec50_molar)
```

## Images

Well B04, field 1, at full resolution is `plates/PLATE/plate.zarr/B/4/0/0` (channel, y, x; with time
before them in a film); names of channels stand in `B/4/0/zarr.json`. Its labels are
`plates/PLATE/labels.zarr/B/4/0/labels/nuclei/0` and so on: the object with value n is the row of
`cells.parquet` with this well and field and `label` n. napari opens `plate.zarr` by drag and drop;
in Python:

```python
import zarr

image = zarr.open_array("plates/PLATE/plate.zarr/B/4/0/0", mode="r")[:]
```

In R: `read.delim("wells.tsv")`. With the service: `imaging-service screen add SCREEN BUNDLE`.
"""


@dataclass(frozen=True)
class WrittenRelease:
    """A bundle that was written."""

    bundle: Path
    files: int
    validations: tuple[Validation, ...]
    tables: ReleasedTables


def check_release(folder: Path) -> tuple[Material, ReleasedTables]:
    """All decisions of a release, without a bundle. Raises ReleaseRefused for the first refusal."""
    material = examine(folder)
    refuse_old_secret(material, folder.resolve().name)
    refuse_withdrawn_wells(material)
    with staged(folder / "checked") as scratch:
        plates = _plates(material, scratch, pixels=False)
        tables = write_tables(material, plates, scratch)
    shutil.rmtree(folder / "checked")
    _refuse_differences(material, tables)
    return material, tables


def write_release(folder: Path, out: Path, cache: Path | None = None) -> WrittenRelease:
    """Write the bundle of a release to `out`, and its entry into the ledger.

    Parameters
    ----------
    folder
        The release in preparation.
    out
        Folder of the bundle; it must not exist.
    cache
        HTTP cache for `rocrate-validator` on machines without a network.

    Raises
    ------
    ReleaseRefused
        Where consent, people, the ledger, a validator or the search of the files forbids it; then
        nothing is written.
    """
    if out.exists():
        raise ReleaseRefused(f"{out} exists; a bundle is never written over: give another --out")
    material = examine(folder)
    if any(entry.release == folder.resolve().name for entry in material.entries):
        raise ReleaseRefused(
            f"release {folder.resolve().name} is in the ledger already; begin a new one"
        )
    refuse_old_secret(material, folder.resolve().name)
    refuse_withdrawn_wells(material)
    with staged(out) as scratch:
        plates = _plates(material, scratch, pixels=material.form.pixels)
        tables = write_tables(material, plates, scratch)
        _refuse_differences(material, tables)
        validations = _write_forms(material, plates, tables, scratch, cache)
        hits = search_for_secrets(material, scratch)
        if hits:
            raise ReleaseRefused(
                f"{len(hits)} secret(s) are in files of the bundle, which was not written:\n  - "
                + "\n  - ".join(map(str, hits[:20]))
            )
        digest = write_manifest(scratch)
        append(
            material.form.ledger,
            _entry(folder, material, tables, digest),
            material.folders,
            seen=len(material.entries),
        )
        files = sum(1 for path in scratch.rglob("*") if path.is_file())
    return WrittenRelease(out, files, tuple(validations), tables)


def search_for_secrets(material: Material, bundle: Path) -> list[Hit]:
    """Every secret of a release in a folder's files."""
    script = page_script()
    shipped = (script.replace("</script", "<\\/script"), script)
    return search_bundle(bundle, SecretSearch(material.secrets), shipped)


def _plates(material: Material, bundle: Path, *, pixels: bool) -> list[ReleasedPlate]:
    form = material.form.model_copy(update={"pixels": pixels})
    return [write_plate(replace(material, form=form), run, bundle) for run in material.runs]


def _refuse_differences(material: Material, tables: ReleasedTables) -> None:
    if not material.form.cross_donor_rows:
        return
    small = [r for r in tables.refused if r.code is RowCode.DIFFERENCING]
    if small:
        shown = [f"{r.row.compound}, {r.row.phenotype}, {r.row.group}: {r.reason}" for r in small]
        raise ReleaseRefused(
            f"{len(small)} row(s) over donors differ too little from an earlier release. Wait until"
            f" {K} donors are new, or leave such rows out (cross_donor_rows = false):\n  - "
            + "\n  - ".join(shown[:20])
        )


def _write_forms(
    material: Material,
    plates: Sequence[ReleasedPlate],
    tables: ReleasedTables,
    bundle: Path,
    cache: Path | None,
) -> list[Validation]:
    records = {plate.plate: plate.record for plate in plates}
    facts = BundleFacts(
        form=material.form,
        lines=material.exported_lines,
        healthy=frozenset(material.ids.of("line", n) for n in material.healthy),
        wells=pl.concat([p.wells.with_columns(pl.lit(p.plate).alias("plate")) for p in plates]),
        images={plate.plate: plate.images for plate in plates},
        records=records,
        duo=material.duo,
    )

    def put(name: str, content: object) -> None:
        text = content if isinstance(content, str) else _json(content)
        write_bytes(bundle / name, text.encode())

    put("dictionaries/columns.tsv", bundle_columns())
    put("dictionaries/models.json", models_dictionary(records))
    put("forms/rembi.json", rembi(facts))
    annotations, book = mifa(facts), mihcsme(facts)
    if annotations is not None:
        put("forms/mifa.json", annotations)
    if book is not None:
        write_bytes(bundle / "forms" / "mihcsme.xlsx", book)
    put("forms/amp_als_dataset.json", amp_als(facts))
    put("forms/no_target_term.tsv", _table(no_target_term(facts)))
    put("forms/idr_study.tsv", idr_study(facts))
    put("forms/idr_processed.tsv", idr_processed(facts))
    put("deidentification.json", deidentification(material, tables))
    form = material.form
    put(
        "README.md",
        _README.format(title=form.title, description=form.description, licence=form.licence),
    )
    put("forms/bia/file_list.tsv", file_list(bundle))
    put("forms/bia/ro-crate-metadata.json", bia_crate(facts))
    # The crate lists the file of verdicts, and the verdict is on the crate: it is written twice.
    write_bytes(bundle / "validation.json", validation_json([]))
    put("ro-crate-metadata.json", ro_crate(facts, bundle))
    validations = validate(bundle, cache)
    refused = [v for v in validations if v.verdict == "refused"]
    if refused:
        raise ReleaseRefused(
            "validators refuse the bundle:\n  - "
            + "\n  - ".join(f"{v.file} ({v.standard}): {'; '.join(v.problems)}" for v in refused)
        )
    write_bytes(bundle / "validation.json", validation_json(validations))
    # Without the profile's validator the crate does not say that it conforms to the profile.
    checked = any(v.validator == "roc-validator" and v.verdict == "accepted" for v in validations)
    put("ro-crate-metadata.json", ro_crate(facts, bundle, claim=checked))
    return validations


def deidentification(material: Material, tables: ReleasedTables) -> dict[str, Any]:
    """The report on people: counts and rules, without a name."""
    people = material.people
    return {
        "tier": material.form.tier.value,
        "k_required": K,
        "k": people.k,
        "k_counts": "distinct donors that share one combination of facts, here and in all releases",
        "donors": len(material.donors),
        "lines": len(material.lines),
        # Why is the laboratory's to know: that somebody withdrew is a fact about a person.
        "lines_left_out": sum(not d.allowed for d in material.decisions),
        # Thresholds, illumination and references of a plate are taken from wells of all its lines.
        "plates": len(material.runs),
        "plates_calibrated_with_lines_left_out": material.shared_calibrations,
        "facts": {fact: LADDER[fact][level] for fact, level in people.levels.items()},
        "steps": [asdict(step) for step in people.steps],
        "removed": list(_REMOVED),
        "dates": "each plate's dates moved back by a secret number of days; intervals are kept",
        "ids": "HMAC-SHA256 under a secret of this release, cut to 10 hex digits",
        "rows_over_donors": {
            "released": len(tables.kept),
            "not_released": withheld(tables.refused),
            "left_out_by_choice": not material.form.cross_donor_rows,
        },
        "search": {
            "secrets": len([s for s in material.secrets if s.searchable]),
            "kinds": sorted({s.kind for s in material.secrets if s.searchable}),
            "too_short_to_search": len([s for s in material.secrets if not s.searchable]),
            "written_as": ["plain", "UTF-16", "hex", "base64"],
            "hits": 0,
        },
    }


def _entry(folder: Path, material: Material, tables: ReleasedTables, digest: str) -> Entry:
    return Entry(
        release=folder.resolve().name,
        made_on=material.form.release_date,
        tier=material.form.tier,
        k=material.people.k,
        lines=material.lines,
        donors=material.donors,
        left_out={d.line: d.code.value for d in material.decisions if not d.allowed},
        withdrawn=material.withdrawn,
        rows=tables.kept,
        withheld=tuple(
            f"{r.row.compound}, {r.row.phenotype}, {r.row.group}: {r.code.value}"
            for r in tables.refused
        ),
        manifest_sha256=digest,
        places={p: d for p, d in material.places.items() if d in material.donors},
        treated=material.treated,
        structures=material.structures,
        levels=material.people.levels,
        facts=material.people.facts,
        shift_days={
            str(run.record["plate_digest"]): material.shift_days(run) for run in material.runs
        },
        secret_sha256=material.secret_sha256,
    )


def _json(content: object) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False)


def _table(rows: Sequence[dict[str, str]]) -> str:
    names = list(rows[0]) if rows else []
    return "\n".join("\t".join(cells) for cells in [names, *([*r.values()] for r in rows)]) + "\n"
