"""Facts of the released bundle, with changes."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from imaging_service.release.forms.facts import BundleFacts
from imaging_service.release.material import examine


def facts_of(released, **changes):
    """`changes` are fields of the facts, or of the form."""
    material = examine(released.folder)
    wells = pl.read_csv(released.bundle / "wells.tsv", separator="\t", infer_schema_length=None)
    form = {k: v for k, v in changes.items() if k in type(material.form).model_fields}
    record = {
        "engine": {"engine": "motornet"},
        "software_version": "0.2.0",
        "pixel_size_um": 0.325,
        "plate_format": {"rows": 16, "columns": 24},
        "inputs": {"protocol": {"response": {"phenotypes": ["live_density"]}}},
    }
    facts = BundleFacts(
        form=material.form.model_copy(update=form),
        lines=[material.exported_line(n) for n in material.lines],
        healthy=frozenset(material.ids.of("line", n) for n in material.healthy),
        wells=wells,
        images={"P": {"labels": ["nuclei"], "shape": [2, 24, 16], "channels": ["a"], "fields": 1}},
        records={"P": record},
        duo=material.duo,
    )
    return replace(facts, **{k: v for k, v in changes.items() if k not in form})
