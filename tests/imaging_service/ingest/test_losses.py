from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from imaging_service.ingest.losses import fields_of, loss_of, with_losses
from imaging_service.ingest.plan import Announced, FindingKind, ImageRef, PlatePlan
from plate_maps import Well
from tests.messages import says, states

B02, B03, C04 = Well(2, 2), Well(2, 3), Well(3, 4)
ERROR = "AF Error at B02 No. 2"


def plan(*without, wells=(B02, B03), fields=(1, 2), channels=("1", "2"), planes=(1,), times=(1,)):
    """A plan of all of these, but those that a test of `without` says are not there."""
    images = [
        ImageRef(w, f, t, c, z, f"{w}_{f}_{t}_{c}_{z}")
        for w in wells
        for f in fields
        for t in times
        for c in channels
        for z in planes
    ]
    kept = tuple(sorted(i for i in images if not any(test(i) for test in without)))
    return PlatePlan("tiff", "p", Path("p"), tuple(channels), 0.5, None, kept)


def messages(of, kind=FindingKind.LOST):
    return [f.message for f in with_losses(of).findings if f.kind == kind]


def test_a_whole_scan_has_no_finding():
    assert with_losses(plan()).findings == ()
    assert loss_of(plan(), B02) == ""


def test_a_lost_field_is_named_with_its_well():
    whole = with_losses(plan(lambda i: i.well == B03 and i.field == 2))
    (finding,) = whole.findings
    assert finding.wells == (B03,)
    assert states("losses.field_lost", finding.message, field=2, well="B03")
    assert states("losses.of_fields", loss_of(whole, B03), there=1, of=2)
    assert loss_of(whole, B02) == ""
    assert list(whole.lost_fields()) == [(B03, 2)]
    assert fields_of(whole) == 2


def test_several_lost_fields_of_several_wells_are_one_finding():
    whole = with_losses(
        plan(lambda i: i.well != B02 and i.field > 1, fields=(1, 2, 3), wells=(B02, B03, C04))
    )
    (finding,) = whole.findings
    assert finding.wells == (B03, C04)
    assert states("losses.fields_lost", finding.message, fields="2, 3", wells="B03, C04")


def test_a_well_all_of_whose_listed_files_are_absent_is_named():
    lost = tuple(i for i in plan().images if i.well == B03)
    (first, _) = messages(replace(plan(lambda i: i.well == B03), missing=lost))
    assert states("losses.no_image_of", first, wells="B03")


def test_an_error_of_the_instrument_is_the_field_s_reason():
    lost = ImageRef(B02, 2, 1, "", 1, "MeasurementData.mlf", reason=ERROR)
    here = plan(lambda i: i.well == B02 and i.field == 2)
    whole = with_losses(replace(here, missing=(lost,)))
    kinds = {f.kind: f for f in whole.findings}
    assert states("losses.instrument", kinds[FindingKind.INSTRUMENT].message, text=ERROR)
    assert kinds[FindingKind.INSTRUMENT].wells == (B02,)
    assert states("losses.with_reason", loss_of(whole, B02), field=2, reason=ERROR)


def test_wells_that_are_announced_and_not_there_are_named():
    told = Announced("p.HTD", wells=(B02, B03, C04))
    whole = with_losses(replace(plan(), announced=told))
    assert whole.wells == (B02, B03)
    assert [f.wells for f in whole.findings] == [(C04,)]
    assert states("losses.announced_wells", whole.findings[0].message, count=3, wells="C04")


def test_files_of_an_index_are_named():
    here = plan(lambda i: i.well == B03 and i.channel == "2")
    lost = tuple(i for i in plan().images if i not in here.images)
    (files,) = (m for m in messages(replace(here, missing=lost)) if lost[0].path in m)
    assert states("losses.files", files, well="B03", count=2)
    assert all(i.path in files for i in lost)


@pytest.mark.parametrize(
    ("without", "sentence"),
    [
        (
            lambda i: (i.well, i.field, i.channel) == (B03, 1, "2"),
            says("losses.channel_not_there", channel=2, places="B03 field 1"),
        ),
        (
            lambda i: (i.well, i.field, i.channel, i.z) == (B02, 2, "1", 3),
            says("losses.fewer_planes", channel=1, planes=3, places="B02 field 2"),
        ),
        (
            lambda i: (i.well, i.field, i.time) == (B02, 1, 2),
            says("losses.time_not_there", time=2, places="B02 field 1"),
        ),
        (
            lambda i: i.channel == "2" and (i.well, i.field) != (B02, 1),
            says("losses.channel_in_few", channel=2, there=2, of=8),
        ),
    ],
)
def test_what_a_field_lacks_is_named(without, sentence):
    (message,) = messages(plan(without, planes=(1, 2, 3), times=(1, 2)))
    assert re.search(sentence, message)


def test_numbers_that_are_announced_and_not_there():
    told = Announced("p.HTD", fields=4, channels=("1", "2", "3", "4"), planes=3, times=6)
    texts = messages(replace(plan(), announced=told))
    for what, wanted, there in (
        ("time points", 6, 1),
        ("fields per well", 4, 2),
        ("planes", 3, 1),
    ):
        assert any(
            states("losses.announced", t, what=what, wanted=wanted, there=there) for t in texts
        )
    assert any(states("losses.announced_channels", t, count=4, absent="'3', '4'") for t in texts)


def test_an_image_that_cannot_be_read_is_no_lost_field():
    broken = ImageRef(B03, 2, 1, "", 1, "B/3/1", reason="cut short")
    here = plan(lambda i: i.well == B03 and i.field == 2)
    assert with_losses(replace(here, broken=(broken,))).lost_fields() == {}
