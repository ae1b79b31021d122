from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from imaging_service.errors import ScreenError
from imaging_service.screens.compounds import (
    compounds_of,
    named_tracks,
    read_compound_file,
    renamed,
    set_compounds,
    unblind,
)
from imaging_service.screens.folder import (
    TABLES,
    add_run,
    fit,
    planned_compounds,
    read_screen_table,
)
from imaging_service.screens.remarks import ScreenFile
from plate_maps.compounds import Compounds, name_remarks, read_compounds
from tests.imaging_service.written_runs import write_run
from tests.messages import says, states
from tests.phenotypes.drawn_screens import ladder_wells

SPELLED = ("Riluzole", "riluzole\u200b", "Riluzole HCl")
REGISTRY = (
    "id\tname\tsynonyms\tblinded_code\nC1\triluzole\tRiluzole HCl\t\nC2\tedaravone\t\tBX-17\n"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three batches of one line, on each of which the compound is spelled otherwise."""
    root = tmp_path_factory.mktemp("runs")
    wells = ladder_wells(np.random.default_rng(0), ["S1"], span={"nc_log2_aggregate": 0.6}, gap=0.6)
    return [
        write_run(
            root / f"r{b}",
            wells.filter(pl.col("batch") == f"b{b}").with_columns(
                pl.col("compound").replace("x", SPELLED[b])
            ),
            b + 1,
        )
        for b in range(3)
    ]


def screen_of(runs, folder, registry=None):
    for run in runs:
        add_run(folder, run)
    if registry is not None:
        path = folder.parent / "compounds.tsv"
        path.write_text(registry, encoding="utf-8")
        set_compounds(folder, path)
    return folder


def test_three_spellings_are_named_at_once_and_in_the_findings(runs, tmp_path):
    folder = screen_of(runs, tmp_path / "s")
    (remark,) = name_remarks(list(planned_compounds(folder)), compounds_of(folder))
    assert all(repr(name) in remark for name in SPELLED)
    fitted = fit(folder)
    assert remark in fitted.findings
    assert set(fitted.tables.responses["status"]) == {"one_batch"}


def test_a_registry_makes_them_one_compound_with_all_its_batches(runs, tmp_path):
    folder = screen_of(runs, tmp_path / "s", REGISTRY)
    fitted = fit(folder)
    assert set(fitted.tables.responses["compound"]) == {"riluzole"}
    assert set(fitted.tables.responses["n_batches"]) == {3}
    assert not [f for f in fitted.findings if "compound" in f and "pooled" not in f]
    # The same wells under one name from the start.
    plain = [
        pl.read_parquet(run / "wells.parquet").with_columns(
            pl.when(pl.col("control") == "none")
            .then(pl.lit("riluzole"))
            .otherwise("compound")
            .alias("compound")
        )
        for run in runs
    ]
    others = [
        write_run(tmp_path / f"o{i}", w.with_columns(plate=pl.lit("p")), i + 1)
        for i, w in enumerate(plain)
    ]
    one = fit(screen_of(others, tmp_path / "one")).tables.responses
    columns = ["compound", "phenotype", "effect", "effect_low", "effect_high", "p_value", "hit"]
    assert fitted.tables.responses.select(columns).equals(one.select(columns))


def test_tables_of_another_compound_registry_are_stale(runs, tmp_path):
    folder = screen_of(runs, tmp_path / "s", REGISTRY)
    fit(folder)
    assert set(read_screen_table(folder, "doses")["compound"]) == {"riluzole"}
    (folder / "compound_registry.tsv").write_text(REGISTRY.replace("riluzole", "Rilutek"))
    with pytest.raises(ScreenError, match=says("screen.settings_changed")):
        read_screen_table(folder, "doses")


def test_the_dose_of_a_synonym_is_that_of_its_compound(runs, tmp_path):
    folder = screen_of(runs, tmp_path / "s", REGISTRY)
    with (folder / "screen.toml").open("a", encoding="utf-8") as stream:
        stream.write('effect_dose_molar = {"RILUZOLE HCL" = 1e-7}\n')
    fitted = fit(folder)
    assert fitted.tables.responses["effect_dose_molar"].to_list() == pytest.approx([1e-7, 1e-7])
    assert not any(states("screen.on_no_plate", f) for f in fitted.findings)


def test_one_compound_under_two_names_on_one_plate_at_one_dose_is_refused(runs, tmp_path):
    run = tmp_path / "two"
    wells = pl.read_parquet(runs[0] / "wells.parquet").with_columns(plate=pl.lit("p"))
    last = pl.col("compound").replace("Riluzole", "Riluzole HCl")
    write_run(run, pl.concat([wells[:-1], wells[-1:].with_columns(last)]), 9)
    folder = screen_of([run], tmp_path / "s", REGISTRY)
    with pytest.raises(ScreenError, match=says("screen.compound_twice_on_a_plate")):
        fit(folder)


def test_a_blinded_code_is_fitted_as_it_stands_and_unblinded_after(runs, tmp_path):
    coded = [
        write_run(
            tmp_path / f"c{i}",
            pl.read_parquet(run / "wells.parquet").with_columns(
                pl.col("compound").replace(SPELLED[i], "bx-17" if i == 0 else "BX-17"),
                plate=pl.lit("p"),
            ),
            i + 1,
        )
        for i, run in enumerate(runs)
    ]
    folder = screen_of(coded, tmp_path / "s", REGISTRY)
    fitted = fit(folder)
    assert set(fitted.tables.responses["compound"]) == {"BX-17"}
    assert set(fitted.tables.responses["n_batches"]) == {3}
    assert "edaravone" not in (folder / "report.html").read_text(encoding="utf-8")
    assert not [f for f in fitted.findings if "edaravone" in f]
    tables = {name: read_screen_table(folder, name) for name in TABLES}
    assert (
        unblind(tables, read_compound_file(folder / "compound_registry.tsv"), tmp_path / "open")
        == []
    )
    opened = pl.read_parquet(tmp_path / "open" / "responses.parquet")
    assert opened.columns[:6] == [
        "line",
        "genotype",
        "donor",
        "compound",
        "compound_id",
        "compound_name",
    ]
    assert set(opened.select("compound", "compound_id", "compound_name").rows()) == {
        ("BX-17", "C2", "edaravone")
    }
    assert opened.drop("compound_id", "compound_name").equals(tables["responses"])
    assert (tmp_path / "open" / "responses.csv").is_file()
    assert read_screen_table(folder, "responses").equals(tables["responses"])


def test_unblinding_names_what_it_cannot_and_what_was_fitted_apart(tmp_path):
    tables = {"t": pl.DataFrame({"compound": ["BX-17", "edaravone", "x", None]})}
    notes = unblind(tables, read_compounds(REGISTRY), tmp_path)
    unknown, apart = notes
    assert states("compounds.not_registered", unknown, compound="x")
    assert states("compounds.are_one", apart, names="BX-17 and edaravone", compound="edaravone")
    opened = pl.read_parquet(tmp_path / "t.parquet")
    assert opened["compound_name"].to_list() == ["edaravone", "edaravone", None, None]


def test_without_a_registry_nothing_is_renamed():
    table = pl.DataFrame({"compound": ["Riluzole", "riluzole", None]})
    file = ScreenFile(name="s")
    assert renamed(table, table, file, Compounds({})) == (table, table, file)
    assert named_tracks(table, Compounds({})) is table
    assert named_tracks(table, read_compounds(REGISTRY))["compound"].to_list() == [
        "riluzole",
        "riluzole",
        None,
    ]


def test_a_registry_that_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(ScreenError, match=says("screen.file_missing")):
        set_compounds(tmp_path, tmp_path / "none.tsv")
    (tmp_path / "bad.tsv").write_text(REGISTRY + "C3\tRiluzole hcl\t\t\n", encoding="utf-8")
    with pytest.raises(ScreenError, match=says("compounds.name_of_two")):
        set_compounds(tmp_path, tmp_path / "bad.tsv")
    (tmp_path / "bad.tsv").write_bytes(b"id\tname\n\xff\t\xff\n")
    with pytest.raises(ScreenError, match=says("screen.not_utf8")):
        set_compounds(tmp_path, tmp_path / "bad.tsv")
    assert not (tmp_path / "compound_registry.tsv").exists()
