from __future__ import annotations

import polars as pl

from imaging_service.cli.response_tables import print_responses, print_survival
from imaging_service.web.pages.films import survival_sentences


def test_in_80_columns_phenotypes_keep_their_names_and_a_number_stands_beside_its_interval(
    monkeypatch, capsys
):
    row = {
        "line": "SOD1-07-iso",
        "compound": "riluzole",
        "status": "ok",
        "ec50_molar": 1e-6,
        "ec50_low": 5e-7,
        "ec50_high": None,
        "effect": -80.3,
        "effect_low": -101.0,
        "effect_high": -59.2,
        "unit": "% of vehicle",
    }
    withheld = {"ec50_molar": None, "ec50_low": None, "effect_low": None, "effect_high": None}
    rows = [
        row | {"phenotype": "neurite_length_density"},
        row | withheld | {"phenotype": "neurite_length_per_neuron", "status": "flat"},
    ]
    monkeypatch.setenv("TERM", "dumb")  # 80 columns without colours
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    print_responses(pl.DataFrame(rows, infer_schema_length=None))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["neurite_length_density,", "%", "of", "vehicle"] in lines
    assert ["neurite_length_per_neuron,", "%", "of", "vehicle"] in lines
    numbers = ["1", "µM", "(500", "nM", "…", "–)", "-80.3", "(-101", "…", "-59.2)"]
    assert ["SOD1-07-iso", "riluzole", "ok", *numbers] in lines
    assert ["SOD1-07-iso", "riluzole", "flat", "–", "-80.3"] in lines


def test_of_a_film_each_compound_s_survival_is_a_sentence(capsys):
    row = {
        "line": "L1",
        "compound": "x",
        "dose_molar": 1e-6,
        "status": "one_batch",
        "reason": "",
        "hazard_ratio": 2.68,
        "hr_low": 0.74,
        "hr_high": 11.8,
        "n_events_treated": 40,
        "n_tracks_treated": 76,
        "n_events_vehicle": 15,
        "n_tracks_vehicle": 49,
    }
    print_survival(pl.DataFrame([row]))
    assert capsys.readouterr().out.splitlines() == survival_sentences([row])
    print_survival(pl.DataFrame([row]).clear())
    assert capsys.readouterr().out == ""
