"""k as pycanon counts it: an oracle of counts, and of nothing else."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest

from imaging_service.release.gate.people import LADDER, generalise
from plate_maps.registry import Line

COUNT = """
import json, sys
import pandas as pd
from pycanon import anonymity
table = pd.DataFrame(json.load(sys.stdin))
print(anonymity.k_anonymity(table, list(table.columns)))
"""
PATIENT = Line(
    "A", "D", gene="SOD1", hgvs="p.A5V", sex="female", age_at_sampling="50-59", country="NL"
)


def cohort(seed):
    genes, sexes, countries = ("SOD1", "FUS", ""), ("female", "male"), ("NL", "DE", "BR")
    ages = ("30-39", "40-49", "50-59", "60-69")
    return [
        replace(
            PATIENT,
            line=f"L{i}-{clone}",
            donor=f"D{i}",
            gene=genes[i * seed % 7 % 3],
            sex=sexes[i * seed % 5 % 2],
            country=countries[i * seed % 11 // 5],
            age_at_sampling=ages[i * seed % 13 % 4],
        )
        for i in range(1, 30)
        for clone in range(1 + i % 3)
    ]


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_pycanon_counts_the_same_k(tool_python, k):
    people = generalise(cohort(k + 3), frozenset(), k)
    # An empty fact is a value like any other.
    rows = [
        {fact: of_donor[fact] or "none" for fact in LADDER} for of_donor in people.facts.values()
    ]
    done = subprocess.run(
        [tool_python, "-c", COUNT],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout.split()[-1]) == people.k >= k
