"""The validator of the Process Run Crate profile accepts our crate and refuses four broken ones."""

from __future__ import annotations

import json
import shutil

import pytest

from imaging_service.release.forms.validators import validate


def verdict(bundle, cache):
    return next(v for v in validate(bundle, cache) if v.file == "ro-crate-metadata.json")


def test_the_bundle_is_accepted_without_a_network(released, cache):
    found = verdict(released.bundle, cache)
    assert (found.verdict, found.validator, found.problems) == ("accepted", "roc-validator", ())
    assert found.version.startswith("0.13")


def entity(crate, name):
    return next(e for e in crate["@graph"] if e["@id"] == name)


def without_the_instrument(crate):
    del entity(crate, "#analysis")["instrument"]


def without_the_root(crate):
    crate["@graph"].remove(entity(crate, "./"))


def without_a_licence(crate):
    del entity(crate, "./")["license"]


def without_the_profile(crate):
    entity(crate, "./")["conformsTo"] = [{"@id": "https://example.org/other"}]


@pytest.mark.parametrize(
    "broken", [without_the_instrument, without_the_root, without_a_licence, without_the_profile]
)
def test_a_broken_crate_is_refused_with_reasons(released, cache, tmp_path, broken):
    bundle = shutil.copytree(
        released.bundle, tmp_path / "b", ignore=shutil.ignore_patterns("*.zarr", "forms")
    )
    path = bundle / "ro-crate-metadata.json"
    crate = json.loads(path.read_text())
    broken(crate)
    path.write_text(json.dumps(crate))
    found = verdict(bundle, cache)
    assert found.verdict == "refused"
    assert found.problems
