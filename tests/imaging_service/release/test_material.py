from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from imaging_service.errors import ReleaseRefused
from imaging_service.release.bundle import check_release, write_release
from imaging_service.release.gate.consent import Tier
from imaging_service.release.gate.ledger import read_ledger
from imaging_service.release.material import (
    examine,
    refuse_withdrawn_wells,
    remarks_on,
    reviewers_of,
)
from imaging_service.review.crops import Crop
from imaging_service.review.log import ReviewLog
from imaging_service.schemas import Verdict
from imaging_service.screens.folder import set_registry
from tests.imaging_service.release.drawn_release import (
    AT_HOME,
    CORRECTED,
    OPERATOR,
    PATIENTS,
    PLATES,
    WITHDRAWN,
    filled_form,
    registry,
    write_registry,
)
from tests.messages import says, states


@pytest.fixture
def own_lab(lab, tmp_path):
    return shutil.copytree(lab, tmp_path / "own")


def with_registry(lab, lines):
    set_registry(lab / "als", *write_registry(lab, lines))


def test_what_may_leave_is_decided_line_by_line(released):
    material = examine(released.folder)
    assert set(material.lines) == {*PATIENTS, *CORRECTED}
    assert {d.line: d.code.value for d in material.decisions if not d.allowed} == {
        WITHDRAWN: "withdrawn",
        AT_HOME: "restricted",
    }
    assert (material.people.k, len(material.donors), material.duo) == (6, 6, ("DUO:0000042",))
    assert material.withdrawn == ("don-w9",)


def test_secrets_are_those_of_all_lines_also_of_those_that_stay(released):
    texts = {s.text for s in examine(released.folder).secrets}
    assert texts >= {
        WITHDRAWN,
        AT_HOME,
        "don-w9",
        *PLATES,
        OPERATOR,
        "p.A5V",
        "2025-11-01",
        "Okafor",
    }
    assert "SOD1" not in texts  # all donors have it, and the ladder left it


def test_an_open_release_of_few_donors_is_refused_and_a_controlled_one_says_k(own_lab, tmp_path):
    few = [line for line in registry() if line.donor not in ("don-188", "don-288")]
    with_registry(own_lab, [replace(line, consent="GRU") for line in few])
    left = [f"{n}{end}" for n in PATIENTS[:2] for end in ("", "-iso")] + [AT_HOME]
    with pytest.raises(ReleaseRefused, match=says("release.few_donors", k=4)):
        examine(filled_form(tmp_path / "open", own_lab, exclude_lines=left))
    folder = filled_form(tmp_path / "c", own_lab, Tier.CONTROLLED, exclude_lines=left)
    material = examine(folder)
    assert material.people.k == 4
    assert len(remarks_on(material)) > len(left)


def test_a_release_without_an_allowed_line_is_refused(own_lab, tmp_path):
    folder = filled_form(tmp_path / "r", own_lab)
    with_registry(own_lab, [replace(line, consent_scope="none") for line in registry()])
    with pytest.raises(ReleaseRefused, match=says("release.no_line")):
        examine(folder)


def test_a_run_that_is_not_in_the_screen_is_refused(own_lab, tmp_path):
    folder = filled_form(tmp_path / "r", own_lab)
    for plate in (own_lab / "als" / "plates").iterdir():
        shutil.rmtree(plate)
    with pytest.raises(ReleaseRefused, match=says("release.run_not_in_screen")):
        examine(folder)


def test_reviewers_are_known_by_their_corrections_and_verdicts(own_lab):
    run = own_lab / PLATES[0]
    crop = Crop("nuclei", 2, 3, np.full((4, 5), 7, np.int32), 1)
    ReviewLog(run).commit("A01", 1, 1, [crop], "Jo Marsh", "")
    ReviewLog(run).judge(
        Verdict(
            well="A02",
            field=1,
            accepted=True,
            author="Ada Lee",
            reason="",
            time=datetime(2026, 3, 1, tzinfo=UTC),
        )
    )
    assert reviewers_of(run) == ["Ada Lee", "Jo Marsh"]


def test_exported_lines_keep_pairs_and_lose_what_leads_to_a_person(released):
    material = examine(released.folder)
    line = material.exported_line(CORRECTED[0])
    assert line.isogenic_parent == material.ids.of("line", PATIENTS[0])
    assert (line.genotype, line.gene, line.hpscreg, line.bank, line.withdrawn) == (
        "corrected",
        "",
        "",
        "",
        "",
    )
    assert material.exported_line(PATIENTS[0]).genotype == "SOD1 missense"


def test_a_release_of_a_version_that_kept_no_facts_is_named(released, lab, tmp_path):
    material = examine(filled_form(tmp_path / "r", lab))
    (entry,) = read_ledger(released.folder.parent / "ledger.jsonl")
    for facts, count in ((entry.facts, 0), ({}, 1)):
        entries = (entry.model_copy(update={"facts": facts}),)
        remarks = remarks_on(replace(material, entries=entries))
        named = [r for r in remarks if states("release.no_facts_of", r, release="first")]
        assert len(named) == count


def test_plates_that_were_calibrated_with_a_donor_who_withdrew_are_refused(lab, tmp_path):
    folder = filled_form(tmp_path / "r", lab, withdrawn_in_calibration=False)
    told = says("release.withdrawn_in_calibration", count=3, plate=PLATES[0], line=WITHDRAWN)
    with pytest.raises(ReleaseRefused, match=told):
        write_release(folder, tmp_path / "bundle")
    with pytest.raises(ReleaseRefused, match=told):
        check_release(folder)
    # Analysed again without these wells.
    own = shutil.copytree(lab, tmp_path / "own")
    for plate in PLATES:
        path = own / plate / "wells.parquet"
        wells = pl.read_parquet(path)
        wells.filter(pl.col("line") != WITHDRAWN).write_parquet(path)
    material = examine(filled_form(tmp_path / "s", own, withdrawn_in_calibration=False))
    refuse_withdrawn_wells(material)
    assert len(material.lines) == 12
    # The donor who stays at home has not withdrawn: the bundle says that plates saw such wells.
    assert material.shared_calibrations == 3
    assert examine(filled_form(tmp_path / "t", lab)).shared_calibrations == 3
