"""The validator of the Process Run Crate profile accepts our crate and refuses four broken ones."""

from __future__ import annotations

import json
import shutil

import pytest

from imaging_service.release.forms.crate import claims_profile
from imaging_service.release.forms.validators import validate


def verdict(bundle, cache):
    return next(v for v in validate(bundle, cache) if v.file == "ro-crate-metadata.json")


def changed(bundle, tmp_path, change):
    copy = shutil.copytree(bundle, tmp_path / "b")
    path = copy / "ro-crate-metadata.json"
    crate = json.loads(path.read_text())
    change(crate)
    path.write_text(json.dumps(crate))
    return copy


def test_the_bundle_is_accepted_without_a_network_and_says_so(bundle, cache):
    found = verdict(bundle, cache)
    assert (found.verdict, found.validator, found.problems) == ("accepted", "roc-validator", ())
    assert found.version.startswith("0.13")
    assert claims_profile(json.loads((bundle / "ro-crate-metadata.json").read_text()))


def test_a_crate_that_claims_no_profile_is_compared_with_ro_crate_alone(bundle, cache, tmp_path):
    found = verdict(changed(bundle, tmp_path, without_the_claim), cache)
    assert (found.verdict, found.standard) == ("accepted", "RO-Crate 1.1")


def entity(crate, name):
    return next(e for e in crate["@graph"] if e["@id"] == name)


def without_the_instrument(crate):
    del entity(crate, "#analysis")["instrument"]


def without_the_root(crate):
    crate["@graph"].remove(entity(crate, "./"))


def without_a_licence(crate):
    del entity(crate, "./")["license"]


def without_a_date(crate):
    del entity(crate, "./")["datePublished"]


def without_the_claim(crate):
    del entity(crate, "./")["conformsTo"]


@pytest.mark.parametrize(
    "broken", [without_the_instrument, without_the_root, without_a_licence, without_a_date]
)
def test_a_broken_crate_is_refused_with_reasons(bundle, cache, tmp_path, broken):
    found = verdict(changed(bundle, tmp_path, broken), cache)
    assert found.verdict == "refused"
    assert found.problems
